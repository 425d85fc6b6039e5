//! How a world has ended, in words that do not depend on when what happened.

use std::{collections::BTreeSet, fmt::Write};

use crucible_crds::test_run::ResultsStatus;
use serde_json::Value;

use super::World;

/// Every run with its story, what is left in cluster and bucket, and what people were told at least once.
pub fn describe_end(world: &World) -> String {
    let mut text = String::new();
    for run in world.runs() {
        let status = run.status.clone().unwrap_or_default();
        let name = run.metadata.name.unwrap_or_default();
        let story: Vec<String> = status.transitions.iter().map(|step| format!("{}({})", step.phase, step.reason)).collect();
        writeln!(text, "{name}: {}", story.join(" ")).unwrap();
        writeln!(
            text,
            "  generation {:?}, plan {}, stop {}",
            status.observed_generation,
            status.plan.is_some(),
            status.ended_early.map(|early| early.reason).unwrap_or_default()
        )
        .unwrap();
        let verdict = status.verdict.map(|verdict| format!("{:?} with {} checks", verdict.outcome, verdict.checks.len()));
        writeln!(text, "  verdict {}", verdict.unwrap_or_default()).unwrap();
        // How far a load came that was ended early depends on when it was.
        let queries = |results: &ResultsStatus| if results.partial { "some".to_owned() } else { results.queries.to_string() };
        let results = status.results.map(|results| format!("{} workers, {} queries, partial {}", results.workers, queries(&results), results.partial));
        writeln!(text, "  results {}", results.unwrap_or_default()).unwrap();
        let fixtures: Vec<String> =
            status.fixtures.iter().map(|fixture| format!("{} {:?} with {} rows", fixture.table, fixture.state, fixture.rows.unwrap_or_default())).collect();
        if !fixtures.is_empty() {
            writeln!(text, "  fixtures {}", fixtures.join(", ")).unwrap();
        }
        let workers = status.workers.map(|workers| format!("{} expected, {} succeeded, {} lost", workers.expected, workers.succeeded, workers.lost));
        writeln!(text, "  workers {}", workers.unwrap_or_default()).unwrap();
        let holding: Vec<&str> = status.conditions.iter().filter(|condition| condition.status == "True").map(|condition| condition.type_.as_str()).collect();
        writeln!(text, "  holds {}", holding.join(" ")).unwrap();
        writeln!(text, "  finalizers {}", run.metadata.finalizers.unwrap_or_default().join(" ")).unwrap();
    }
    for row in world.ledger.iter().flat_map(|ledger| ledger.rows()) {
        let steps: Vec<String> = world.ledger.iter().flat_map(|ledger| ledger.steps(&row)).map(|step| format!("{}({})", step.phase, step.reason)).collect();
        let error = row.error_detail.clone().unwrap_or_default();
        writeln!(text, "row of {}: {} {} {error}", row.name.clone().unwrap_or_default(), row.status, row.verdict.clone().unwrap_or_default()).unwrap();
        writeln!(text, "  {}", steps.join(" ")).unwrap();
    }
    let store = world.api.store.lock().unwrap();
    let left: Vec<String> = store.keys().filter(|key| key.resource != "events").map(|key| format!("{}/{}", key.resource, key.name)).collect();
    writeln!(text, "left: {}", left.join(" ")).unwrap();
    let told: BTreeSet<String> = store
        .all("events")
        .iter()
        .filter_map(|event: &Value| Some(format!("{}:{}", event["regarding"]["name"].as_str()?, event["reason"].as_str()?)))
        .collect();
    writeln!(text, "told: {}", told.into_iter().collect::<Vec<_>>().join(" ")).unwrap();
    let stored: Vec<String> = world.vault.objects().into_keys().map(|key| timeless(&key)).collect();
    writeln!(text, "stored: {}", stored.join(" ")).unwrap();
    for (key, object) in world.vault.objects().into_iter().filter(|(key, _)| key.ends_with("/results.json")) {
        let results: Value = serde_json::from_slice(&object).unwrap();
        for source in results["observability"]["sources"].as_array().unwrap() {
            let metrics =
                source["metrics"].as_array().unwrap().iter().map(|metric| format!("{}={}", metric["name"], metric["values"].as_array().unwrap().len()));
            writeln!(text, "{key}: {} {}", source["name"], metrics.collect::<Vec<_>>().join(" ")).unwrap();
        }
        if let Some(error) = results["collection_error"].as_str() {
            writeln!(text, "{key}: {error}").unwrap();
        }
    }
    text
}

/// A key without the instant that entries of the history begin with.
fn timeless(key: &str) -> String {
    match key.rsplit_once('/').and_then(|(shelf, name)| Some((shelf, name.split_once('_')?.1))) {
        Some((shelf, name)) if shelf.starts_with("history/") => format!("{shelf}/{name}"),
        _ => key.to_owned(),
    }
}
