//! The search for the highest rate: the answer, and step by step how it came about.

use super::markup::{Column, TableRow, rate, section, table, text};
use crate::{
    latency::human,
    results::{Latency, Report, Row},
    verdict::{Step, search},
};

/// The section of the search; nothing where there was none.
pub(super) fn section_of(report: &Report<'_>) -> String {
    let Some(found) = search(report.plan, report.summary) else { return String::new() };
    let at = |at: Option<usize>| at.and_then(|at| found.steps.get(at));
    let highest = at(found.best).map_or_else(
        || "No rate kept every limit.".to_owned(),
        |step| format!("The highest rate that kept every limit is <strong>{} arrivals per second</strong>.", text(&step.rate.to_string())),
    );
    let ended = found.stopped_at().and_then(|step| Some((step, step.limiting.as_ref()?))).map_or_else(
        || " The search came to its end without finding one that does not: search further.".to_owned(),
        |(step, limiting)| format!(" At {} per second: {}.", text(&step.rate.to_string()), text(&limiting.what)),
    );
    let knee = at(found.knee).map_or_else(String::new, |step| {
        format!(" The knee is at {} per second: beyond it, response times grow faster than what is answered.", text(&step.rate.to_string()))
    });
    let rows = found.steps.iter().map(|step| row(step, report.summary.stages.iter().find(|row| row.stage.as_deref() == Some(step.stage.as_str()))));
    let head = [
        Column("step", false),
        Column("arrivals per second", true),
        Column("answered per second", true),
        Column("p50", true),
        Column("p99", true),
        Column("", false),
    ];
    section("search", "Search for the highest rate", &format!("<p>{highest}{ended}{knee}</p>\n{}", table("Step by step", &head, rows)))
}

fn row(step: &Step, measured: Option<&Row>) -> TableRow {
    let Step { stage, rate: asked, throughput, limiting } = step;
    let latency = |of: fn(&Latency) -> u64| measured.and_then(|row| row.latency.as_ref()).map_or_else(|| "–".to_owned(), |latency| human(of(latency)));
    let (class, said) = limiting.as_ref().map_or(("", "held".to_owned()), |limiting| ("bad", text(&limiting.what)));
    TableRow {
        class,
        cells: vec![text(stage), text(&asked.to_string()), rate(*throughput), latency(|latency| latency.p50), latency(|latency| latency.p99), said],
    }
}
