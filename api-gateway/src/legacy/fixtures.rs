//! Datasets in the bucket: what there is of them, and how their files arrive. The bytes never pass through here: the client sends each part
//! straight to the bucket, by an address that is signed for that part alone.

mod names;
mod stale;
mod upload;

use axum::{Json, extract::State, http::StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use self::names::FileName;
pub use self::names::FixtureId;
pub use self::{
    stale::sweep,
    upload::{__path_begin, __path_complete, __path_sign, begin, complete, sign},
};
use crate::{
    error::{ApiError, ErrorBody},
    state::Gateway,
};

/// Where they lie in the bucket.
pub const PREFIX: &str = "fixtures/";

/// Every dataset.
#[derive(Serialize, ToSchema)]
pub struct FixtureIds {
    /// Their ids.
    fixture_ids: Vec<String>,
}

/// A dataset with its files.
#[derive(Serialize, ToSchema)]
pub struct FixtureFiles {
    /// Its id.
    fixture_id: String,
    /// Its files, by name.
    files: Vec<FixtureFile>,
}

/// A file of a dataset.
#[derive(Serialize, ToSchema)]
pub struct FixtureFile {
    /// Its name in the dataset.
    name: String,
    /// Where it lies in the bucket.
    key: String,
    /// When it was stored.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_modified: Option<Timestamp>,
    /// Its length in bytes.
    size: u64,
}

/// Every dataset that has a file.
#[utoipa::path(get, path = "/fixtures", tag = "fixtures", responses((status = 200, body = FixtureIds), (status = 503, body = ErrorBody)))]
pub async fn list(State(gateway): State<Gateway>) -> Result<Json<FixtureIds>, ApiError> {
    Ok(Json(FixtureIds { fixture_ids: gateway.vault.folders(PREFIX).await? }))
}

/// The files of a dataset. One that has none is not told from one that there never was.
#[utoipa::path(get, path = "/fixtures/{fixture_id}", tag = "fixtures", params(("fixture_id" = String, Path)),
    responses((status = 200, body = FixtureFiles), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn files(State(gateway): State<Gateway>, FixtureId(fixture_id): FixtureId) -> Result<Json<FixtureFiles>, ApiError> {
    let prefix = format!("{PREFIX}{fixture_id}/");
    let entries = gateway.vault.list(&prefix).await?;
    let files = entries.into_iter().filter_map(|entry| {
        // An object called like the folder itself is how some programs make folders.
        let name = entry.key.strip_prefix(&prefix).filter(|name| !name.is_empty())?.to_owned();
        Some(FixtureFile { name, key: entry.key, last_modified: entry.modified, size: entry.bytes })
    });
    Ok(Json(FixtureFiles { files: files.collect(), fixture_id }))
}

/// Removes a file of a dataset.
#[utoipa::path(delete, path = "/fixtures/{fixture_id}/{file}", tag = "fixtures", params(("fixture_id" = String, Path), ("file" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorBody), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn remove(State(gateway): State<Gateway>, FixtureId(id): FixtureId, FileName(file): FileName) -> Result<StatusCode, ApiError> {
    let key = key(&id, &file);
    gateway.vault.head(&key).await?;
    gateway.vault.delete(&key).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn key(id: &str, file: &str) -> String {
    format!("{PREFIX}{id}/{file}")
}
