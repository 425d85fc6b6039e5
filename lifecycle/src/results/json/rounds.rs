//! The section about rounds: the figures of each, and how much they differ.

use crucible_crds::name::Label;
use serde_json::{Map, Value, json};

use crate::{
    contract::FrozenPlan,
    results::{RoundRows, Row, Spread, SpreadRow, Summary, spreads},
    statistics::bootstrap::Measure,
};

/// The rounds of a load; nothing where it has none.
pub(super) fn rounds(plan: &FrozenPlan, summary: &Summary) -> Option<Value> {
    let name = |arm: Option<usize>| arm.and_then(|arm| plan.arms.get(arm)).map(|arm| &arm.name);
    let round = |RoundRows { number, arm, rows }: &RoundRows| json!({"round": number, "arm": name(*arm), "rows": rows.iter().map(row).collect::<Vec<_>>()});
    (!summary.rounds.is_empty()).then(|| {
        json!({
            "count": summary.rounds.len(), "rounds": summary.rounds.iter().map(round).collect::<Vec<_>>(),
            "spread": spreads(summary).iter().map(|row| spread_row(row, name(row.arm))).collect::<Vec<_>>(),
        })
    })
}

fn row(row: &Row) -> Value {
    let micros = row.latency.map(|latency| (latency.p50, latency.p95, latency.p99));
    json!({
        "query": row.query, "seconds": row.seconds, "ok": row.ok, "errors": row.failures(), "throughput": row.throughput(), "errorRate": row.error_rate(),
        "p50Micros": micros.map(|(p50, _, _)| p50), "p95Micros": micros.map(|(_, p95, _)| p95), "p99Micros": micros.map(|(_, _, p99)| p99),
    })
}

fn spread_row(row: &SpreadRow, name: Option<&Label>) -> Value {
    let SpreadRow { arm: _, query, measures, error_rate } = row;
    let mut fields: Map<String, Value> = measures.iter().map(|(measure, of)| (key(*measure).to_owned(), spread(of))).collect();
    fields.insert("query".to_owned(), json!(query));
    fields.insert("arm".to_owned(), json!(name));
    fields.insert("errorRate".to_owned(), json!(error_rate.as_ref().map(spread)));
    fields.into()
}

const fn key(measure: Measure) -> &'static str {
    match measure {
        Measure::P50 => "p50Micros",
        Measure::P95 => "p95Micros",
        Measure::P99 => "p99Micros",
        Measure::Throughput => "throughput",
    }
}

fn spread(spread: &Spread) -> Value {
    let Spread { rounds, min, median, max, variation } = spread;
    json!({"rounds": rounds, "min": min, "median": median, "max": max, "coefficientOfVariation": variation})
}
