//! The service itself.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// Whether the service is there.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the service is there. It says nothing of what stands behind it.
#[utoipa::path(get, path = "/health", tag = "service", security(()), responses((status = 200, body = Health)))]
pub async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}
