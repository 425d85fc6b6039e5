//! The operator's two ports: health and metrics on one, the workers' check-in on the other.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use crucible_lifecycle::{
    build::names::{self, Role},
    contract::{CHECK_IN_PATH, CheckIn, LOAD_PATH, LoadAnswer, LoadReport},
};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{context::Context, loaders, token::Token};

/// No check-in is longer.
const LONGEST_CHECK_IN: usize = 4096;
/// No word of a loader is longer: 64 tables and 256 keys.
const LONGEST_LOAD_REPORT: usize = 512 << 10;
/// How long the API server may take to answer for readiness and tokens.
const ASKING: Duration = Duration::from_secs(2);

/// What the routes need.
#[derive(Clone)]
pub struct Admin {
    /// Everything the operator has.
    pub ctx: Arc<Context>,
    /// Whether this replica is the leader.
    pub leading: watch::Receiver<bool>,
}

/// Serves both ports until `stop` is done.
pub async fn serve(admin: Admin, health: TcpListener, check_in: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
    let health = axum::serve(health, health_routes(admin.clone())).with_graceful_shutdown(stop.clone().cancelled_owned());
    let check_in = axum::serve(check_in, check_in_routes(admin)).with_graceful_shutdown(stop.cancelled_owned());
    tokio::try_join!(health.into_future(), check_in.into_future()).map(|_| ())
}

/// `/healthz`, `/readyz` and `/metrics`.
pub fn health_routes(admin: Admin) -> Router {
    Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(ready)).route("/metrics", get(metrics)).with_state(admin)
}

/// The workers' check-in, and what loaders say and ask.
pub fn check_in_routes(admin: Admin) -> Router {
    let workers = Router::new().route(CHECK_IN_PATH, post(check_in)).layer(DefaultBodyLimit::max(LONGEST_CHECK_IN));
    let loaders = Router::new().route(LOAD_PATH, post(load)).layer(DefaultBodyLimit::max(LONGEST_LOAD_REPORT));
    workers.merge(loaders).with_state(admin)
}

/// Ready, as leader or standby, while the API server answers.
async fn ready(State(admin): State<Admin>) -> Response {
    match timeout(ASKING, admin.ctx.client.apiserver_version()).await {
        Ok(Ok(_)) => (StatusCode::OK, if *admin.leading.borrow() { "leader" } else { "standby" }).into_response(),
        Ok(Err(_)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the API server cannot be reached").into_response(),
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    admin.ctx.metrics.leads(*admin.leading.borrow());
    match admin.ctx.metrics.render(&admin.ctx.memory) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Why a check-in was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    /// The worker tries again, and reaches the leader then.
    #[error("this replica is not the leader")]
    NotLeading,
    /// The run, or its token, does not exist.
    #[error("no such run")]
    UnknownRun,
    /// The token is not the run's.
    #[error("the token is not the run's")]
    Unauthorized,
    /// The address is none, or the index is not in the plan.
    #[error("the address cannot be used")]
    BadAddress,
    /// The API server did not answer.
    #[error("the run's token cannot be read right now")]
    Unavailable,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NotLeading | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::UnknownRun => StatusCode::NOT_FOUND,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::BadAddress => StatusCode::BAD_REQUEST,
        };
        (status, self.to_string()).into_response()
    }
}

/// A worker says where it is. It says so again each second until it is polled, so nothing is lost by refusing.
async fn check_in(State(admin): State<Admin>, headers: HeaderMap, Json(word): Json<CheckIn>) -> Result<StatusCode, Refusal> {
    if !*admin.leading.borrow() {
        return Err(Refusal::NotLeading);
    }
    let token = token_of(&admin.ctx, &word.namespace, &word.run, &word.run_uid).await?;
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !token.authorizes(given) {
        return Err(Refusal::Unauthorized);
    }
    if word.address.parse::<std::net::SocketAddr>().is_err() {
        return Err(Refusal::BadAddress);
    }
    admin.ctx.fleets.learn(&word.run_uid, word.index, &word.address);
    Ok(StatusCode::NO_CONTENT)
}

/// A loader says how far it is, and asks for what it needs. It says so again each second, so nothing is lost by refusing.
async fn load(State(admin): State<Admin>, headers: HeaderMap, Json(report): Json<LoadReport>) -> Result<Json<LoadAnswer>, Refusal> {
    if !*admin.leading.borrow() {
        return Err(Refusal::NotLeading);
    }
    let token = token_of(&admin.ctx, &report.namespace, &report.run, &report.run_uid).await?;
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !token.authorizes(given) {
        return Err(Refusal::Unauthorized);
    }
    loaders::answer(&admin.ctx, report).await.map(Json).map_err(|error| {
        tracing::warn!(%error, "failed to answer a loader");
        Refusal::Unavailable
    })
}

/// The token of the run that a worker claims to be of: from memory, else from the run's own Secret, whose name follows from the uid.
async fn token_of(ctx: &Context, namespace: &str, run: &str, uid: &str) -> Result<Token, Refusal> {
    if let Some(token) = ctx.memory.token(uid) {
        return Ok(token);
    }
    let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), namespace);
    let name = names::child(run, uid, Role::Token);
    match timeout(ASKING, secrets.get_opt(&name)).await {
        Ok(Ok(Some(secret))) => {
            let token = Token::in_secret(&secret).ok_or(Refusal::UnknownRun)?;
            ctx.memory.keep_token(uid, token.clone());
            Ok(token)
        }
        Ok(Ok(None)) => Err(Refusal::UnknownRun),
        Ok(Err(_)) | Err(_) => Err(Refusal::Unavailable),
    }
}
