//! Streamable HTTP: who is let in, what is served, what is refused.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use crucible_mcp::{
    args::{AuthKind, HttpConfig},
    gateway::Token,
    http::routes,
    server::Settings,
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::gateway::{ENDLESS, Played, TOKEN};

/// A server over HTTP in front of a played gateway.
struct Http {
    gateway: Played,
    routes: Router,
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{}: {}", self.status, self.text))
    }
}

impl Http {
    async fn new(auth: AuthKind) -> Self {
        Self::of(auth, None).await
    }

    async fn of(auth: AuthKind, own_token: Option<Token>) -> Self {
        let gateway = Played { strict: true, ..Played::default() };
        let config = HttpConfig {
            address: "127.0.0.1:0".parse().unwrap(),
            auth,
            allowed_hosts: vec!["localhost".into(), "crucible-mcp.crucible.svc:8001".into()],
            allowed_origins: vec!["http://localhost:*".into()],
            public_url: "https://crucible.example.com".into(),
            authorization_servers: vec!["https://issuer.example.com".into()],
        };
        let settings = Settings { own_token, remote_write_url: None };
        let routes = routes(gateway.serve().await, settings, &config, CancellationToken::new());
        Self { gateway, routes }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.routes.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// A message with everything that it should have, and these headers besides or instead.
    async fn post(&self, more: &[(&str, &str)], body: &Value) -> Answer {
        self.post_text(more, &body.to_string()).await
    }

    async fn post_text(&self, more: &[(&str, &str)], body: &str) -> Answer {
        let bearer = format!("Bearer {TOKEN}");
        let usual = [
            ("host", "localhost:8001"),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("authorization", bearer.as_str()),
        ];
        let mut headers: Vec<(&str, &str)> = usual.into_iter().filter(|(name, _)| more.iter().all(|(instead, _)| instead != name)).collect();
        headers.extend(more.iter().filter(|(_, value)| !value.is_empty()));
        self.send("POST", "/mcp", &headers, body).await
    }
}

fn message(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

fn call(tool: &str, arguments: &Value) -> Value {
    message("tools/call", &json!({"name": tool, "arguments": arguments}))
}

fn initialize(version: &str) -> Value {
    message("initialize", &json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}))
}

#[tokio::test]
async fn a_call_is_made_with_the_callers_own_token() {
    let http = Http::new(AuthKind::Bearer).await;
    let answer = http.post(&[], &call("list_supported_suts", &json!({}))).await;
    assert_eq!((answer.status, &answer.json()["result"]["structuredContent"]), (StatusCode::OK, &json!({"sut_types": ["mysql", "postgres"]})));
    let asked = http.gateway.asked("GET /v1/sut/types");
    assert!(asked.iter().all(|asked| asked.headers["authorization"] == format!("Bearer {TOKEN}")));
}

#[tokio::test]
async fn without_a_token_of_the_gateway_nobody_is_let_in() {
    let http = Http::new(AuthKind::Bearer).await;
    let list = message("tools/list", &json!({}));
    for authorization in ["", "Bearer", "Bearer ", "Basic dTpw", "bearer a b", "Bearer wrong"] {
        let answer = http.post(&[("authorization", authorization)], &list).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{authorization:?}");
        let challenge = answer.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains(r#"resource_metadata="https://crucible.example.com/.well-known/oauth-protected-resource/mcp""#), "{challenge}");
    }
    let bearer = format!("Bearer {TOKEN}");
    let twice = http.post(&[("authorization", &bearer), ("authorization", &bearer)], &list).await;
    assert_eq!(twice.status, StatusCode::UNAUTHORIZED);
    let headers = [("host", "localhost"), ("content-type", "application/json")];
    let in_query = http.send("POST", &format!("/mcp?access_token={TOKEN}"), &headers, &list.to_string()).await;
    assert_eq!(in_query.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_gateways_word_about_a_token_is_believed_for_a_while() {
    let http = Http::new(AuthKind::Bearer).await;
    for _ in 0..5 {
        assert_eq!(http.post(&[], &message("tools/list", &json!({}))).await.status, StatusCode::OK);
    }
    assert_eq!(http.gateway.asked("GET").len(), 1);
}

#[tokio::test]
async fn where_callers_are_not_told_apart_they_act_with_the_servers_token() {
    let http = Http::of(AuthKind::None, Some(Token::try_from(TOKEN.to_owned()).unwrap())).await;
    let answer = http.post(&[("authorization", "")], &call("list_supported_suts", &json!({}))).await;
    assert_eq!(answer.json()["result"]["isError"], false);
    let own = http.post(&[("authorization", "Bearer wrong")], &call("list_supported_suts", &json!({}))).await;
    assert_eq!(own.json()["result"]["isError"], true, "a caller's own token comes first");
}

#[tokio::test]
async fn other_origins_and_hosts_are_refused() {
    let http = Http::new(AuthKind::None).await;
    let list = message("tools/list", &json!({}));
    for (header, value, status) in [
        ("origin", "https://evil.example.com", StatusCode::FORBIDDEN),
        ("origin", "null", StatusCode::FORBIDDEN),
        ("origin", "http://localhost.evil.example.com", StatusCode::FORBIDDEN),
        ("origin", "http://localhost:5173", StatusCode::OK),
        ("host", "evil.example.com", StatusCode::FORBIDDEN),
        ("host", "crucible-mcp.crucible.svc:8001", StatusCode::OK),
    ] {
        assert_eq!(http.post(&[(header, value)], &list).await.status, status, "{header}: {value}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_say_what_it_accepts_is_served() {
    let http = Http::new(AuthKind::None).await;
    let list = message("tools/list", &json!({}));
    for (accept, status) in [
        ("", StatusCode::OK),
        ("*/*", StatusCode::OK),
        ("text/html, */*;q=0.1", StatusCode::OK),
        ("application/json", StatusCode::NOT_ACCEPTABLE),
        ("text/event-stream", StatusCode::NOT_ACCEPTABLE),
    ] {
        assert_eq!(http.post(&[("accept", accept)], &list).await.status, status, "{accept:?}");
    }
}

#[tokio::test]
async fn old_and_current_versions_are_spoken() {
    let http = Http::new(AuthKind::None).await;
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let answer = http.post(&[], &initialize(version)).await;
        assert_eq!(answer.json()["result"]["protocolVersion"], version);
        let listed = http.post(&[("mcp-protocol-version", version)], &message("tools/list", &json!({}))).await;
        assert!(listed.json()["result"]["tools"].as_array().unwrap().len() > 11, "{version}");
    }
    let future = http.post(&[], &initialize("2099-01-01")).await.json();
    assert!(future["result"]["protocolVersion"].as_str().unwrap().starts_with("202"), "{future}");
    let meta = json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"}}});
    let current = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
    let listed = http.post(&current, &message("tools/list", &meta)).await;
    assert!(listed.json()["result"]["tools"].is_array(), "{}", listed.text);
    let mismatch = http.post(&[("mcp-protocol-version", "2025-06-18"), ("mcp-method", "tools/list")], &message("tools/list", &meta)).await;
    assert_eq!(mismatch.status, StatusCode::BAD_REQUEST);
    let unknown = http.post(&[("mcp-protocol-version", "1999-01-01")], &message("tools/list", &json!({}))).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let http = Http::new(AuthKind::None).await;
    let list = message("tools/list", &json!({}));
    let long = format!(r#"{{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {{"x": "{}"}}}}"#, "x".repeat(4 << 20));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, status) in [("", 400), ("not json", 400), ("{}", 400), (&json!([list, list]).to_string(), 400), (&deep, 400), (&long, 413)] {
        let answer = http.post_text(&[], body).await;
        assert_eq!(answer.status.as_u16(), status, "{}: {}", &body[..body.len().min(40)], answer.text);
        if status == 400 {
            assert_eq!(answer.json()["error"]["code"], -32700);
        }
    }
    assert_eq!(http.post(&[("content-type", "text/plain")], &list).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let unknown = http.post(&[], &message("tools/paint", &json!({}))).await.json();
    assert_eq!(unknown["error"]["code"], -32601);
    let null_id = http.post(&[], &json!({"jsonrpc": "2.0", "id": null, "method": "tools/list"})).await;
    assert!(null_id.status.is_client_error() && null_id.json().get("result").is_none(), "{}", null_id.text);
}

#[tokio::test]
async fn there_is_nothing_to_get_or_delete() {
    let http = Http::new(AuthKind::None).await;
    for method in ["GET", "DELETE", "PUT"] {
        let answer = http.send(method, "/mcp", &[("host", "localhost"), ("accept", "text/event-stream")], "").await;
        assert_eq!((answer.status, answer.headers["allow"].to_str().unwrap()), (StatusCode::METHOD_NOT_ALLOWED, "POST"), "{method}");
    }
}

#[tokio::test]
async fn progress_comes_as_events_before_the_answer() {
    let http = Http::new(AuthKind::Bearer).await;
    let mut wait = call("wait_for_run", &json!({"run_id": ENDLESS, "timeout_seconds": 1}));
    wait["params"]["_meta"] = json!({"progressToken": "p"});
    let answer = http.post(&[], &wait).await;
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let events: Vec<Value> =
        answer.text.lines().filter_map(|line| line.strip_prefix("data:")).filter_map(|data| serde_json::from_str(data.trim()).ok()).collect();
    assert_eq!((&events[0]["method"], &events[0]["params"]["progressToken"]), (&json!("notifications/progress"), &json!("p")));
    assert_eq!(events.last().unwrap()["result"]["structuredContent"]["timed_out"], true);
}

#[tokio::test]
async fn a_client_that_hangs_up_is_not_waited_for() {
    let http = Http::new(AuthKind::Bearer).await;
    let wait = call("wait_for_run", &json!({"run_id": ENDLESS, "timeout_seconds": 600}));
    assert!(tokio::time::timeout(Duration::from_millis(1500), http.post(&[], &wait)).await.is_err(), "an endless run has ended");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let looks = http.gateway.asked("GET").len();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(http.gateway.asked("GET").len(), looks);
}

#[tokio::test]
async fn health_and_metadata_need_no_token() {
    let http = Http::new(AuthKind::Bearer).await;
    assert_eq!(http.send("GET", "/health", &[], "").await.json(), json!({"status": "ok"}));
    for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"] {
        let metadata = http.send("GET", path, &[], "").await.json();
        assert_eq!(
            (&metadata["resource"], &metadata["authorization_servers"]),
            (&json!("https://crucible.example.com/mcp"), &json!(["https://issuer.example.com"]))
        );
    }
    assert_eq!(http.send("GET", "/elsewhere", &[], "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(http.send("POST", "/mcp/", &[("host", "localhost")], "").await.status, StatusCode::UNAUTHORIZED);
}
