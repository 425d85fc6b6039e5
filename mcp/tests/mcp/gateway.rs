//! The gateway, played from its contract on a port of its own. It remembers what it was asked.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use crucible_mcp::gateway::Gateway;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The token that is somebody's.
pub const TOKEN: &str = "somebodys-token";
/// A run that has passed, and one that is slower.
pub const PASSED: &str = "checkout_20260307-2359_5b54ae4d";
pub const SLOWER: &str = "checkout_20260308-0030_77aa01bc";
/// A run that goes on until it was looked at three times.
pub const GOING: &str = "checkout_20260308-0100_00000001";
/// A run that never ends.
pub const ENDLESS: &str = "checkout_20260308-0100_00000002";

/// One request that was made.
#[derive(Clone, Debug)]
pub struct Asked {
    pub line: String,
    pub headers: HeaderMap,
    pub body: String,
}

/// The played gateway.
#[derive(Clone, Default)]
pub struct Played {
    pub asked: Arc<Mutex<Vec<Asked>>>,
    /// Whether callers are told apart.
    pub strict: bool,
    /// Answers this, whatever it is asked.
    pub always: Option<(u16, &'static str)>,
}

impl Played {
    /// Serves, and answers the client for it.
    pub async fn serve(&self) -> Gateway {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Gateway::new(&format!("http://{address}").parse().unwrap()).unwrap()
    }

    /// The requests so far whose line begins so.
    pub fn asked(&self, begins: &str) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|asked| asked.line.starts_with(begins)).cloned().collect()
    }
}

async fn answer(State(played): State<Played>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8_lossy(&body).into_owned();
    let line = format!("{method} {uri}");
    played.asked.lock().unwrap().push(Asked { line: line.clone(), headers: headers.clone(), body: body.clone() });
    if let Some((status, text)) = played.always {
        return (StatusCode::from_u16(status).unwrap(), [("retry-after", "7"), ("location", "/elsewhere")], text).into_response();
    }
    if played.strict && headers.get("authorization").is_none_or(|given| given != &format!("Bearer {TOKEN}")) {
        return (StatusCode::UNAUTHORIZED, json!({"detail": "the token is nobody's"}).to_string()).into_response();
    }
    if line == format!("GET /v1/test-runs/{PASSED}/logs") {
        return "2026-03-07T23:59:00Z Pending\n2026-03-07T23:59:02Z Executing\n".into_response();
    }
    let (status, body) = json_answer(&played, &line, &body);
    (StatusCode::from_u16(status).unwrap(), [("content-type", "application/json")], body.to_string()).into_response()
}

fn json_answer(played: &Played, line: &str, body: &str) -> (u16, Value) {
    let (path, query) = line.split_once('?').unwrap_or((line, ""));
    let sent: Value = serde_json::from_str(body).unwrap_or_default();
    let words: Vec<&str> = path.split(['/', ' ']).collect();
    match words.as_slice() {
        ["GET", "", "v1", "sut", "types"] => (200, json!({"sut_types": ["mysql", "postgres"]})),
        ["GET", "", "v1", "sut", "inventory"] => (200, json!({"active": [{"run_id": GOING, "run_label": null, "sut_type": "mysql", "status": "EXECUTING"}]})),
        ["GET", "", "v1", "workloads"] => (200, json!({"workloads": [{"workload_id": "shop-queries", "s3_key": "workloads/shop-queries", "size": 90}]})),
        ["GET", "", "v1", "workloads", "shop-queries"] => {
            (200, json!({"workload_id": "shop-queries", "s3_key": "workloads/shop-queries", "content": "-- @type: sql\n"}))
        }
        ["POST", "", "v1", "workloads"] => workload(&sent),
        ["GET", "", "fixtures"] => (200, json!({"fixture_ids": ["shop-orders"]})),
        ["GET", "", "fixtures", "shop-orders"] => (200, json!({"fixture_id": "shop-orders", "files": [{"name": "orders.parquet", "size": 5}]})),
        ["DELETE", "", "fixtures", "shop-orders", "orders.parquet"] | ["DELETE", "", "test-plans", "checkout"] => (204, Value::Null),
        ["POST", "", "v1", "test-plans", "validate"] => (200, validity(sent["plan_yaml"].as_str().unwrap())),
        ["GET", "", "test-plans"] => {
            (200, json!({"plans": [{"name": "checkout", "key": "plans/checkout", "last_modified": "2026-03-07T00:00:00Z", "size": 612}]}))
        }
        ["GET", "", "test-plans", "checkout"] => (200, json!({"test_environment": {"component_spec": {"cluster_info": {"password": "********"}}}})),
        ["POST", "", "test-plans", "upload"] if body.contains("filename=\"taken.yaml\"") => (409, json!({"detail": "Test plan 'taken' already exists"})),
        ["POST", "", "test-plans", "upload"] | ["PUT", "", "test-plans", "taken", "upload"] => (200, json!({"key": "plans/checkout"})),
        ["POST", "", "v1", "test-runs"] => submit(&sent),
        ["POST", "", "v1", "test-runs", "checkout"] => (200, json!({"run_id": GOING, "plan_key": "plans/checkout", "strategy": "intra_node"})),
        ["GET", "", "v1", "test-runs"] => (200, page(query)),
        ["POST", "", "v1", "test-runs", run, "stop"] => (200, json!({"run_id": run, "action": if *run == GOING { "sigterm_sent" } else { "not_found" }})),
        ["GET", "", "v1", "test-runs", run @ (PASSED | SLOWER | GOING | ENDLESS), what] => about(played, run, what),
        _ => (404, json!({"detail": "Not found"})),
    }
}

fn workload(sent: &Value) -> (u16, Value) {
    if !sent["content"].as_str().unwrap().starts_with("-- @type:") {
        return (422, json!({"detail": ["line 1: the file has no @type line"]}));
    }
    (201, json!({"workload_id": sent["workload_id"], "s3_key": format!("workloads/{}", sent["workload_id"].as_str().unwrap())}))
}

/// A plan is valid here when it holds a load, which is enough to tell a whole one from a broken one.
fn validity(plan: &str) -> Value {
    if plan.contains("hold_for") {
        return json!({"valid": true});
    }
    json!({"valid": false, "errors": [{"path": "execution.hold_for", "message": "is missing"}]})
}

fn submit(sent: &Value) -> (u16, Value) {
    match sent["cluster_spec"]["type"].as_str() {
        Some("trino") => (422, json!({"detail": [{"loc": ["body", "cluster_spec", "type"], "msg": "does not match the plan's mysql", "type": "value_error"}]})),
        _ => (200, json!({"run_id": GOING, "plan_key": format!("plans/{}", sent["plan_name"].as_str().unwrap()), "strategy": "intra_node"})),
    }
}

fn page(query: &str) -> Value {
    let limit: usize = query.split('&').find_map(|pair| pair.strip_prefix("limit=")).unwrap().parse().unwrap();
    let runs: Vec<Value> = (0..30).map(|at| json!({"run_id": format!("run-{at}"), "status": "FAILED", "error_detail": "x".repeat(9000)})).take(limit).collect();
    json!({"runs": runs, "next_cursor": "more"})
}

fn about(played: &Played, run: &str, what: &str) -> (u16, Value) {
    let looks = played.asked(&format!("GET /v1/test-runs/{run}/status")).len();
    let status = match run {
        PASSED | SLOWER => "COMPLETED",
        GOING if looks >= 4 => "COMPLETED",
        GOING if looks == 1 => "WAITING_ROOM",
        _ => "EXECUTING",
    };
    match what {
        "status" => (
            200,
            json!({"run_id": run, "plan_name": "checkout", "run_label": "nightly", "sut_type": "mysql", "status": status, "scaling_mode": "intra_node",
            "cluster_spec": {"type": "mysql"}, "cluster_settings": null, "submitted_at": "2026-03-07T23:59:00Z", "started_at": null, "completed_at": null, "error_detail": null,
            "waiting_room": if status == "WAITING_ROOM" { json!({"ready_count": 1, "target_count": 2}) } else { Value::Null }}),
        ),
        "decision" => (
            200,
            json!({"run_id": run, "status": status, "phase": "Completed", "verdict": if run == SLOWER { "Failed" } else { "Passed" },
            "reasons": if run == SLOWER { json!(["p95 of PointLookup was 5.2ms, limit < 5ms"]) } else { json!([]) },
            "failed_checks": if run == SLOWER { json!([{"name": "p95 of PointLookup", "limit": "< 5ms", "observed": "5.2ms", "held": false, "decided": true, "owner": "sut"}]) } else { json!([]) },
            "comparison": null, "links": {}}),
        ),
        "results" if status != "COMPLETED" => (409, json!({"detail": format!("Test run '{run}' is {status}; results are not available yet")})),
        "results" => (200, results(run)),
        _ => (404, json!({"detail": "Not found"})),
    }
}

fn results(run: &str) -> Value {
    let p95 = if run == SLOWER { 5.2 } else { 3.9 };
    let values: Vec<Value> = (0..400).map(|at| json!([at, "1.5"])).collect();
    json!({
        "run_id": run, "status": "COMPLETED", "collected_at": "2026-03-08T00:01:30Z", "collection_error": null, "abort_reason": null,
        "k6": {"metrics": [
            {"name": "sql_duration_PointLookup", "type": "trend", "stats": {"count": 480_211, "min": 0.2, "max": 40.0, "avg": 1.4, "med": 1.2, "p90": 2.8, "p95": p95, "p99": 7.7, "rate": 8003.5}},
            {"name": "query_errors", "type": "rate", "stats": {"count": 480_211, "avg": 0.0}},
            {"name": "iterations", "type": "counter", "stats": {"count": 480_211, "rate": 8003.5}},
        ]},
        "observability": {"sources": [{"name": "engine", "url": "http://prometheus:9090", "metrics": [{"name": "qps", "query": "q", "values": values}]}]},
        "chaos": {"events": []},
        "crucible": {"verdict": {"outcome": "Passed"}, "plan": {"digest": "d1"}},
    })
}
