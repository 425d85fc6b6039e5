//! Progress: what is measured while the load is on, written into status no more often than is of use.

use std::time::Duration;

use crucible_crds::test_run::{LiveStatus, TestRunStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    draft::Draft,
    observed::{Fleet, LiveView, Observed},
};
use crate::{
    contract::{FrozenPlan, LiveArrivals, WorkerReport},
    latency::human,
};

/// How often progress is written at most; long loads write less often, so that a run's writes stay bounded.
const PROGRESS: Duration = Duration::from_secs(2);
/// Into how many parts the progress of a long load is cut.
const PARTS: u32 = 20;
/// Over how many seconds the live numbers are taken.
const LIVE_SECONDS: usize = 5;

/// Writes down what is measured, no more often than is of use.
pub fn record(observed: &Observed, draft: &mut Draft, plan: &FrozenPlan) {
    if let Some(workers) = &mut draft.status.workers {
        workers.start_skew_micros = skew(observed).or(workers.start_skew_micros);
        workers.server_version = server_version(observed).or(workers.server_version.take());
        workers.cpu_share =
            largest_share(observed, plan, draft.now, |report| Some(report.cpu_seconds).filter(|seconds| *seconds > 0.0)).or(workers.cpu_share.take());
        workers.throttled_share = largest_share(observed, plan, draft.now, |report| report.throttled_seconds).or(workers.throttled_share.take());
        workers.garbage_collection_share = garbage_collection_share(&observed.fleet).or(workers.garbage_collection_share.take());
        workers.late_start_micros = late_start(&observed.fleet).or(workers.late_start_micros);
        workers.clock_offset_millis = clock_offset(&observed.fleet).or(workers.clock_offset_millis);
    }
    if let (Some(workers), Some(start)) = (&mut draft.status.workers, &draft.status.start_at) {
        workers.server_started_at = server_started(&observed.fleet, start.0).map(MicroTime).or(workers.server_started_at.take());
    }
    let reports = || observed.fleet.workers.values().map(|heard| &heard.report);
    if let Some(first) =
        reports().filter_map(|report| report.first_query_unix_nanos).min().and_then(|nanos| jiff::Timestamp::from_nanosecond(nanos.into()).ok())
    {
        draft.status.first_query_at.get_or_insert(MicroTime(first));
    }
    if let Some(last) = reports().filter_map(|report| report.last_query_unix_nanos).max().and_then(|nanos| jiff::Timestamp::from_nanosecond(nanos.into()).ok())
    {
        draft.status.last_query_at = Some(MicroTime(last));
    }
    let every = PROGRESS.max(length(&draft.status) / PARTS);
    draft.wake_after(every);
    let fresh = draft.status.live.as_ref().and_then(|live| live.at.as_ref()).is_some_and(|at| draft.since(at.0) < every.mul_f64(0.9));
    if fresh {
        return;
    }
    let Some(started) = draft.status.start_at.as_ref().map(|at| at.0) else { return };
    let elapsed = draft.since(started);
    let total = length(&draft.status).as_secs_f64().max(0.001);
    draft.status.progress = Some(format!("{:.0}%", (elapsed.as_secs_f64() / total * 100.0).min(100.0)));
    draft.status.stage = stage_at(plan, elapsed);
    draft.status.live = Some(live_status(&observed.fleet.live, MicroTime(draft.now)));
}

fn length(status: &TestRunStatus) -> Duration {
    match (&status.start_at, &status.ends_at) {
        (Some(start), Some(end)) => Duration::try_from(end.0.duration_since(start.0)).unwrap_or_default(),
        (_, None) | (None, _) => Duration::ZERO,
    }
}

/// The name of the stage that is on so long after the start.
fn stage_at(plan: &FrozenPlan, elapsed: Duration) -> Option<String> {
    let mut end = Duration::ZERO;
    plan.spec
        .load
        .stages
        .iter()
        .find(|stage| {
            end += stage.duration.span();
            elapsed < end
        })
        .map(|stage| stage.name.to_string())
}

/// The newest seconds of the fleet in words.
fn live_status(live: &LiveView, at: MicroTime) -> LiveStatus {
    let newest = &live.seconds[live.seconds.len().saturating_sub(LIVE_SECONDS)..];
    let ok: u64 = newest.iter().map(|second| second.ok).sum();
    let errors: u64 = newest.iter().map(|second| second.errors).sum();
    let arrivals: Vec<LiveArrivals> = newest.iter().filter_map(|second| second.arrivals).collect();
    LiveStatus {
        queries_per_second: if newest.is_empty() { String::new() } else { (ok / newest.len() as u64).to_string() },
        p95: live.p95_micros.map(human).unwrap_or_default(),
        error_rate: share(errors, ok + errors).map(percent).unwrap_or_default(),
        arrivals_per_second: arrivals
            .iter()
            .map(|arrivals| arrivals.due)
            .sum::<u64>()
            .checked_div(arrivals.len() as u64)
            .map(|due| due.to_string())
            .unwrap_or_default(),
        waiting: arrivals.last().map(|arrivals| arrivals.waiting.to_string()).unwrap_or_default(),
        at: Some(at),
    }
}

/// A share, 0 to 1; nothing of nothing is no share.
#[allow(clippy::cast_precision_loss)] // Counts of queries are far below 2^53.
pub fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// A share in per cent, for people.
pub fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

/// The time between the first queries of the first and the last worker, in microseconds; only once all have begun.
///
/// Instants on different clocks cannot be compared; how late each worker was against the one agreed instant can.
fn skew(observed: &Observed) -> Option<i64> {
    let late: Option<Vec<i64>> = observed.fleet.workers.values().map(|heard| heard.report.late_nanos).collect();
    let late = late.filter(|late| !late.is_empty())?;
    Some((late.iter().max()? - late.iter().min()?) / 1000)
}

/// The version that the first worker was given that was given one.
fn server_version(observed: &Observed) -> Option<String> {
    let version = observed.fleet.workers.values().find_map(|heard| heard.report.server_version.as_deref())?;
    Some(version.chars().filter(|character| !character.is_control()).take(128).collect())
}

/// When the system under test had been started that answered after the load: the latest that any worker was told.
fn server_started(fleet: &Fleet, start: jiff::Timestamp) -> Option<jiff::Timestamp> {
    let nanos = fleet.workers.values().filter_map(|heard| heard.report.server_started_nanos).max()?;
    start.checked_add(jiff::SignedDuration::from_nanos(nanos)).ok()
}

/// By how much the first query of the last worker was late against the agreed start, in microseconds; only once all have begun.
fn late_start(fleet: &Fleet) -> Option<i64> {
    let late: Option<Vec<i64>> = fleet.workers.values().map(|heard| heard.report.late_nanos).collect();
    Some(late?.into_iter().max()? / 1000)
}

/// The clock that differs most from the operator's, in milliseconds ahead of it.
fn clock_offset(fleet: &Fleet) -> Option<i64> {
    fleet.workers.values().map(|heard| heard.clock_offset_millis).max_by_key(|millis| millis.unsigned_abs())
}

/// The largest share of its processor time that any worker spent on collecting garbage; only once all have told.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of processor time stay exact for 104 days")]
fn garbage_collection_share(fleet: &Fleet) -> Option<String> {
    let shares: Option<Vec<f64>> =
        fleet.workers.values().map(|heard| Some(heard.report.gc_nanos? as f64 / 1e9 / heard.report.cpu_seconds).filter(|share| share.is_finite())).collect();
    shares?.into_iter().reduce(f64::max).map(|share| format!("{share:.3}"))
}

/// The largest share of the time since the start that any worker has spent on something.
fn largest_share(observed: &Observed, plan: &FrozenPlan, now: jiff::Timestamp, seconds: impl Fn(&WorkerReport) -> Option<f64>) -> Option<String> {
    let stages: Duration = plan.spec.load.stages.iter().map(|stage| stage.duration.span()).sum();
    let shares = observed.fleet.workers.values().filter_map(|heard| {
        let first = jiff::Timestamp::from_nanosecond(heard.report.first_query_unix_nanos?.into()).ok()?;
        let on = Duration::try_from(now.duration_since(first)).ok()?.min(stages).as_secs_f64();
        seconds(&heard.report).filter(|_| on >= 1.0).map(|seconds| seconds / on)
    });
    shares.fold(None, |largest: Option<f64>, share| Some(largest.map_or(share, |largest| largest.max(share)))).map(|share| format!("{share:.2}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::run::observed::Heard;

    /// Workers by what they reported, each with its clock's offset.
    fn fleet(workers: &[(serde_json::Value, i64)]) -> Fleet {
        let heard = |(fields, clock_offset_millis): &(serde_json::Value, i64)| {
            let mut report = json!({"protocol": 1, "runUid": "u", "index": 0, "state": "Finished", "nowUnixNanos": 0});
            report.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            Heard { at: jiff::Timestamp::UNIX_EPOCH, clock_offset_millis: *clock_offset_millis, report: serde_json::from_value(report).unwrap() }
        };
        Fleet { workers: (0..).zip(workers.iter().map(heard)).collect(), live: LiveView::default() }
    }

    #[test]
    fn the_worst_worker_speaks_for_the_fleet() {
        let both = fleet(&[
            (json!({"lateNanos": 1_500_000, "gcNanos": 300_000_000_u64, "cpuSeconds": 10.0}), 4),
            (json!({"lateNanos": 900_000, "gcNanos": 100_000_000_u64, "cpuSeconds": 1.0}), -7),
        ]);
        assert_eq!((late_start(&both), clock_offset(&both), garbage_collection_share(&both).as_deref()), (Some(1500), Some(-7), Some("0.100")));
    }

    #[test]
    fn the_server_that_was_started_last_is_told_of() {
        let start = jiff::Timestamp::from_second(1000).unwrap();
        let both = fleet(&[(json!({"serverStartedNanos": -3_000_000_000_i64}), 0), (json!({"serverStartedNanos": 2_000_000_000_i64}), 0), (json!({}), 0)]);
        assert_eq!(server_started(&both, start), jiff::Timestamp::from_second(1002).ok());
        assert_eq!(server_started(&fleet(&[(json!({}), 0)]), start), None);
        assert_eq!(server_started(&fleet(&[(json!({"serverStartedNanos": i64::MIN}), 0)]), start).map(|at| at < start), Some(true));
    }

    #[test]
    fn nothing_is_said_before_every_worker_has_told() {
        let one = fleet(&[(json!({"lateNanos": 1, "gcNanos": 1, "cpuSeconds": 1.0}), 0), (json!({}), 0)]);
        assert_eq!((late_start(&one), garbage_collection_share(&one)), (None, None));
        let none = fleet(&[]);
        assert_eq!((late_start(&none), clock_offset(&none), garbage_collection_share(&none)), (None, None, None));
    }
}
