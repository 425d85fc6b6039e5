//! The load over time: how many virtual users were at work, how many queries were answered, and how many failed, by class.

use std::{collections::BTreeMap, fmt::Write as _};

use crucible_crds::test_plan::Stage;

use super::{
    chart::{Chart, LEFT, RIGHT, Scale, clock, colour_sample, key, line_sample, plain, time_ticks},
    faults::stretches,
    latency::{MOST_ROWS, bands, breaking, length, shading},
    markup::{Column, TableRow, folded, grouped, percent, rate, section, table, text},
};
use crate::{
    class::Class,
    histogram::arrivals::ArrivalCounts,
    load::{is_open, level},
    results::{Point, Report},
};

/// The most columns that are drawn.
const MOST_COLUMNS: usize = 240;

const CLOSED: &str =
    "<p class=\"soft\">The closed model: each virtual user sends its next query when the last one is answered, so a slow system is asked less.</p>\n";
const OPEN: &str = "<p class=\"soft\">The open model: queries arrive as planned, however slow the system is. An arrival that finds no free virtual user is late and waits \
     its turn; one that still waits when the load ends is dropped. Response times begin when the arrival was due.</p>\n";

/// One column: neighbouring points of the timeline together.
struct Slice {
    from: u64,
    seconds: f64,
    ok: u64,
    errors: BTreeMap<Class, u64>,
    arrivals: ArrivalCounts,
}

impl Slice {
    #[expect(clippy::cast_precision_loss, reason = "rates for a drawing")]
    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.seconds
    }

    fn failures(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// The section with what was answered and what failed.
pub(super) fn over_time(report: &Report<'_>) -> String {
    let columns = columns(report, MOST_COLUMNS);
    let failed = columns.iter().any(|column| column.failures() > 0);
    let open = is_open(&report.plan.spec.load);
    let (caption, planned) = if open { (OPEN, "arrivals per second, as planned") } else { (CLOSED, "virtual users, as planned") };
    let mut entries = vec![(line_sample("s1"), "answered per second".to_owned()), (line_sample("s8 d3"), planned.to_owned())];
    let late = columns.iter().any(|column| column.arrivals.late > 0);
    if late {
        entries.push((line_sample("s7 d2"), "late arrivals per second".to_owned()));
    }
    entries.extend(shading(&report.plan.spec.load.stages));
    entries.extend(breaking(report));
    let mut content = caption.to_owned() + &key(&entries) + "<figure>" + &answered(report, &columns) + "</figure>\n";
    if open {
        content += &arrivals(report);
    }
    if failed {
        let classes = classes(&columns);
        let entries: Vec<(String, String)> = classes.iter().map(|class| (colour_sample(&format!("f{}", colour(*class))), class.to_string())).collect();
        content += &["<h3>Errors by class</h3>\n", &key(&entries), "<figure>", &errors(report, &columns), "</figure>\n"].concat();
    } else {
        content.push_str("<p>No query failed.</p>\n");
    }
    content += &folded("The same as a table", &table_of(&self::columns(report, MOST_ROWS), open));
    section("load", "Answered queries and errors over time", &content)
}

#[expect(clippy::cast_precision_loss, reason = "seconds")]
fn columns(report: &Report<'_>, most: usize) -> Vec<Slice> {
    let timeline = &report.summary.timeline;
    let together = timeline.points.len().div_ceil(most).max(1);
    let column = |chunk: &[Point]| {
        let mut errors: BTreeMap<Class, u64> = BTreeMap::new();
        for (class, count) in chunk.iter().flat_map(|point| &point.errors) {
            *errors.entry(*class).or_default() += count;
        }
        let seconds = (chunk.len() as u64 * timeline.seconds_per_point).max(1) as f64;
        let mut arrivals = ArrivalCounts::default();
        for point in chunk {
            arrivals.add(&point.arrivals);
        }
        Slice { from: chunk.first().map_or(0, |point| point.second), seconds, ok: chunk.iter().map(|point| point.ok).sum(), errors, arrivals }
    };
    timeline.points.chunks(together).map(column).collect()
}

fn classes(columns: &[Slice]) -> Vec<Class> {
    Class::ALL.into_iter().filter(|class| columns.iter().any(|column| column.errors.contains_key(class))).collect()
}

/// Each class has its own colour in every report, so that pages can be laid side by side.
fn colour(class: Class) -> usize {
    match class {
        Class::Ok | Class::Other => 8,
        Class::Timeout => 2,
        Class::Connection => 7,
        Class::Overload => 4,
        Class::Serialization => 1,
        Class::ReadOnly => 3,
        Class::WrongResult => 6,
        Class::Syntax => 5,
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds")]
fn answered(report: &Report<'_>, columns: &[Slice]) -> String {
    let seconds = length(report);
    let load = &report.plan.spec.load;
    let most = columns.iter().map(|column| column.per_second(column.ok)).fold(1.0, f64::max);
    // Arrivals and answers are drawn on one scale: their distance is what there is to see.
    let planned = if is_open(load) { load.stages.iter().map(level).fold(0.0, f64::max) } else { 0.0 };
    let (x, y) = (Scale::even(0.0, seconds, LEFT, RIGHT), Scale::even(0.0, most.max(planned) * 1.05, 190.0, 26.0));
    let mut chart = Chart::new("answered", "Queries answered per second", &format!("At most {} per second.", plain(most)), 220.0, 26.0, 190.0);
    chart.bands(&x, &bands(&report.plan.spec.load.stages), true);
    chart.horizontal_grid(&y, &y.ticks(5, plain));
    let point = |column: &Slice| (x.at(column.from as f64 + column.seconds / 2.0), y.at(column.per_second(column.ok)));
    if let (Some(first), Some(last)) = (columns.first().map(point), columns.last().map(point)) {
        let mut path = format!("M{:.1} {:.1}", first.0, y.at(0.0));
        for (x, y) in columns.iter().map(point) {
            let _ = write!(path, "L{x:.1} {y:.1}");
        }
        chart.raw(&format!("<path class=\"area\" d=\"{path}L{:.1} {:.1}Z\"/>\n", last.0, y.at(0.0)));
    }
    chart.trace("s1", columns.iter().map(|column| Some(point(column))));
    if is_open(load) {
        chart.trace("s8 d3", shape(&load.stages, &x, &y));
        let late = |column: &Slice| {
            (column.arrivals.late > 0).then(|| (x.at(column.from as f64 + column.seconds / 2.0), y.at(column.per_second(column.arrivals.late))))
        };
        chart.trace("s7 d2", columns.iter().map(late));
    } else {
        users(report, &x, &mut chart);
    }
    chart.broken(&x, &stretches(report), true);
    chart.lower_axis(&x, &time_ticks(seconds));
    chart.finish()
}

/// The planned virtual users as a line of its own scale, with its highest value told.
fn users(report: &Report<'_>, x: &Scale, chart: &mut Chart) {
    let stages = &report.plan.spec.load.stages;
    let most = stages.iter().map(|stage| stage.vus.unwrap_or(0)).max().unwrap_or(1);
    let y = Scale::even(0.0, f64::from(most) * 1.25, 190.0, 26.0);
    chart.trace("s8 d3", shape(stages, x, &y));
    let (right, top) = (RIGHT - 4.0, y.at(f64::from(most)));
    chart.raw(&format!("<text class=\"over\" x=\"{right:.1}\" y=\"{:.1}\" text-anchor=\"end\">{most} users</text>\n", top + 28.0));
}

/// The corners of the planned load: virtual users, or arrivals per second.
fn shape(stages: &[Stage], x: &Scale, y: &Scale) -> Vec<Option<(f64, f64)>> {
    let (mut at, mut before, mut points) = (0.0, 0.0, Vec::new());
    for stage in stages {
        let goal = level(stage);
        let from = if stage.ramp { before } else { goal };
        let to = at + stage.duration.span().as_secs_f64();
        points.extend([Some((x.at(at), y.at(from))), Some((x.at(to), y.at(goal)))]);
        (at, before) = (to, goal);
    }
    points
}

/// What became of each stage's arrivals.
fn arrivals(report: &Report<'_>) -> String {
    let rows = report.summary.stages.iter().zip(&report.summary.arrivals).map(|(row, counts)| {
        let ArrivalCounts { due, sent: _, late, behind, begun } = counts;
        TableRow::from(vec![
            text(&super::rows::stage_name(row)),
            grouped(*due),
            grouped(*begun),
            counts.achieved().map_or_else(|| "–".to_owned(), percent),
            grouped(*late),
            grouped(counts.dropped()),
            grouped(*behind),
        ])
    });
    let head = [
        Column("stage", false),
        Column("arrivals due", true),
        Column("begun while it lasted", true),
        Column("achieved", true),
        Column("late", true),
        Column("dropped", true),
        Column("late by the load generator", true),
    ];
    table("Arrivals of each stage", &head, rows)
}

#[expect(clippy::cast_precision_loss, reason = "seconds")]
fn errors(report: &Report<'_>, columns: &[Slice]) -> String {
    let seconds = length(report);
    let most = columns.iter().map(|column| column.per_second(column.failures())).fold(0.0, f64::max);
    let (x, y) = (Scale::even(0.0, seconds, LEFT, RIGHT), Scale::even(0.0, most * 1.05, 120.0, 10.0));
    let mut chart = Chart::new("errors", "Errors per second by class", &format!("At most {} per second.", plain(most)), 150.0, 10.0, 120.0);
    chart.bands(&x, &bands(&report.plan.spec.load.stages), false);
    chart.horizontal_grid(&y, &y.ticks(4, plain));
    for class in classes(columns) {
        let mut path = String::new();
        for column in columns.iter().filter(|column| column.errors.contains_key(&class)) {
            let (left, right) = (x.at(column.from as f64), x.at(column.from as f64 + column.seconds));
            let below: u64 = column.errors.range(..class).map(|(_, count)| count).sum();
            let (lower, upper) = (y.at(column.per_second(below)), y.at(column.per_second(below + column.errors[&class])));
            // Few errors among many still leave a mark.
            let _ = write!(path, "M{left:.1} {lower:.1}H{:.1}V{:.1}H{left:.1}Z", right.max(left + 1.5), upper.min(lower - 1.5));
        }
        chart.raw(&format!("<path class=\"f{}\" d=\"{path}\"/>\n", colour(class)));
    }
    chart.broken(&x, &stretches(report), false);
    chart.lower_axis(&x, &time_ticks(seconds));
    chart.finish()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole seconds")]
fn table_of(columns: &[Slice], open: bool) -> String {
    let by_class = |column: &Slice| {
        let parts: Vec<String> = column.errors.iter().map(|(class, count)| format!("{class} {}", grouped(*count))).collect();
        if parts.is_empty() { "–".to_owned() } else { parts.join(", ") }
    };
    let rows = columns.iter().map(|column| {
        let until = column.from + column.seconds as u64;
        let mut cells =
            vec![format!("{} to {}", clock(column.from), clock(until)), rate(column.per_second(column.ok)), grouped(column.failures()), by_class(column)];
        if open {
            cells.extend([rate(column.per_second(column.arrivals.due)), grouped(column.arrivals.late)]);
        }
        TableRow::from(cells)
    });
    let mut head = vec![Column("from the start", false), Column("answered per second", true), Column("errors", true), Column("errors by class", false)];
    if open {
        head.extend([Column("arrivals due per second", true), Column("late", true)]);
    }
    table("Answered queries and errors over time", &head, rows)
}
