//! Whether the measurement is to be believed: every worker's results, a common start, a load generator with room left,
//! workers that all did their part.

use crucible_crds::{Duration, Owner, test_plan::Validity};

use super::{Judged, Search, check, number, search};
use crate::{
    contract::FrozenPlan,
    latency::human,
    results::{Facts, FaultFact, Summary, WorkerRow, observability::SourceReading},
};

/// What holds of the open model where the plan does not say: the share of the arrivals that must begin in time, that may
/// be dropped, and that may begin late although a virtual user was free, which only a busy load generator does.
pub(super) const ACHIEVED_RATE: f64 = 0.95;
const DROPPED: f64 = 0.01;
pub(super) const BEHIND: f64 = 0.01;
/// How many seconds a system may take to be started again after the fault that ended it, and by how many its own word on when it was
/// started may be early.
const COMING_BACK: f64 = 60.0;
const ROUNDED: f64 = 1.0;

/// The checks of the measurement itself, in a fixed order; only those that the plan asks for, and that no worker is lost.
pub(super) fn checks(plan: &FrozenPlan, summary: &Summary, facts: &Facts, sources: &[SourceReading]) -> Vec<Judged> {
    let Validity {
        max_worker_cpu,
        max_throttled,
        max_garbage_collection,
        max_late_start,
        max_clock_offset,
        complete_metrics,
        allow_restarts,
        max_start_skew,
        max_imbalance,
        max_silence,
        min_achieved_rate: _,
        max_dropped: _,
        max_behind: _,
        min_queries: _,
    } = &plan.spec.validity;
    let Facts { expected_workers, merged_workers, start_skew_micros, worker_cpu_share, late_start_micros, clock_offset_millis, .. } = facts;
    let (expected, merged) = (expected_workers.to_string(), merged_workers.to_string());
    let complete = check("workers with results", &expected, &merged, merged_workers >= expected_workers, true, Owner::Harness);
    let clock_offset = clock_offset_millis.map(|millis| millis.saturating_mul(1000));
    [
        Some(Judged { check: complete, broken: "WorkersMissing", undecided: "TooLittleData" }),
        max_start_skew.as_ref().map(|limit| no_longer("start skew", limit, *start_skew_micros, "StartSkewTooLarge", Owner::Harness)),
        max_late_start.as_ref().map(|limit| no_longer("late start", limit, *late_start_micros, "StartedLate", Owner::Harness)),
        max_clock_offset.as_ref().map(|limit| no_longer("clock offset", limit, clock_offset, "ClocksDiffer", Owner::Environment)),
        max_throttled.map(|limit| at_most("throttled share of the load", limit, facts.throttled_share, "WorkersThrottled")),
        max_garbage_collection.map(|limit| at_most("garbage collection's share", limit, facts.garbage_collection_share, "LoadGeneratorCollecting")),
        complete_metrics.then(|| answered(sources)),
        (!allow_restarts).then(|| stayed_up(facts)).flatten(),
        max_worker_cpu.map(|limit| at_most("worker processor share", limit, *worker_cpu_share, "LoadGeneratorSaturated")),
        max_imbalance.map(|limit| at_most("worker imbalance", limit, imbalance(summary), "WorkersUneven")),
        max_silence.map(|limit| at_most("worker silence", limit, silence(summary), "WorkerSilent")),
    ]
    .into_iter()
    .flatten()
    .chain(arrivals(plan, summary))
    .collect()
}

/// Whether the open model's queries arrived as asked. A load that was ended early broke its schedule off by itself.
fn arrivals(plan: &FrozenPlan, summary: &Summary) -> Vec<Judged> {
    let Validity { min_achieved_rate, max_dropped, max_behind, .. } = &plan.spec.validity;
    if let Some(search) = search(plan, summary) {
        // A search goes beyond what the system takes. It must be the system that ended it.
        return vec![ended_by_the_system(&search)];
    }
    let Some(counts) = summary.measured_arrivals().filter(|_| !summary.ended_early) else { return Vec::new() };
    vec![
        at_least("achieved rate", min_achieved_rate.unwrap_or(ACHIEVED_RATE), counts.achieved(), "RateNotAchieved"),
        at_most("dropped arrivals", max_dropped.unwrap_or(DROPPED), counts.dropped_share(), "ArrivalsDropped"),
        at_most("arrivals that the load generator began late", max_behind.unwrap_or(BEHIND), counts.behind_share().or(Some(0.0)), "LoadGeneratorLate"),
    ]
}

fn ended_by_the_system(search: &Search) -> Judged {
    let generator = search.stopped_at().and_then(|step| step.limiting.as_ref()).filter(|limiting| limiting.by_generator);
    let observed = generator.map_or_else(|| "the system under test".to_owned(), |_| "the load generator".to_owned());
    Judged {
        check: check("what ended the search", "the system under test", &observed, generator.is_none(), true, Owner::Harness),
        broken: "LoadGeneratorLate",
        undecided: "TooLittleData",
    }
}

/// A share of what was asked for that must be reached; undecided where nothing was.
fn at_least(name: &str, limit: f64, observed: Option<f64>, broken: &'static str) -> Judged {
    let held = observed.is_some_and(|share| share >= limit);
    let text = observed.map_or_else(no_data, number);
    Judged { check: check(name, &format!(">= {}", number(limit)), &text, held, observed.is_some(), Owner::Harness), broken, undecided: "TooLittleData" }
}

/// A time that must not be longer than a limit, either way; undecided where it is not known.
fn no_longer(name: &str, limit: &Duration, micros: Option<i64>, broken: &'static str, owner: Owner) -> Judged {
    let observed = micros.map(i64::unsigned_abs);
    let held = observed.is_some_and(|micros| u128::from(micros) * 1000 <= limit.span().as_nanos());
    let text = observed.map_or_else(no_data, human);
    Judged { check: check(name, &format!("<= {limit}"), &text, held, observed.is_some(), owner), broken, undecided: "TooLittleData" }
}

/// That every Prometheus server has answered every question of the plan.
fn answered(sources: &[SourceReading]) -> Judged {
    let problems: usize = sources.iter().map(|source| source.problems.len()).sum();
    let text = if problems == 0 { "all".to_owned() } else { format!("{problems} not as asked") };
    Judged { check: check("metrics answered", "all", &text, problems == 0, true, Owner::Environment), broken: "MetricsMissing", undecided: "TooLittleData" }
}

/// That the system under test was not started anew but where a fault explains it; nothing where it does not tell.
fn stayed_up(facts: &Facts) -> Option<Judged> {
    let after = facts.server_started_at?.duration_since(facts.started_at?).as_secs_f64();
    let explained = |fault: &FaultFact| fault.from.is_some_and(|from| from - ROUNDED <= after) && fault.to.is_none_or(|to| after <= to + COMING_BACK);
    let held = after <= 0.0 || facts.faults.iter().any(explained);
    let text = if after <= 0.0 { "none".to_owned() } else { format!("{after:.0} s after the start of the load") };
    let check = check("restart of the system under test", "none without a fault", &text, held, true, Owner::Environment);
    Some(Judged { check, broken: "SutRestarted", undecided: "TooLittleData" })
}

/// A share that must not be above a limit; undecided where it is not known.
fn at_most(name: &str, limit: f64, observed: Option<f64>, broken: &'static str) -> Judged {
    let observed = observed.filter(|share| share.is_finite());
    let held = observed.is_some_and(|share| share <= limit);
    let text = observed.map_or_else(no_data, number);
    Judged { check: check(name, &format!("<= {}", number(limit)), &text, held, observed.is_some(), Owner::Harness), broken, undecided: "TooLittleData" }
}

/// How far the worker that is farthest from it is from the workers' fair share. Their virtual users differ by one at most.
#[expect(clippy::cast_precision_loss, reason = "a share; counts stay exact up to 2^53")]
fn imbalance(summary: &Summary) -> Option<f64> {
    let total: u64 = summary.workers.iter().map(WorkerRow::ended).sum();
    let fair = total as f64 / summary.workers.len() as f64;
    let off = summary.workers.iter().map(|row| (row.ended() as f64 / fair - 1.0).abs());
    (total > 0).then(|| off.fold(0.0, f64::max))
}

/// In what share of the seconds in which queries ended none of the quietest worker did.
#[expect(clippy::cast_precision_loss, reason = "seconds")]
fn silence(summary: &Summary) -> Option<f64> {
    let least = summary.workers.iter().map(|row| row.active_seconds).min()?;
    (summary.active_seconds > 0).then(|| summary.active_seconds.saturating_sub(least) as f64 / summary.active_seconds as f64)
}

fn no_data() -> String {
    "no data".to_owned()
}
