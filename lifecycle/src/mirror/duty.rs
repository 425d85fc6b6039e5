//! What the mirror owes a run's object: to hold it, to let it go, or to say how it stands with the ledger.

use std::time::Duration;

use crucible_crds::{ConditionType, Phase, Reason};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::Outline;
use crate::{build::labels, wake::Wake};

/// How long the ledger may be behind an ended run before that is said, and the run held.
pub const LATE: Duration = Duration::from_secs(3);

/// What was agreed at the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Whether there is a ledger.
    pub ledger: bool,
    /// How long a deleted run is held for a ledger that cannot be told of its end.
    pub escape: Duration,
}

/// How a run stands with the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The ledger has not been told the run's newest status.
    Behind {
        /// Since when.
        since: Timestamp,
    },
    /// The ledger holds the run's newest status.
    Held,
    /// The ledger does not take it, and asking again would not help; the text says why.
    Refused(String),
}

/// What the mirror owes a run's object.
#[derive(Clone, Debug, PartialEq)]
pub enum Duty {
    /// Nothing.
    Nothing,
    /// To put its finalizer on: the run was never admitted, or by a release or installation without a ledger.
    Hold,
    /// To say how it stands with the ledger.
    Say {
        /// Where the condition stands.
        position: usize,
        /// What to say.
        condition: Box<Condition>,
    },
    /// To take its finalizer off.
    Release {
        /// The time is up: the ledger was not told of the run's end, which people are to hear of.
        escaped: bool,
    },
}

/// What the mirror owes a run's object now, and when to look again if nothing changes.
///
/// A run that is live is never written to but to be held: every such write would cost the run controller a pass.
#[must_use]
pub fn duty(run: &Outline, standing: &Standing, now: Timestamp, terms: Terms) -> (Duty, Wake) {
    if run.deleting.is_some() {
        return letting_go(run, standing, now, terms);
    }
    if !terms.ledger {
        let word = (run.phase.is_terminal() && !run.is_mirrored()).then(|| ("Unknown", Reason::LedgerNotConfigured, String::new()));
        return (word.map_or(Duty::Nothing, |word| say(run, word, now)), Wake::OnChange);
    }
    if !run.phase.is_terminal() {
        let unheld = run.phase != Phase::Pending && !run.has(labels::MIRROR_FINALIZER);
        return (if unheld { Duty::Hold } else { Duty::Nothing }, Wake::OnChange);
    }
    if run.is_mirrored() {
        return (Duty::Nothing, Wake::OnChange);
    }
    match standing {
        Standing::Held => (say(run, ("True", Reason::Mirrored, "The ledger holds the run's last status".to_owned()), now), Wake::OnChange),
        Standing::Refused(why) => (say(run, ("False", Reason::LedgerRefused, why.clone()), now), Wake::OnChange),
        Standing::Behind { since } => {
            let lasted = span(*since, now);
            if lasted < LATE {
                return (Duty::Nothing, Wake::After(LATE.saturating_sub(lasted)));
            }
            if !run.has(labels::MIRROR_FINALIZER) {
                return (Duty::Hold, Wake::OnChange);
            }
            let message = "The ledger has not been told the run's last status; it is told as soon as it answers".to_owned();
            (say(run, ("False", Reason::LedgerUnavailable, message), now), Wake::OnChange)
        }
    }
}

fn letting_go(run: &Outline, standing: &Standing, now: Timestamp, terms: Terms) -> (Duty, Wake) {
    let Some(asked) = run.deleting.filter(|_| run.has(labels::MIRROR_FINALIZER)) else { return (Duty::Nothing, Wake::OnChange) };
    let told = run.is_last() && *standing == Standing::Held;
    if !terms.ledger || told || run.is_mirrored() {
        return (Duty::Release { escaped: false }, Wake::OnChange);
    }
    let held = span(asked, now);
    if held < terms.escape {
        return (Duty::Nothing, Wake::After(terms.escape.saturating_sub(held)));
    }
    // While the run controller holds the object too, there is nothing to be gained by letting go.
    (if run.is_last() { Duty::Release { escaped: true } } else { Duty::Nothing }, Wake::OnChange)
}

/// Says a word, where it is another one than stands there. A status without conditions has no place for it yet.
fn say(run: &Outline, (truth, reason, message): (&str, Reason, String), now: Timestamp) -> Duty {
    let Some(said) = &run.said else { return Duty::Nothing };
    let before = &said.condition;
    if before.status == truth && before.reason == reason.as_str() && before.message == message {
        return Duty::Nothing;
    }
    let since = if before.status == truth { before.last_transition_time.clone() } else { Time(now) };
    let condition = Condition {
        type_: ConditionType::Mirrored.to_string(),
        status: truth.to_owned(),
        reason: reason.to_string(),
        message,
        observed_generation: before.observed_generation,
        last_transition_time: since,
    };
    Duty::Say { position: said.position, condition: Box::new(condition) }
}

fn span(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}
