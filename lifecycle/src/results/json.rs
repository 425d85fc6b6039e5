//! `results.json`: what existing clients read, in their shape, and everything else under the key `crucible`.
//!
//! k6's own metric names are kept, with latencies in milliseconds; they are those of the measured stages. Our own
//! sections have whole microseconds.

mod comparison;
mod rounds;

use std::collections::BTreeMap;

use crucible_crds::{
    Reason,
    test_plan::{Load, Stage},
};
use serde_json::{Map, Value, json};

use super::{FaultFact, Latency, Point, Recovery, Report, Resilience, Row, Summary, Window, WindowRow, observability::SourceReading, resilience};
use crate::{
    class::Class,
    comparison::Fingerprint,
    contract::FrozenArm,
    histogram::arrivals::ArrivalCounts,
    load::users,
    verdict::{Search, Step, search},
};

pub(super) fn results(report: &Report<'_>) -> Value {
    let Report { plan, summary, facts, sources, collected_at, .. } = report;
    let missing = facts.expected_workers.saturating_sub(facts.merged_workers);
    let lost = (missing > 0).then(|| format!("Results of {missing} of {} workers are missing.", facts.expected_workers));
    let raw = facts.without_raw_samples.iter().map(|worker| format!("Raw samples of worker {worker} are missing."));
    let problems: Vec<String> = lost.into_iter().chain(raw).chain(sources.iter().flat_map(|source| source.problems.iter().cloned())).collect();
    let collection_error = (!problems.is_empty()).then(|| problems.join(" "));
    let abort_reason = facts.ended_early.as_ref().filter(|ended| ended.reason == Reason::AbortRuleFired.as_str()).map(|ended| &ended.message);
    json!({
        "run_id": plan.run.id,
        "collected_at": collected_at.to_string(),
        "collection_error": collection_error,
        "abort_reason": abort_reason,
        "k6": {"metrics": k6_metrics(summary, &plan.spec.load)},
        "observability": {"sources": sources.iter().map(SourceReading::to_json).collect::<Vec<_>>()},
        "crucible": crucible(report),
    })
}

/// The metrics of k6 and of the extension, as k6 itself would have summed them up.
fn k6_metrics(summary: &Summary, load: &Load) -> Vec<Value> {
    let all = &summary.headline;
    let durations = summary.queries.iter().map(|row| {
        let name = row.query.as_deref().unwrap_or_default();
        // Failed queries with their real duration, as in k6's own samples: nothing vanishes by failing.
        metric(&format!("sql_duration_{name}"), "trend", &trend(row.total.as_ref(), row.seconds))
    });
    let (failed, answered) = (all.error_rate(), if all.ended() > 0 { 1.0 - all.error_rate() } else { 0.0 });
    durations
        .chain([
            metric("query_errors", "rate", &share(all.ended(), failed)),
            metric("iterations", "counter", &counter(all)),
            metric("iteration_duration", "trend", &trend(all.total.as_ref(), all.seconds)),
            metric("vus", "gauge", &gauge(vus_by_second(load, summary))),
            metric("checks", "rate", &share(all.ended(), answered)),
        ])
        .collect()
}

fn metric(name: &str, kind: &str, stats: &Value) -> Value {
    json!({"name": name, "type": kind, "stats": stats})
}

/// Statistics in the order of `count, min, max, avg, med, p90, p95, p99, rate`.
fn stats(count: u64, [min, max, avg, med, p90, p95, p99]: [f64; 7], rate: f64) -> Value {
    json!({"count": count, "min": min, "max": max, "avg": avg, "med": med, "p90": p90, "p95": p95, "p99": p99, "rate": rate})
}

/// Latencies in milliseconds; the rate is queries per second.
fn trend(latency: Option<&Latency>, seconds: f64) -> Value {
    let Some(Latency { count, min, mean, p50, p90, p95, p99, p999: _, max }) = latency.copied() else {
        return stats(0, [0.0; 7], 0.0);
    };
    let rate = super::per(count, seconds);
    stats(count, [millis(min), millis(max), mean / 1e3, millis(p50), millis(p90), millis(p95), millis(p99)], rate)
}

/// A metric that is 1 for this share of its samples and 0 for the others.
fn share(count: u64, share: f64) -> Value {
    // Sorted, the ones come last: a percentile is 1 when it lies among them.
    let at = |percentile: f64| if share > 1.0 - percentile { 1.0 } else { 0.0 };
    let (min, max) = (if count > 0 && share >= 1.0 { 1.0 } else { 0.0 }, if share > 0.0 { 1.0 } else { 0.0 });
    stats(count, [min, max, share, at(0.5), at(0.9), at(0.95), at(0.99)], share)
}

/// One for each query that ended.
fn counter(row: &Row) -> Value {
    let one = if row.ended() > 0 { 1.0 } else { 0.0 };
    stats(row.ended(), [one; 7], super::per(row.ended(), row.seconds))
}

fn gauge(mut samples: Vec<u32>) -> Value {
    samples.sort_unstable();
    let at = |per_cent: usize| samples.get((samples.len() * per_cent).div_ceil(100).saturating_sub(1)).copied().map_or(0.0, f64::from);
    let avg = super::per(samples.iter().map(|vus| u64::from(*vus)).sum(), f64::from(u32::try_from(samples.len()).unwrap_or(u32::MAX)));
    stats(samples.len() as u64, [at(0), at(100), avg, at(50), at(90), at(95), at(99)], 0.0)
}

/// The fleet's virtual users at the beginning of each second of the measured stages, as far as the load went.
fn vus_by_second(load: &Load, summary: &Summary) -> Vec<u32> {
    let stages = &load.stages;
    let mut samples = Vec::new();
    // In the open model all virtual users are there all the time.
    let goal = |stage: &Stage| load.max_vus.unwrap_or_else(|| users(stage));
    let mut before = load.max_vus.unwrap_or(0);
    for (stage, row) in stages.iter().zip(&summary.stages) {
        let nanos = stage.duration.span().as_nanos().max(1);
        let mut elapsed = 0;
        while row.measured && super::per(elapsed, 1.0) < row.seconds {
            let passed = if stage.ramp { (u128::from(elapsed) * 1_000_000_000).min(nanos) } else { nanos };
            let (from, to) = (i128::from(before), i128::from(goal(stage)));
            let now = from + (to - from) * i128::try_from(passed).unwrap_or(0) / i128::try_from(nanos).unwrap_or(1);
            samples.push(u32::try_from(now).unwrap_or(0));
            elapsed += 1;
        }
        before = goal(stage);
    }
    samples
}

#[expect(clippy::cast_precision_loss, reason = "an hour in microseconds is far below 2^53")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}

/// Our own sections.
fn crucible(report: &Report<'_>) -> Value {
    let Report { plan, summary, verdict, facts, samples, sources: _, comparison, trend, collected_at: _ } = report;
    let resilience = resilience(plan, summary, &facts.faults);
    let target = &plan.spec.target;
    let workers =
        summary.workers.iter().map(|row| json!({"ok": row.ok, "errors": row.failures, "lastSecond": row.last_second, "activeSeconds": row.active_seconds}));
    let mut sections = json!({
        "formatVersion": 1,
        "run": plan.run,
        "plan": {
            "name": plan.plan_name, "generation": plan.plan_generation, "digest": plan.digest,
            "target": {"engine": target.engine, "endpoint": target.endpoint, "database": target.database, "tls": target.tls.mode},
            "load": plan.spec.load,
            "arms": plan.arms.iter().map(arm).collect::<Vec<_>>(),
        },
        "verdict": verdict,
        "partial": facts.merged_workers < facts.expected_workers || summary.ended_early,
        "endedEarly": facts.ended_early,
        "serverVersion": facts.server_version,
        "serverStartedAt": facts.server_started_at.map(|at| at.to_string()),
        "startedAt": facts.started_at.map(|at| at.to_string()),
        "fingerprint": Fingerprint::of(plan, facts),
        "workers": {
            "expected": facts.expected_workers, "merged": facts.merged_workers, "startSkewMicros": facts.start_skew_micros,
            "activeSeconds": summary.active_seconds, "largestProcessorShare": facts.worker_cpu_share,
            "throttledShare": facts.throttled_share, "garbageCollectionShare": facts.garbage_collection_share,
            "lateStartMicros": facts.late_start_micros, "clockOffsetMillis": facts.clock_offset_millis, "logs": workers.collect::<Vec<_>>(),
        },
        "headline": row(&summary.headline),
        "queries": summary.queries.iter().map(row).collect::<Vec<_>>(),
        "stages": summary.stages.iter().map(row).collect::<Vec<_>>(),
        "queriesByStage": summary.cells.iter().filter(|cell| cell.ended() > 0).map(row).collect::<Vec<_>>(),
        "faults": facts.faults.iter().map(|fact| fault(fact, resilience.iter().find(|one| one.fault == fact.name))).collect::<Vec<_>>(),
        "windows": summary.windows.iter().map(window).collect::<Vec<_>>(),
        "timeline": {"secondsPerPoint": summary.timeline.seconds_per_point, "points": summary.timeline.points.iter().map(point).collect::<Vec<_>>()},
        "errorSamples": samples,
        "comparison": comparison.map(comparison::comparison),
        "trend": trend.map(comparison::trend),
    });
    if let Some(measured) = summary.measured_arrivals() {
        let stages = summary.stages.iter().zip(&summary.arrivals).map(|(row, counts)| {
            let mut stage = arrivals(counts);
            stage["stage"] = json!(row.stage);
            stage["measured"] = json!(row.measured);
            stage
        });
        sections["arrivals"] = json!({"measured": arrivals(&measured), "stages": stages.collect::<Vec<_>>()});
    }
    if let Some(rounds) = rounds::rounds(plan, summary) {
        sections["rounds"] = rounds;
        sections["stagesOverRounds"] = summary.over_rounds.iter().filter(|of| of.query.is_none()).map(row).collect();
    }
    if let Some(found) = search(plan, summary) {
        sections["search"] = searched(&found);
    }
    sections
}

/// A variant of the plan: where its queries go. What is bound to them is in the frozen plan.
fn arm(arm: &FrozenArm) -> Value {
    let FrozenArm { name, target, bindings: _ } = arm;
    json!({"name": name, "endpoint": target.endpoint, "database": target.database})
}

/// What a search for the highest rate found.
fn searched(found: &Search) -> Value {
    let Search { steps, best, knee } = found;
    let rate = |at: Option<usize>| at.and_then(|at| steps.get(at)).map(|step| step.rate);
    let told = steps.iter().map(|Step { stage, rate, throughput, limiting }| {
        json!({"stage": stage, "rate": rate, "throughput": throughput, "held": limiting.is_none(), "limiting": limiting.as_ref().map(|limiting| &limiting.what)})
    });
    let limiting = found.stopped_at().and_then(|step| step.limiting.as_ref());
    json!({
        "highestRate": rate(*best), "kneeRate": rate(*knee), "limitingCheck": limiting.map(|limiting| &limiting.what),
        "limitedBy": limiting.map(|limiting| if limiting.by_generator { "load generator" } else { "system under test" }),
        "steps": told.collect::<Vec<_>>(),
    })
}

/// What became of arrivals. Shares are of what was due.
fn arrivals(counts: &ArrivalCounts) -> Value {
    let ArrivalCounts { due, sent, late, behind, begun } = counts;
    json!({
        "due": due, "sent": sent, "late": late, "behind": behind, "begun": begun, "dropped": counts.dropped(),
        "achievedRate": counts.achieved(), "droppedShare": counts.dropped_share(),
    })
}

fn row(row: &Row) -> Value {
    let failed: Map<String, Value> = row.failed.iter().map(|(class, latency)| (class.to_string(), micros(latency))).collect();
    let mut told = json!({
        "query": row.query, "stage": row.stage, "measured": row.measured, "seconds": row.seconds,
        "ok": row.ok, "errors": row.failures(), "errorsByClass": by_class(&row.errors),
        "throughput": row.throughput(), "errorRate": row.error_rate(),
        "latencyMicros": row.latency.as_ref().map(micros), "failedLatencyMicros": failed,
    });
    if let Some(service) = &row.service {
        told["serviceMicros"] = micros(service);
    }
    told
}

/// What became of a fault, and how well the system took it. Times are seconds since the start of the load, spans are seconds.
fn fault(fact: &FaultFact, resilience: Option<&Resilience>) -> Value {
    let FaultFact { name, kind, confirmed, targets, from, to, message } = fact;
    let numbers = resilience.map(|of| {
        let Resilience { fault: _, baseline, time_to_first_error, longest_gap, errors, reconnects, throughput, p99, recovery } = of;
        json!({
            "baseline": baseline.map(|baseline| json!({"throughput": baseline.throughput, "p99Micros": baseline.p99_micros})),
            "timeToFirstError": time_to_first_error, "longestGap": longest_gap,
            "errors": errors.values().sum::<u64>(), "errorsByClass": by_class(errors), "reconnects": reconnects,
            "throughputRecovery": recovered(*throughput), "p99Recovery": recovered(*p99), "recovery": recovered(*recovery),
        })
    });
    json!({"name": name, "kind": kind, "confirmed": confirmed, "targets": targets, "from": from, "to": to, "message": message, "resilience": numbers})
}

fn recovered(recovery: Recovery) -> Value {
    match recovery {
        Recovery::After(seconds) => json!({"recovered": true, "seconds": seconds}),
        Recovery::NotWithin(seconds) => json!({"recovered": false, "seconds": seconds}),
        Recovery::Unknown => Value::Null,
    }
}

fn window(of: &WindowRow) -> Value {
    let WindowRow { window: Window { fault, part, from, to }, row: counted } = of;
    json!({"fault": fault, "part": part.as_str(), "from": from, "to": to, "row": row(counted)})
}

fn point(point: &Point) -> Value {
    let Point { second, ok, errors, latency, reconnects, arrivals } = point;
    let micros = latency.as_ref().map(|latency| json!({"p50": latency.p50, "p95": latency.p95, "p99": latency.p99, "max": latency.max}));
    let mut told = json!({"second": second, "ok": ok, "errors": errors.values().sum::<u64>(), "errorsByClass": by_class(errors), "latencyMicros": micros, "reconnects": reconnects});
    if *arrivals != ArrivalCounts::default() {
        let ArrivalCounts { due, sent, late, behind, begun: _ } = arrivals;
        told["arrivals"] = json!({"due": due, "sent": sent, "late": late, "behind": behind});
    }
    told
}

fn by_class(counts: &BTreeMap<Class, u64>) -> Map<String, Value> {
    counts.iter().map(|(class, count)| (class.to_string(), json!(count))).collect()
}

fn micros(latency: &Latency) -> Value {
    let Latency { count, min, mean, p50, p90, p95, p99, p999, max } = latency;
    json!({"count": count, "min": min, "mean": mean, "p50": p50, "p90": p90, "p95": p95, "p99": p99, "p999": p999, "max": max})
}

#[cfg(test)]
mod tests;
