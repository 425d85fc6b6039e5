//! What a run left in the bucket: everything by name, and its results with what only the gateway knows of them.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};
use utoipa::ToSchema;

use super::{RunId, objects, status};
use crate::{
    error::{ApiError, ErrorBody},
    state::Gateway,
};

/// No results are larger.
pub const MOST_RESULTS: u64 = 64 << 20;
/// No list of events is larger.
const MOST_EVENTS: u64 = 8 << 20;
/// What clients of the earlier system look for while results are missing.
const NOT_YET: &str = "Results file not yet available.";

/// What a run left in the bucket.
#[derive(Serialize, ToSchema)]
pub struct Artifacts {
    run_id: String,
    /// Everything, by key.
    artifacts: Vec<Artifact>,
}

/// An object of the bucket.
#[derive(Serialize, ToSchema)]
pub struct Artifact {
    /// Where it lies.
    key: String,
    /// Its length in bytes.
    size: u64,
}

/// Everything that a run left in the bucket.
#[utoipa::path(get, path = "/v1/test-runs/{run_id}/artifacts", tag = "runs", params(("run_id" = String, Path)),
    responses((status = 200, body = Artifacts), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn artifacts(State(gateway): State<Gateway>, RunId(run_id): RunId) -> Result<Json<Artifacts>, ApiError> {
    // The bucket is everybody's: whose run it is decides who may look.
    status::word(&gateway, &run_id).await?;
    let entries = gateway.vault.list(&prefix(&run_id)).await?;
    let artifacts = entries.into_iter().map(|entry| Artifact { key: entry.key, size: entry.bytes }).collect();
    Ok(Json(Artifacts { run_id, artifacts }))
}

/// What a run measured: the object `results.json` with `status` and `chaos`.
///
/// Before results are collected the answer is 409; where they never came, `collection_error` says so.
#[utoipa::path(get, path = "/v1/test-runs/{run_id}/results", tag = "runs", params(("run_id" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn results(State(gateway): State<Gateway>, RunId(run_id): RunId) -> Result<Json<BTreeMap<String, Box<RawValue>>>, ApiError> {
    let status = status::word(&gateway, &run_id).await?;
    if !matches!(status.as_str(), "COLLECTING" | "COMPLETED" | "FAILED") {
        return Err(ApiError::Conflict(format!("test run '{run_id}' is {status}; results are not available yet")));
    }
    let stored = objects::read(&*gateway.vault, &format!("{}results.json", prefix(&run_id)), MOST_RESULTS).await?;
    let events = objects::read(&*gateway.vault, &format!("{}chaos_events.json", prefix(&run_id)), MOST_EVENTS).await?;
    let mut results = match stored.as_deref().map(serde_json::from_slice) {
        Some(Ok(results)) => results,
        Some(Err(error)) => nothing(&run_id, &format!("Results file cannot be read: {error}")),
        None => nothing(&run_id, NOT_YET),
    };
    for (name, value) in [("status", json!(status)), ("chaos", json!({"events": chaos(events.as_deref())}))] {
        // A JSON value is always one.
        results.extend(to_raw_value(&value).ok().map(|value| (name.to_owned(), value)));
    }
    Ok(Json(results))
}

fn prefix(run_id: &str) -> String {
    format!("results/{run_id}/")
}

/// The shape of results, with nothing in it but the reason.
fn nothing(run_id: &str, error: &str) -> BTreeMap<String, Box<RawValue>> {
    let empty = json!({
        "run_id": run_id, "collected_at": null, "collection_error": error, "abort_reason": null,
        "k6": {"metrics": []}, "observability": {"sources": []}
    });
    serde_json::from_value(empty).unwrap_or_default()
}

/// The events, which stand alone or under their own name.
fn chaos(stored: Option<&[u8]>) -> Value {
    match stored.map(serde_json::from_slice::<Value>) {
        Some(Ok(Value::Array(events))) => Value::Array(events),
        Some(Ok(mut document)) if document["events"].is_array() => document["events"].take(),
        Some(Ok(_) | Err(_)) | None => json!([]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_a_list_however_they_were_stored() {
        for text in ["[{\"experiment\": \"a\"}]", "{\"events\": [{\"experiment\": \"a\"}]}"] {
            assert_eq!(chaos(Some(text.as_bytes())), json!([{"experiment": "a"}]));
        }
        for stored in [None, Some(&b"{}"[..]), Some(b"[1"), Some(b"7")] {
            assert_eq!(chaos(stored), json!([]));
        }
    }

    #[test]
    fn results_that_never_came_have_the_shape_of_results() {
        let value = serde_json::to_value(nothing("a_1", NOT_YET)).unwrap();
        assert_eq!(value["collection_error"], "Results file not yet available.");
        assert_eq!((&value["run_id"], &value["k6"], &value["observability"]), (&json!("a_1"), &json!({"metrics": []}), &json!({"sources": []})));
    }
}
