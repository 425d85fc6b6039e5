//! Stopping: the load ends before its time, and what was measured until then is kept.

use std::time::Duration;

use crucible_crds::Reason;

use super::{
    collection,
    decision::Order,
    draft::{Draft, Step},
    hand_in::hand_in,
    loss,
    observed::Observed,
    progress, queue,
};

/// How soon to look again while the load ends; the workers speak sooner.
const AGAIN: Duration = Duration::from_secs(1);

/// Ends the load, then collects what there is.
pub fn wind_down(observed: &Observed, draft: &mut Draft) -> Step {
    let Some(plan) = draft.plan.clone() else {
        return queue::plan_gone(observed, draft);
    };
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
        if let Some(step) = collection::merge(observed, draft, &plan, remaining) {
            return step;
        }
    } else {
        draft.order = Order::Stop { reason: reason.to_string() };
    }
    if draft.past(plan.spec.deadlines.drain.span() + plan.spec.deadlines.collect.span()) {
        return draft.fail(Reason::DrainDeadlineExceeded, format!("{message}; the workers did not hand in their results in time"));
    }
    draft.wake_after(AGAIN);
    Step::Stay
}

/// Why the load ends early, as it was first recorded.
fn why(draft: &Draft) -> (Reason, String) {
    draft.status.ended_early.as_ref().map_or((Reason::StopRequested, "The run was stopped".to_owned()), |early| {
        (Reason::parse(&early.reason).unwrap_or(Reason::StopRequested), early.message.clone())
    })
}
