//! The section of a load's rounds: the figures of each, and how much they differ.

use super::{
    markup::{Column, TableRow, percent, rate, section, table, text},
    rows::rows,
};
use crate::{
    latency::human_mean,
    results::{Report, Spread, SpreadRow, spreads},
    statistics::bootstrap::Measure,
};

/// The section; nothing where there are no rounds.
pub(super) fn section_of(report: &Report<'_>) -> String {
    let summary = report.summary;
    if summary.rounds.is_empty() {
        return String::new();
    }
    let name = |arm: Option<usize>| arm.and_then(|arm| report.plan.arms.get(arm)).map(|arm| format!(", arm {}", arm.name)).unwrap_or_default();
    let each = summary.rounds.iter().filter_map(|round| Some((format!("round {}{}", round.number, name(round.arm)), round.of(None)?)));
    let explained = "<p class=\"soft\">What the same system varies from round to round without being changed: the smallest, the middle and the largest figure, \
                     and the standard deviation as a share of the mean.</p>\n";
    section(
        "rounds",
        "Rounds",
        &[&rows("All queries together, over the measured stages of each round", each), explained, &spread_table(&spreads(summary), name)].concat(),
    )
}

fn spread_table(spreads: &[SpreadRow], name: impl Fn(Option<usize>) -> String) -> String {
    let row = |row: &SpreadRow| {
        let SpreadRow { arm, query, measures, error_rate } = row;
        let measured = |wanted: Measure| {
            let shown = |value: f64| if wanted == Measure::Throughput { rate(value) } else { human_mean(value) };
            measures.iter().find(|(measure, _)| *measure == wanted).map_or_else(|| "–".to_owned(), |(_, of)| cell(of, shown))
        };
        let errors = error_rate.map_or_else(|| "–".to_owned(), |of| cell(&of, percent));
        let [rate, p50, p95, p99] = [Measure::Throughput, Measure::P50, Measure::P95, Measure::P99].map(measured);
        TableRow::from(vec![text(&format!("{}{}", query.as_deref().unwrap_or("all queries"), name(*arm))), rate, p50, p95, p99, errors])
    };
    let head = [Column("", false), Column("per second", true), Column("p50", true), Column("p95", true), Column("p99", true), Column("error rate", true)];
    table("From round to round", &head, spreads.iter().map(row))
}

fn cell(spread: &Spread, shown: impl Fn(f64) -> String) -> String {
    let Spread { rounds: _, min, median, max, variation } = spread;
    let [min, median, max] = [min, median, max].map(|value| shown(*value));
    let variation = variation.map(|share| format!("<br><span class=\"soft\">± {:.1} %</span>", share * 100.0)).unwrap_or_default();
    format!("{min}, {median}, {max}{variation}")
}
