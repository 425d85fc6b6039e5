//! Query files: refused with every line that is wrong, or stored byte for byte.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
};
use bytes::Bytes;
use crucible_lifecycle::workload::{self, MOST_BYTES};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{names::param, objects};
use crate::{
    body::Sent,
    error::{ApiError, ErrorBody},
    state::Gateway,
};

/// Where they lie in the bucket.
const PREFIX: &str = "workloads/";
const LONGEST_ID: usize = 128;

/// A workload to be stored.
#[derive(Deserialize, ToSchema)]
pub struct NewWorkload {
    /// Its id: a letter or digit, then letters, digits, `_` and `-`.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length = 128)]
    workload_id: String,
    /// The file: `-- @type: …`, then blocks that begin with `-- @name: …`.
    content: String,
}

/// A stored workload.
#[derive(Serialize, ToSchema)]
pub struct StoredWorkload {
    /// Its id.
    workload_id: String,
    /// Where it lies in the bucket.
    s3_key: String,
}

/// A workload in the list of all.
#[derive(Serialize, ToSchema)]
pub struct ListedWorkload {
    #[serde(flatten)]
    stored: StoredWorkload,
    /// Its length in bytes.
    size: u64,
}

/// Every stored workload.
#[derive(Serialize, ToSchema)]
pub struct WorkloadList {
    /// The workloads, by id.
    workloads: Vec<ListedWorkload>,
}

/// A stored workload with its text.
#[derive(Serialize, ToSchema)]
pub struct WorkloadText {
    #[serde(flatten)]
    stored: StoredWorkload,
    /// The file.
    content: String,
}

/// The id of a workload in a path. One that cannot be one is nobody's.
pub struct WorkloadId(String);

impl<S: Send + Sync> FromRequestParts<S> for WorkloadId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let id = param(parts, state, "workload_id").await.filter(|id| is_id(id));
        id.map(Self).ok_or_else(|| ApiError::NotFound("there is no such workload".to_owned()))
    }
}

/// Stores a workload, or replaces it.
#[utoipa::path(post, path = "/v1/workloads", tag = "workloads", request_body = NewWorkload,
    responses((status = 201, body = StoredWorkload), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn store(State(gateway): State<Gateway>, Sent(sent): Sent<NewWorkload>) -> Result<(StatusCode, Json<StoredWorkload>), ApiError> {
    let NewWorkload { workload_id, content } = sent;
    if !is_id(&workload_id) {
        return Err(ApiError::Wrong(vec![format!("workload_id has to be a letter or digit, then letters, digits, _ and -, at most {LONGEST_ID} in all")]));
    }
    workload::parse(&content, None).map_err(|errors| ApiError::Wrong(errors.iter().map(ToString::to_string).collect()))?;
    let stored = stored(&workload_id);
    gateway.vault.put(&stored.s3_key, Bytes::from(content), "text/plain; charset=utf-8", &BTreeMap::new()).await?;
    Ok((StatusCode::CREATED, Json(stored)))
}

/// Every stored workload.
#[utoipa::path(get, path = "/v1/workloads", tag = "workloads", responses((status = 200, body = WorkloadList), (status = 503, body = ErrorBody)))]
pub async fn list(State(gateway): State<Gateway>) -> Result<Json<WorkloadList>, ApiError> {
    let entries = gateway.vault.list(PREFIX).await?;
    let listed = entries.into_iter().filter_map(|entry| {
        let id = entry.key.strip_prefix(PREFIX).filter(|id| !id.is_empty())?;
        Some(ListedWorkload { stored: stored(id), size: entry.bytes })
    });
    Ok(Json(WorkloadList { workloads: listed.collect() }))
}

/// A stored workload with its text.
#[utoipa::path(get, path = "/v1/workloads/{workload_id}", tag = "workloads", params(("workload_id" = String, Path)),
    responses((status = 200, body = WorkloadText), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn read(State(gateway): State<Gateway>, WorkloadId(id): WorkloadId) -> Result<Json<WorkloadText>, ApiError> {
    let stored = stored(&id);
    let bytes = objects::read(&*gateway.vault, &stored.s3_key, MOST_BYTES as u64).await?;
    let bytes = bytes.ok_or_else(|| ApiError::NotFound(format!("workload '{id}' was not found")))?;
    let content = String::from_utf8(bytes).map_err(|_| ApiError::Wrong(vec![format!("workload '{id}' is not UTF-8")]))?;
    Ok(Json(WorkloadText { stored, content }))
}

fn stored(id: &str) -> StoredWorkload {
    StoredWorkload { workload_id: id.to_owned(), s3_key: format!("{PREFIX}{id}") }
}

fn is_id(text: &str) -> bool {
    let begins = text.starts_with(|letter: char| letter.is_ascii_alphanumeric());
    begins && text.len() <= LONGEST_ID && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}
