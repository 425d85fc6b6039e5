//! What can be read without calling a tool: the guides, the lists, and by template one plan, workload, run at a time.

use rmcp::{
    ErrorData,
    model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate},
};
use serde_json::{Value, json};

use crate::{
    argument::Name,
    failure::{Failure, cut},
    gateway::{Path, Session},
    guide,
    tools::{Run, RunPage, explain, shorten},
};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";
const MARKDOWN: &str = "text/markdown";
/// The longest text that is shown of a log; its end matters most.
const LONGEST_LOG: usize = 64 << 10;
/// How many fixtures are looked into.
const MOST_FIXTURES: usize = 50;
/// How many runs count as recent.
const RECENT: &str = "10";

/// Resources that are always there: address, name, what it is, kind.
const ALWAYS: [(&str, &str, &str, &str); 6] = [
    ("crucible://fixtures/registry", "Datasets", "Every fixture with its files: what a plan can have loaded before the load.", JSON),
    (
        "crucible://telemetry/recent-stats",
        "Recent runs",
        "The databases that are under load right now, and the ten newest runs with their status and times.",
        JSON,
    ),
    ("crucible://plans", "Stored test plans", "The names of the stored plans; crucible://plans/{name} is one of them.", JSON),
    ("crucible://guide/plan", "How to write a test plan", "Every field of a test plan, with an example.", MARKDOWN),
    ("crucible://guide/workload", "How to write a workload", "The format of workload files, with an example.", MARKDOWN),
    ("crucible://guide/results", "How to read results", "What statuses, verdicts and figures mean.", MARKDOWN),
];

/// Resources by name: template, name, what it is, kind.
const BY_NAME: [(&str, &str, &str, &str); 6] = [
    ("crucible://logs/{run_id}", "What happened in a run", "The steps of a run with their times and messages, oldest first; the last 64 KiB.", TEXT),
    ("crucible://telemetry/{run_id}", "A run at this moment", "Status, waiting room and times of one run, with what the status means.", JSON),
    ("crucible://reports/{run_id}", "What a run means", "Verdict, reasons, checks that did not hold, the figures that matter: the same as explain_run.", JSON),
    ("crucible://results/{run_id}", "Results of a run", "The figures of a run, with long series thinned out: the same as get_test_results.", JSON),
    ("crucible://plans/{name}", "A stored test plan", "The plan as an object; its password is masked.", JSON),
    ("crucible://workloads/{workload_id}", "A workload", "The text of a stored workload.", TEXT),
];

/// The resources that are always there.
pub fn listed() -> Vec<Resource> {
    let resource = |(uri, name, about, kind): (&str, &str, &str, &str)| Resource::new(uri, name).with_title(name).with_description(about).with_mime_type(kind);
    ALWAYS.into_iter().map(resource).collect()
}

/// The resources that need a name.
pub fn templates() -> Vec<ResourceTemplate> {
    let template =
        |(uri, name, about, kind): (&str, &str, &str, &str)| ResourceTemplate::new(uri, name).with_title(name).with_description(about).with_mime_type(kind);
    BY_NAME.into_iter().map(template).collect()
}

/// What stands under an address.
pub async fn read(session: &Session, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let unknown = || ErrorData::resource_not_found("there is no such resource", Some(json!({"uri": cut(uri, 300)})));
    let address = uri.strip_prefix("crucible://").ok_or_else(unknown)?;
    let found = match address.split_once('/') {
        Some(("guide", "plan")) => Ok((guide::PLAN.to_owned(), MARKDOWN)),
        Some(("guide", "workload")) => Ok((guide::WORKLOAD.to_owned(), MARKDOWN)),
        Some(("guide", "results")) => Ok((guide::RESULTS.to_owned(), MARKDOWN)),
        Some(("fixtures", "registry")) => fixtures(session).await.map(|found| as_json(&found)),
        Some(("telemetry", "recent-stats")) => recent(session).await.map(|found| as_json(&found)),
        None if address == "plans" => session.get(&Path::to("/test-plans")).await.map(|found| as_json(&found)),
        Some((kind, name)) => match decoded(name) {
            Some(name) => by_name(session, kind, &name).await.ok_or_else(unknown)?,
            None => return Err(unknown()),
        },
        None => return Err(unknown()),
    };
    let (text, kind) = found.map_err(|failure| refusal(failure, uri))?;
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(kind)]))
}

/// What stands under a name, where there is such a kind of resource.
async fn by_name(session: &Session, kind: &str, name: &Name) -> Option<Result<(String, &'static str), Failure>> {
    let run = |what: &str| Path::to("/v1/test-runs").step(name.as_str()).step(what);
    Some(match kind {
        "logs" => session.text(&run("logs")).await.map(|text| (tail(&text), TEXT)),
        "telemetry" => Run::find(session, name).await.map(|run| as_json(&json!({"meaning": run.meaning(), "finished": run.has_ended(), "run": run}))),
        "reports" => explain(session, name).await.map(|explanation| as_json(&json!(explanation))),
        "results" => session.get(&run("results")).await.map(|mut results: Value| {
            results["left_out"] = json!(shorten(&mut results, false));
            as_json(&results)
        }),
        "plans" => session.get(&Path::to("/test-plans").step(name.as_str())).await.map(|found| as_json(&found)),
        "workloads" => session
            .get::<Value>(&Path::to("/v1/workloads").step(name.as_str()))
            .await
            .map(|found| (found["content"].as_str().unwrap_or_default().to_owned(), TEXT)),
        _ => return None,
    })
}

async fn fixtures(session: &Session) -> Result<Value, Failure> {
    let answer: Value = session.get(&Path::to("/fixtures")).await?;
    let ids: Vec<&str> = answer["fixture_ids"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut fixtures = Vec::new();
    for id in ids.iter().take(MOST_FIXTURES) {
        // One that is being deleted is not there any more.
        match session.get::<Value>(&Path::to("/fixtures").step(id)).await {
            Ok(fixture) => fixtures.push(fixture),
            Err(Failure::NotFound(_)) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(json!({"fixtures": fixtures, "not_shown": ids.len().saturating_sub(MOST_FIXTURES)}))
}

async fn recent(session: &Session) -> Result<Value, Failure> {
    let (inventory, runs) = (Path::to("/v1/sut/inventory"), Path::to("/v1/test-runs").query("limit", RECENT));
    let (inventory, page) = futures::try_join!(session.get::<Value>(&inventory), session.get::<RunPage>(&runs))?;
    let recent: Vec<Run> = page.runs.into_iter().take(10).map(Run::shortened).collect();
    Ok(json!({"active": inventory["active"], "recent_runs": recent}))
}

fn as_json(value: &Value) -> (String, &'static str) {
    (value.to_string(), JSON)
}

/// The end of a log, with a mark where it was cut.
fn tail(text: &str) -> String {
    match text.len().checked_sub(LONGEST_LOG) {
        None | Some(0) => text.to_owned(),
        Some(from) => {
            let from = (from..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
            format!("… ({from} bytes before this are not shown)\n{}", &text[from..])
        }
    }
}

/// A name as it stands in an address, which may escape letters.
fn decoded(name: &str) -> Option<Name> {
    let mut bytes = Vec::new();
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    Name::parse(std::str::from_utf8(&bytes).ok()?).ok()
}

fn refusal(failure: Failure, uri: &str) -> ErrorData {
    let data = Some(json!({"uri": cut(uri, 300)}));
    match failure {
        Failure::NotFound(message) => ErrorData::resource_not_found(message, data),
        failure => ErrorData::internal_error(failure.to_string(), data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_an_address_is_read_back_and_stays_one_step() {
        assert_eq!(decoded("Z%C3%BCrich%201").unwrap().as_str(), "Zürich 1");
        for bad in ["", "a/b", "..%2Fplans", "%", "%zz", "%ff", "%00"] {
            assert!(decoded(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_long_log_keeps_its_end() {
        let text = format!("{}the end", "é".repeat(LONGEST_LOG));
        let shown = tail(&text);
        assert!(shown.ends_with("the end") && shown.starts_with("… (") && shown.len() < LONGEST_LOG + 100);
        assert_eq!(tail("short"), "short");
    }
}
