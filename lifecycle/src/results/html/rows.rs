//! The tables of queries and stages.

use super::markup::{Column, TableRow, grouped, percent, rate, section, table, text};
use crate::{
    latency::{human, human_mean},
    load::is_open,
    results::{Latency, Report, Row},
};

const HEAD: [Column; 10] = [
    Column("", false),
    Column("answered", true),
    Column("per second", true),
    Column("errors", true),
    Column("p50", true),
    Column("p95", true),
    Column("p99", true),
    Column("p99.9", true),
    Column("mean", true),
    Column("slowest", true),
];

/// The section of each query over the measured stages.
pub(super) fn queries(report: &Report<'_>) -> String {
    let summary = report.summary;
    let all = || std::iter::once((String::from("all queries"), &summary.headline));
    let each = || summary.queries.iter().map(|row| (row.query.as_deref().unwrap_or_default().to_owned(), row));
    let mut content = rows("Over the measured stages", all().chain(each()));
    if is_open(&report.plan.spec.load) {
        content += &waiting(all().chain(each()));
    }
    section("queries", "Queries", &content)
}

/// Response against service time: what waiting added.
fn waiting<'a>(rows: impl Iterator<Item = (String, &'a Row)>) -> String {
    let head = [
        Column("", false),
        Column("response p50", true),
        Column("p95", true),
        Column("p99", true),
        Column("slowest", true),
        Column("service p50", true),
        Column("p95", true),
        Column("p99", true),
        Column("slowest", true),
    ];
    let times = |latency: Option<Latency>| match latency {
        Some(Latency { p50, p95, p99, max, .. }) => [p50, p95, p99, max].map(human),
        None => std::array::from_fn(|_| "–".to_owned()),
    };
    let row =
        |(name, row): (String, &Row)| TableRow::from(std::iter::once(text(&name)).chain(times(row.latency)).chain(times(row.service)).collect::<Vec<_>>());
    table("Response times begin when the arrival was due, service times when the query was sent", &head, rows.map(row))
}

/// A stage's name, with whether it counts.
pub(super) fn stage_name(row: &Row) -> String {
    let name = row.stage.as_deref().unwrap_or_default();
    if row.measured { name.to_owned() } else { format!("{name} (not measured)") }
}

/// The section of each stage.
pub(super) fn stages(report: &Report<'_>) -> String {
    section("stages", "Stages", &rows("All queries together", report.summary.stages.iter().map(|row| (stage_name(row), row))))
}

/// Rows of measurements as one table.
pub(super) fn rows<'a>(caption: &str, rows: impl Iterator<Item = (String, &'a Row)>) -> String {
    let row = |(name, row): (String, &Row)| {
        let latency = |of: fn(&Latency) -> String| row.latency.as_ref().map_or_else(|| "–".to_owned(), of);
        let failures = if row.failures() > 0 { format!("{} ({})", grouped(row.failures()), percent(row.error_rate())) } else { "0".to_owned() };
        TableRow::from(vec![
            text(&name),
            grouped(row.ok),
            rate(row.throughput()),
            failures,
            latency(|latency| human(latency.p50)),
            latency(|latency| human(latency.p95)),
            latency(|latency| human(latency.p99)),
            latency(|latency| human(latency.p999)),
            latency(|latency| human_mean(latency.mean)),
            latency(|latency| human(latency.max)),
        ])
    };
    table(caption, &HEAD, rows.map(row))
}
