//! Plans: those that are objects of the cluster, and those that clients of the earlier system stored.

use std::fmt::Write as _;

use axum::{extract::State, response::Html};
use crucible_crds::TestPlan;
use crucible_lifecycle::{
    build::labels::PLAN_CONTENT,
    legacy::plan::{self as stored, LegacyPlan},
    results::pieces::markup::{Column, TableRow, folded, section, table, text},
};
use crucible_store::vault::Entry;
use kube::{ResourceExt, api::DynamicObject};
use serde::Deserialize;
use serde_json::Value;

use super::{
    form,
    frame::{Frame, Here},
    words,
};
use crate::{
    error::ApiError,
    legacy::{self, Asked, PLANS, PlanName},
    native::{Name, Objects, Page, Which},
    state::Gateway,
};

/// How many stored plans a page has.
const PAGE: u16 = 100;

/// Where the two lists begin.
#[derive(Debug, Default, Deserialize)]
pub struct Places {
    /// The word of the cluster for the next page of objects.
    objects: Option<String>,
    /// The last stored plan of the page before.
    stored: Option<String>,
}

/// Every plan.
pub async fn list(State(gateway): State<Gateway>, Asked(Places { objects, stored }): Asked<Places>) -> Result<Html<String>, ApiError> {
    let after = stored.as_deref().unwrap_or_default();
    if after.contains('\0') {
        return Err(ApiError::invalid(&["query", "stored"], "is no name of a plan", "value_error"));
    }
    let plans = Objects::of::<TestPlan>(&gateway, &gateway.settings.namespace);
    let (plans, kept) = tokio::join!(plans.page(Asked(Which::from(objects))), stored_plans(&gateway, after));
    let main = format!("<h1>Plans</h1>\n{}{}", of_the_cluster(&gateway, plans)?, of_the_bucket(&gateway, kept)?);
    Ok(Html(Frame { here: Here::Plans, ..Frame::new("Plans", main) }.page(&gateway)))
}

async fn stored_plans(gateway: &Gateway, after: &str) -> Result<Vec<Entry>, ApiError> {
    let after = if after.is_empty() { String::new() } else { format!("{PLANS}{after}") };
    Ok(gateway.vault.list_after(PLANS, &after, PAGE + 1).await?)
}

/// The plans that are objects. Those that runs of stored plans share are left out: they are copies.
fn of_the_cluster(gateway: &Gateway, page: Result<Page, ApiError>) -> Result<String, ApiError> {
    let Page { objects, next } = match page {
        Ok(page) => page,
        Err(ApiError::Unavailable { .. }) => {
            return Ok(section("objects", "TestPlans", "<p class=\"note\" role=\"status\">The cluster cannot be reached right now.</p>\n"));
        }
        Err(error) => return Err(error),
    };
    let all = objects.len();
    let own: Vec<&DynamicObject> = objects.iter().filter(|plan| !plan.labels().contains_key(PLAN_CONTENT)).collect();
    let copies = all - own.len();
    let now = gateway.clock.now();
    let row = |plan: &&DynamicObject| {
        let (name, target) = (plan.name_any(), &plan.data["spec"]["target"]);
        let age = plan.creation_timestamp().map_or_else(|| "–".to_owned(), |at| words::aged(now, at.0));
        TableRow::from(vec![
            format!("<a href=\"/ui/plans/{}\">{}</a>", text(&name), text(&name)),
            said(&target["engine"]),
            said(&target["endpoint"]),
            with_reason(&plan.data),
            format!("<a href=\"/ui/?plan={}\">runs</a>", text(&form::word(&name))),
            age,
        ])
    };
    let head = [Column("plan", false), Column("engine", false), Column("endpoint", false), Column("accepted", false), Column("", false), Column("age", true)];
    let mut out = if own.is_empty() {
        "<p class=\"soft\">There is no TestPlan here that stands by itself.</p>\n".to_owned()
    } else {
        table("Plans of this namespace, by name", &head, own.iter().map(row))
    };
    if copies > 0 {
        let _ = writeln!(out, "<p class=\"soft\">{copies} that stand for stored plans and were made for their runs are left out.</p>");
    }
    if let Some(next) = next {
        let _ = writeln!(out, "<p><a rel=\"next\" href=\"/ui/plans?objects={}\">More TestPlans</a></p>", text(&form::word(&next)));
    }
    Ok(section("objects", "TestPlans", &out))
}

/// The plans that lie in the bucket.
fn of_the_bucket(gateway: &Gateway, entries: Result<Vec<Entry>, ApiError>) -> Result<String, ApiError> {
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(ApiError::Unavailable { .. }) => {
            return Ok(section("stored", "Stored plans", "<p class=\"note\" role=\"status\">Object storage cannot be reached right now.</p>\n"));
        }
        Err(error) => return Err(error),
    };
    let further = entries.len() > usize::from(PAGE);
    entries.truncate(PAGE.into());
    let now = gateway.clock.now();
    let row = |entry: &Entry| {
        let name = entry.key.strip_prefix(PLANS).filter(|name| !name.is_empty())?;
        // Other programs may have called a plan whatever they liked; only what could be a name leads somewhere.
        let possible = crucible_lifecycle::legacy::ids::is_plan_name(name);
        let link = if possible { format!("<a href=\"/ui/plans/stored/{name}\">{}</a>", text(name)) } else { text(name) };
        let stored = entry.modified.map_or_else(|| "–".to_owned(), |at| words::aged(now, at));
        Some(TableRow::from(vec![link, format!("<a href=\"/ui/?plan={}\">runs</a>", text(&form::word(name))), words::size(entry.bytes), stored]))
    };
    let rows: Vec<TableRow> = entries.iter().filter_map(row).collect();
    let mut out = if rows.is_empty() {
        "<p class=\"soft\">No plan is stored. <code>POST /test-plans/upload</code> stores one.</p>\n".to_owned()
    } else {
        table(
            "Plans of clients of the earlier system, by name",
            &[Column("plan", false), Column("", false), Column("size", true), Column("stored", true)],
            rows,
        )
    };
    if let Some(last) = entries.last().filter(|_| further).and_then(|entry| entry.key.strip_prefix(PLANS)) {
        let _ = writeln!(out, "<p><a rel=\"next\" href=\"/ui/plans?stored={}\">More stored plans</a></p>", text(&form::word(last)));
    }
    Ok(section("stored", "Stored plans", &out))
}

/// A TestPlan.
pub async fn object(State(gateway): State<Gateway>, Name(name): Name) -> Result<Html<String>, ApiError> {
    let plan = Objects::of::<TestPlan>(&gateway, &gateway.settings.namespace).read(&name).await?;
    let (spec, target, load) = (&plan.data["spec"], &plan.data["spec"]["target"], &plan.data["spec"]["load"]);
    let (mark, why) = accepted(&plan.data);
    let figures = [
        ("engine", said(&target["engine"])),
        ("database", said(&target["database"])),
        ("workers", number(&load["workers"])),
        ("queries", number(&plan.data["status"]["queries"])),
        ("limits", spec["slos"].as_array().map_or(0, Vec::len).to_string()),
        ("faults", spec["faults"].as_array().map_or(0, Vec::len).to_string()),
    ];
    let figures: Vec<String> = figures.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>")).collect();
    let whole = serde_json::to_string_pretty(spec).unwrap_or_default();
    let main = format!(
        "{}<h1>{}</h1>\n<p class=\"about\">TestPlan against {}{why}</p><p>{mark}</p>\n<dl class=\"figures\">{}</dl>\n<p class=\"actions\"><a class=\"button\" href=\"/ui/?plan={}\">Runs of this plan</a></p>\n{}{}{}{}",
        TRAIL,
        text(&name),
        said(&target["endpoint"]),
        figures.concat(),
        text(&form::word(&name)),
        stages(&load["stages"]),
        limits(&spec["slos"]),
        faults(&spec["faults"]),
        section("whole", "The whole plan", &folded("As the cluster has it", &format!("<pre>{}</pre>", text(&whole)))),
    );
    Ok(Html(Frame { here: Here::Plans, ..Frame::new(&name, main) }.page(&gateway)))
}

const TRAIL: &str = "<p class=\"trail\"><a href=\"/ui/plans\">Plans</a></p>\n";

/// A text of an object, as markup.
fn said(value: &Value) -> String {
    value.as_str().map_or_else(|| "–".to_owned(), text)
}

fn number(value: &Value) -> String {
    value.as_u64().map_or_else(|| "–".to_owned(), |number| number.to_string())
}

/// Whether a plan can be run, as markup, and why or why not.
pub fn accepted(data: &Value) -> (String, String) {
    condition(data, "Accepted", ["accepted", "refused", "not looked at yet"])
}

/// The same where it stands among others: the reason on a line of its own.
fn with_reason(data: &Value) -> String {
    let (mark, why) = accepted(data);
    why.strip_prefix(": ").map_or(mark.clone(), |why| format!("{mark}<br><span class=\"soft\">{why}</span>"))
}

/// What a condition says, as markup: its word, and its message.
pub fn condition(data: &Value, kind: &str, [yes, no, unknown]: [&str; 3]) -> (String, String) {
    let found = data["status"]["conditions"].as_array().into_iter().flatten().find(|condition| condition["type"] == kind);
    let mark = match found.and_then(|condition| condition["status"].as_str()) {
        Some("True") => format!("<span class=\"mark good\">✓ {yes}</span>"),
        Some("False") => format!("<span class=\"mark bad\">✗ {no}</span>"),
        _ => format!("<span class=\"soft\">{unknown}</span>"),
    };
    let message = found.and_then(|condition| condition["message"].as_str()).filter(|message| !message.is_empty());
    (mark, message.map(|message| format!(": {}", text(message))).unwrap_or_default())
}

fn stages(stages: &Value) -> String {
    let rows: Vec<TableRow> = stages
        .as_array()
        .into_iter()
        .flatten()
        .map(|stage| {
            let measured = if stage["measured"] == false { "no" } else { "yes" };
            let ramp = if stage["ramp"] == true { "by a ramp" } else { "at once" };
            let load =
                ["vus", "rate"].iter().find_map(|name| Some(format!("{} {}", stage[*name].as_f64()?, if *name == "vus" { "users" } else { "per second" })));
            TableRow::from(vec![said(&stage["name"]), said(&stage["duration"]), load.unwrap_or_else(|| "–".to_owned()), ramp.to_owned(), measured.to_owned()])
        })
        .collect();
    let head = [Column("stage", false), Column("lasts", true), Column("load", true), Column("reached", false), Column("measured", false)];
    section("stages", "Load", &table("Stages, in their order", &head, rows))
}

fn limits(slos: &Value) -> String {
    let rows: Vec<TableRow> = slos
        .as_array()
        .into_iter()
        .flatten()
        .map(|slo| {
            let limit = [("below", "<"), ("atMost", "≤"), ("atLeast", "≥")].iter().find_map(|(name, sign)| {
                let value = &slo[*name];
                Some(format!("{sign} {}", value.as_str().map(str::to_owned).or_else(|| value.as_f64().map(|number| number.to_string()))?))
            });
            let about: Vec<String> =
                ["query", "stage", "fault", "during", "series"].iter().filter_map(|name| Some(format!("{name} {}", slo[*name].as_str()?))).collect();
            let about = if about.is_empty() { "everything measured".to_owned() } else { about.join(", ") };
            TableRow::from(vec![said(&slo["metric"]), text(&about), text(&limit.unwrap_or_else(|| "–".to_owned()))])
        })
        .collect();
    if rows.is_empty() {
        return section("limits", "Limits", "<p class=\"soft\">The plan has no limit: its runs are only measured.</p>\n");
    }
    section("limits", "Limits", &table("What the system under test is asked for", &[Column("metric", false), Column("of", false), Column("limit", true)], rows))
}

fn faults(faults: &Value) -> String {
    let rows: Vec<TableRow> = faults
        .as_array()
        .into_iter()
        .flatten()
        .map(|fault| {
            let kind = fault["chaos"].as_object().and_then(|chaos| chaos.keys().next().cloned()).unwrap_or_default();
            let start = [fault["start"]["after"].as_str(), fault["start"]["stage"].as_str()];
            let start = match start {
                [Some(after), Some(stage)] => format!("{after} into {stage}"),
                [Some(after), None] => format!("{after} into the load"),
                [None, Some(stage)] => format!("with {stage}"),
                [None, None] => "–".to_owned(),
            };
            TableRow::from(vec![said(&fault["name"]), text(&kind), text(&start), said(&fault["duration"])])
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    section(
        "faults",
        "Faults",
        &table("What is broken on purpose", &[Column("fault", false), Column("kind", false), Column("begins", false), Column("lasts", true)], rows),
    )
}

/// A stored plan. Its password is nowhere on the page; a text that cannot be read is not shown, because nobody knows what is in it.
pub async fn stored(State(gateway): State<Gateway>, PlanName(name): PlanName) -> Result<Html<String>, ApiError> {
    let plan = legacy::stored_plan(&gateway, &name).await?;
    let facts = match stored::parse(&plan) {
        Ok(plan) => facts(&plan),
        Err(mistakes) => {
            let mistakes: Vec<String> =
                mistakes.iter().map(|mistake| format!("<li><code>{}</code> {}</li>", text(&mistake.path()), text(&mistake.msg))).collect();
            format!("<div class=\"wrong\"><p><strong>This plan cannot be run.</strong></p><ul>{}</ul></div>\n", mistakes.concat())
        }
    };
    let shown = stored::masked(&plan).map_or_else(
        |_| "<p class=\"soft\">The text cannot be read, so it is not shown: it may hold a password.</p>\n".to_owned(),
        |masked| format!("<pre>{}</pre>\n", text(&masked)),
    );
    let main = format!(
        "{TRAIL}<h1>{}</h1>\n<p class=\"about\">Stored under <span class=\"id\">plans/{}</span></p>\n{facts}<p class=\"actions\"><a class=\"button\" href=\"/ui/?plan={}\">Runs of this plan</a></p>\n{}",
        text(&name),
        text(&name),
        text(&form::word(&name)),
        section("text", "Its text", &shown),
    );
    Ok(Html(Frame { here: Here::Plans, ..Frame::new(&name, main) }.page(&gateway)))
}

fn facts(plan: &LegacyPlan) -> String {
    let facts = [
        ("engine", plan.engine.as_str().to_owned()),
        ("database", plan.target_db.clone()),
        ("users", plan.concurrency.to_string()),
        ("ramp", plan.ramp_up.to_string()),
        ("hold", plan.hold_for.to_string()),
        ("faults", plan.experiments.len().to_string()),
    ];
    let items: Vec<String> = facts.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{}</dd></div>", text(value))).collect();
    format!("<p class=\"about\">Against {}</p>\n<dl class=\"figures\">{}</dl>\n", text(&plan.host), items.concat())
}
