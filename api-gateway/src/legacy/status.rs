//! The status of one run: from the rows of the cluster, else from the ledger.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::RunId;
use crate::{
    error::{ApiError, ErrorBody},
    runs::{RunStatusBody, remembered_body},
    state::Gateway,
};

/// How a run is.
#[utoipa::path(get, path = "/v1/test-runs/{run_id}/status", tag = "runs", params(("run_id" = String, Path)),
    responses((status = 200, body = RunStatusBody), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn status(State(gateway): State<Gateway>, RunId(run_id): RunId) -> Result<Response, ApiError> {
    let namespace = &gateway.settings.namespace;
    if let Some(run) = gateway.runs.by_id(namespace, &run_id) {
        return Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], run.status_body()).into_response());
    }
    let row = match &gateway.ledger {
        Some(ledger) => ledger.find(namespace, &run_id).await?,
        None => None,
    };
    let row = row.ok_or_else(|| unknown(&gateway, &run_id))?;
    let waiting_room = match &gateway.ledger {
        Some(ledger) if row.status == "WAITING_ROOM" => ledger.waiting_room(namespace, &run_id).await?.map(Into::into),
        Some(_) | None => None,
    };
    Ok(Json(RunStatusBody { run: remembered_body(row), waiting_room }).into_response())
}

/// The one word for how a run is, whoever knows it.
pub async fn word(gateway: &Gateway, run_id: &str) -> Result<String, ApiError> {
    let namespace = &gateway.settings.namespace;
    if let Some(run) = gateway.runs.by_id(namespace, run_id) {
        return Ok(run.status().to_owned());
    }
    let row = match &gateway.ledger {
        Some(ledger) => ledger.find(namespace, run_id).await?,
        None => None,
    };
    row.map(|row| row.status).ok_or_else(|| unknown(gateway, run_id))
}

/// Nobody knows the run; or the one who would know it has not been heard yet.
pub fn unknown(gateway: &Gateway, run_id: &str) -> ApiError {
    if gateway.runs.is_synced() {
        return ApiError::NotFound(format!("test run '{run_id}' was not found"));
    }
    ApiError::Unavailable { what: "the cluster", cause: "the runs have not been listed yet".to_owned() }
}
