//! Executing: the load is on. Workers are watched for loss, the fleet for abort rules, the clock for the deadline.

use std::time::Duration;

use crucible_crds::{
    Phase, Reason,
    test_plan::{AbortMetric, AbortRule},
};

use super::{
    decision::Order,
    draft::{Draft, Step, later},
    faults,
    hand_in::hand_in,
    loss,
    observed::{LiveView, Observed, SecondLatency},
    progress::{self, share},
    queue, waiting_room,
};
use crate::{
    contract::{FrozenPlan, WorkerState},
    latency::human,
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
    match (rule.above, &rule.slower_than) {
        (Some(above), _) => {
            let (ok, errors) = window.fold((0, 0), |(ok, errors), second| (ok + second.ok, errors + second.errors));
            let rate = share(errors, ok + errors)?;
            (rate > above).then(|| format!("The error rate was {rate:.3} over {over} s, above {above:.3}"))
        }
        (None, Some(limit)) => {
            let (name, of): (&str, fn(SecondLatency) -> u64) = match rule.metric {
                AbortMetric::P50 => ("p50", |latency| latency.p50_micros),
                AbortMetric::P95 => ("p95", |latency| latency.p95_micros),
                AbortMetric::P99 => ("p99", |latency| latency.p99_micros),
                // The plan's review lets no such rule pass.
                AbortMetric::ErrorRate => return None,
            };
            let fastest = window.filter_map(|second| second.latency).map(of).min()?;
            (Duration::from_micros(fastest) > limit.span())
                .then(|| format!("{name} was at least {} in every second of {over} s, above {limit}", human(fastest)))
        }
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::observed::FleetSecond, *};

    /// Seconds whose p99 was so many milliseconds; nothing was answered in a second of nought.
    fn live(p99_millis: &[u64]) -> LiveView {
        let second = |(second, millis): (u64, &u64)| {
            let latency = SecondLatency { p50_micros: 900, p95_micros: 5_000, p99_micros: millis * 1_000 };
            FleetSecond { second, ok: 10 * millis.min(&1), errors: 0, arrivals: None, latency: (*millis > 0).then_some(latency) }
        };
        LiveView { seconds: (0..).zip(p99_millis).map(second).collect(), p95_micros: None }
    }

    #[test]
    fn a_percentile_ends_the_load_where_every_second_of_the_window_is_slower() {
        let rule: AbortRule = serde_json::from_value(json!({"metric": "p99", "slowerThan": "50ms", "over": "3s", "after": "4s"})).unwrap();
        let fired = |p99_millis: &[u64]| fired(&rule, &live(p99_millis));
        assert_eq!(fired(&[60, 70, 80]), None, "too early");
        assert_eq!(fired(&[1, 60, 70, 80]).unwrap(), "p99 was at least 60.0ms in every second of 3 s, above 50ms");
        assert_eq!(fired(&[60, 70, 50, 80]), None, "one second was within the limit");
        assert_eq!(fired(&[1, 60, 0, 80]).unwrap(), "p99 was at least 60.0ms in every second of 3 s, above 50ms");
        assert_eq!(fired(&[60, 0, 0, 0]), None, "nothing was answered");
        let median: AbortRule = serde_json::from_value(json!({"metric": "p50", "slowerThan": "1ms"})).unwrap();
        assert_eq!(super::fired(&median, &live(&[60; 20])), None, "the median is another figure");
    }
}
