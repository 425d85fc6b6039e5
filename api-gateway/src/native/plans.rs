//! Plans as objects.

use axum::{Json, extract::State, http::StatusCode};
use crucible_crds::{TestPlan, TestPlanSpec};
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

/// One page of plans.
#[derive(Serialize, ToSchema)]
pub struct PlanList {
    /// The plans, by name.
    plans: Vec<PlanOutline>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
}

/// A TestPlan in few words.
#[derive(Serialize, ToSchema)]
pub struct PlanOutline {
    /// Its name.
    name: String,
    /// What kind of database is tested.
    engine: Option<String>,
    /// Where it answers.
    endpoint: Option<String>,
    /// How many workers send the load.
    workers: Option<u64>,
    /// Whether it can be run; null while nobody has looked.
    accepted: Option<bool>,
    /// Why it can or cannot.
    message: Option<String>,
    /// When it was made.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<Timestamp>,
}

/// The plans of a namespace, by name.
#[utoipa::path(get, path = "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/plans", tag = "native", operation_id = "list_plan_objects",
    params(("namespace" = String, Path), Which),
    responses((status = 200, body = PlanList), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(gateway): State<Gateway>, Namespace(namespace): Namespace, which: Asked<Which>) -> Result<Json<PlanList>, ApiError> {
    let page = Objects::of::<TestPlan>(&gateway, &namespace).page(which).await?;
    Ok(Json(PlanList { plans: page.objects.iter().map(outline).collect(), next_cursor: page.next }))
}

/// Makes a TestPlan. The password of the system under test stays in its Secret, which the plan names.
#[utoipa::path(post, path = "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/plans", tag = "native", operation_id = "create_plan_object",
    params(("namespace" = String, Path)), request_body = NewObject,
    responses((status = 201, body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn create(
    State(gateway): State<Gateway>,
    Namespace(namespace): Namespace,
    Sent(sent): Sent<NewObject>,
) -> Result<(StatusCode, Json<DynamicObject>), ApiError> {
    let made = Objects::of::<TestPlan>(&gateway, &namespace).create::<TestPlanSpec>(&namespace, sent).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// A TestPlan as `kubectl` shows it.
#[utoipa::path(get, path = "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/plans/{name}", tag = "native", operation_id = "read_plan_object",
    params(("namespace" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn read(State(gateway): State<Gateway>, Named { namespace, name }: Named) -> Result<Json<DynamicObject>, ApiError> {
    Objects::of::<TestPlan>(&gateway, &namespace).read(&name).await.map(Json)
}

/// Removes a TestPlan. Runs that were admitted go on: theirs is frozen.
#[utoipa::path(delete, path = "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/plans/{name}", tag = "native", operation_id = "delete_plan_object",
    params(("namespace" = String, Path), ("name" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn remove(State(gateway): State<Gateway>, Named { namespace, name }: Named) -> Result<StatusCode, ApiError> {
    Objects::of::<TestPlan>(&gateway, &namespace).remove(&name).await.map(|()| StatusCode::NO_CONTENT)
}

fn outline(plan: &DynamicObject) -> PlanOutline {
    let (target, status) = (&plan.data["spec"]["target"], &plan.data["status"]);
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let accepted = status["conditions"].as_array().into_iter().flatten().find(|condition| condition["type"] == "Accepted");
    PlanOutline {
        name: plan.name_any(),
        engine: text(&target["engine"]),
        endpoint: text(&target["endpoint"]),
        // The default of the definition.
        workers: plan.data["spec"]["load"]["workers"].as_u64(),
        accepted: accepted.and_then(|condition| match condition["status"].as_str() {
            Some("True") => Some(true),
            Some("False") => Some(false),
            _ => None,
        }),
        message: accepted.and_then(|condition| text(&condition["message"])).filter(|message| !message.is_empty()),
        created_at: plan.creation_timestamp().map(|at| at.0),
    }
}
