//! Executing: the load is on. Workers are watched for loss, the fleet for abort rules, the clock for the deadline.

use std::time::Duration;

use crucible_crds::{Phase, Reason, test_plan::AbortRule};

use super::{
    decision::Order,
    draft::{Draft, Step, later},
    faults,
    hand_in::hand_in,
    loss,
    observed::{LiveView, Observed},
    progress::{self, share},
    queue, waiting_room,
};
use crate::{
    contract::{FrozenPlan, WorkerState},
    notice::Severity,
};

/// Beyond the planned end and the time to drain, before the run is given up.
const SLACK: Duration = Duration::from_secs(15);
/// How long after the agreed instant workers that still wait are given a new one, where none has started.
const MISSED: Duration = Duration::from_secs(1);

/// Watches the load until it ends.
pub fn watch(observed: &Observed, draft: &mut Draft) -> Step {
    let Some(plan) = draft.plan.clone() else {
        return queue::plan_gone(observed, draft);
    };
    if observed.run.spec.stop {
        return draft.end_early(Reason::StopRequested, "The run was stopped by its user");
    }
    if let Some(loss) = loss::first(observed, &plan, draft) {
        return draft.fail(loss.reason, loss.message);
    }
    if let Some(index) = gave_up(observed) {
        return draft.fail(Reason::WorkerEvicted, format!("Worker {index} ended its load early without being told to"));
    }
    if let Some(message) = plan.spec.abort.iter().find_map(|rule| fired(rule, &observed.fleet.live)) {
        return draft.end_early(Reason::AbortRuleFired, message);
    }
    if missed(observed, draft, &plan) {
        waiting_room::agree(draft, &plan);
    }
    faults::tend(observed, draft, &plan);
    let at = draft.status.start_at.as_ref().map_or(draft.now, |at| at.0);
    let ends = draft.status.ends_at.as_ref().map_or(draft.now, |at| at.0);
    draft.order = Order::Start { at };
    progress::record(observed, draft, &plan);
    if all_finished(observed, &plan) {
        draft.status.progress = Some("100%".to_owned());
        draft.status.stage = None;
        draft.notice(Severity::Normal, Reason::LoadEnded, "The load has ended as planned");
        return draft.go(Phase::Collecting, Reason::LoadEnded, "The load has ended as planned; results are being collected");
    }
    let limit = later(ends, plan.spec.deadlines.drain.span() + SLACK);
    if draft.now >= limit {
        return draft.fail(Reason::ExecutionDeadlineExceeded, "The load went on beyond its planned end and deadlines.drain");
    }
    draft.wake_after(draft.until(limit));
    Step::Stay
}

/// Whether the agreed instant passed with every worker still waiting: the operator died between record and order.
fn missed(observed: &Observed, draft: &Draft, plan: &FrozenPlan) -> bool {
    let long_past = draft.status.start_at.as_ref().is_some_and(|at| draft.since(at.0) >= MISSED);
    let waiting = observed.fleet.workers.values().filter(|heard| heard.report.state == WorkerState::Ready).count();
    long_past && waiting == plan.spec.load.workers as usize
}

/// The first worker that ended its load before the plan did.
fn gave_up(observed: &Observed) -> Option<u32> {
    let early = |state, interrupted| interrupted && matches!(state, WorkerState::Finished | WorkerState::Uploaded);
    observed.fleet.workers.iter().find(|(_, heard)| early(heard.report.state, heard.report.interrupted)).map(|(index, _)| *index)
}

fn all_finished(observed: &Observed, plan: &FrozenPlan) -> bool {
    (0..plan.spec.load.workers).all(|index| hand_in(observed, index).is_some())
}

/// What an abort rule says about the load so far, where it fired. It is judged on the whole fleet.
fn fired(rule: &AbortRule, live: &LiveView) -> Option<String> {
    let newest = live.seconds.last()?.second + 1;
    let (over, after) = (rule.over.span().as_secs().max(1), rule.after.span().as_secs());
    if newest < after.max(over) {
        return None;
    }
    let window = live.seconds.iter().filter(|second| second.second >= newest - over);
    let (ok, errors) = window.fold((0, 0), |(ok, errors), second| (ok + second.ok, errors + second.errors));
    let rate = share(errors, ok + errors)?;
    (rate > rule.above).then(|| format!("The error rate was {rate:.3} over {over} s, above {:.3}", rule.above))
}
