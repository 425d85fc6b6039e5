//! Conditions are a function of the status; the old list only lends its transition times.

use crucible_crds::{
    ConditionType, Outcome, Phase, Reason, TestRunStatus, condition,
    fault::{FaultPhase, FaultStatus},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::observed::Observed;

/// True, False, or not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    True,
    False,
    Unknown,
}

impl Truth {
    const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }

    const fn of(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// Every condition of a run, in the fixed order.
pub fn of(status: &TestRunStatus, observed: &Observed) -> Vec<Condition> {
    let old = observed.run.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    ConditionType::ALL
        .iter()
        .map(|of| {
            let before = condition::find(old, *of);
            // The mirror's own word: what it last wrote is kept as it is.
            if let Some(said) = before.filter(|_| *of == ConditionType::Mirrored) {
                return said.clone();
            }
            let (truth, reason, message) = judge(*of, status, observed.settings.ledger);
            let since = before.filter(|before| before.status == truth.as_str()).map_or(Time(observed.now), |before| before.last_transition_time.clone());
            Condition {
                type_: of.to_string(),
                status: truth.as_str().to_owned(),
                reason: reason.to_string(),
                message,
                observed_generation: status.observed_generation,
                last_transition_time: since,
            }
        })
        .collect()
}

fn judge(of: ConditionType, status: &TestRunStatus, ledger: bool) -> (Truth, Reason, String) {
    let phase = status.phase.unwrap_or_default();
    let reason = status.reason.as_deref().and_then(Reason::parse).unwrap_or(Reason::AsExpected);
    let message = status.message.clone().unwrap_or_default();
    let quiet = |truth, reason| (truth, reason, String::new());
    match of {
        ConditionType::Ready => match phase {
            Phase::Completed => (Truth::True, Reason::RunCompleted, message),
            _ => (Truth::False, reason, message),
        },
        ConditionType::Reconciling => (Truth::of(!phase.is_terminal()), reason, message),
        ConditionType::Stalled | ConditionType::Failed => match phase {
            Phase::Failed => (Truth::True, reason, message),
            _ => quiet(Truth::False, Reason::AsExpected),
        },
        ConditionType::Accepted => accepted(status, phase, reason, message),
        ConditionType::Leased => match phase {
            Phase::Pending => quiet(Truth::Unknown, Reason::AsExpected),
            Phase::Queued => (Truth::False, reason, message),
            Phase::Loading | Phase::WaitingRoom | Phase::Executing | Phase::Collecting | Phase::Stopping => quiet(Truth::True, Reason::SutLeased),
            Phase::Completed | Phase::Failed => quiet(Truth::False, Reason::SutReleased),
        },
        ConditionType::FixturesReady => match (phase, status.fixtures.is_empty(), status.fixtures.iter().all(|fixture| fixture.state.is_ready())) {
            (Phase::Pending | Phase::Queued | Phase::Loading, true, _) => quiet(Truth::Unknown, Reason::AsExpected),
            // A run that fails while it finds out what to load has loaded nothing.
            (Phase::Failed, true, _) if reason.as_str().starts_with("Fixture") => (Truth::False, reason, message),
            (_, true, _) => quiet(Truth::True, Reason::NoFixtures),
            (_, false, true) => quiet(Truth::True, Reason::FixturesLoaded),
            (_, false, false) => (Truth::False, reason, message),
        },
        ConditionType::WorkersReady => match (phase, &status.start_at) {
            (Phase::Pending | Phase::Queued | Phase::Loading, _) => quiet(Truth::Unknown, Reason::AsExpected),
            (Phase::Executing | Phase::Collecting | Phase::Stopping | Phase::Completed | Phase::Failed, Some(_)) => quiet(Truth::True, Reason::WorkersReady),
            (_, _) => (Truth::False, reason, message),
        },
        ConditionType::Executing => match (phase, &status.start_at) {
            (Phase::Executing, _) => quiet(Truth::True, Reason::LoadStarted),
            (_, Some(_)) => quiet(Truth::False, Reason::LoadEnded),
            (_, None) => quiet(Truth::False, Reason::AsExpected),
        },
        ConditionType::FaultsHealed => faults_healed(&status.faults),
        ConditionType::ResultsCollected => match (phase, &status.results) {
            (_, Some(results)) if results.partial => quiet(Truth::True, Reason::ResultsPartial),
            (_, Some(_)) => quiet(Truth::True, Reason::ResultsCollected),
            (Phase::Failed, None) => (Truth::False, reason, message),
            (_, None) => quiet(Truth::Unknown, Reason::AsExpected),
        },
        ConditionType::Mirrored => quiet(Truth::Unknown, if ledger { Reason::Mirroring } else { Reason::LedgerNotConfigured }),
        ConditionType::Complete => match phase {
            Phase::Completed => quiet(Truth::True, Reason::RunCompleted),
            _ => quiet(Truth::False, Reason::AsExpected),
        },
        ConditionType::Passed => match &status.verdict {
            None => quiet(Truth::Unknown, Reason::AsExpected),
            Some(verdict) => (Truth::of(verdict.outcome == Outcome::Passed), reason, message),
        },
    }
}

/// Whether a fault may be in its targets. One that is stuck counts more than one that is on.
fn faults_healed(faults: &[FaultStatus]) -> (Truth, Reason, String) {
    if let Some(stuck) = faults.iter().find(|fault| fault.phase == FaultPhase::Stuck) {
        return (Truth::False, Reason::ChaosRecoveryStuck, stuck.message.clone().unwrap_or_default());
    }
    let on: Vec<&str> = faults.iter().filter(|fault| fault.phase.is_on()).map(|fault| fault.name.as_str()).collect();
    match (faults.is_empty(), on.is_empty()) {
        (true, _) => (Truth::True, Reason::NoFaults, String::new()),
        (false, true) => (Truth::True, Reason::FaultsHealed, String::new()),
        (false, false) => (Truth::False, Reason::FaultsActive, format!("Not healed yet: {}", on.join(", "))),
    }
}

/// Whether the plan was frozen. A run that failed for another reason later was accepted all the same.
fn accepted(status: &TestRunStatus, phase: Phase, reason: Reason, message: String) -> (Truth, Reason, String) {
    match (&status.plan, phase) {
        (Some(_), _) => (Truth::True, Reason::PlanFrozen, String::new()),
        (None, Phase::Failed) => (Truth::False, reason, message),
        (None, _) => (Truth::Unknown, reason, message),
    }
}
