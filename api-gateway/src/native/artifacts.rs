//! What a run left in the bucket, with signed addresses that a browser can follow. They hold for minutes, and what they lead to is stored by a
//! browser and never shown as a page of ours.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{HeaderName, HeaderValue, header},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use crucible_store::vault::GetOnce;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{place::Named, problem::Problem};
use crate::{
    error::ApiError,
    legacy::{Asked, limit},
    state::Gateway,
};

/// How long an address holds.
pub(super) const SIGNED: Duration = Duration::from_mins(5);
/// How many objects a page has where nobody says.
const PAGE: u32 = 100;

/// Which page is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhichArtifacts {
    /// At most so many, from 1 to 500. 100 when absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// One page of what a run left.
#[derive(Serialize, ToSchema)]
pub struct ArtifactLinks {
    /// The name that results have.
    run_id: String,
    /// Until when the addresses hold.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// What there is, by name.
    artifacts: Vec<ArtifactLink>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
}

/// Something that a run left.
#[derive(Serialize, ToSchema)]
pub struct ArtifactLink {
    /// Its name below the run's own prefix.
    name: String,
    /// Its length in bytes.
    size: u64,
    /// Where it can be read.
    url: String,
}

/// What a run left in the bucket, with signed addresses.
#[utoipa::path(get, path = "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/runs/{name}/artifacts", tag = "native", operation_id = "list_run_object_artifacts",
    params(("namespace" = String, Path), ("name" = String, Path), WhichArtifacts),
    responses((status = 200, body = ArtifactLinks), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn artifacts(
    State(gateway): State<Gateway>,
    Named { namespace, name }: Named,
    Asked(which): Asked<WhichArtifacts>,
) -> Result<([(HeaderName, HeaderValue); 1], Json<ArtifactLinks>), ApiError> {
    let most = limit(which.limit)?.unwrap_or(PAGE) as usize;
    let after = which.cursor.as_deref().map(read).transpose()?.unwrap_or_default();
    let run = super::runs::known(&gateway, &namespace, &name)?;
    let prefix = format!("results/{}/", run.run_id());
    let entries = gateway.vault.list(&prefix).await?;
    let named = entries.iter().filter_map(|entry| Some((entry.key.strip_prefix(&prefix)?, entry.bytes))).filter(|(name, _)| *name > after.as_str());
    let mut named: Vec<(&str, u64)> = named.take(most + 1).collect();
    let further = named.len() > most;
    named.truncate(most);
    let next_cursor = named.last().filter(|_| further).map(|(name, _)| BASE64_URL_SAFE_NO_PAD.encode(name));
    let expires_at = gateway.clock.now() + SignedDuration::from_secs(SIGNED.as_secs().cast_signed());
    let mut artifacts = Vec::with_capacity(named.len());
    for (name, size) in named {
        artifacts.push(ArtifactLink { url: sign(&gateway, run.run_id(), name).await?, name: name.to_owned(), size });
    }
    let private = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((private, Json(ArtifactLinks { run_id: run.run_id().to_owned(), expires_at, artifacts, next_cursor })))
}

/// An address that reads one object of a run.
pub(crate) async fn sign(gateway: &Gateway, run_id: &str, name: &str) -> Result<String, ApiError> {
    let (key, file_name) = (format!("results/{run_id}/{name}"), format!("{run_id}_{name}"));
    let get = GetOnce { key: &key, file_name: &file_name, expires: SIGNED };
    Ok(gateway.vault.presign_get(&get).await?.url)
}

fn read(word: &str) -> Result<String, ApiError> {
    let name = BASE64_URL_SAFE_NO_PAD.decode(word).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    name.ok_or_else(|| ApiError::invalid(&["query", "cursor"], "is not the next_cursor of a page before", "value_error"))
}
