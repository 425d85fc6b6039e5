//! Routes of stored plans. What is wrong with a plan is said when it is stored, with every place at once.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
};
use crucible_lifecycle::legacy::{self, LegacyPlan, ids, plan};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{form::File, names::param, order::Order, query::Asked, stored};
use crate::{
    body::Sent,
    error::{ApiError, ErrorBody},
    state::Gateway,
};

/// The stored plans.
#[derive(Serialize, ToSchema)]
pub struct PlanList {
    /// The plans, by name.
    plans: Vec<ListedPlan>,
}

/// A stored plan in the list of all.
#[derive(Serialize, ToSchema)]
pub struct ListedPlan {
    /// Its name.
    name: String,
    /// Where it lies in the bucket.
    key: String,
    /// When it was stored.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_modified: Option<Timestamp>,
    /// Its length in bytes.
    size: u64,
}

/// Where a plan was stored.
#[derive(Serialize, ToSchema)]
pub struct PlanKey {
    /// Its place in the bucket.
    key: String,
}

/// What a new plan is called.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NewName {
    /// Its name; what is not a letter, a digit, `_`, `.` or `-` becomes `_`.
    name: String,
}

/// A plan to be looked at.
#[derive(Deserialize, ToSchema)]
pub struct PlanText {
    /// The plan as YAML.
    plan_yaml: String,
}

/// What somebody thinks of a plan.
#[derive(Serialize, ToSchema)]
pub struct Validity {
    /// Whether it can be submitted.
    valid: bool,
    /// Everything that is wrong with it, where it cannot.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Mistake>,
}

/// One thing that is wrong with a plan.
#[derive(Serialize, ToSchema)]
pub struct Mistake {
    /// Where, for example `execution.workload[0].workload_id`.
    path: String,
    /// What is wrong there.
    message: String,
}

impl From<legacy::Detail> for Mistake {
    fn from(detail: legacy::Detail) -> Self {
        Self { path: detail.path(), message: detail.msg }
    }
}

/// A plan in the form of a file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used: the form is read by hand")]
pub struct PlanFile {
    /// The plan as YAML. What the file is called, without its ending, is the plan's name.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// The name of a stored plan in a path. One that cannot be one is nobody's.
pub struct PlanName(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PlanName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let name = param(parts, state, "name").await.filter(|name| ids::is_plan_name(name));
        name.map(Self).ok_or_else(|| ApiError::NotFound("there is no such test plan".to_owned()))
    }
}

/// Every stored plan.
#[utoipa::path(get, path = "/test-plans", tag = "plans", responses((status = 200, body = PlanList), (status = 503, body = ErrorBody)))]
pub async fn list(State(gateway): State<Gateway>) -> Result<Json<PlanList>, ApiError> {
    let entries = gateway.vault.list(stored::PREFIX).await?;
    let listed = entries.into_iter().filter_map(|entry| {
        let name = entry.key.strip_prefix(stored::PREFIX).filter(|name| !name.is_empty())?.to_owned();
        Some(ListedPlan { name, key: entry.key, last_modified: entry.modified, size: entry.bytes })
    });
    Ok(Json(PlanList { plans: listed.collect() }))
}

/// A stored plan as JSON, without its password.
#[utoipa::path(get, path = "/test-plans/{name}", tag = "plans", params(("name" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = ErrorBody), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn read(State(gateway): State<Gateway>, PlanName(name): PlanName) -> Result<Json<Value>, ApiError> {
    Ok(Json(plan::shown(&stored::text(&gateway, &name).await?)?))
}

/// Stores a new plan.
#[utoipa::path(post, path = "/test-plans", tag = "plans", params(NewName), request_body = Object,
    responses((status = 201, body = PlanKey), (status = 409, body = ErrorBody), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn create(
    State(gateway): State<Gateway>,
    Asked(NewName { name }): Asked<NewName>,
    Sent(sent): Sent<Value>,
) -> Result<(StatusCode, Json<PlanKey>), ApiError> {
    let name = ids::sanitise(&name).ok_or_else(|| no_name(&["query", "name"]))?;
    make(&gateway, &name, &plan::text_of(&sent)).await
}

/// Stores a new plan that comes as a file.
#[utoipa::path(post, path = "/test-plans/upload", tag = "plans", request_body(content = PlanFile, content_type = "multipart/form-data"),
    responses((status = 201, body = PlanKey), (status = 409, body = ErrorBody), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn upload(State(gateway): State<Gateway>, file: File) -> Result<(StatusCode, Json<PlanKey>), ApiError> {
    let name = ids::sanitise(&file.stem).ok_or_else(|| no_name(&["body", "file"]))?;
    make(&gateway, &name, plan::decode(&file.content)?).await
}

/// Stores a plan, or replaces it.
#[utoipa::path(put, path = "/test-plans/{name}", tag = "plans", params(("name" = String, Path)), request_body = Object,
    responses((status = 200, body = PlanKey), (status = 404, body = ErrorBody), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn replace(State(gateway): State<Gateway>, PlanName(name): PlanName, Sent(sent): Sent<Value>) -> Result<Json<PlanKey>, ApiError> {
    write(&gateway, &name, &plan::text_of(&sent)).await.map(Json)
}

/// Stores a plan that comes as a file, or replaces it. What the file is called does not matter.
#[utoipa::path(put, path = "/test-plans/{name}/upload", tag = "plans", params(("name" = String, Path)),
    request_body(content = PlanFile, content_type = "multipart/form-data"),
    responses((status = 200, body = PlanKey), (status = 404, body = ErrorBody), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn replace_upload(State(gateway): State<Gateway>, PlanName(name): PlanName, file: File) -> Result<Json<PlanKey>, ApiError> {
    write(&gateway, &name, plan::decode(&file.content)?).await.map(Json)
}

/// Removes a stored plan. Runs of it go on.
#[utoipa::path(delete, path = "/test-plans/{name}", tag = "plans", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn remove(State(gateway): State<Gateway>, PlanName(name): PlanName) -> Result<StatusCode, ApiError> {
    if !stored::exists(&gateway, &name).await? {
        return Err(ApiError::NotFound(format!("test plan '{name}' was not found")));
    }
    stored::remove(&gateway, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Looks at a plan without storing it.
#[utoipa::path(post, path = "/v1/test-plans/validate", tag = "plans", request_body = PlanText,
    responses((status = 200, description = "What is thought of it, also where it is not valid", body = Validity), (status = 422, body = ErrorBody)))]
pub async fn validate(Sent(PlanText { plan_yaml }): Sent<PlanText>) -> Json<Validity> {
    let errors: Vec<Mistake> = understood(&plan_yaml).err().into_iter().flatten().map(Mistake::from).collect();
    Json(Validity { valid: errors.is_empty(), errors })
}

async fn make(gateway: &Gateway, name: &str, text: &str) -> Result<(StatusCode, Json<PlanKey>), ApiError> {
    checked(text)?;
    if stored::exists(gateway, name).await? {
        return Err(ApiError::Conflict(format!("test plan '{name}' exists already")));
    }
    Ok((StatusCode::CREATED, Json(write(gateway, name, text).await?)))
}

async fn write(gateway: &Gateway, name: &str, text: &str) -> Result<PlanKey, ApiError> {
    stored::put(gateway, name, text, &checked(text)?).await?;
    Ok(PlanKey { key: stored::key(name) })
}

/// A plan that could be submitted.
fn checked(text: &str) -> Result<LegacyPlan, ApiError> {
    understood(text).map_err(|details| ApiError::in_body(details, &[]))
}

fn understood(text: &str) -> Result<LegacyPlan, Vec<legacy::Detail>> {
    let plan = plan::parse(text)?;
    Order::default().translate(&plan)?;
    Ok(plan)
}

/// A name that nothing is left of.
pub fn no_name(place: &[&str]) -> ApiError {
    ApiError::invalid(place, "a name has letters and digits, at most 200 characters in all", "value_error")
}
