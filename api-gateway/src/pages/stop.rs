//! The early end of a run: asked for on one page, sent from there.

use axum::{
    extract::State,
    response::{Html, IntoResponse, Redirect, Response},
};
use crucible_lifecycle::results::pieces::markup::text;
use crucible_store::ledger::StopOutcome;

use super::{frame::Frame, run};
use crate::{
    error::ApiError,
    legacy::{self, RunId, unknown},
    state::Gateway,
};

/// Asks whether they are sure.
pub async fn ask(State(gateway): State<Gateway>, RunId(run_id): RunId) -> Result<Response, ApiError> {
    let seen = run::find(&gateway, &run_id).await?;
    if !seen.is_live() || seen.is_stopping() {
        return Ok(Redirect::to(&format!("/ui/runs/{run_id}")).into_response());
    }
    let main = format!(
        "<p class=\"trail\"><a href=\"/ui/\">Runs</a> <a href=\"/ui/runs/{run_id}\">{id}</a></p>\n<div class=\"card\"><h1>Stop this run?</h1>\n\
         <p>The load of <strong>{}</strong> ends within ten seconds. What was measured until then is kept and judged as a run that was ended early.</p>\n\
         <p>This cannot be taken back.</p>\n<form method=\"post\" action=\"/ui/runs/{run_id}/stop\" class=\"actions\">\
         <button class=\"button bad\">Stop the run</button><a class=\"button\" href=\"/ui/runs/{run_id}\">Let it go on</a></form></div>",
        text(&seen.plan),
        id = text(&run_id),
    );
    Ok(Html(Frame::new("Stop this run?", main).page(&gateway)).into_response())
}

/// Ends it. Stopping twice is stopping once.
pub async fn stop(State(gateway): State<Gateway>, RunId(run_id): RunId) -> Result<Redirect, ApiError> {
    match legacy::end(&gateway, &run_id).await? {
        StopOutcome::Stopping | StopOutcome::AlreadyStopped => Ok(Redirect::to(&format!("/ui/runs/{run_id}"))),
        StopOutcome::NotFound => Err(unknown(&gateway, &run_id)),
    }
}
