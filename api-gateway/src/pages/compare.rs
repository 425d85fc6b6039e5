//! Two runs side by side, from what both left in the bucket. Whether a difference is more than chance is not said here: that needs the seconds of
//! both runs, and a plan that asks for a comparison has it in its report. Where one of the two was judged against the other, its word is shown.

mod results;

use axum::{extract::State, response::Html};
use crucible_lifecycle::{
    comparison::signed_percent,
    latency::human_mean,
    results::pieces::{
        chart::{Chart, LEFT, RIGHT, Scale, key, latency_label, line_sample, plain, time_ticks},
        markup::{Column, TableRow, percent, rate, section, table, text},
    },
};
use crucible_store::ledger::ListRuns;
use serde::Deserialize;

use self::results::{Measured, Point, Row};
use super::{
    frame::{Frame, Here},
    run,
    seen::Seen,
    words,
};
use crate::{
    error::ApiError,
    legacy::{self, Asked, RunId},
    state::Gateway,
};

/// No results are larger; ours are bounded far below.
const MOST_BYTES: u64 = 8 << 20;
/// How many runs are offered.
const OFFERED: u32 = 50;

/// Which two runs.
#[derive(Debug, Default, Deserialize)]
pub struct Which {
    one: Option<String>,
    other: Option<String>,
}

/// One of the two.
struct Side {
    seen: Seen,
    measured: Result<Measured, String>,
}

/// Two runs side by side, or the form that asks which.
pub async fn compare(State(gateway): State<Gateway>, Asked(Which { one, other }): Asked<Which>) -> Result<Html<String>, ApiError> {
    let [one, other] = [one, other].map(|word| word.map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()));
    let form = form(&offered(&gateway).await, one.as_deref(), other.as_deref());
    let content = match (&one, &other) {
        (Some(one), Some(other)) => {
            let (one, other) = tokio::try_join!(side(&gateway, "one", one), side(&gateway, "other", other))?;
            side_by_side(&one, &other)
        }
        (Some(_), None) | (None, Some(_)) => "<p class=\"soft\">Name the other run as well.</p>\n".to_owned(),
        (None, None) => "<p class=\"soft\">Name two runs that have ended.</p>\n".to_owned(),
    };
    let main = format!("<h1>Compare two runs</h1>\n{form}{content}");
    Ok(Html(Frame { here: Here::Compare, ..Frame::new("Compare two runs", main) }.page(&gateway)))
}

/// The newest runs that have ended, to choose from. A list that cannot be had costs only the choice.
async fn offered(gateway: &Gateway) -> Vec<Seen> {
    let query = ListRuns { namespace: gateway.settings.namespace.clone(), label: None, after: None, limit: OFFERED };
    let listed = gateway.listed.page(&query).await.unwrap_or_else(|_| gateway.listed.known(&query));
    listed.rows.iter().map(Seen::of).filter(|run| !run.is_live()).collect()
}

fn form(offered: &[Seen], one: Option<&str>, other: Option<&str>) -> String {
    let option = |run: &Seen| {
        let verdict = run.said.verdict.map_or_else(|| run.word().to_owned(), |outcome| outcome.as_str().to_owned());
        format!("<option value=\"{}\">{}</option>", text(&run.run_id), text(&verdict))
    };
    let options: Vec<String> = offered.iter().map(option).collect();
    let field = |name: &str, label: &str, value: Option<&str>| {
        format!(
            "<div><label for=\"{name}\">{label}</label><input id=\"{name}\" name=\"{name}\" list=\"runs\" value=\"{}\" class=\"long\" required></div>",
            text(value.unwrap_or_default())
        )
    };
    format!(
        "<form method=\"get\" action=\"/ui/compare\" class=\"search\">{}{}<button>Compare</button><datalist id=\"runs\">{}</datalist></form>\n",
        field("one", "Earlier run", one),
        field("other", "Later run", other),
        options.concat()
    )
}

async fn side(gateway: &Gateway, name: &str, run_id: &str) -> Result<Side, ApiError> {
    let RunId(run_id) = RunId::parse(run_id).ok_or_else(|| ApiError::invalid(&["query", name], "is no id of a run", "value_error"))?;
    let seen = run::find(gateway, &run_id).await?;
    let read = legacy::object(&*gateway.vault, &format!("results/{run_id}/results.json"), MOST_BYTES).await?;
    let measured = match read {
        None => Err("has left no results".to_owned()),
        Some(bytes) => Measured::read(&bytes).ok_or_else(|| "has left results that cannot be read".to_owned()),
    };
    Ok(Side { seen, measured })
}

fn side_by_side(one: &Side, other: &Side) -> String {
    let lacking: Vec<String> = [one, other]
        .iter()
        .filter_map(|side| {
            Some(format!(
                "<p class=\"note\" role=\"status\">Run <span class=\"id\">{}</span> {}.</p>\n",
                text(&side.seen.run_id),
                text(side.measured.as_ref().err()?)
            ))
        })
        .collect();
    let (Ok(left), Ok(right)) = (&one.measured, &other.measured) else { return lacking.concat() };
    [judged(one, other, right), identities(one, left, other, right), figures(left, right), charts(left, right)].concat()
}

/// What the comparison of the later run says, where it was this one.
fn judged(one: &Side, other: &Side, right: &Measured) -> String {
    let Some((change, _)) = right.judged.as_ref().filter(|(_, baseline)| *baseline == one.seen.run_id) else {
        return "<p class=\"soft\">A difference here may be chance. A plan with <code>compare</code> has it judged, with intervals, in its report.</p>\n"
            .to_owned();
    };
    let (class, words) = match change.as_str() {
        "Slower" => ("bad", "✗ Slower"),
        "Faster" => ("good", "✓ Faster"),
        "NoChange" => ("good", "✓ Not slower"),
        _ => ("open", "? Not enough data to say"),
    };
    format!(
        "<p><span class=\"mark {class}\">{words}</span>: that is what the later run was judged against the earlier. <a href=\"/ui/runs/{}/report#comparison\">The report</a> has the intervals.</p>\n",
        text(&other.seen.run_id)
    )
}

/// What was run, and what of it differs.
fn identities(one: &Side, left: &Measured, other: &Side, right: &Measured) -> String {
    let link = |side: &Side| format!("<a class=\"id\" href=\"/ui/runs/{0}\">{0}</a>", text(&side.seen.run_id));
    let verdict = |side: &Side| side.seen.said.verdict.map_or_else(|| text(side.seen.word()), words::outcome);
    let begun = |side: &Side| side.seen.said.started_at.or(side.seen.said.created_at).map_or_else(|| "–".to_owned(), words::instant);
    let row = |name: &str, left: String, right: String| TableRow::from(vec![name.to_owned(), left, right, String::new()]);
    let mut rows = vec![row("run", link(one), link(other)), row("verdict", verdict(one), verdict(other)), row("begun", begun(one), begun(other))];
    for ((name, left), (_, right)) in left.facts().iter().zip(right.facts()) {
        let (class, word) = if *left == right { ("", "") } else { ("open", "<span class=\"mark open\">differs</span>") };
        rows.push(TableRow { class, cells: vec![(*name).to_owned(), text(left), text(&right), word.to_owned()] });
    }
    let head = [Column("", false), Column("earlier", false), Column("later", false), Column("same?", false)];
    section("identity", "What was run", &table("Both runs, and what differs", &head, rows))
}

fn figures(left: &Measured, right: &Measured) -> String {
    let latency = |micros: Option<f64>| micros.map_or_else(|| "–".to_owned(), human_mean);
    let cell = |left: Option<f64>, right: Option<f64>, shown: &dyn Fn(Option<f64>) -> String| {
        let change = left.zip(right).filter(|(left, _)| *left > 0.0).map(|(left, right)| signed_percent(right / left - 1.0));
        format!("{} → {}<br><span class=\"soft\">{}</span>", shown(left), shown(right), change.unwrap_or_default())
    };
    let per_second = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), rate);
    let share = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), percent);
    let row = |(name, left, right): (String, Option<&Row>, Option<&Row>)| {
        let of = |figure: fn(&Row) -> Option<f64>| (left.and_then(figure), right.and_then(figure));
        let ((rate_then, rate_now), (errors_then, errors_now)) = (of(|row| Some(row.throughput)), of(|row| row.error_rate));
        let ((p50_then, p50_now), (p95_then, p95_now), (p99_then, p99_now)) = (of(|row| row.p50), of(|row| row.p95), of(|row| row.p99));
        TableRow::from(vec![
            text(&name),
            cell(rate_then, rate_now, &per_second),
            cell(p50_then, p50_now, &latency),
            cell(p95_then, p95_now, &latency),
            cell(p99_then, p99_now, &latency),
            format!("{} → {}", share(errors_then), share(errors_now)),
        ])
    };
    let mut names: Vec<&str> = left.queries.iter().map(|query| query.name.as_str()).collect();
    names.extend(right.queries.iter().map(|query| query.name.as_str()).filter(|name| left.query(name).is_none()));
    let all = std::iter::once(("all queries".to_owned(), left.all.as_ref(), right.all.as_ref())).filter(|(_, left, right)| left.is_some() || right.is_some());
    let each = names.iter().map(|name| ((*name).to_owned(), left.query(name), right.query(name)));
    let head = [Column("query", false), Column("per second", true), Column("p50", true), Column("p95", true), Column("p99", true), Column("errors", true)];
    section("figures", "Queries", &table("Earlier → later, over the measured stages", &head, all.chain(each).map(row)))
}

/// Both runs over time, where both have a timeline.
fn charts(left: &Measured, right: &Measured) -> String {
    if left.points.is_empty() || right.points.is_empty() {
        return String::new();
    }
    let p95 = chart("p95", "95th percentile of the latency", left, right, |point| point.p95, &latency_label);
    let answered = chart("answered", "Queries answered per second", left, right, |point| Some(point.per_second), &plain);
    let samples = key(&[(line_sample("s1"), "earlier".to_owned()), (line_sample("s2"), "later".to_owned())]);
    section(
        "time",
        "Over time",
        &format!(
            "{samples}<figure><figcaption>95th percentile of the latency</figcaption>{p95}</figure>\n<figure><figcaption>Queries answered per second</figcaption>{answered}</figure>\n"
        ),
    )
}

fn chart(id: &str, title: &str, left: &Measured, right: &Measured, figure: fn(&Point) -> Option<f64>, label: &dyn Fn(f64) -> String) -> String {
    const BOTTOM: f64 = 180.0;
    let points = || left.points.iter().chain(&right.points);
    let seconds = points().map(|point| point.second).fold(1.0, f64::max);
    let most = points().filter_map(figure).fold(0.0, f64::max);
    let (x, y) = (Scale::even(0.0, seconds, LEFT, RIGHT), Scale::even(0.0, most * 1.05, BOTTOM, 12.0));
    let mut chart = Chart::new(id, title, "One line for each run; the table above has the figures.", BOTTOM + 26.0, 12.0, BOTTOM);
    chart.horizontal_grid(&y, &y.ticks(4, label));
    chart.lower_axis(&x, &time_ticks(seconds));
    for (class, run) in [("s1", left), ("s2", right)] {
        chart.trace(class, run.points.iter().map(|point| Some((x.at(point.second), y.at(figure(point)?)))));
    }
    chart.finish()
}
