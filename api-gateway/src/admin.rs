//! The port of the kubelet and of Prometheus: alive, ready, counted. Nothing of it needs a token, and nothing of it tells a name.

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::state::Gateway;

/// `/healthz`, `/readyz` and `/metrics`.
pub fn routes(gateway: Gateway) -> Router {
    Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(ready)).route("/metrics", get(metrics)).with_state(gateway)
}

/// Ready once the watch cache holds every run. What goes away later costs only the answers that need it, so that readiness stays.
pub async fn ready(State(gateway): State<Gateway>) -> Response {
    if gateway.runs.is_synced() {
        return "ready".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "the runs have not been listed yet").into_response()
}

async fn metrics(State(gateway): State<Gateway>) -> Response {
    match gateway.metrics.render(gateway.runs.len(), gateway.runs.is_synced()) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
