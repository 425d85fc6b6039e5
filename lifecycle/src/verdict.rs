//! Judges a run: is the measurement to be believed, and does every limit hold? One total function over what was merged;
//! the operator writes its answer into status, the report and the exit of every client repeat it.

mod confirmation;
mod invariants;
mod search;
mod slo;
mod slowdown;
mod validity;

use crucible_crds::{Check, Outcome, Owner, Reason, Verdict};

pub use search::{Limiting, Search, Step, search};

use crate::{
    comparison::Comparison,
    contract::FrozenPlan,
    results::{Facts, Summary, observability::SourceReading},
};

/// The most reasons that a verdict holds, and the most characters of one.
const MOST_REASONS: usize = 32;
const LONGEST_REASON: usize = 300;

/// A check with the word that its breaking is known by.
struct Judged {
    check: Check,
    broken: &'static str,
    undecided: &'static str,
}

impl Judged {
    fn is_broken(&self) -> bool {
        self.check.decided && !self.check.held
    }

    fn reason(&self, word: &str) -> String {
        let Check { name, limit, observed, .. } = &self.check;
        format!("{word}: {name} was {observed}, the limit is {limit}")
    }
}

/// What the results mean.
///
/// A broken validity check makes the run `Invalid`: its numbers say nothing about the system under test. A load that an
/// abort rule, a stop or a deletion ended early is `Aborted`. A broken limit makes the run `Failed`, whatever else could
/// not be decided; otherwise a check without enough data makes it `Inconclusive`. Else it has `Passed`. Where nothing was
/// asked of the results at all, one thing still is: that queries were answered.
#[must_use]
pub fn judge(plan: &FrozenPlan, summary: &Summary, facts: &Facts, sources: &[SourceReading], comparison: Option<&Comparison>) -> Verdict {
    let validity = validity::checks(plan, summary, facts, sources);
    let mut limits = confirmation::checks(&facts.faults);
    limits.extend(slo::checks(plan, summary, &facts.faults, sources));
    limits.extend(search::check(plan, summary));
    limits.extend(invariants::checks(&facts.invariants));
    limits.extend(comparison.and_then(slowdown::check));
    let ended_early = facts.ended_early.as_ref();
    let (outcome, deciding) = if validity.iter().any(Judged::is_broken) {
        (Outcome::Invalid, broken(&validity))
    } else if let Some(ended) = ended_early {
        (Outcome::Aborted, vec![format!("{}: {}", ended.reason, ended.message)])
    } else if limits.iter().any(Judged::is_broken) {
        (Outcome::Failed, broken(&limits))
    } else if validity.iter().chain(&limits).any(|judged| !judged.check.decided) {
        (Outcome::Inconclusive, Vec::new())
    } else {
        let count = validity.len() + limits.len();
        (Outcome::Passed, vec![format!("AllChecksHeld: all {count} checks held")])
    };
    let mut reasons = deciding;
    let others = ended_early
        .map(|ended| format!("{}: {}", ended.reason, ended.message))
        .into_iter()
        .chain(broken(&limits))
        .chain(undecided(&validity))
        .chain(undecided(&limits))
        .chain(comparison.and_then(|comparison| comparison.obstacle.as_ref()).map(|obstacle| format!("NotCompared: {obstacle}")));
    for reason in others {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons.truncate(MOST_REASONS);
    let reasons = reasons.into_iter().map(|reason| shortened(&reason, LONGEST_REASON)).collect();
    Verdict { outcome, reasons, checks: validity.into_iter().chain(limits).map(|judged| judged.check).collect() }
}

/// The verdict of a run whose results Crucible or the cluster could not bring in: nothing is said about the system
/// under test.
#[must_use]
pub fn harness_error(reason: Reason, message: &str) -> Verdict {
    Verdict { outcome: Outcome::HarnessError, reasons: vec![shortened(&format!("{reason}: {message}"), LONGEST_REASON)], checks: Vec::new() }
}

fn broken(checks: &[Judged]) -> Vec<String> {
    checks.iter().filter(|judged| judged.is_broken()).map(|judged| judged.reason(judged.broken)).collect()
}

fn undecided(checks: &[Judged]) -> Vec<String> {
    checks.iter().filter(|judged| !judged.check.decided).map(|judged| judged.reason(judged.undecided)).collect()
}

/// A check with its texts cut to what status has room for.
fn check(name: &str, limit: &str, observed: &str, held: bool, decided: bool, owner: Owner) -> Check {
    Check { name: shortened(name, 200), limit: shortened(limit, 64), observed: shortened(observed, 64), held: held && decided, decided, owner }
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A share or a rate for people: at most six decimals, no zeros at the end.
fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "0" && value > 0.0 { "< 0.000001".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests;
