//! When a fault is due: so long after its stage began, or after the load became steady.

use std::time::Duration;

use crucible_crds::{
    Fault,
    fault::{FaultStart, FaultStatus},
};
use jiff::Timestamp;

use crate::{
    contract::FrozenPlan,
    run::{
        draft::{Draft, later},
        observed::{LiveView, Observed},
    },
};

/// Over how many seconds the load is compared with itself.
const SECONDS: usize = 5;
/// By how much it may differ, in parts of what it was: one tenth.
const PARTS: u64 = 10;

/// When the fault is due; nothing where that is not known yet. A moment that was written down stays, unless the start was agreed anew.
pub(super) fn due(observed: &Observed, draft: &Draft, plan: &FrozenPlan, fault: &Fault, status: &FaultStatus) -> Option<Timestamp> {
    let FaultStart { stage, steady: _, after } = &fault.start;
    let start = draft.status.start_at.as_ref()?.0;
    match stage {
        Some(stage) => Some(later(start, offset(plan, stage)? + after.span())),
        None => status.due_at.as_ref().map(|due| due.0).or_else(|| {
            let since = steady_since(&observed.fleet.live, first_even_second(plan)?)?;
            Some(later(start, Duration::from_secs(since) + after.span()))
        }),
    }
}

/// How long after the start a stage begins.
fn offset(plan: &FrozenPlan, stage: &str) -> Option<Duration> {
    let stages = &plan.spec.load.stages;
    let position = stages.iter().position(|one| *one.name == *stage)?;
    Some(stages.iter().take(position).map(|stage| stage.duration.span()).sum())
}

/// The first whole second of the first measured stage that has no ramp.
fn first_even_second(plan: &FrozenPlan) -> Option<u64> {
    let stage = plan.spec.load.stages.iter().find(|stage| stage.measured && !stage.ramp)?;
    offset(plan, &stage.name).map(|offset| offset.as_secs() + u64::from(offset.subsec_nanos() > 0))
}

/// The second at which the load was seen to be steady: its last seconds are like those before, none of them before `from`.
fn steady_since(live: &LiveView, from: u64) -> Option<u64> {
    let even: Vec<u64> = live.seconds.iter().filter(|second| second.second >= from).map(|second| second.ok).collect();
    let position = even.windows(2 * SECONDS).position(|window| {
        let (before, last) = window.split_at(SECONDS);
        let (before, last): (u64, u64) = (before.iter().sum(), last.iter().sum());
        before > 0 && last.abs_diff(before) * PARTS <= before
    })?;
    Some(from + (position + 2 * SECONDS) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::observed::FleetSecond;

    fn live(counts: &[u64]) -> LiveView {
        let seconds = counts.iter().zip(0..).map(|(ok, second)| FleetSecond { second, ok: *ok, errors: 0, arrivals: None, latency: None }).collect();
        LiveView { seconds, p95_micros: None }
    }

    #[test]
    fn a_load_is_steady_once_five_seconds_are_like_the_five_before() {
        assert_eq!(steady_since(&live(&[100; 10]), 0), Some(10));
        assert_eq!(steady_since(&live(&[100; 9]), 0), None);
        assert_eq!(steady_since(&live(&[100; 12]), 2), Some(12));
        assert_eq!(steady_since(&live(&[10, 20, 30, 40, 50, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100]), 0), Some(15));
        assert_eq!(steady_since(&live(&[0; 20]), 0), None, "nothing at all is not steady");
    }
}
