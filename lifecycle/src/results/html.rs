//! `report.html`: the whole answer as one file that opens from a disk, without a script and without anything from
//! elsewhere. The first screen says whether the system passed, why, and where to look next; everything after it is
//! evidence. Its size is bounded whatever the length of the load.

pub mod chart;
mod compared;
mod faults;
mod fleet;
mod latency;
mod load;
pub mod markup;
mod metrics;
mod rounds;
mod rows;
mod search;
pub(super) mod verdict;

use super::Report;
use markup::text;

/// How pages look: light, dark and on paper.
pub const STYLE: &str = include_str!("html/style.css");

/// The page. Nothing in it is run: whoever reads it may be sure of that by its policy.
pub(super) fn page(report: &Report<'_>) -> String {
    let title = format!("{}: {}", report.plan.run.id, report.verdict.outcome.as_str());
    let sections = [
        verdict::checks(report),
        search::section_of(report),
        verdict::validity(report),
        fleet::identity(report),
        latency::over_time(report),
        load::over_time(report),
        faults::section_of(report),
        latency::spectrum(report),
        rows::queries(report),
        rows::stages(report),
        rounds::section_of(report),
        compared::comparison(report),
        metrics::besides(report),
        fleet::workers(report),
        fleet::samples(report),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{}{}<main>\n{}</main>\n\
         <footer class=\"soft\"><p>Written by Crucible. The same numbers for programs are in <span class=\"id\">results.json</span>, \
         every latency in <span class=\"id\">histograms/</span>.</p></footer>\n</body>\n</html>\n",
        text(&title),
        verdict::head(report),
        contents(report),
        sections.concat(),
    )
}

/// Links to the sections, in their order.
fn contents(report: &Report<'_>) -> String {
    let links = [
        ("checks", "Checks", true),
        ("search", "Search", report.plan.spec.load.find_max.is_some()),
        ("validity", "Validity", true),
        ("identity", "What was run", true),
        ("latency", "Latency", true),
        ("load", "Load and errors", true),
        ("faults", "Faults", !report.facts.faults.is_empty()),
        ("spectrum", "Percentiles", report.summary.spectra.iter().any(|spectrum| !spectrum.points.is_empty())),
        ("queries", "Queries", true),
        ("stages", "Stages", true),
        ("rounds", "Rounds", !report.summary.rounds.is_empty()),
        ("comparison", "Comparison", report.comparison.is_some()),
        ("metrics", "Metrics", !report.sources.is_empty()),
        ("workers", "Workers", true),
        ("samples", "Error samples", true),
    ];
    let links = links.iter().filter(|(_, _, there)| *there).map(|(id, name, _)| format!("<a href=\"#{id}\">{name}</a>\n"));
    format!("<nav aria-label=\"Sections\">{}</nav>\n", links.collect::<String>())
}

#[cfg(test)]
mod tests;
