//! Latency over time: how many queries took how long when, as a heat map with percentiles drawn over it; and the
//! spectrum of each query's latencies, from the fastest to the slowest.

use std::{collections::BTreeMap, fmt::Write as _};

use crucible_crds::test_plan::{Metric, Stage};

use super::{
    chart::{Band, Chart, LEFT, RIGHT, Scale, clock, colour_sample, key, latency_label, line_sample, time_ticks},
    faults::stretches,
    markup::{Column, TableRow, folded, grouped, section, table, text},
};
use crate::{
    histogram::Histogram,
    latency::human,
    results::{Report, Spectrum},
};

/// How many steps of latency the heat map has, and of how many shades its cells are.
const STEPS: usize = 56;
const SHADES: usize = 7;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 330.0;
/// The most rows of the table behind a chart over time.
pub(super) const MOST_ROWS: usize = 60;
/// The most queries that are drawn as lines; the table has all of them.
const MOST_LINES: usize = 8;

/// The stages as stretches of time; those that are not measured are shaded.
pub(super) fn bands(stages: &[Stage]) -> Vec<Band> {
    let mut from = 0.0;
    let band = |stage: &Stage| {
        let to = from + stage.duration.span().as_secs_f64();
        let band = Band { from, to, name: stage.name.to_string(), shaded: !stage.measured };
        from = to;
        band
    };
    stages.iter().map(band).collect()
}

/// What the shading stands for, where some stage is not measured.
pub(super) fn shading(stages: &[Stage]) -> Option<(String, String)> {
    stages.iter().any(|stage| !stage.measured).then(|| (colour_sample("swatch"), "not measured".to_owned()))
}

/// What the marks of faults stand for, where there are any.
pub(super) fn breaking(report: &Report<'_>) -> Option<(String, String)> {
    (!stretches(report).is_empty()).then(|| (colour_sample("fault"), "a fault is on".to_owned()))
}

/// How long the load was to last, or lasted where that was longer, in seconds.
#[expect(clippy::cast_precision_loss, reason = "a day in seconds")]
pub(super) fn length(report: &Report<'_>) -> f64 {
    let planned: f64 = report.plan.spec.load.stages.iter().map(|stage| stage.duration.span().as_secs_f64()).sum();
    let last = report.summary.timeline.points.last().map_or(0, |point| point.second + report.summary.timeline.seconds_per_point);
    planned.max(last as f64).max(1.0)
}

/// The section with the heat map.
pub(super) fn over_time(report: &Report<'_>) -> String {
    let columns = report.summary.series.columns();
    let Some((low, high)) = range(columns.values()) else {
        return section("latency", "Latency over time", "<p>No query was answered, so there are no latencies.</p>\n");
    };
    let width = report.summary.series.seconds_per_slot.max(1);
    let every = if width == 1 { "Each column is one second".to_owned() } else { format!("Each column is {width} seconds") };
    let caption = format!("<p class=\"soft\">{every} of answered queries, all of them together; the darker a cell, the more queries took so long.</p>\n");
    let mut entries: Vec<(String, String)> = ["p50", "p95", "p99"].map(|name| (line_sample(name), format!("{name} of each column"))).into();
    entries.push((colour_sample("h2"), "few queries".to_owned()));
    entries.push((colour_sample("h7"), "many queries".to_owned()));
    entries.extend(shading(&report.plan.spec.load.stages));
    entries.extend(breaking(report));
    if let Some(comparison) = report.comparison.filter(|comparison| !comparison.earlier.is_empty()) {
        entries.push((line_sample("then"), format!("{} of the earlier run", comparison.measure.as_str())));
    }
    let content = caption
        + &key(&entries)
        + "<figure>"
        + &heat_map(report, &columns, low, high)
        + "</figure>\n"
        + &folded("The same as a table", &table_of(&columns, width));
    section("latency", "Latency over time", &content)
}

/// The fastest and the slowest latency, with a little room.
#[expect(clippy::cast_precision_loss, reason = "an hour in microseconds")]
fn range<'a>(columns: impl Iterator<Item = &'a Histogram>) -> Option<(f64, f64)> {
    let ends = columns.filter_map(|column| Some((column.min()?, column.max()?)));
    let (low, high) = ends.reduce(|(low, high), (min, max)| (low.min(min), high.max(max)))?;
    Some(((low.max(1) as f64) / 1.1, (high.max(2) as f64) * 1.1))
}

#[expect(clippy::cast_precision_loss, reason = "seconds and latencies are far below 2^53")]
fn heat_map(report: &Report<'_>, columns: &BTreeMap<u64, Histogram>, low: f64, high: f64) -> String {
    let seconds = length(report);
    let (x, y) = (Scale::even(0.0, seconds, LEFT, RIGHT), Scale::logarithmic(low, high, BOTTOM, TOP));
    let described =
        format!("Latencies from {} to {} over {}.", latency_label(low), latency_label(high), clock(std::time::Duration::from_secs_f64(seconds).as_secs()));
    let mut chart = Chart::new("heat", "Heat map of latency over time", &described, 360.0, TOP, BOTTOM);
    let bands = bands(&report.plan.spec.load.stages);
    chart.bands(&x, &bands, true);
    chart.horizontal_grid(&y, &y.ticks(9, latency_label));
    let width = report.summary.series.seconds_per_slot.max(1);
    for (shade, path) in cells(columns, &x, &y, width, low, high).iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        chart.raw(&format!("<path class=\"h{}\" d=\"{path}\"/>\n", shade + 1));
    }
    for (name, thousandths) in [("p50", 500), ("p95", 950), ("p99", 990)] {
        let middle = |second: u64| x.at(second as f64 + width as f64 / 2.0);
        let point = |second: u64| columns.get(&second).and_then(|column| column.quantile(thousandths)).map(|micros| (middle(second), y.at(micros as f64)));
        let last = columns.keys().next_back().copied().unwrap_or(0);
        let points: Vec<_> = (0..=last).step_by(usize::try_from(width).unwrap_or(usize::MAX)).map(point).collect();
        chart.trace_over(name, &points);
    }
    if let Some(comparison) = report.comparison {
        let points: Vec<_> =
            comparison.earlier.iter().map(|(second, micros)| Some((x.at(*second as f64 + width as f64 / 2.0), y.at(*micros as f64)))).collect();
        chart.trace_over("then", &points);
    }
    chart.broken(&x, &stretches(report), true);
    for (value, name) in limits(report).into_iter().filter(|(value, _)| (low..=high).contains(value)) {
        chart.limit(y.at(value), &name);
    }
    chart.lower_axis(&x, &time_ticks(seconds));
    chart.finish()
}

/// One path for each shade: every cell of that shade in one line of drawing, so that the size does not grow with the load.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares of a drawing")]
fn cells(columns: &BTreeMap<u64, Histogram>, x: &Scale, y: &Scale, width: u64, low: f64, high: f64) -> [String; SHADES] {
    let step = |micros: u64| ((micros as f64 / low).ln() / (high / low).ln() * STEPS as f64).clamp(0.0, STEPS as f64 - 1.0) as usize;
    let grid: Vec<(u64, [u64; STEPS])> = columns
        .iter()
        .map(|(second, column)| {
            let mut steps = [0; STEPS];
            column.latencies().for_each(|(micros, count)| steps[step(micros)] += count);
            (*second, steps)
        })
        .collect();
    let most = grid.iter().flat_map(|(_, steps)| steps).copied().max().unwrap_or(1).max(1);
    let mut paths: [String; SHADES] = std::array::from_fn(|_| String::new());
    for (second, steps) in grid {
        let (left, right) = (x.at(second as f64), x.at((second + width) as f64));
        for (index, count) in steps.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            let edge = |index: usize| y.at(low * (high / low).powf(index as f64 / STEPS as f64));
            let shade = ((count as f64).ln_1p() / (most as f64).ln_1p() * SHADES as f64).ceil().clamp(1.0, SHADES as f64) as usize;
            let (upper, lower) = (edge(index + 1), edge(index));
            let _ = write!(paths[shade - 1], "M{left:.1} {upper:.1}H{right:.1}V{lower:.1}H{left:.1}Z");
        }
    }
    paths
}

/// The limits that are about all queries together, in microseconds: the others would not fit what is drawn.
#[expect(clippy::cast_precision_loss, reason = "an hour in microseconds")]
fn limits(report: &Report<'_>) -> Vec<(f64, String)> {
    let drawn = |metric: Metric| matches!(metric, Metric::P50 | Metric::P95 | Metric::P99);
    let slos = report.plan.spec.slos.iter().filter(|slo| slo.query.is_none() && slo.stage.is_none() && drawn(slo.metric));
    slos.filter_map(|slo| slo.below.as_ref().map(|below| (below.span().as_micros() as f64, format!("limit of {}: {below}", slo.metric.as_str())))).collect()
}

/// The columns as a table, neighbouring ones together where they are many.
fn table_of(columns: &BTreeMap<u64, Histogram>, width: u64) -> String {
    let together = columns.len().div_ceil(MOST_ROWS).max(1);
    let all: Vec<(&u64, &Histogram)> = columns.iter().collect();
    let rows = all.chunks(together).filter_map(|chunk| {
        let (first, last) = (chunk.first()?.0, chunk.last()?.0 + width);
        let mut merged = Histogram::new();
        for (_, column) in chunk {
            merged.add(column);
        }
        let at = |thousandths| merged.quantile(thousandths).map(human).unwrap_or_default();
        Some(TableRow::from(vec![format!("{} to {}", clock(*first), clock(last)), grouped(merged.count()), at(500), at(950), at(990), at(1000)]))
    });
    let head =
        [Column("from the start", false), Column("answered", true), Column("p50", true), Column("p95", true), Column("p99", true), Column("slowest", true)];
    table("Latency of all queries over time", &head, rows)
}

/// The section with the spectrum of each query.
pub(super) fn spectrum(report: &Report<'_>) -> String {
    let mut drawn: Vec<&Spectrum> = report.summary.spectra.iter().filter(|spectrum| !spectrum.points.is_empty()).collect();
    if drawn.is_empty() {
        return String::new();
    }
    let answered = |spectrum: &Spectrum| report.summary.queries.iter().find(|row| row.query == spectrum.query).map_or(0, |row| row.ok);
    drawn.sort_by_key(|spectrum| std::cmp::Reverse(answered(spectrum)));
    let rows = drawn.clone();
    drawn.truncate(MOST_LINES);
    let mut entries: Vec<(String, String)> =
        drawn.iter().enumerate().map(|(index, spectrum)| (line_sample(&line_class(index)), spectrum.query.as_deref().unwrap_or_default().to_owned())).collect();
    if drawn.iter().any(|spectrum| !spectrum.service.is_empty()) {
        entries.push((line_sample("s8 service"), "dotted: how long the system took once the query was sent".to_owned()));
    }
    let about = if rows.len() > drawn.len() {
        format!(" The {MOST_LINES} most frequent of {} queries are drawn; the table has all.", rows.len())
    } else {
        String::new()
    };
    let caption = format!(
        "<p class=\"soft\">Answered queries of the measured stages: the share of them that took no longer than so long. Each step to the right leaves out nine of ten of the rest.{about}</p>\n"
    );
    let content = caption + &key(&entries) + "<figure>" + &lines(&drawn) + "</figure>\n" + &folded("The same as a table", &spectrum_table(&rows));
    section("spectrum", "Percentiles of each query", &content)
}

fn line_class(index: usize) -> String {
    format!("s{0} d{0}", index % MOST_LINES + 1)
}

/// Where a percentile in hundred thousandths is drawn: by how few queries are slower.
fn place(percentile: u32) -> f64 {
    f64::from(100_000 - percentile.min(99_999)) / 100_000.0
}

#[expect(clippy::cast_precision_loss, reason = "an hour in microseconds")]
fn lines(drawn: &[&Spectrum]) -> String {
    let points = || drawn.iter().flat_map(|spectrum| spectrum.points.iter().chain(&spectrum.service));
    let (low, high) = (points().map(|(_, micros)| *micros).min().unwrap_or(1), points().map(|(_, micros)| *micros).max().unwrap_or(2));
    let rarest = points().map(|(percentile, _)| *percentile).filter(|percentile| *percentile < 100_000).max().unwrap_or(99_000);
    let x = Scale::logarithmic(place(rarest), 1.0, RIGHT - 20.0, LEFT);
    let y = Scale::logarithmic(low as f64 / 1.1, high as f64 * 1.1, 270.0, 14.0);
    let mut chart = Chart::new(
        "spectrum-chart",
        "Latency by percentile for each query",
        "One line for each query, from its fastest to its slowest answer.",
        300.0,
        14.0,
        270.0,
    );
    chart.horizontal_grid(&y, &y.ticks(8, latency_label));
    for (index, spectrum) in drawn.iter().enumerate() {
        let place = |(percentile, micros): &(u32, u64)| (*percentile <= rarest).then(|| (x.at(place(*percentile)), y.at(*micros as f64)));
        chart.trace(&line_class(index), spectrum.points.iter().filter_map(place).map(Some));
        chart.trace(&format!("s{} service", index % MOST_LINES + 1), spectrum.service.iter().filter_map(place).map(Some));
    }
    let ticks =
        [(0, "0 %"), (50_000, "50 %"), (90_000, "90 %"), (95_000, "95 %"), (99_000, "99 %"), (99_900, "99.9 %"), (99_990, "99.99 %"), (99_999, "99.999 %")];
    let ticks: Vec<(f64, String)> = ticks.into_iter().filter(|(at, _)| *at <= rarest).map(|(at, name)| (place(at), name.to_owned())).collect();
    chart.lower_axis(&x, &ticks);
    chart.finish()
}

fn spectrum_table(spectra: &[&Spectrum]) -> String {
    const SHOWN: [(u32, &str); 8] =
        [(10_000, "p10"), (50_000, "p50"), (75_000, "p75"), (90_000, "p90"), (95_000, "p95"), (99_000, "p99"), (99_900, "p99.9"), (100_000, "slowest")];
    let head: Vec<Column> = std::iter::once(Column("query", false)).chain(SHOWN.map(|(_, name)| Column(name, true))).collect();
    let row = |spectrum: &&Spectrum| {
        let at =
            |wanted: u32| spectrum.points.iter().find(|(percentile, _)| *percentile == wanted).map_or_else(|| "–".to_owned(), |(_, micros)| human(*micros));
        TableRow::from(std::iter::once(text(spectrum.query.as_deref().unwrap_or_default())).chain(SHOWN.map(|(wanted, _)| at(wanted))).collect::<Vec<_>>())
    };
    table("Latency by percentile", &head, spectra.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_placed_by_how_few_queries_are_slower() {
        assert_eq!([0, 50_000, 99_000, 99_999, 100_000].map(|at| place(at).to_string()), ["1", "0.5", "0.01", "0.00001", "0.00001"]);
    }
}
