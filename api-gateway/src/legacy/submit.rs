//! Routes that make runs: of a plan that is sent, of a stored plan by its name, of a stored plan by its key.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::request::Parts,
};
use crucible_lifecycle::legacy::{LegacyPlan, ids, plan};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    names::param,
    once::Once,
    order::{self, Order},
    start::{self, Start},
    stored::{self, Stored},
};
use crate::{
    body::{Sent, SentOrNot},
    error::{ApiError, ErrorBody},
    state::Gateway,
};

/// A run of a plan that is sent.
#[derive(Deserialize, ToSchema)]
pub struct Submission {
    /// The plan as YAML.
    plan_yaml: String,
    /// What it is stored as; what is not a letter, a digit, `_`, `.` or `-` becomes `_`. A plan of that name is replaced.
    plan_name: String,
    /// A word to find the run by; the plan's name when absent.
    #[serde(default)]
    #[schema(max_length = 256)]
    label: Option<String>,
    /// The system under test: `type` has to be the plan's own; everything else is kept.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    cluster_spec: Option<Value>,
    /// Notes on its settings, kept as they are.
    #[serde(default)]
    cluster_settings: Option<String>,
}

/// What is said of a run of a stored plan.
#[derive(Default, Deserialize, ToSchema)]
pub struct Trigger {
    /// A word to find the run by; the plan's own label, else its name, when absent.
    #[serde(default)]
    #[schema(max_length = 256)]
    label: Option<String>,
    /// The system under test: `type` has to be the plan's own; everything else is kept.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    cluster_spec: Option<Value>,
    /// Notes on its settings, kept as they are.
    #[serde(default)]
    cluster_settings: Option<String>,
}

/// A run that was made.
#[derive(Serialize, ToSchema)]
pub struct Submitted {
    /// The name that every later request knows it by.
    run_id: String,
    /// Where its plan lies in the bucket.
    plan_key: String,
    /// `intra_node` or `inter_node`.
    strategy: &'static str,
}

/// A run that was made by the key of its plan.
#[derive(Serialize, ToSchema)]
pub struct Triggered {
    /// The name that every later request knows it by.
    run_id: String,
    /// `intra_node` or `inter_node`.
    strategy: &'static str,
}

/// The name or the key of a stored plan in a path. One that cannot be one is nobody's.
pub struct Named(String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let name = match param(parts, state, "plan_name").await {
            Some(name) => Some(name),
            None => param(parts, state, "filename").await.map(|key| key.strip_prefix(stored::PREFIX).unwrap_or(&key).to_owned()),
        };
        name.filter(|name| ids::is_plan_name(name)).map(Self).ok_or_else(|| ApiError::NotFound("there is no such test plan".to_owned()))
    }
}

/// Stores a plan and makes a run of it.
///
/// With `Idempotency-Key` the same request makes one run however often it is sent.
#[utoipa::path(post, path = "/v1/test-runs", tag = "runs", request_body = Submission, params(("idempotency-key" = Option<String>, Header)),
    responses((status = 200, body = Submitted), (status = 409, body = ErrorBody), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn submit(State(gateway): State<Gateway>, once: Once, Sent(sent): Sent<Submission>) -> Result<Json<Submitted>, ApiError> {
    let Submission { plan_yaml, plan_name, label, cluster_spec, cluster_settings } = sent;
    let name = order::plan_name(&plan_name)?;
    let order = Order::read(name, false, (label, cluster_spec, cluster_settings), gateway.settings.require_cluster_spec)?;
    let plan = plan::parse(&plan_yaml).map_err(|details| ApiError::in_body(details, &["plan_yaml"]))?;
    let masked = plan::masked(&plan_yaml)?;
    // What contradicts itself is not stored.
    translate(&order, &plan)?;
    stored::put(&gateway, &order.plan_name, &plan_yaml, &plan).await?;
    make(&gateway, Start { order: &order, plan: &plan, revision: None, once: &once, masked_plan: Some(&masked) }).await.map(Json)
}

/// Makes a run of a stored plan. The body may be absent.
///
/// With `Idempotency-Key` the same request makes one run however often it is sent.
#[utoipa::path(post, path = "/v1/test-runs/{plan_name}", tag = "runs", params(("plan_name" = String, Path), ("idempotency-key" = Option<String>, Header)),
    request_body = Option<Trigger>,
    responses((status = 200, body = Submitted), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn trigger(
    State(gateway): State<Gateway>,
    once: Once,
    Named(name): Named,
    SentOrNot(sent): SentOrNot<Option<Trigger>>,
) -> Result<Json<Submitted>, ApiError> {
    trigger_stored(&gateway, name, &once, sent.flatten().unwrap_or_default()).await.map(Json)
}

/// Makes a run of a stored plan, by the plan's key in the bucket. The body may be absent.
#[utoipa::path(post, path = "/test-runs/{*filename}", tag = "runs", params(("filename" = String, Path), ("idempotency-key" = Option<String>, Header)),
    request_body = Option<Trigger>,
    responses((status = 200, body = Triggered), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn trigger_by_key(
    State(gateway): State<Gateway>,
    once: Once,
    Named(name): Named,
    SentOrNot(sent): SentOrNot<Option<Trigger>>,
) -> Result<Json<Triggered>, ApiError> {
    let Submitted { run_id, plan_key: _, strategy } = trigger_stored(&gateway, name, &once, sent.flatten().unwrap_or_default()).await?;
    Ok(Json(Triggered { run_id, strategy }))
}

async fn trigger_stored(gateway: &Gateway, name: String, once: &Once, said: Trigger) -> Result<Submitted, ApiError> {
    let Trigger { label, cluster_spec, cluster_settings } = said;
    let Stored { text, revision } = stored::read(gateway, &name).await?;
    let order = Order::read(name, true, (label, cluster_spec, cluster_settings), gateway.settings.require_cluster_spec)?;
    let plan = plan::parse(&text).map_err(|details| ApiError::in_body(details, &["plan"]))?;
    make(gateway, Start { order: &order, plan: &plan, revision: revision.as_deref(), once, masked_plan: None }).await
}

async fn make(gateway: &Gateway, start: Start<'_>) -> Result<Submitted, ApiError> {
    let translation = translate(start.order, start.plan)?;
    let (strategy, plan_key) = (translation.scaling_mode.as_str(), stored::key(&start.order.plan_name));
    let run_id = start::start(gateway, start, translation).await?;
    Ok(Submitted { run_id, plan_key, strategy })
}

fn translate(order: &Order, plan: &LegacyPlan) -> Result<crucible_lifecycle::legacy::Translation, ApiError> {
    order.translate(plan).map_err(|details| ApiError::in_body(details, &[]))
}
