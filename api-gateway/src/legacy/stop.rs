//! Stopping: the TestRun is told, then the ledger says at once what is going to happen.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::request::Parts,
};
use crucible_crds::TestRun;
use crucible_store::ledger::{RunRow, StopOutcome};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{RunId, names::param};
use crate::{
    error::{ApiError, ErrorBody},
    runs::Run,
    state::Gateway,
};

/// What became of a stop.
#[derive(Serialize, ToSchema)]
pub struct Stopped {
    /// The run.
    run_id: String,
    /// `sigterm_sent`, `already_stopped` or `not_found`.
    action: &'static str,
}

/// The id as it was sent: one that cannot be one is not found, like any other that nobody has.
pub struct Any(String);

impl<S: Send + Sync> FromRequestParts<S> for Any {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Ok(Self(param(parts, state, "run_id").await.unwrap_or_default()))
    }
}

/// Ends a run early. What was measured until then is kept.
#[utoipa::path(post, path = "/v1/test-runs/{run_id}/stop", tag = "runs", params(("run_id" = String, Path)),
    responses((status = 200, body = Stopped), (status = 503, body = ErrorBody)))]
pub async fn stop(State(gateway): State<Gateway>, Any(sent): Any) -> Result<Json<Stopped>, ApiError> {
    let outcome = match RunId::parse(&sent) {
        Some(RunId(run_id)) => end(&gateway, &run_id).await?,
        None => StopOutcome::NotFound,
    };
    let action = match outcome {
        StopOutcome::Stopping => "sigterm_sent",
        StopOutcome::AlreadyStopped => "already_stopped",
        StopOutcome::NotFound => "not_found",
    };
    Ok(Json(Stopped { run_id: sent, action }))
}

/// Ends a run that the caller has the id of.
pub async fn end(gateway: &Gateway, run_id: &str) -> Result<StopOutcome, ApiError> {
    let namespace = &gateway.settings.namespace;
    if let Some(run) = gateway.runs.by_id(namespace, run_id) {
        return end_known(gateway, &run).await;
    }
    let Some(ledger) = &gateway.ledger else {
        return if gateway.runs.is_synced() { Ok(StopOutcome::NotFound) } else { Err(super::status::unknown(gateway, run_id)) };
    };
    // A run that another replica has just created is in the ledger before it is in the rows here.
    if let Some(RunRow { name: Some(name), uid: Some(uid), .. }) = ledger.find(namespace, run_id).await?
        && tell(gateway, &name, &uid).await?
    {
        tell_ledger(gateway, run_id).await;
        return Ok(StopOutcome::Stopping);
    }
    Ok(ledger.stop(namespace, run_id).await?)
}

async fn end_known(gateway: &Gateway, run: &Run) -> Result<StopOutcome, ApiError> {
    if matches!(run.status(), "COMPLETED" | "FAILED" | "STOPPING") {
        return Ok(StopOutcome::AlreadyStopped);
    }
    if !tell(gateway, run.name(), run.uid()).await? {
        return Ok(StopOutcome::NotFound);
    }
    tell_ledger(gateway, run.run_id()).await;
    Ok(StopOutcome::Stopping)
}

/// Tells the object. Returns whether it is there: one of the same name that was made anew is another one.
async fn tell(gateway: &Gateway, name: &str, uid: &str) -> Result<bool, ApiError> {
    let api: Api<TestRun> = Api::namespaced(gateway.client.clone(), &gateway.settings.namespace);
    let change = json!({"metadata": {"uid": uid}, "spec": {"stop": true}});
    match api.patch(name, &PatchParams::default(), &Patch::Merge(change)).await {
        Ok(run) => {
            gateway.runs.written(&run);
            Ok(true)
        }
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(false),
        Err(error) => Err(ApiError::of_kube(&error, "the run")),
    }
}

/// The mirror tells the ledger anyhow; here only so that whoever looks right afterwards sees it.
async fn tell_ledger(gateway: &Gateway, run_id: &str) {
    if let Some(ledger) = &gateway.ledger
        && let Err(error) = ledger.stop(&gateway.settings.namespace, run_id).await
    {
        tracing::warn!(%error, "the ledger hears of a stop from the mirror only");
    }
}
