//! What came of a run, for whoever has to decide: the verdict, at most three reasons, the checks that did not hold, the comparison where there is
//! one, and where the rest is.

use axum::{Json, extract::State};
use crucible_crds::{Phase, TestRun, TestRunStatus, Verdict};
use crucible_store::{VaultError, ledger::RunRow};
use kube::Api;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    artifacts::{SIGNED, sign},
    place::Named,
    problem::Problem,
};
use crate::{
    error::{ApiError, ErrorBody},
    legacy::{MOST_RESULTS, RunId, object, unknown},
    state::Gateway,
};

/// No decision needs more.
const MOST_REASONS: usize = 3;

/// What came of a run.
#[derive(Debug, Serialize, ToSchema)]
pub struct Decision {
    /// The name that results have.
    run_id: String,
    /// The word of the earlier system for where the run is.
    status: String,
    /// Where the run is in its life.
    phase: Option<String>,
    /// `Passed`, `Failed`, `Inconclusive`, `Invalid`, `Aborted` or `HarnessError`; null while there is none.
    verdict: Option<&'static str>,
    /// At most three reasons, the deciding ones first.
    reasons: Vec<String>,
    /// The checks that did not hold or could not be decided.
    failed_checks: Vec<Value>,
    /// How many checks held.
    held_checks: usize,
    /// How the run compares with an earlier one, where it was compared.
    #[schema(value_type = Option<Object>)]
    comparison: Option<Value>,
    /// Where the rest is.
    links: Links,
}

/// Where the rest is. Addresses that begin with `/` are the gateway's own; the others are signed, and hold for five minutes.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Links {
    /// The run's object.
    run: Option<String>,
    /// Its progress as it happens.
    events: Option<String>,
    /// Everything that it left in the bucket.
    artifacts: Option<String>,
    /// The report as a page.
    report: Option<String>,
    /// The same in few words, as Markdown.
    summary: Option<String>,
    /// Every figure, as JSON.
    results: Option<String>,
}

/// What is known of a run, whoever knows it.
struct Known {
    /// The name of its object and its namespace, while there is one.
    object: Option<(String, String)>,
    run_id: String,
    status: String,
    phase: Option<Phase>,
    message: Option<String>,
    verdict: Option<Verdict>,
}

/// What came of a run, by its object.
#[utoipa::path(get, path = "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/runs/{name}/decision", tag = "native", operation_id = "decide_run_object",
    params(("namespace" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = Decision), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn of_object(State(gateway): State<Gateway>, Named { namespace, name }: Named) -> Result<Json<Decision>, ApiError> {
    let run = super::runs::known(&gateway, &namespace, &name)?;
    let status = run.status().to_owned();
    let run_id = run.run_id().to_owned();
    let known = of_run(&gateway, namespace, name, run_id, status).await?;
    Ok(Json(decide(&gateway, known).await))
}

/// What came of a run, by its id.
#[utoipa::path(get, path = "/v1/test-runs/{run_id}/decision", tag = "runs", params(("run_id" = String, Path)),
    responses((status = 200, body = Decision), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn of_id(State(gateway): State<Gateway>, RunId(run_id): RunId) -> Result<Json<Decision>, ApiError> {
    let namespace = gateway.settings.namespace.clone();
    if let Some(run) = gateway.runs.by_id(&namespace, &run_id) {
        let known = of_run(&gateway, namespace, run.name().to_owned(), run_id.clone(), run.status().to_owned()).await;
        // A run that went away meanwhile is one that only the ledger remembers.
        if !matches!(known, Err(ApiError::NotFound(_))) {
            return Ok(Json(decide(&gateway, known?).await));
        }
    }
    let row = match &gateway.ledger {
        Some(ledger) => ledger.find(&gateway.settings.namespace, &run_id).await?,
        None => None,
    };
    let row = row.ok_or_else(|| unknown(&gateway, &run_id))?;
    Ok(Json(decide(&gateway, Known::of_row(row)).await))
}

async fn of_run(gateway: &Gateway, namespace: String, name: String, run_id: String, status: String) -> Result<Known, ApiError> {
    let api: Api<TestRun> = Api::namespaced(gateway.client.clone(), &namespace);
    let run = api.get(&name).await.map_err(|error| ApiError::of_kube(&error, &format!("TestRun '{name}'")))?;
    let TestRunStatus { phase, message, verdict, .. } = run.status.unwrap_or_default();
    Ok(Known { object: Some((namespace, name)), run_id, status, phase: Some(phase.unwrap_or_default()), message, verdict })
}

impl Known {
    /// A run that only the ledger remembers.
    fn of_row(row: RunRow) -> Self {
        let summary = row.summary.unwrap_or_default();
        let phase = row.phase.and_then(|phase| Phase::ALL.into_iter().find(|known| known.as_str() == phase));
        let message = row.error_detail.or_else(|| summary["message"].as_str().map(str::to_owned));
        let verdict = serde_json::from_value(summary["verdict"].clone()).ok();
        Self { object: None, run_id: row.run_id, status: row.status, phase, message, verdict }
    }
}

async fn decide(gateway: &Gateway, known: Known) -> Decision {
    let Known { object, run_id, status, phase, message, verdict } = known;
    let ended = matches!(status.as_str(), "COMPLETED" | "FAILED");
    let (comparison, links) = if ended { left(gateway, &run_id).await } else { (None, Links::default()) };
    let links = match object {
        Some((namespace, name)) => {
            let run = format!("/apis/crucible.dev/v1alpha1/namespaces/{namespace}/runs/{name}");
            Links { events: Some(format!("{run}/events")), artifacts: Some(format!("{run}/artifacts")), run: Some(run), ..links }
        }
        None => Links { artifacts: Some(format!("/v1/test-runs/{run_id}/artifacts")), ..links },
    };
    let (reasons, failed_checks, held_checks) = words(phase, message, verdict.as_ref());
    let verdict = verdict.map(|verdict| verdict.outcome.as_str());
    Decision { run_id, status, phase: phase.map(|phase| phase.to_string()), verdict, reasons, failed_checks, held_checks, comparison, links }
}

/// The reasons, the checks that did not hold, and how many did.
fn words(phase: Option<Phase>, message: Option<String>, verdict: Option<&Verdict>) -> (Vec<String>, Vec<Value>, usize) {
    let mut reasons: Vec<String> = verdict.map(|verdict| verdict.reasons.iter().take(MOST_REASONS).cloned().collect()).unwrap_or_default();
    if reasons.is_empty() && phase.is_none_or(|phase| phase == Phase::Failed) {
        reasons.extend(message);
    }
    let checks = verdict.map(|verdict| verdict.checks.as_slice()).unwrap_or_default();
    let failed: Vec<Value> = checks.iter().filter(|check| !check.held || !check.decided).filter_map(|check| serde_json::to_value(check).ok()).collect();
    let held = checks.len() - failed.len();
    (reasons, failed, held)
}

/// The part of the results that a decision shows.
#[derive(Deserialize)]
struct Results {
    #[serde(default)]
    crucible: Ours,
}

#[derive(Default, Deserialize)]
struct Ours {
    #[serde(default)]
    comparison: Option<Value>,
}

/// What an ended run left in the bucket. What cannot be read costs only itself.
async fn left(gateway: &Gateway, run_id: &str) -> (Option<Value>, Links) {
    let results = async {
        let read = object(&*gateway.vault, &format!("results/{run_id}/results.json"), MOST_RESULTS).await;
        let bytes = read.inspect_err(|error| tracing::warn!(%error, cause = error.cause(), "results are left out of a decision")).ok()??;
        let comparison = serde_json::from_slice::<Results>(&bytes).ok().and_then(|results| results.crucible.comparison);
        Some((comparison, sign(gateway, run_id, "results.json").await.ok()))
    };
    let (results, report, summary) = tokio::join!(results, address(gateway, run_id, "report.html"), address(gateway, run_id, "summary.md"));
    let (comparison, results) = results.unwrap_or_default();
    (comparison, Links { report, summary, results, ..Links::default() })
}

/// A signed address of something that lies there.
async fn address(gateway: &Gateway, run_id: &str, name: &str) -> Option<String> {
    match gateway.vault.head(&format!("results/{run_id}/{name}")).await {
        Ok(_) => sign(gateway, run_id, name).await.ok(),
        Err(VaultError::NotFound { .. }) => None,
        Err(error) => {
            tracing::warn!(%error, seconds = SIGNED.as_secs(), "an address is left out of a decision");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdict(reasons: &[&str]) -> Verdict {
        let check = |name: &str, held: bool, decided: bool| json!({"name": name, "limit": "< 20ms", "observed": "31.2ms", "held": held, "decided": decided, "owner": "sut"});
        let checks = [check("p99", false, true), check("p50", true, true), check("p95 of Rare", false, false)];
        serde_json::from_value(json!({"outcome": "Failed", "reasons": reasons, "checks": checks})).unwrap()
    }

    #[test]
    fn three_reasons_are_enough_and_checks_that_held_are_counted() {
        let (reasons, failed, held) = words(Some(Phase::Completed), Some("The run has ended".to_owned()), Some(&verdict(&["a", "b", "c", "d"])));
        assert_eq!(reasons, ["a", "b", "c"]);
        assert_eq!(failed.iter().map(|check| check["name"].as_str().unwrap()).collect::<Vec<_>>(), ["p99", "p95 of Rare"]);
        assert_eq!(failed[0], json!({"name": "p99", "limit": "< 20ms", "observed": "31.2ms", "held": false, "decided": true, "owner": "sut"}));
        assert_eq!(held, 1);
    }

    #[test]
    fn a_run_that_failed_without_a_verdict_says_why_and_one_that_is_live_says_nothing() {
        let message = || Some("Worker 1 left no outcome".to_owned());
        assert_eq!(words(Some(Phase::Failed), message(), None).0, ["Worker 1 left no outcome"]);
        assert_eq!(words(None, message(), None).0, ["Worker 1 left no outcome"], "a row that another program wrote");
        assert_eq!(words(Some(Phase::Executing), message(), None).0, Vec::<String>::new());
    }
}
