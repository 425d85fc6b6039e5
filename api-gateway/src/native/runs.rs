//! Runs as objects.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use crucible_crds::{TestRun, TestRunSpec};
use kube::api::DynamicObject;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    RunOutline,
    object::{NewObject, Objects},
    place::{Named, Namespace},
    problem::Problem,
};
use crate::{
    body::Sent,
    error::ApiError,
    legacy::{Asked, limit, read_cursor, write_cursor},
    runs::Run,
    state::Gateway,
};

/// How many runs a page has where nobody says.
const PAGE: u32 = 100;

/// Which runs are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhichRuns {
    /// Only runs with this label.
    label: Option<String>,
    /// At most so many runs, from 1 to 500. 100 when absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// One page of runs.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used: the answer is written run by run")]
pub struct RunObjectList {
    /// The runs that the cluster knows, newest first.
    runs: Vec<RunOutline>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
}

/// The runs of a namespace that the cluster knows, newest first.
#[utoipa::path(get, path = "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/runs", tag = "native", operation_id = "list_run_objects",
    params(("namespace" = String, Path), WhichRuns),
    responses((status = 200, body = RunObjectList), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(gateway): State<Gateway>, Namespace(namespace): Namespace, Asked(which): Asked<WhichRuns>) -> Result<Response, ApiError> {
    let most = limit(which.limit)?.unwrap_or(PAGE) as usize;
    let after = which.cursor.as_deref().map(read_cursor).transpose()?;
    look(&gateway, &namespace)?;
    let mut runs = gateway.runs.page(&namespace, which.label.as_deref(), after.as_ref(), most + 1);
    let further = runs.len() > most;
    runs.truncate(most);
    let next = runs.last().filter(|_| further).map(|run| write_cursor(&run.cursor()));
    let outlines: Vec<&[u8]> = runs.iter().map(|run| run.outline().as_ref()).collect();
    let mut text = b"{\"runs\":[".to_vec();
    text.extend(outlines.join(&b","[..]));
    text.extend_from_slice(b"],\"next_cursor\":");
    // A word or nothing can always be written.
    text.extend(serde_json::to_vec(&next).unwrap_or_default());
    text.push(b'}');
    Ok(as_json(text))
}

/// Makes a TestRun, which begins at once. Its name makes it one however often it is asked for: the second time it exists already.
#[utoipa::path(post, path = "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/runs", tag = "native", operation_id = "create_run_object",
    params(("namespace" = String, Path)), request_body = NewObject,
    responses((status = 201, body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn create(
    State(gateway): State<Gateway>,
    Namespace(namespace): Namespace,
    Sent(sent): Sent<NewObject>,
) -> Result<(StatusCode, Json<DynamicObject>), ApiError> {
    let made = Objects::of::<TestRun>(&gateway, &namespace).create::<TestRunSpec>(&namespace, sent).await?;
    take(&gateway, &made);
    Ok((StatusCode::CREATED, Json(made)))
}

/// A TestRun as `kubectl` shows it.
#[utoipa::path(get, path = "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/runs/{name}", tag = "native", operation_id = "read_run_object",
    params(("namespace" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn read(State(gateway): State<Gateway>, Named { namespace, name }: Named) -> Result<Json<DynamicObject>, ApiError> {
    Objects::of::<TestRun>(&gateway, &namespace).read(&name).await.map(Json)
}

/// Removes a TestRun. One that is live ends its load first; what was measured stays in the bucket and in the ledger.
#[utoipa::path(delete, path = "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/runs/{name}", tag = "native", operation_id = "delete_run_object",
    params(("namespace" = String, Path), ("name" = String, Path)),
    responses((status = 202, description = "The run is being removed."), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn remove(State(gateway): State<Gateway>, Named { namespace, name }: Named) -> Result<StatusCode, ApiError> {
    Objects::of::<TestRun>(&gateway, &namespace).remove(&name).await.map(|()| StatusCode::ACCEPTED)
}

/// Ends a run early. What was measured until then is kept. Stopping twice is stopping once, and one that has ended stays as it is.
#[utoipa::path(post, path = "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/runs/{name}/stop", tag = "native", operation_id = "stop_run_object",
    params(("namespace" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = RunOutline), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn stop(State(gateway): State<Gateway>, Named { namespace, name }: Named) -> Result<Response, ApiError> {
    if let Some(run) = gateway.runs.by_name(&namespace, &name).filter(|run| run.phase().is_terminal()) {
        return Ok(as_json(run.outline().to_vec()));
    }
    let told = Objects::of::<TestRun>(&gateway, &namespace).stop(&name).await?;
    let run = take(&gateway, &told);
    run.map(|run| as_json(run.outline().to_vec())).ok_or_else(|| ApiError::NotFound(format!("TestRun '{name}' was not found")))
}

/// Whether what the cluster knows of a namespace is known here.
fn look(gateway: &Gateway, namespace: &str) -> Result<(), ApiError> {
    if !gateway.runs.is_synced() {
        return Err(ApiError::Unavailable { what: "the cluster", cause: "the runs have not been listed yet".to_owned() });
    }
    if !gateway.runs.follows(namespace) {
        return Err(ApiError::NotFound(format!("this installation does not watch namespace '{namespace}'")));
    }
    Ok(())
}

/// A run that somebody has a name for.
pub(super) fn known(gateway: &Gateway, namespace: &str, name: &str) -> Result<std::sync::Arc<Run>, ApiError> {
    look(gateway, namespace)?;
    gateway.runs.by_name(namespace, name).ok_or_else(|| ApiError::NotFound(format!("TestRun '{name}' was not found")))
}

/// Takes the answer to a write into the rows, so that whoever asks next sees it.
fn take(gateway: &Gateway, object: &DynamicObject) -> Option<std::sync::Arc<Run>> {
    let run: TestRun = serde_json::to_value(object).and_then(serde_json::from_value).ok()?;
    gateway.runs.written(&run)
}

fn as_json(text: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], Body::from(text)).into_response()
}
