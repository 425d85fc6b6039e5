//! Whether every limit of the plan holds, and, whatever the plan says, whether queries were answered at all.

use crucible_crds::{
    Owner,
    test_plan::{During, Metric, Slo},
};

use super::{Judged, check, number};
use crate::{
    contract::FrozenPlan,
    latency::{exact, human},
    results::{FaultFact, Latency, Part, Recovery, Resilience, Row, Summary, observability::SourceReading, resilience},
};

/// The checks of the system under test: that it answered, then the plan's limits in the plan's order.
pub(super) fn checks(plan: &FrozenPlan, summary: &Summary, faults: &[FaultFact], sources: &[SourceReading]) -> Vec<Judged> {
    let least = u64::from(plan.spec.validity.min_queries);
    let resilience = resilience(plan, summary, faults);
    let searching = plan.spec.load.find_max.is_some();
    let limits = plan.spec.slos.iter().filter(|slo| !(searching && is_of_stages(slo))).map(|slo| {
        let check = match (&slo.fault, slo.during) {
            _ if slo.metric == Metric::Promql => by_promql(slo, sources),
            (Some(fault), Some(during)) => in_window(slo, fault, during, summary, faults, least),
            (Some(fault), None) => of_fault(slo, fault, &resilience, faults),
            (None, _) => limit(slo, &name(slo.metric, slo.query.as_deref(), slo.stage.as_deref()), row(slo, summary), least),
        };
        Judged { check, broken: "LimitBroken", undecided: "TooLittleData" }
    });
    std::iter::once(answered(&summary.headline, least)).chain(limits).collect()
}

/// Whether a limit is about what was measured in stages, which a search judges step by step.
fn is_of_stages(slo: &Slo) -> bool {
    slo.fault.is_none() && slo.metric != Metric::Promql
}

/// The plan's limits on the stage that a row is about.
pub(super) fn of_stage(plan: &FrozenPlan, summary: &Summary, stage: &Row) -> Vec<crucible_crds::Check> {
    let least = u64::from(plan.spec.validity.min_queries);
    let slos = plan.spec.slos.iter().filter(|slo| is_of_stages(slo) && slo.stage.as_ref().is_none_or(|of| stage.stage.as_ref() == Some(of)));
    let judged = |slo: &Slo| {
        let row = match &slo.query {
            None => Some(stage),
            Some(_) => summary.cells.iter().find(|row| row.query == slo.query && row.stage == stage.stage),
        };
        limit(slo, &name(slo.metric, slo.query.as_deref(), None), row, least)
    };
    slos.map(judged).collect()
}

/// That queries were answered. That not one was, out of any number, needs no more data to be decided.
fn answered(row: &Row, least: u64) -> Judged {
    let (ok, ended) = (row.ok, row.ended());
    let decided = ended >= least || (ok == 0 && ended > 0);
    let observed = if ended == 0 { "no data".to_owned() } else { format!("{ok} of {ended}") };
    Judged {
        check: check("queries answered", &format!(">= 1 of at least {least}"), &observed, ok > 0, decided, Owner::Sut),
        broken: "NothingAnswered",
        undecided: "TooLittleData",
    }
}

/// The row that a limit is about; nothing where the results do not have it.
fn row<'a>(slo: &Slo, summary: &'a Summary) -> Option<&'a Row> {
    let rows = match (&slo.query, &slo.stage) {
        (None, None) => return Some(&summary.headline),
        (Some(_), None) => &summary.queries,
        (None, Some(_)) => &summary.stages,
        (Some(_), Some(_)) => &summary.cells,
    };
    // A stage that is carried out in rounds has its own name over all of them; each round has another.
    rows.iter().chain(&summary.over_rounds).find(|row| row.query == slo.query && row.stage == slo.stage)
}

/// A limit on the time in which a fault was on or the system recovered from it. It is decided only where the fault was confirmed.
fn in_window(slo: &Slo, fault: &str, during: During, summary: &Summary, faults: &[FaultFact], least: u64) -> crucible_crds::Check {
    let (part, words) = match during {
        During::Fault => (Part::Fault, "during"),
        During::Recovery => (Part::Recovery, "in the recovery from"),
    };
    let confirmed = faults.iter().any(|fact| fact.name == fault && fact.confirmed);
    let row = summary.windows.iter().find(|of| of.window.fault == fault && of.window.part == part).filter(|_| confirmed);
    limit(slo, &format!("{} {words} {fault}", slo.metric.as_str()), row.map(|of| &of.row), least)
}

/// A limit on every value that Prometheus gave for a metric over the time of the load: the worst of them decides.
fn by_promql(slo: &Slo, sources: &[SourceReading]) -> crucible_crds::Check {
    let (source, series) = (slo.source.as_deref().unwrap_or_default(), slo.series.as_deref().unwrap_or_default());
    let of_metric = sources.iter().filter(|reading| reading.name == source).flat_map(|reading| &reading.series).filter(|one| one.metric == series);
    let values = of_metric.flat_map(|one| &one.values).filter_map(|(_, value)| value.parse::<f64>().ok()).filter(|value| !value.is_nan());
    let (limit, worst, held) = match (slo.at_most, slo.at_least) {
        (Some(most), _) => {
            let worst = values.reduce(f64::max);
            (format!("<= {}", number(most)), worst, worst.is_some_and(|worst| worst <= most))
        }
        (None, least) => {
            let (least, worst) = (least.unwrap_or(f64::INFINITY), values.reduce(f64::min));
            (format!(">= {}", number(least)), worst, worst.is_some_and(|worst| worst >= least))
        }
    };
    let observed = worst.map_or_else(|| "no data".to_owned(), number);
    check(&format!("{series} of {source}"), &limit, &observed, held, worst.is_some(), Owner::Sut)
}

fn limit(slo: &Slo, name: &str, row: Option<&Row>, least: u64) -> crucible_crds::Check {
    let Slo { metric, query: _, stage: _, fault: _, during: _, source: _, series: _, below, at_most, at_least } = slo;
    let judged = match (metric, below, at_most, at_least) {
        (Metric::ErrorRate, _, Some(limit), _) => error_rate(*limit, row, least),
        (Metric::Throughput, _, _, Some(limit)) => throughput(*limit, row),
        (metric, Some(limit), ..) => latency(*metric, limit, row, least),
        // A limit without its number is refused when the plan is resolved.
        _ => Finding { limit: "none".to_owned(), observed: None, held: false },
    };
    let Finding { limit, observed, held } = judged;
    check(name, &limit, observed.as_deref().unwrap_or("no data"), held, observed.is_some(), Owner::Sut)
}

/// A limit on how well the system took a fault. It is decided only where the fault was confirmed.
fn of_fault(slo: &Slo, fault: &str, all: &[Resilience], faults: &[FaultFact]) -> crucible_crds::Check {
    let name = format!("{} of {fault}", slo.metric.as_str());
    let most = slo.below.as_ref().map_or(0.0, |limit| limit.span().as_secs_f64());
    let limit = slo.below.as_ref().map_or_else(|| "none".to_owned(), |limit| format!("< {limit}"));
    let confirmed = faults.iter().any(|fact| fact.name == fault && fact.confirmed);
    let numbers = all.iter().find(|one| one.fault == fault).filter(|_| confirmed);
    let (observed, held, decided) = match (slo.metric, numbers) {
        (_, None) => ("no data".to_owned(), false, false),
        (Metric::RecoveryTime, Some(of)) => match of.recovery {
            Recovery::After(seconds) => (format!("{seconds:.1}s"), seconds < most, true),
            Recovery::NotWithin(seconds) => (format!("not within {seconds:.1}s"), false, seconds >= most),
            Recovery::Unknown => ("no data".to_owned(), false, false),
        },
        (Metric::TimeToFirstError, Some(of)) => match of.time_to_first_error {
            Some(seconds) => (format!("{seconds:.1}s"), seconds < most, true),
            None => ("no error".to_owned(), true, true),
        },
        (_, Some(of)) => (format!("{:.1}s", of.longest_gap), of.longest_gap < most, true),
    };
    check(&name, &limit, &observed, held, decided, Owner::Sut)
}

fn name(metric: Metric, query: Option<&str>, stage: Option<&str>) -> String {
    let query = query.map(|query| format!(" of {query}")).unwrap_or_default();
    let stage = stage.map(|stage| format!(" in {stage}")).unwrap_or_default();
    format!("{}{query}{stage}", metric.as_str())
}

/// What came of one limit; without an observation it is undecided.
struct Finding {
    limit: String,
    observed: Option<String>,
    held: bool,
}

fn error_rate(limit: f64, row: Option<&Row>, least: u64) -> Finding {
    let row = row.filter(|row| row.ended() >= least);
    Finding {
        limit: format!("<= {}", number(limit)),
        observed: row.map(|row| number(row.error_rate())),
        held: row.is_some_and(|row| row.error_rate() <= limit),
    }
}

/// Decided by time, not by the number of queries: that there were few is what a throughput says.
fn throughput(limit: f64, row: Option<&Row>) -> Finding {
    let row = row.filter(|row| row.seconds > 0.0);
    Finding {
        limit: format!(">= {}/s", number(limit)),
        observed: row.map(|row| format!("{:.1}/s", row.throughput())),
        held: row.is_some_and(|row| row.throughput() >= limit),
    }
}

/// Where every query failed there is no latency, and the limit is broken all the same.
fn latency(metric: Metric, limit: &crucible_crds::Duration, row: Option<&Row>, least: u64) -> Finding {
    let text = format!("< {limit}");
    let Some(row) = row else { return Finding { limit: text, observed: None, held: false } };
    let Some(latency) = row.latency.filter(|latency| latency.count >= least) else {
        let observed = (row.ok == 0 && row.ended() > 0).then(|| format!("none of {} answered", row.ended()));
        return Finding { limit: text, observed, held: false };
    };
    let micros = of(metric, &latency);
    let held = micros * 1e3 < nanos(limit);
    Finding { limit: text, observed: Some(shown(micros, nanos(limit))), held }
}

/// The statistic that a metric names, in microseconds.
#[expect(clippy::cast_precision_loss, reason = "an hour in microseconds is far below 2^53")]
fn of(metric: Metric, latency: &Latency) -> f64 {
    let micros = match metric {
        Metric::P50 => latency.p50,
        Metric::P90 => latency.p90,
        Metric::P95 => latency.p95,
        Metric::P99 => latency.p99,
        Metric::P999 => latency.p999,
        Metric::Max => latency.max,
        Metric::Mean => return latency.mean,
        Metric::ErrorRate | Metric::Throughput | Metric::RecoveryTime | Metric::TimeToFirstError | Metric::LongestGap | Metric::Promql => 0,
    };
    micros as f64
}

#[expect(clippy::cast_precision_loss, reason = "durations are at most ten days, in nanoseconds below 2^53")]
fn nanos(limit: &crucible_crds::Duration) -> f64 {
    limit.span().as_nanos() as f64
}

/// Three digits, or all of them where three could not be told from the limit.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a latency is a whole number of microseconds up to an hour")]
fn shown(micros: f64, limit_nanos: f64) -> String {
    let close = (micros * 1e3 - limit_nanos).abs() < limit_nanos / 100.0;
    let micros = micros.round() as u64;
    if close { exact(micros) } else { human(micros) }
}
