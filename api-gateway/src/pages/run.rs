//! One run: while it is live its phase, its figures and its charts, and once it has ended its verdict, its checks, its steps and its report.

use std::{cmp::Ordering, collections::HashMap};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{Html, Response},
};
use crucible_crds::{Check, Outcome, Phase, TestRun, Verdict};
use crucible_lifecycle::results::pieces::{
    check_table, class, in_words, mark,
    markup::{Column, TableRow, folded, section, table, text},
    sentence,
};
use crucible_store::ledger::TransitionRow;
use jiff::Timestamp;
use kube::Api;

use super::{files, frame::Frame, list, seen::Seen, words};
use crate::{
    error::ApiError,
    legacy::{RunId, unknown},
    native,
    state::Gateway,
};

/// How often a browser that runs no script asks for a live run again.
const SECONDS: u32 = 5;
/// How many reasons stand beside a verdict.
const MOST_REASONS: usize = 4;

/// What is known of an ended run beyond what lists show.
#[derive(Default)]
struct Details {
    verdict: Option<Verdict>,
    steps: Vec<(Timestamp, String, String)>,
    /// What could not be asked.
    missing: Option<&'static str>,
}

/// A run.
pub async fn run(State(gateway): State<Gateway>, RunId(run_id): RunId) -> Result<Html<String>, ApiError> {
    let seen = find(&gateway, &run_id).await?;
    let word = match seen.said.verdict {
        Some(outcome) => in_words(outcome),
        None => seen.word(),
    };
    let title = format!("{run_id}: {word}");
    let page = if seen.is_live() {
        Frame { again_without_script: Some(SECONDS), ..Frame::new(&title, live(&gateway, &seen)) }.page(&gateway)
    } else {
        let details = details(&gateway, &seen).await;
        Frame::new(&title, ended(&gateway, &seen, &details).await).page(&gateway)
    };
    Ok(Html(page))
}

/// The progress of a run as it happens, for the script of its page.
pub async fn events(State(gateway): State<Gateway>, RunId(run_id): RunId, headers: HeaderMap) -> Result<Response, ApiError> {
    let namespace = gateway.settings.namespace.clone();
    let run = gateway.runs.by_id(&namespace, &run_id).ok_or_else(|| unknown(&gateway, &run_id))?;
    native::follow(gateway, namespace, run.name().to_owned(), headers)
}

/// A run, whoever knows it.
pub async fn find(gateway: &Gateway, run_id: &str) -> Result<Seen, ApiError> {
    let namespace = &gateway.settings.namespace;
    if let Some(run) = gateway.runs.by_id(namespace, run_id) {
        return Ok(Seen::of_run(&run));
    }
    let row = match &gateway.ledger {
        Some(ledger) => ledger.find(namespace, run_id).await?,
        None => None,
    };
    row.map(|row| Seen::of_row(&row)).ok_or_else(|| unknown(gateway, run_id))
}

/// What is known beyond the row: from the object, else from the ledger. What cannot be asked costs only itself.
async fn details(gateway: &Gateway, seen: &Seen) -> Details {
    let namespace = &gateway.settings.namespace;
    if let Some(run) = gateway.runs.by_id(namespace, &seen.run_id) {
        let api: Api<TestRun> = Api::namespaced(gateway.client.clone(), namespace);
        match api.get_opt(run.name()).await {
            Ok(Some(run)) => {
                let status = run.status.unwrap_or_default();
                let steps = status.transitions.into_iter().map(|step| (step.at.0, words::phase(step.phase).to_owned(), step.reason));
                return Details { verdict: status.verdict, steps: steps.collect(), missing: None };
            }
            // It went away meanwhile.
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "the checks of a run are left out of its page");
                return Details { missing: Some("The cluster"), ..Details::default() };
            }
        }
    }
    let Some(ledger) = &gateway.ledger else { return Details::default() };
    let asked = tokio::try_join!(ledger.find(namespace, &seen.run_id), ledger.transitions(namespace, &seen.run_id));
    let (row, steps) = match asked {
        Ok(asked) => asked,
        Err(error) => {
            tracing::warn!(%error, "the checks of a run are left out of its page");
            return Details { missing: Some("The ledger"), ..Details::default() };
        }
    };
    let step = |TransitionRow { phase, at, reason }: TransitionRow| (at, phase, reason);
    let verdict = row.and_then(|row| serde_json::from_value(row.summary?.get("verdict")?.clone()).ok());
    Details { verdict, steps: steps.into_iter().map(step).collect(), missing: None }
}

/// The page of a run that goes on.
fn live(gateway: &Gateway, seen: &Seen) -> String {
    let Seen { run_id, known, .. } = seen;
    let stop = if seen.is_stopping() { String::new() } else { format!("<a class=\"button bad\" href=\"/ui/runs/{run_id}/stop\">Stop this run…</a>") };
    // What only the ledger knows nobody tells of as it happens: such a page is asked for again instead.
    let (every, charts) = if *known { ("", charts(seen)) } else { ("5", String::new()) };
    format!(
        "<p class=\"trail\"><a href=\"/ui/\">Runs</a></p>\n<div data-live=\"{every}\">\n<div class=\"verdict live\"><div class=\"head\"><h1><span class=\"word\" role=\"status\">{}</span> · {}</h1>{stop}</div>\n\
         {}{}<p class=\"through\">{}</p></div>\n{}{}</div>\n{charts}",
        text(seen.word()),
        text(&seen.plan),
        about(seen),
        message(seen),
        list::progress(seen).unwrap_or_default(),
        steps_ahead(seen),
        figures(gateway, seen),
    )
}

/// Which run this is.
fn about(seen: &Seen) -> String {
    let Seen { run_id, plan, label, engine, said, .. } = seen;
    let label = label.as_ref().filter(|label| *label != plan).map(|label| format!(", labelled {}", text(label))).unwrap_or_default();
    let engine = engine.as_ref().map(|engine| format!(", against {}", text(engine))).unwrap_or_default();
    let begun = said.started_at.or(said.created_at).map(|at| format!(", begun {}", words::instant(at))).unwrap_or_default();
    format!("<p class=\"about\">Run <span class=\"id\">{}</span>{label}{engine}{begun}</p>\n", text(run_id))
}

fn message(seen: &Seen) -> String {
    seen.said.message.as_ref().filter(|said| !said.is_empty()).map(|said| format!("<p class=\"said\">{}</p>\n", text(&sentence(said)))).unwrap_or_default()
}

/// The phases that a run goes through, and where it is.
fn steps_ahead(seen: &Seen) -> String {
    use Phase::{Collecting, Completed, Executing, Failed, Loading, Pending, Queued, Stopping, WaitingRoom};
    let Some(now) = seen.phase.map(|phase| if seen.is_stopping() { Stopping } else { phase }) else { return String::new() };
    let on_the_way = |phase: &Phase| match phase {
        Pending | Queued | WaitingRoom | Executing | Completed => true,
        // Few runs load data, and one that is stopped goes its own way to the end.
        Loading => now == Loading,
        Collecting => now != Stopping,
        Stopping => now == Stopping,
        Failed => false,
    };
    let item = |phase: Phase| {
        let (class, current) = match phase.cmp(&now) {
            Ordering::Less => ("done", ""),
            Ordering::Equal => ("now", " aria-current=\"step\""),
            Ordering::Greater => ("ahead", ""),
        };
        format!("<li class=\"{class}\"{current}>{}</li>", words::phase(phase))
    };
    let items: String = Phase::ALL.into_iter().filter(on_the_way).map(item).collect();
    format!("<ol class=\"steps\" aria-label=\"Phases\">{items}</ol>\n")
}

/// The figures that everybody asks for.
fn figures(gateway: &Gateway, seen: &Seen) -> String {
    let said = &seen.said;
    let nothing = || "–".to_owned();
    if !seen.is_live() && said.queries_per_second.is_none() && said.p95.is_none() {
        return String::new();
    }
    let mut figures = vec![
        ("answered per second", said.queries_per_second.as_deref().map_or_else(nothing, words::rate)),
        ("p95", said.p95.as_deref().map_or_else(nothing, words::figure)),
        ("errors", said.error_rate.as_deref().map_or_else(nothing, words::figure)),
    ];
    figures.extend(said.workers.as_deref().map(|workers| ("workers", text(workers))));
    if seen.is_live() {
        figures.extend(said.stage.as_deref().map(|stage| ("stage", text(stage))));
        let left = said.ends_at.filter(|_| seen.phase == Some(Phase::Executing)).map(|at| at.duration_since(gateway.clock.now()).as_secs().max(0));
        figures.extend(left.map(|seconds| ("left", format!("{}:{:02}", seconds / 60, seconds % 60))));
    } else {
        let took = said.started_at.zip(said.completed_at).map(|(from, to)| to.duration_since(from).as_secs().max(0));
        figures.extend(took.map(|seconds| ("took", format!("{}:{:02}", seconds / 60, seconds % 60))));
        figures.extend(said.completed_at.map(|at| ("ended", format!("{} ago", words::aged(gateway.clock.now(), at)))));
    }
    let items = figures.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>"));
    format!("<dl class=\"figures\">{}</dl>\n", items.collect::<String>())
}

/// Where the script draws. Without one there is nothing to be seen here.
fn charts(seen: &Seen) -> String {
    let chart = |key: &str, name: &str| {
        format!(
            "<figure data-chart=\"{key}\"><figcaption id=\"chart-{key}\">{name}</figcaption><svg viewBox=\"0 0 1000 150\" role=\"img\" aria-labelledby=\"chart-{key}\"></svg></figure>"
        )
    };
    let seconds = seen.said.started_at.zip(seen.said.ends_at).map(|(from, to)| to.duration_since(from).as_secs().max(1).to_string()).unwrap_or_default();
    format!(
        "<section data-events=\"/ui/runs/{id}/events\" data-run=\"{id}\" data-seconds=\"{seconds}\" class=\"charts\" aria-label=\"Live charts\" hidden>{}{}{}</section>\n",
        chart("queries_per_second", "Queries answered per second"),
        chart("p95", "95th percentile of their latency, in milliseconds"),
        chart("error_rate", "Queries that failed, in per cent"),
        id = seen.run_id,
    )
}

/// The page of a run that has ended.
async fn ended(gateway: &Gateway, seen: &Seen, details: &Details) -> String {
    let files = files::left(gateway, &seen.run_id).await;
    let report = files.as_ref().map(|files| files::has(files, &seen.run_id, "report.html"));
    let mut out = format!("<p class=\"trail\"><a href=\"/ui/\">Runs</a></p>\n{}{}", verdict_card(seen, details), figures(gateway, seen));
    let way = match report {
        Ok(true) => format!(
            "<p class=\"actions\"><a class=\"button main\" href=\"/ui/runs/{0}/report\">Open the report</a><a class=\"button\" href=\"/ui/compare?other={0}\">Compare with another run</a></p>\n",
            seen.run_id
        ),
        Ok(false) => String::new(),
        Err(&()) => "<p class=\"note\" role=\"status\">Object storage cannot be reached right now, so nobody knows what the run has left.</p>\n".to_owned(),
    };
    out += &way;
    let checks: Vec<&Check> = details.verdict.iter().flat_map(|verdict| &verdict.checks).collect();
    let checks = if checks.is_empty() { String::new() } else { check_table("Every check, with its limit", &checks) };
    let steps = steps_behind(&details.steps);
    let files = files.as_ref().map(|files| files::listed(files, &seen.run_id)).unwrap_or_default();
    if report == Ok(true) {
        let frame = format!("<iframe class=\"report\" title=\"Report of {0}\" src=\"/ui/runs/{0}/report\" sandbox></iframe>\n", seen.run_id);
        out += &(if checks.is_empty() { checks } else { folded("Checks", &checks) });
        out += &folded("Steps", &steps);
        out += &folded("Files", &files);
        out += &frame;
    } else {
        if !checks.is_empty() {
            out += &section("checks", "Checks", &checks);
        }
        out += &section("steps", "Steps", &steps);
        if !files.is_empty() {
            out += &section("files", "Files", &files);
        }
    }
    out
}

/// The verdict, or where there is none what the run ended with, and why.
fn verdict_card(seen: &Seen, details: &Details) -> String {
    let outcome = details.verdict.as_ref().map(|verdict| verdict.outcome).or(seen.said.verdict);
    let (colour, word) = match outcome {
        Some(outcome) => (class(outcome), format!("{} {}", mark(outcome), in_words(outcome))),
        None if seen.phase == Some(Phase::Failed) => ("open", "! Failed without results".to_owned()),
        None => ("open", seen.word().to_owned()),
    };
    let mut reasons: Vec<String> = details.verdict.iter().flat_map(|verdict| &verdict.reasons).take(MOST_REASONS).map(|reason| sentence(reason)).collect();
    if reasons.is_empty() || outcome == Some(Outcome::HarnessError) {
        reasons.extend(seen.said.message.clone().filter(|said| !said.is_empty() && !reasons.contains(said)));
    }
    let reasons: Vec<String> = reasons.iter().map(|reason| format!("<li>{}</li>", text(reason))).collect();
    let why = if reasons.is_empty() { String::new() } else { format!("<ul class=\"why\">{}</ul>\n", reasons.concat()) };
    let missing =
        details.missing.map(|who| format!("<p class=\"note\" role=\"status\">{who} cannot be reached right now: reasons and checks are left out.</p>\n"));
    format!(
        "<div class=\"verdict {colour}\"><h1><span class=\"word\">{}</span> · {}</h1>\n{}{why}{}</div>\n",
        text(&word),
        text(&seen.plan),
        about(seen),
        missing.unwrap_or_default()
    )
}

/// The steps that a run went through.
fn steps_behind(steps: &[(Timestamp, String, String)]) -> String {
    if steps.is_empty() {
        return "<p class=\"soft\">Nobody noted the steps of this run.</p>\n".to_owned();
    }
    let ends: HashMap<usize, Timestamp> = steps.iter().skip(1).enumerate().map(|(place, (at, ..))| (place, *at)).collect();
    let row = |(place, (at, phase, reason)): (usize, &(Timestamp, String, String))| {
        let took = ends.get(&place).map_or_else(|| "–".to_owned(), |end| format!("{:.1}\u{202f}s", end.duration_since(*at).as_secs_f64()));
        TableRow::from(vec![text(phase), words::instant(*at), took, text(reason)])
    };
    let head = [Column("phase", false), Column("since", false), Column("lasted", true), Column("reason", false)];
    table("Every phase that the run went through", &head, steps.iter().enumerate().map(row))
}
