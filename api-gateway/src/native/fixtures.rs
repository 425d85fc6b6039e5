//! Fixtures as objects. Their files arrive by the routes below `/fixtures`.

use axum::{Json, extract::State, http::StatusCode};
use crucible_crds::{Fixture, FixtureSpec};
use jiff::Timestamp;
use kube::{ResourceExt, api::DynamicObject};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    object::{NewObject, Objects, Which},
    place::{Named, Namespace},
    problem::Problem,
};
use crate::{body::Sent, error::ApiError, legacy::Asked, state::Gateway};

/// One page of fixtures.
#[derive(Serialize, ToSchema)]
pub struct FixtureList {
    /// The fixtures, by name.
    fixtures: Vec<FixtureOutline>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
}

/// A Fixture in few words.
#[derive(Serialize, ToSchema)]
pub struct FixtureOutline {
    /// Its name.
    name: String,
    /// Where its files are in the bucket.
    prefix: Option<String>,
    /// How they are written.
    format: Option<String>,
    /// When it was made.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<Timestamp>,
}

/// The fixtures of a namespace, by name.
#[utoipa::path(get, path = "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/fixtures", tag = "native", operation_id = "list_fixture_objects",
    params(("namespace" = String, Path), Which),
    responses((status = 200, body = FixtureList), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(gateway): State<Gateway>, Namespace(namespace): Namespace, which: Asked<Which>) -> Result<Json<FixtureList>, ApiError> {
    let page = Objects::of::<Fixture>(&gateway, &namespace).page(which).await?;
    let outline = |fixture: &DynamicObject| {
        let spec = &fixture.data["spec"];
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let created_at = fixture.creation_timestamp().map(|at| at.0);
        FixtureOutline { name: fixture.name_any(), prefix: text(&spec["source"]["prefix"]), format: text(&spec["format"]), created_at }
    };
    Ok(Json(FixtureList { fixtures: page.objects.iter().map(outline).collect(), next_cursor: page.next }))
}

/// Makes a Fixture: says of a prefix of the bucket that it is a dataset.
#[utoipa::path(post, path = "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/fixtures", tag = "native", operation_id = "create_fixture_object",
    params(("namespace" = String, Path)), request_body = NewObject,
    responses((status = 201, body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn create(
    State(gateway): State<Gateway>,
    Namespace(namespace): Namespace,
    Sent(sent): Sent<NewObject>,
) -> Result<(StatusCode, Json<DynamicObject>), ApiError> {
    let made = Objects::of::<Fixture>(&gateway, &namespace).create::<FixtureSpec>(&namespace, sent).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// A Fixture as `kubectl` shows it.
#[utoipa::path(get, path = "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/fixtures/{name}", tag = "native", operation_id = "read_fixture_object",
    params(("namespace" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn read(State(gateway): State<Gateway>, Named { namespace, name }: Named) -> Result<Json<DynamicObject>, ApiError> {
    Objects::of::<Fixture>(&gateway, &namespace).read(&name).await.map(Json)
}

/// Removes a Fixture. Its files stay in the bucket.
#[utoipa::path(delete, path = "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/fixtures/{name}", tag = "native", operation_id = "delete_fixture_object",
    params(("namespace" = String, Path), ("name" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn remove(State(gateway): State<Gateway>, Named { namespace, name }: Named) -> Result<StatusCode, ApiError> {
    Objects::of::<Fixture>(&gateway, &namespace).remove(&name).await.map(|()| StatusCode::NO_CONTENT)
}
