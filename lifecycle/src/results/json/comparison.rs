//! The sections about earlier runs: the comparison and the trend.

use serde_json::{Map, Value, json};

use crate::{
    comparison::{Across, ComparedRow, Comparison, Past, Repeats, Trend},
    statistics::{
        bootstrap::{Measure, Shift},
        change_points::ChangePoint,
    },
};

/// The comparison with one earlier run.
pub(super) fn comparison(comparison: &Comparison) -> Value {
    let Comparison { asked, arms, required, measure, limit, baseline, differences, obstacle, rows, earlier: _, change } = comparison;
    json!({
        "asked": asked, "arms": arms, "required": required, "metric": measure.as_str(), "maxSlowdown": limit, "change": change, "obstacle": obstacle,
        "baseline": baseline, "differences": differences, "rows": rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn row(row: &ComparedRow) -> Value {
    let ComparedRow { query, shifts, across, change } = row;
    let mut fields: Map<String, Value> = shifts.iter().map(|one| (one.measure.as_str().to_owned(), shift(one))).collect();
    fields.insert("query".to_owned(), json!(query));
    fields.insert("change".to_owned(), json!(change));
    fields.insert("rounds".to_owned(), json!(across.as_ref().map(of_rounds)));
    fields.into()
}

/// What the test of Mann and Whitney says of the deciding percentile in the rounds of both.
fn of_rounds(across: &Across) -> Value {
    let Across { baseline, candidate, answer } = across;
    json!({"baseline": baseline, "candidate": candidate, "u": answer.u, "p": answer.p, "change": answer.change})
}

/// Latencies in whole microseconds, rates per second; changes as shares.
fn shift(shift: &Shift) -> Value {
    let Shift { measure, baseline, candidate, interval } = shift;
    let rounded = |value: f64| if *measure == Measure::Throughput { value } else { value.round() };
    json!({
        "baseline": baseline.map(rounded), "candidate": candidate.map(rounded),
        "change": interval.map(|interval| interval.estimate), "low": interval.map(|interval| interval.low), "high": interval.map(|interval| interval.high),
    })
}

/// The runs of the plan over time.
pub(super) fn trend(trend: &Trend) -> Value {
    let Trend { runs, changes, repeats } = trend;
    let change = |point: &ChangePoint| {
        let ChangePoint { at, before, after, p } = point;
        json!({"runId": runs.get(*at).map(|past| &past.run_id), "beforeMicros": before.round(), "afterMicros": after.round(), "p": p})
    };
    json!({"runs": runs.iter().map(run).collect::<Vec<_>>(), "changes": changes.iter().map(change).collect::<Vec<_>>(), "repeats": repeats.as_ref().map(repeated)})
}

fn run(past: &Past) -> Value {
    let micros = |measure| past.micros(measure);
    json!({
        "runId": past.run_id, "label": past.label, "startedAt": past.started_at.to_string(), "outcome": past.outcome, "version": past.fingerprint.version(),
        "p50Micros": micros(Measure::P50), "p95Micros": micros(Measure::P95), "p99Micros": micros(Measure::P99), "throughput": past.throughput,
    })
}

fn repeated(repeats: &Repeats) -> Value {
    let Repeats { baseline, candidate, answer } = repeats;
    json!({
        "baseline": {"version": baseline.0, "runs": baseline.1}, "candidate": {"version": candidate.0, "runs": candidate.1},
        "u": answer.u, "p": answer.p, "change": answer.change,
    })
}
