//! Stopping: the load ends before its time, and what was measured until then is kept.

use std::time::Duration;

use crucible_crds::{Reason, test_run::EndedEarly};

use super::{
    collection,
    decision::Order,
    draft::{Draft, Step},
    faults::{self, Health},
    hand_in::hand_in,
    loss,
    observed::Observed,
    progress, queue,
};

/// How soon to look again while the load ends; the workers speak sooner.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a run that fails without its plan waits for its faults to heal.
const PLANLESS: Duration = Duration::from_mins(5);

/// Ends the load, then collects what there is.
pub fn wind_down(observed: &Observed, draft: &mut Draft) -> Step {
    let Some(plan) = draft.plan.clone() else {
        if draft.status.failing.is_some() {
            let left = faults::clear(observed, draft);
            let health = if left.is_empty() || draft.past(PLANLESS) { Health::Healed } else { Health::Healing };
            return wait_and_fail(observed, draft, &health);
        }
        return queue::plan_gone(observed, draft);
    };
    let health = faults::heal(observed, draft, &plan);
    if draft.status.failing.is_some() {
        return wait_and_fail(observed, draft, &health);
    }
    if let Health::GivenUp(message) = health {
        return draft.fail_now(Reason::ChaosRecoveryStuck, message);
    }
    let (reason, message) = why(draft);
    if draft.status.start_at.is_none() {
        return draft.fail(reason, message);
    }
    let lost = loss::all(observed, &plan, draft);
    let remaining = plan.spec.load.workers.saturating_sub(u32::try_from(lost.len()).unwrap_or(u32::MAX));
    if remaining == 0 {
        return draft.fail(reason, format!("{message}; no worker is left to hand in results"));
    }
    let ended = (0..plan.spec.load.workers).filter(|index| hand_in(observed, *index).is_some()).count();
    if ended >= remaining as usize {
        progress::record(observed, draft, &plan);
        draft.order = Order::Listen;
        if health == Health::Healed
            && let Some(step) = collection::merge(observed, draft, &plan, remaining)
        {
            return step;
        }
    } else {
        draft.order = Order::Stop { reason: reason.to_string() };
    }
    if draft.past(plan.spec.deadlines.drain.span() + plan.spec.deadlines.collect.span() + faults::longest_healing(&plan)) {
        return draft.fail(Reason::DrainDeadlineExceeded, format!("{message}; the workers did not hand in their results in time"));
    }
    draft.wake_after(AGAIN);
    Step::Stay
}

/// A run that fails while a fault is on heals it first: its workers are gone, and nobody would look after the fault later.
fn wait_and_fail(observed: &Observed, draft: &mut Draft, health: &Health) -> Step {
    let failing = draft.status.failing.clone().unwrap_or_else(|| EndedEarly { reason: String::new(), message: String::new() });
    if *health == Health::Healing {
        if observed.job.found().is_some_and(|job| !job.deleting) {
            draft.remove_workers();
        }
        return Step::Stay;
    }
    draft.fail_now(Reason::parse(&failing.reason).unwrap_or(Reason::WorkerLost), failing.message)
}

/// Why the load ends early, as it was first recorded.
fn why(draft: &Draft) -> (Reason, String) {
    draft.status.ended_early.as_ref().map_or((Reason::StopRequested, "The run was stopped".to_owned()), |early| {
        (Reason::parse(&early.reason).unwrap_or(Reason::StopRequested), early.message.clone())
    })
}
