//! Streamable HTTP: the protocol's own service behind three checks. Who calls is checked here, from which page and to which
//! host inside the service; requests that say nothing about what they accept are served.

mod gatekeeper;

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::gatekeeper::Gatekeeper;
use crate::{
    Server,
    args::{AuthKind, HttpConfig},
    gateway::Gateway,
    server::{Settings, bearer},
};

/// Where the protocol is spoken.
pub const ENDPOINT: &str = "/mcp";
const METADATA: &str = "/.well-known/oauth-protected-resource";
/// The longest workload, with room for its escapes as JSON.
const LONGEST_MESSAGE: usize = 3 << 20;
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const SERVED: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// The routes: `/mcp`, its resource metadata, and health.
pub fn routes(gateway: Gateway, settings: Settings, config: &HttpConfig, stop: CancellationToken) -> Router {
    let metadata = resource_metadata(config);
    let gate = Arc::new(Gate { keeper: (config.auth == AuthKind::Bearer).then(|| Gatekeeper::new(gateway.clone())), challenge: challenge(config) });
    let server = Server::new(gateway, settings);
    let service = StreamableHttpService::new(move || Ok(server.clone()), Arc::new(NeverSessionManager::default()), transport(config, stop));
    let protocol = Router::new()
        .route_service(ENDPOINT, service.clone())
        // Some clients end the address with a slash.
        .route_service("/mcp/", service)
        .route_layer(middleware::from_fn(mind_the_wire))
        .route_layer(middleware::from_fn_with_state(gate, let_in));
    let open = Router::new()
        .route("/health", get(|| async { Json(json!({"status": "ok"})) }))
        .route(METADATA, get(tell_metadata))
        .route("/.well-known/oauth-protected-resource/mcp", get(tell_metadata))
        .with_state(Arc::new(metadata));
    protocol.merge(open)
}

/// No sessions: every request stands alone, so that any replica can answer it and none has to remember it.
fn transport(config: &HttpConfig, stop: CancellationToken) -> StreamableHttpServerConfig {
    StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_allowed_hosts(config.allowed_hosts.clone())
        .with_allowed_origins(config.allowed_origins.clone())
        .enforce_origin_validation()
        .with_max_request_body_bytes(LONGEST_MESSAGE)
        .with_cancellation_token(stop)
}

/// A client that says nothing about what it accepts, or accepts everything, gets what the protocol says that it should ask for.
/// One that sends what is no message is told so as JSON-RPC has it.
async fn mind_the_wire(mut request: Request, next: Next) -> Response {
    if accepts_anything(request.headers()) {
        request.headers_mut().insert(header::ACCEPT, SERVED);
    }
    let sends_json = request.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"application/json"));
    let answer = next.run(request).await;
    if sends_json && answer.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        return (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, JSON)], rpc_error(-32700, "the body is not one JSON-RPC message")).into_response();
    }
    answer
}

fn accepts_anything(headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(header::ACCEPT).iter().peekable();
    given.peek().is_none()
        || given.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|range| range.split(';').next().map(str::trim) == Some("*/*"))
}

/// Who is let in, and what the others are told.
struct Gate {
    keeper: Option<Gatekeeper>,
    challenge: HeaderValue,
}

async fn let_in(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let Some(keeper) = &gate.keeper else { return next.run(request).await };
    match bearer(request.headers()) {
        Some(token) if keeper.knows(&token).await => next.run(request).await,
        Some(_) => refuse(&gate.challenge, "the gateway does not accept this token"),
        None => refuse(&gate.challenge, "a bearer token of the gateway is needed"),
    }
}

fn refuse(challenge: &HeaderValue, message: &str) -> Response {
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge.clone()), (header::CONTENT_TYPE, JSON)], rpc_error(-32001, message)).into_response()
}

fn rpc_error(code: i32, message: &str) -> Body {
    Body::from(json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": message}}).to_string())
}

/// Where a client reads how to get a token (RFC 9728).
fn challenge(config: &HttpConfig) -> HeaderValue {
    let text = format!("Bearer realm=\"crucible\", resource_metadata=\"{}{METADATA}{ENDPOINT}\"", config.public_url);
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
}

fn resource_metadata(config: &HttpConfig) -> Value {
    let mut metadata = json!({
        "resource": format!("{}{ENDPOINT}", config.public_url),
        "resource_name": "Crucible: database load testing",
        "bearer_methods_supported": ["header"],
    });
    if !config.authorization_servers.is_empty() {
        metadata["authorization_servers"] = json!(config.authorization_servers);
    }
    metadata
}

async fn tell_metadata(State(metadata): State<Arc<Value>>) -> Json<Value> {
    Json((*metadata).clone())
}
