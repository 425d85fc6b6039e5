//! What Prometheus servers said about the system under test while the load was on: one small chart for each metric, on the
//! same axis of time as latency and load.

use std::ops::Range;

use jiff::Timestamp;

use super::{
    chart::{Chart, LEFT, RIGHT, Scale, key, line_sample, plain, time_ticks},
    faults::stretches,
    latency::{bands, length, shading},
    markup::{Column, TableRow, folded, section, shortened, table, text},
};
use crate::results::{
    Report,
    observability::{Series, SourceReading},
};

/// The most metrics that are drawn, lines of each, and values of a line. The rest is in `results.json`.
const MOST_CHARTS: usize = 24;
const MOST_LINES: usize = 8;
const MOST_VALUES: usize = 400;
/// The most series of a metric that its table lists.
const MOST_ROWS: usize = 50;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 122.0;

/// The section of what was read besides; nothing where the plan asks for nothing.
pub(super) fn besides(report: &Report<'_>) -> String {
    if report.sources.is_empty() {
        return String::new();
    }
    let mut drawn = 0;
    let mut content =
        "<p class=\"soft\">What Prometheus said about the time of the load. The time below each chart is that of the charts above.</p>\n".to_owned();
    for source in report.sources {
        content += &from_source(report, source, &mut drawn);
    }
    section("metrics", "Metrics of the system under test", &content)
}

fn from_source(report: &Report<'_>, source: &SourceReading, drawn: &mut usize) -> String {
    let SourceReading { name, url, series, problems } = source;
    let mut content = format!("<h3>{} <span class=\"soft id\">{}</span></h3>\n", text(name), text(url));
    content.extend(problems.iter().map(|problem| format!("<p><span class=\"mark open\">?</span> {}</p>\n", text(problem))));
    let metrics: Vec<&[Series]> = series.chunk_by(|one, other| one.metric == other.metric).collect();
    let room = MOST_CHARTS.saturating_sub(*drawn);
    for series in metrics.iter().take(room) {
        content += &metric(report, series, *drawn);
        *drawn += 1;
    }
    let left_out = metrics.len().saturating_sub(room);
    if left_out > 0 {
        content.extend([format!("<p>{left_out} more metrics are in <span class=\"id\">results.json</span>.</p>\n")]);
    }
    content
}

/// One metric: its question, its chart, and the same as a table.
fn metric(report: &Report<'_>, series: &[Series], number: usize) -> String {
    let Some(first) = series.first() else { return String::new() };
    let began = report.facts.started_at.map_or_else(|| earliest(series), seconds_of);
    let lines: Vec<Line> = series.iter().map(|series| Line::of(series, began)).collect();
    let heading = format!("<h4>{} <code class=\"soft\">{}</code></h4>\n", text(&first.metric), text(&shortened(&first.query, 300)));
    let Some(range) = range(&lines) else { return heading + "<p>No values.</p>\n" };
    let mut entries: Vec<(String, String)> = if lines.len() > 1 {
        lines.iter().take(MOST_LINES).enumerate().map(|(index, line)| (line_sample(&class(index)), line.name.clone())).collect()
    } else {
        Vec::new()
    };
    // What the shading stands for is said once, by the first chart.
    entries.extend(shading(&report.plan.spec.load.stages).filter(|_| number == 0));
    let about = if lines.len() > MOST_LINES { format!("<p class=\"soft\">{MOST_LINES} of {} series are drawn.</p>\n", lines.len()) } else { String::new() };
    heading
        + &about
        + &key(&entries)
        + "<figure>"
        + &chart(report, &first.metric, &lines, range, number)
        + "</figure>\n"
        + &folded("The same as a table", &table_of(&lines))
}

/// One series, ready to be drawn.
struct Line {
    name: String,
    /// Seconds from the start of the load, and the value; nothing where it is no number.
    points: Vec<(f64, Option<f64>)>,
}

impl Line {
    fn of(series: &Series, began: f64) -> Self {
        let labels: Vec<String> = series.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let name = if labels.is_empty() { series.metric.clone() } else { labels.join(", ") };
        let point = |(at, value): &(serde_json::Number, String)| Some((at.as_f64()? - began, value.parse::<f64>().ok().filter(|value| value.is_finite())));
        Self { name: shortened(&name, 80), points: series.values.iter().filter_map(point).collect() }
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.points.iter().filter_map(|(_, value)| *value)
    }

    /// The points that are drawn: of neighbours that share a place, the highest, so that no peak is lost.
    fn drawn(&self) -> impl Iterator<Item = (f64, Option<f64>)> {
        let together = self.points.len().div_ceil(MOST_VALUES).max(1);
        self.points.chunks(together).map(|chunk| {
            let highest = chunk.iter().filter_map(|(_, value)| *value).reduce(f64::max);
            (chunk.first().map_or(0.0, |(at, _)| *at), highest)
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
fn seconds_of(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

fn earliest(series: &[Series]) -> f64 {
    let first = series.iter().filter_map(|series| series.values.first()?.0.as_f64()).reduce(f64::min);
    first.unwrap_or(0.0)
}

/// The lowest and the highest value with a little room; from zero where that is near.
fn range(lines: &[Line]) -> Option<Range<f64>> {
    let values = || lines.iter().flat_map(Line::values);
    let (low, high) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
    let low = if low >= 0.0 && low < high * 0.6 { 0.0 } else { low };
    let room = if high > low { (high - low) * 0.06 } else { high.abs().max(1.0) * 0.1 };
    Some(if low == 0.0 { 0.0..high + room } else { low - room..high + room })
}

fn class(index: usize) -> String {
    format!("s{0} d{0}", index % MOST_LINES + 1)
}

fn chart(report: &Report<'_>, name: &str, lines: &[Line], range: Range<f64>, number: usize) -> String {
    let seconds = length(report);
    let (x, y) = (Scale::even(0.0, seconds, LEFT, RIGHT), Scale::even(range.start, range.end, BOTTOM, TOP));
    let described = format!("From {} to {}.", plain(range.start), plain(range.end));
    let mut chart = Chart::new(&format!("metric-{number}"), &format!("{name} over time"), &described, BOTTOM + 28.0, TOP, BOTTOM);
    chart.bands(&x, &bands(&report.plan.spec.load.stages), false);
    chart.horizontal_grid(&y, &y.ticks(4, plain));
    for (index, line) in lines.iter().take(MOST_LINES).enumerate() {
        chart.trace(&class(index), line.drawn().map(|(at, value)| value.map(|value| (x.at(at), y.at(value)))));
    }
    chart.broken(&x, &stretches(report), false);
    chart.lower_axis(&x, &time_ticks(seconds));
    chart.finish()
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand values")]
fn table_of(lines: &[Line]) -> String {
    let row = |line: &Line| {
        let count = line.values().count();
        let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), plain);
        let mean = (count > 0).then(|| line.values().sum::<f64>() / count as f64);
        let last = line.values().last();
        let (lowest, highest) = (line.values().reduce(f64::min), line.values().reduce(f64::max));
        TableRow::from(vec![text(&line.name), count.to_string(), shown(lowest), shown(mean), shown(highest), shown(last)])
    };
    let head = [Column("series", false), Column("values", true), Column("lowest", true), Column("mean", true), Column("highest", true), Column("last", true)];
    let left_out = lines.len().saturating_sub(MOST_ROWS);
    let caption = if left_out > 0 { format!("{left_out} more series are in results.json") } else { "Over the time of the load".to_owned() };
    table(&caption, &head, lines.iter().take(MOST_ROWS).map(row))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn series(values: &[(u32, &str)]) -> Series {
        let values = values.iter().map(|(at, value)| (serde_json::Number::from(*at), (*value).to_owned())).collect();
        Series { metric: "qps".into(), query: "rate(queries[30s])".into(), labels: BTreeMap::new(), values }
    }

    #[test]
    fn what_is_no_number_leaves_a_gap() {
        let line = Line::of(&series(&[(100, "3.5"), (115, "NaN"), (130, "+Inf"), (145, "7")]), 100.0);
        assert_eq!(line.points, [(0.0, Some(3.5)), (15.0, None), (30.0, None), (45.0, Some(7.0))]);
    }

    #[test]
    fn of_many_values_the_peaks_are_drawn() {
        let values: Vec<(u32, &str)> = (0..1000).map(|at| (at, if at == 500 { "9" } else { "1" })).collect();
        let drawn: Vec<f64> = Line::of(&series(&values), 0.0).drawn().filter_map(|(_, value)| value).collect();
        assert!(drawn.len() <= MOST_VALUES && drawn.contains(&9.0), "{} values", drawn.len());
    }

    #[test]
    fn the_axis_begins_at_zero_where_that_is_near() {
        let range_of = |values: &[(u32, &str)]| range(&[Line::of(&series(values), 0.0)]).map(|range| (plain(range.start), plain(range.end)));
        assert_eq!(range_of(&[(0, "10"), (1, "100")]), Some(("0".into(), "106".into())));
        assert_eq!(range_of(&[(0, "90"), (1, "100")]), Some(("89.4".into(), "100.6".into())));
        assert_eq!(range_of(&[(0, "5")]), Some(("4.5".into(), "5.5".into())));
        assert_eq!(range_of(&[(0, "NaN")]), None);
    }
}
