//! The report of a run, as it lies in the bucket. Whoever may write there could have put anything in its place, so it is shown as what it is:
//! a page of somebody else's, without a script, without our origin, without anything from elsewhere.

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::run;
use crate::{
    error::ApiError,
    legacy::{RunId, object},
    state::Gateway,
};

/// No report is larger; ours are below one MiB.
const MOST_BYTES: u64 = 16 << 20;

const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"),
    ),
    // The page of the run shows it in a frame.
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
];

/// The report of a run.
pub async fn report(State(gateway): State<Gateway>, RunId(run_id): RunId) -> Result<Response, ApiError> {
    // The bucket is everybody's: whose run it is decides who may look.
    run::find(&gateway, &run_id).await?;
    let read = object(&*gateway.vault, &key(&run_id), MOST_BYTES).await?;
    let bytes = read.ok_or_else(|| ApiError::NotFound(format!("test run '{run_id}' has left no report")))?;
    Ok((HEADERS, bytes).into_response())
}

fn key(run_id: &str) -> String {
    format!("results/{run_id}/report.html")
}
