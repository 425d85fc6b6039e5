//! What a run left in the bucket: a list on its page, and a way to each of them. The address is signed when somebody goes there and not before,
//! and what it leads to is stored by a browser and never shown as a page of ours.

use std::fmt::Write as _;

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::Redirect,
};
use crucible_lifecycle::results::pieces::markup::{Column, TableRow, grouped, table, text};
use crucible_store::{VaultError, vault::Entry};
use serde::Deserialize;

use super::{form, run, words};
use crate::{
    error::ApiError,
    legacy::{Asked, RunId},
    native,
    state::Gateway,
};

/// How many are listed; a run with raw samples may have left one file for each worker, and histograms beside them.
const MOST: u16 = 500;

/// Which file is wanted.
#[derive(Debug, Deserialize)]
pub struct Which {
    /// Its name below the run's own prefix.
    name: String,
}

/// Leads to a file of a run.
pub async fn file(
    State(gateway): State<Gateway>,
    RunId(run_id): RunId,
    Asked(Which { name }): Asked<Which>,
) -> Result<([(HeaderName, HeaderValue); 1], Redirect), ApiError> {
    // The bucket is everybody's: whose run it is decides who may look.
    run::find(&gateway, &run_id).await?;
    match gateway.vault.head(&format!("{}{name}", prefix(&run_id))).await {
        Ok(_) => {}
        Err(VaultError::NotFound { .. }) => return Err(ApiError::NotFound(format!("test run '{run_id}' has left no file of that name"))),
        Err(error) => return Err(error.into()),
    }
    let address = native::sign(&gateway, &run_id, &name).await?;
    Ok(([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Redirect::to(&address)))
}

/// What a run left, by name; an error where nobody can say right now.
pub async fn left(gateway: &Gateway, run_id: &str) -> Result<Vec<Entry>, ()> {
    gateway.vault.list_after(&prefix(run_id), "", MOST + 1).await.map_err(|error| tracing::warn!(%error, "what a run left is left out of its page"))
}

/// Whether a file of this name is among what a run left.
pub fn has(files: &[Entry], run_id: &str, name: &str) -> bool {
    files.iter().any(|entry| entry.key.strip_prefix(&prefix(run_id)) == Some(name))
}

/// A table of what a run left; nothing where that is nothing.
pub fn listed(files: &[Entry], run_id: &str) -> String {
    if files.is_empty() {
        return String::new();
    }
    let row = |entry: &Entry| {
        let name = entry.key.strip_prefix(&prefix(run_id))?;
        let link = format!("<a class=\"id\" href=\"/ui/runs/{run_id}/files?name={}\">{}</a>", text(&form::word(name)), text(name));
        Some(TableRow::from(vec![link, words::size(entry.bytes)]))
    };
    let mut out =
        table("Everything that the run left, by name", &[Column("file", false), Column("size", true)], files.iter().take(MOST.into()).filter_map(row));
    if files.len() > usize::from(MOST) {
        let _ = writeln!(out, "<p class=\"soft\">There are more than {} files; the API's route of artifacts lists all of them.</p>", grouped(MOST.into()));
    }
    out
}

fn prefix(run_id: &str) -> String {
    format!("results/{run_id}/")
}
