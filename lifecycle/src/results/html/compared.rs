//! The comparison with an earlier run, and the runs of the plan over time.

use std::fmt::Write as _;

use crucible_crds::name::Label;

use super::{
    chart::{Chart, LEFT, RIGHT, Scale, WIDTH, latency_label},
    markup::{Column, TableRow, folded, section, shortened, table, text},
};
use crate::{
    comparison::{Across, ComparedRow, Comparison, Difference, Past, Repeats, Trend, interval_in_words, signed_percent},
    latency::human_mean,
    results::Report,
    statistics::{
        Change,
        bootstrap::{Measure, Shift},
    },
};

/// The most queries that are drawn; the table has all of them.
const MOST_DRAWN: usize = 24;
const ROW: f64 = 26.0;

/// The section of the comparison; nothing where the plan does not ask for one.
pub(super) fn comparison(report: &Report<'_>) -> String {
    let Some(comparison) = report.comparison else { return String::new() };
    let Comparison { asked, arms, required: _, measure, limit, baseline, differences, obstacle, rows, earlier: _, change } = comparison;
    if let Some(arms) = arms {
        return between_arms(comparison, arms);
    }
    let mut content = match (obstacle, baseline) {
        (Some(obstacle), _) => format!("<p><strong>Nothing was compared.</strong> {}.</p>\n", text(obstacle)),
        (None, Some(past)) => format!(
            "<p>{} Compared with the {}: <span class=\"id\">{}</span>, begun {:.0}. More than {} at {} counts as slower.</p>\n",
            in_words(*change),
            text(asked),
            text(&past.run_id),
            past.started_at,
            signed_percent(*limit),
            measure.as_str()
        ),
        (None, None) => String::new(),
    };
    if !differences.is_empty() {
        content += &difference_table(differences);
    }
    if !rows.is_empty() {
        content += "<p class=\"soft\">Each bar is the interval in which the change lies, by resampling the seconds of both runs in blocks; all bars together hold in 95 of 100 comparisons.</p>\n";
        content += &["<figure>", &bars(comparison), "</figure>\n"].concat();
        content += &row_table(&format!("Then and now; {} decides", measure.as_str()), rows);
    }
    if let Some(trend) = report.trend {
        content += &over_runs(trend, *measure);
    }
    section("comparison", "Comparison with an earlier run", &content)
}

/// The section of the two arms of one run.
fn between_arms(comparison: &Comparison, [first, second]: &[Label; 2]) -> String {
    let Comparison { measure, limit, rows, change, .. } = comparison;
    let told = format!(
        "<p>{} Arm <span class=\"id\">{}</span> against arm <span class=\"id\">{}</span>, which were asked in turns. More than {} at {} counts as slower.</p>\n\
         <p class=\"soft\">Each bar is the interval in which the change lies, by resampling the seconds of both arms in blocks; all bars together hold in 95 of 100 \
         comparisons. Where each arm has 4 rounds or more, a change counts only if these show it too.</p>\n",
        in_words(*change),
        text(second),
        text(first),
        signed_percent(*limit),
        measure.as_str()
    );
    let caption = format!("{first} → {second}; {} decides", measure.as_str());
    section("comparison", "Comparison of the two arms", &[&told, "<figure>", &bars(comparison), "</figure>\n", &row_table(&caption, rows)].concat())
}

fn in_words(change: Change) -> &'static str {
    match change {
        Change::Slower => "<span class=\"mark bad\">✗ Slower.</span>",
        Change::Faster => "<span class=\"mark good\">✓ Faster.</span>",
        Change::NoChange => "<span class=\"mark good\">✓ Not slower.</span>",
        Change::NotEnoughData => "<span class=\"mark open\">? Not enough data to say.</span>",
    }
}

fn difference_table(differences: &[Difference]) -> String {
    let row = |difference: &Difference| {
        let Difference { piece, baseline, candidate, expected } = difference;
        let (class, allowed) = if *expected { ("", "yes") } else { ("bad", "no") };
        TableRow { class, cells: vec![text(piece), text(baseline), text(candidate), allowed.to_owned()] }
    };
    let head = [Column("what differs", false), Column("then", false), Column("now", false), Column("may differ", false)];
    table("What the two runs do not have in common", &head, differences.iter().map(row))
}

fn name(row: &ComparedRow) -> &str {
    row.query.as_deref().unwrap_or("all queries")
}

/// One bar for each query around the line of no change, with the limit.
fn bars(comparison: &Comparison) -> String {
    let Comparison { measure, limit, rows, .. } = comparison;
    let mut drawn: Vec<(&ComparedRow, crate::statistics::Interval)> = rows.iter().filter_map(|row| Some((row, row.deciding(*measure)?.interval?))).collect();
    // All queries together stay on top, then those that became slowest.
    drawn.sort_by(|(one, a), (other, b)| one.query.is_some().cmp(&other.query.is_some()).then(b.estimate.total_cmp(&a.estimate)));
    drawn.truncate(MOST_DRAWN);
    let reach = drawn.iter().flat_map(|(_, interval)| [interval.low.abs(), interval.high.abs()]).fold(limit * 1.6, f64::max).min(10.0) * 1.08;
    let bottom = 24.0 + ROW * f64::from(u32::try_from(drawn.len()).unwrap_or(1));
    let x = Scale::even(-reach.min(1.0), reach, 230.0, RIGHT - 190.0);
    let title = format!("Change of {} for each query", measure.as_str());
    let mut chart = Chart::new("bars", &title, "Bars to the right of the middle line are slower, to the left faster.", bottom + 34.0, 20.0, bottom);
    for (value, label) in x.ticks(6, signed_percent) {
        let (at, y) = (x.at(value), bottom + 18.0);
        chart.raw(&format!("<path class=\"grid\" d=\"M{at:.1} 20V{bottom:.1}\"/><text x=\"{at:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{label}</text>\n"));
    }
    let (none, most) = (x.at(0.0), x.at(*limit));
    chart.raw(&format!("<path class=\"axis\" d=\"M{none:.1} 16V{bottom:.1}\"/><path class=\"limit\" d=\"M{most:.1} 16V{bottom:.1}\"/><text class=\"limit-name\" x=\"{:.1}\" y=\"12\">limit</text>\n", most - 12.0));
    for (index, (row, interval)) in drawn.iter().enumerate() {
        let y = 20.0 + ROW * (f64::from(u32::try_from(index).unwrap_or(0)) + 0.5);
        let (low, middle, high) = (x.at(interval.low), x.at(interval.estimate), x.at(interval.high));
        let class = match row.change {
            Change::Slower => "bad",
            Change::Faster | Change::NoChange => "good",
            Change::NotEnoughData => "open",
        };
        let _ = writeln!(
            Text(&mut chart),
            "<text class=\"name\" x=\"222\" y=\"{0:.1}\" text-anchor=\"end\">{1}</text><path class=\"trace s-{class}\" stroke-width=\"3\" d=\"M{low:.1} {y:.1}H{high:.1}M{low:.1} {2:.1}v10M{high:.1} {2:.1}v10\"/><circle class=\"f-{class}\" cx=\"{middle:.1}\" cy=\"{y:.1}\" r=\"4.5\"/><text x=\"{3:.1}\" y=\"{0:.1}\" text-anchor=\"end\">{4}</text>",
            y + 4.0,
            text(&shortened(name(row), 30)),
            y - 5.0,
            WIDTH - 12.0,
            interval_in_words(interval)
        );
    }
    chart.finish()
}

/// Writes formatted markup into a drawing.
struct Text<'a>(&'a mut Chart);

impl std::fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.raw(text);
        Ok(())
    }
}

fn row_table(caption: &str, rows: &[ComparedRow]) -> String {
    let figure = |shift: &Shift| {
        let shown = |value: Option<f64>| match (value, shift.measure) {
            (None, _) => "–".to_owned(),
            (Some(value), Measure::Throughput) => format!("{}/s", super::markup::rate(value)),
            (Some(micros), Measure::P50 | Measure::P95 | Measure::P99) => human_mean(micros),
        };
        let change = shift.interval.map_or_else(|| "too little data".to_owned(), |interval| interval_in_words(&interval).replacen(" (", "<br>(", 1));
        format!("{} → {}<br><span class=\"soft\">{change}</span>", shown(shift.baseline), shown(shift.candidate))
    };
    let row = |row: &ComparedRow| {
        let (class, word) = match row.change {
            Change::Slower => ("bad", "slower"),
            Change::Faster => ("", "faster"),
            Change::NoChange => ("", "not slower"),
            Change::NotEnoughData => ("open", "not enough data"),
        };
        let rounds = row.across.as_ref().map(|across| format!("<br><span class=\"soft\">{}</span>", rounds_in_words(across))).unwrap_or_default();
        let cells = std::iter::once(text(name(row))).chain(row.shifts.iter().map(figure)).chain([word.to_owned() + &rounds]).collect();
        TableRow { class, cells }
    };
    let head = [Column("query", false), Column("p50", true), Column("p95", true), Column("p99", true), Column("throughput", true), Column("answer", false)];
    table(caption, &head, rows.iter().map(row))
}

/// What the rounds of both say of the deciding percentile.
fn rounds_in_words(across: &Across) -> String {
    let Across { baseline, candidate, answer } = across;
    format!("{baseline} and {candidate} rounds: {}, {}", signed_percent(answer.change), probability(answer.p))
}

/// How likely a difference is where there is none.
fn probability(p: f64) -> String {
    if p < 0.001 { "p &lt; 0.001".to_owned() } else { format!("p = {p:.3}") }
}

/// The runs of the plan over time, where there are several.
fn over_runs(trend: &Trend, measure: Measure) -> String {
    let Trend { runs, changes, repeats } = trend;
    let values: Vec<f64> = runs.iter().filter_map(|past| past.micros(measure)).collect();
    if values.len() < 2 {
        return String::new();
    }
    let told = changes.last().map_or_else(
        || format!("<p>Over {} runs no lasting change of {} is found.</p>\n", values.len(), measure.as_str()),
        |point| {
            let run = runs.get(point.at).map_or("", |past| past.run_id.as_str());
            let share = point.after / point.before - 1.0;
            format!(
                "<p>Over {} runs {} last changed with run <span class=\"id\">{}</span>: from {} to {}, {}.</p>\n",
                values.len(),
                measure.as_str(),
                text(run),
                human_mean(point.before),
                human_mean(point.after),
                signed_percent(share)
            )
        },
    );
    let repeated = repeats.as_ref().map(repeats_in_words).unwrap_or_default();
    format!(
        "<h3>The runs of this plan over time</h3>\n{told}{repeated}<figure>{}</figure>\n{}",
        steps(trend, &values, measure),
        folded("The same as a table", &run_table(runs, measure))
    )
}

fn repeats_in_words(repeats: &Repeats) -> String {
    let Repeats { baseline, candidate, answer } = repeats;
    let said = if answer.p <= 0.05 { "The runs of the two versions differ" } else { "The runs of the two versions cannot be told apart" };
    format!(
        "<p>{said}: {} runs against {} and {} against {}, {} in the middle (Mann-Whitney U = {}, {}).</p>\n",
        baseline.1,
        text(&baseline.0),
        candidate.1,
        text(&candidate.0),
        signed_percent(answer.change),
        answer.u,
        probability(answer.p)
    )
}

/// One dot for each run, and the levels between the changes.
fn steps(trend: &Trend, values: &[f64], measure: Measure) -> String {
    let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    let (low, high) = (values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied().fold(0.0, f64::max));
    let x = Scale::even(-0.5, count(values.len()) - 0.5, LEFT, RIGHT);
    let y = Scale::even((low * 0.92).max(0.0), high * 1.08, 150.0, 14.0);
    let title = format!("{} of each run of the plan, oldest first", measure.as_str());
    let mut chart = Chart::new("trend", &title, "The last dot is this run.", 172.0, 14.0, 150.0);
    chart.horizontal_grid(&y, &y.ticks(4, latency_label));
    let starts: Vec<usize> = std::iter::once(0).chain(trend.changes.iter().map(|point| point.at)).collect();
    for (index, start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(values.len());
        let level = values.get(*start..end).unwrap_or_default();
        let mean = (level.iter().map(|value| value.ln()).sum::<f64>() / count(level.len().max(1))).exp();
        chart.trace("s8 d3", [Some((x.at(count(*start) - 0.4), y.at(mean))), Some((x.at(count(end) - 0.6), y.at(mean)))]);
        if index > 0 {
            let edge = x.at(count(*start) - 0.5);
            chart.raw(&format!("<path class=\"edge\" d=\"M{edge:.1} 14V150\"/>\n"));
        }
    }
    for (index, value) in values.iter().enumerate() {
        let last = index + 1 == values.len();
        let (class, radius) = if last { ("f2", 6.0) } else { ("f1", 4.0) };
        chart.raw(&format!("<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\"/>\n", x.at(count(index)), y.at(*value)));
    }
    chart.raw(&format!("<text x=\"{RIGHT}\" y=\"168\" text-anchor=\"end\">this run</text><text x=\"{LEFT}\" y=\"168\">oldest</text>\n"));
    chart.finish()
}

fn run_table(runs: &[Past], measure: Measure) -> String {
    let row = |past: &Past| {
        TableRow::from(vec![
            format!("<span class=\"id\">{}</span>", text(&past.run_id)),
            format!("{:.0}", past.started_at),
            text(past.fingerprint.version()),
            past.micros(measure).map_or_else(|| "–".to_owned(), human_mean),
            super::markup::rate(past.throughput),
        ])
    };
    let head = [Column("run", false), Column("begun", false), Column("version", false), Column(measure.as_str(), true), Column("per second", true)];
    table("The runs of this plan, oldest first", &head, runs.iter().map(row))
}
