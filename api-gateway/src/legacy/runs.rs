//! The list of runs, page by page or whole. A whole list is sent as it is read: nobody holds ten thousand runs in memory.

use std::io;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use crucible_store::{LedgerError, ledger::ListRuns};
use futures::stream::{self, StreamExt};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    INCOMPLETE,
    query::{Asked, limit, read_cursor, write_cursor},
};
use crate::{
    error::{ApiError, ErrorBody},
    runs::{Listed, Merged, Row, RunBody},
    state::Gateway,
};

/// Which runs are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Only runs with this label.
    run_label: Option<String>,
    /// At most so many runs, from 1 to 500. All of them when absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Runs, newest first.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used: the answer is written run by run")]
pub struct RunList {
    /// The runs.
    runs: Vec<RunBody>,
    /// Where the next page begins; only where a limit was asked for, and null on the last page.
    next_cursor: Option<String>,
}

/// Every run, newest first.
#[utoipa::path(get, path = "/v1/test-runs", tag = "runs", params(Which),
    responses((status = 200, body = RunList), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn list(State(gateway): State<Gateway>, Asked(which): Asked<Which>) -> Result<Response, ApiError> {
    let Which { run_label, limit: asked, cursor } = which;
    let limit = limit(asked)?;
    let after = cursor.as_deref().map(read_cursor).transpose()?;
    let query = ListRuns { namespace: gateway.settings.namespace.clone(), label: run_label, after, limit: limit.unwrap_or(0) };
    if query.label.as_ref().is_some_and(|label| label.contains('\0')) {
        // No text of the ledger can hold that, so that no run has such a label.
        return Ok(page(Listed::default(), limit.is_some()));
    }
    let (first, complete) = match gateway.listed.page(&query).await {
        Ok(listed) => (listed, true),
        Err(error) => (known(&gateway, &query, &error)?, false),
    };
    let mut response =
        if limit.is_some() || first.next.is_none() { page(first, limit.is_some()) } else { whole(gateway.listed.clone(), query, first, complete) };
    if !complete {
        response.headers_mut().insert(INCOMPLETE, HeaderValue::from_static("ledger"));
    }
    Ok(response)
}

/// What the cluster knows while the ledger is away; nothing at all would help nobody.
pub fn known(gateway: &Gateway, query: &ListRuns, error: &LedgerError) -> Result<Listed, ApiError> {
    if !gateway.runs.is_synced() {
        return Err(error.clone().into());
    }
    tracing::warn!(%error, "runs that only the ledger knows are left out");
    Ok(gateway.listed.known(query))
}

fn page(listed: Listed, paged: bool) -> Response {
    let next = listed.next.as_ref().map(write_cursor);
    let mut text = Vec::with_capacity(32 + listed.rows.len() * 512);
    text.extend_from_slice(b"{\"runs\":[");
    write_rows(listed.rows, &mut text);
    text.push(b']');
    if paged {
        text.extend_from_slice(b",\"next_cursor\":");
        // A word or nothing can always be written.
        text.extend(serde_json::to_vec(&next).unwrap_or_default());
    }
    text.push(b'}');
    as_json(Body::from(text))
}

fn write_rows(rows: Vec<Row>, to: &mut Vec<u8>) {
    for (place, row) in rows.into_iter().enumerate() {
        if place > 0 {
            to.push(b',');
        }
        row.write(to);
    }
}

/// Every page after another. Where the ledger goes away in between, the answer breaks off: half a list that looks whole would be a lie.
fn whole(merged: Merged, query: ListRuns, first: Listed, complete: bool) -> Response {
    let mut text = b"{\"runs\":[".to_vec();
    write_rows(first.rows, &mut text);
    let pages = stream::try_unfold(Some((merged, ListRuns { after: first.next, ..query })), move |place| async move {
        let Some((merged, query)) = place else { return Ok(None) };
        if query.after.is_none() {
            return Ok::<_, io::Error>(Some((Bytes::from_static(b"]}"), None)));
        }
        let listed = if complete { merged.page(&query).await.map_err(io::Error::other)? } else { merged.known(&query) };
        let mut text = Vec::new();
        if !listed.rows.is_empty() {
            text.push(b',');
        }
        write_rows(listed.rows, &mut text);
        Ok(Some((Bytes::from(text), Some((merged, ListRuns { after: listed.next, ..query })))))
    });
    as_json(Body::from_stream(stream::once(async { Ok(Bytes::from(text)) }).chain(pages)))
}

fn as_json(body: Body) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}
