//! The rounds of a load in `summary.md`: all queries of each, then how much every query varies from one to the next.

use super::{cell, line, table};
use crate::{
    contract::FrozenPlan,
    latency::human_mean,
    results::{Spread, SpreadRow, Summary, spreads},
    statistics::bootstrap::Measure,
};

/// Writes nothing where there are no rounds.
pub(super) fn rounds(text: &mut String, plan: &FrozenPlan, summary: &Summary) {
    if summary.rounds.is_empty() {
        return;
    }
    let name = |arm: Option<usize>| arm.and_then(|arm| plan.arms.get(arm)).map(|arm| format!(", arm {}", arm.name)).unwrap_or_default();
    let each = summary.rounds.iter().filter_map(|round| Some((format!("{}{}", round.number, name(round.arm)), round.of(None)?)));
    table(text, "Rounds, all queries", "round", each);
    line(text, "\nFrom round to round: the smallest, the middle and the largest, and the coefficient of variation.");
    line(text, "\n| query | per second | p50 | p95 | p99 | error rate |\n|---|---:|---:|---:|---:|---:|");
    for SpreadRow { arm, query, measures, error_rate } in spreads(summary) {
        let of = |wanted: Measure| measures.iter().find(|(measure, _)| *measure == wanted).map_or_else(|| "–".to_owned(), |(_, of)| in_words(of, human_mean));
        let rate = measures.iter().find(|(measure, _)| *measure == Measure::Throughput);
        let rate = rate.map_or_else(|| "–".to_owned(), |(_, of)| in_words(of, |value| format!("{value:.1}")));
        let errors = error_rate.map_or_else(|| "–".to_owned(), |of| in_words(&of, |share| format!("{:.4} %", share * 100.0)));
        let [p50, p95, p99] = [Measure::P50, Measure::P95, Measure::P99].map(of);
        line(text, &format!("| {} | {rate} | {p50} | {p95} | {p99} | {errors} |", cell(query.as_deref().unwrap_or("all queries")) + &cell(&name(arm))));
    }
}

/// A spread in words: `9.1, 10.0, 11.2; 8.2 %`.
fn in_words(spread: &Spread, shown: impl Fn(f64) -> String) -> String {
    let Spread { rounds: _, min, median, max, variation } = spread;
    let [min, median, max] = [min, median, max].map(|value| shown(*value));
    let variation = variation.map(|share| format!("; {:.1} %", share * 100.0)).unwrap_or_default();
    format!("{min}, {median}, {max}{variation}")
}
