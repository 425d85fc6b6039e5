//! What an agent does from the question to the answer.

use std::time::Duration;

use serde_json::json;

use crate::{
    client::Client,
    gateway::{ENDLESS, GOING, PASSED, Played, SLOWER, TOKEN},
};

#[tokio::test]
async fn an_agent_drafts_submits_waits_and_explains() {
    let client = Client::new().await;
    let facts = json!({"goal": "Is p99 below 20 ms?", "sut_type": "mysql", "host": "mariadb.sut.svc:3306", "target_db": "shop", "username": "u", "password": "hush", "workload_ids": ["shop-queries"]});
    let draft = client.done("draft_test_plan", facts).await;
    assert_eq!((&draft["valid"], &draft["cluster_spec"]), (&json!(true), &json!({"type": "mysql"})));
    let plan = draft["plan_yaml"].as_str().unwrap();

    let begun =
        client.done("submit_test_run", json!({"plan_yaml": plan, "plan_name": "checkout", "cluster_spec": draft["cluster_spec"], "label": "nightly"})).await;
    assert_eq!((&begun["success"], &begun["run_id"], &begun["plan_key"]), (&json!(true), &json!(GOING), &json!("plans/checkout")));
    let submitted = &client.gateway.asked("POST /v1/test-runs ")[..];
    assert_eq!(submitted.len(), 0, "the line ends with the path");
    let submitted = client.gateway.asked("POST /v1/test-runs").remove(0);
    assert_eq!(submitted.headers["authorization"], format!("Bearer {TOKEN}"));
    assert!(submitted.headers["idempotency-key"].to_str().unwrap().starts_with("mcp-"));
    let body: serde_json::Value = serde_json::from_str(&submitted.body).unwrap();
    assert!(body["plan_yaml"].as_str().unwrap().ends_with("\nk6_prometheus_rw_server_url: \"http://prometheus:9090/api/v1/write\"\n"));
    assert_eq!((&body["label"], body.get("cluster_settings")), (&json!("nightly"), None));

    let waited = client.done("wait_for_run", json!({"run_id": GOING, "timeout_seconds": 30})).await;
    assert_eq!((&waited["status"], &waited["finished"], &waited["timed_out"]), (&json!("COMPLETED"), &json!(true), &json!(false)));
    let told: Vec<_> = client.service.service().progress.lock().unwrap().iter().map(|told| told.message.clone().unwrap()).collect();
    assert!(told[0].starts_with("WAITING_ROOM: The load generators gather (1 of 2 are ready)"), "{told:?}");
    assert!(told.iter().any(|told| told == "EXECUTING: The load is on."), "{told:?}");

    let explained = client.done("explain_run", json!({"run_id": SLOWER})).await;
    assert_eq!((&explained["verdict"], &explained["reasons"][0]), (&json!("Failed"), &json!("p95 of PointLookup was 5.2ms, limit < 5ms")));
    assert_eq!(explained["figures"]["queries"][0], json!({"query": "PointLookup", "p50_ms": 1.2, "p95_ms": 5.2, "p99_ms": 7.7}));
    assert_eq!(explained["comparison"], json!(null));

    let compared = client.done("compare_runs", json!({"a": PASSED, "b": SLOWER})).await;
    let p95 = compared["changes"].as_array().unwrap().iter().find(|change| change["metric"] == "p95_ms").unwrap();
    assert_eq!((&p95["a"], &p95["b"], &p95["change_percent"]), (&json!(3.9), &json!(5.2), &json!(33.3)));
}

#[tokio::test]
async fn waiting_ends_when_its_time_is_over_and_the_run_goes_on() {
    let client = Client::new().await;
    let waited = client.done("wait_for_run", json!({"run_id": ENDLESS, "timeout_seconds": 1})).await;
    assert_eq!((&waited["status"], &waited["finished"], &waited["timed_out"]), (&json!("EXECUTING"), &json!(false), &json!(true)));
    assert!(client.gateway.asked("POST").is_empty());
}

#[tokio::test]
async fn waiting_ends_when_the_caller_has_gone() {
    let client = Client::new().await;
    let call = client.call("wait_for_run", json!({"run_id": ENDLESS, "timeout_seconds": 600}));
    assert!(tokio::time::timeout(Duration::from_millis(1500), call).await.is_err(), "an endless run has ended");
    // The client cancels what it drops; two more looks would be due by then.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let looks = client.gateway.asked("GET").len();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(client.gateway.asked("GET").len(), looks);
}

#[tokio::test]
async fn lists_come_in_pages_and_long_texts_cut() {
    let client = Client::new().await;
    let page = client.done("list_test_runs", json!({"run_label": "a&b", "limit": 3, "cursor": "c=1"})).await;
    assert_eq!(client.gateway.asked("GET /v1/test-runs")[0].line, "GET /v1/test-runs?run_label=a%26b&limit=3&cursor=c%3D1");
    assert_eq!((page["runs"].as_array().unwrap().len(), &page["next_cursor"]), (3, &json!("more")));
    assert_eq!(page["runs"][0]["error_detail"].as_str().unwrap().chars().count(), 501);
}

#[tokio::test]
async fn series_are_thinned_out_unless_they_are_asked_for() {
    let client = Client::new().await;
    let points = |results: &serde_json::Value| results["observability"]["sources"][0]["metrics"][0]["values"].as_array().unwrap().len();
    let few = client.done("get_test_results", json!({"run_id": PASSED})).await;
    assert_eq!((points(&few), few["left_out"].as_array().unwrap().len()), (12, 1));
    let all = client.done("get_test_results", json!({"run_id": PASSED, "include_series": true})).await;
    assert_eq!((points(&all), &all["left_out"]), (400, &json!([])));
    assert_eq!(all["k6"]["metrics"][0]["stats"]["p95"], 3.9);
}

#[tokio::test]
async fn what_is_wrong_comes_back_in_the_shape_that_clients_know() {
    let client = Client::new().await;
    let invalid = client.done("validate_test_plan", json!({"plan_yaml": "a: 1"})).await;
    assert_eq!(invalid, json!({"valid": false, "errors": [{"path": "execution.hold_for", "message": "is missing"}]}));
    assert_eq!(client.done("validate_test_plan", json!({"plan_yaml": "hold_for: 1m"})).await, json!({"valid": true}));
    let submit = json!({"plan_yaml": "a: 1", "plan_name": "checkout", "cluster_spec": {"type": "trino"}});
    let refused = client.done("submit_test_run", submit).await;
    assert_eq!(refused, json!({"success": false, "errors": [{"path": "cluster_spec.type", "message": "does not match the plan's mysql"}]}));
    assert_eq!(client.done("trigger_run_by_plan", json!({"plan_name": "nowhere"})).await, json!({"success": false, "error": "Not found"}));
    let refused = client.done("upload_workload_sql", json!({"workload_id": "w", "content": "SELECT 1"})).await;
    assert_eq!(refused, json!({"success": false, "errors": [{"path": "", "message": "line 1: the file has no @type line"}]}));
}

#[tokio::test]
async fn a_plan_is_only_replaced_when_that_was_said() {
    let client = Client::new().await;
    let stored = client.done("upload_test_plan", json!({"plan_yaml": "a: \"--crucible-form-boundary\"", "name": "checkout"})).await;
    assert_eq!(stored, json!({"success": true, "key": "plans/checkout"}));
    let form = client.gateway.asked("POST /test-plans/upload").remove(0);
    let boundary = form.headers["content-type"].to_str().unwrap().split_once("boundary=").unwrap().1.to_owned();
    assert_eq!(form.body.matches(&format!("--{boundary}\r\n")).count(), 1, "{}", form.body);
    let refused = client.done("upload_test_plan", json!({"plan_yaml": "a: 1", "name": "taken"})).await;
    assert_eq!(refused["success"], false);
    assert!(refused["error"].as_str().unwrap().contains("replace: true"));
    assert_eq!(client.done("upload_test_plan", json!({"plan_yaml": "a: 1", "name": "taken", "replace": true})).await["success"], true);
}

#[tokio::test]
async fn what_there_is_can_be_listed_read_stopped_and_deleted() {
    let client = Client::new().await;
    assert_eq!(client.done("list_supported_suts", json!({})).await, json!({"sut_types": ["mysql", "postgres"]}));
    assert_eq!(client.done("get_db_inventory", json!({})).await["active"][0]["run_id"], GOING);
    assert_eq!(client.done("list_workloads", json!({"contains": "shop"})).await["workloads"][0]["workload_id"], "shop-queries");
    assert_eq!(client.done("list_workloads", json!({"contains": "none"})).await["workloads"], json!([]));
    assert_eq!(client.done("get_workload", json!({"workload_id": "shop-queries"})).await["truncated"], false);
    assert_eq!(client.done("list_fixtures", json!({})).await["fixture_ids"], json!(["shop-orders"]));
    assert_eq!(client.done("list_fixtures", json!({"fixture_id": "shop-orders"})).await["files"][0]["name"], "orders.parquet");
    assert_eq!(client.done("list_test_plans", json!({})).await["plans"][0]["key"], "plans/checkout");
    assert_eq!(
        client.done("get_test_plan", json!({"name": "checkout"})).await["plan"]["test_environment"]["component_spec"]["cluster_info"]["password"],
        "********"
    );
    assert_eq!(client.done("monitor_test_progress", json!({"run_id": PASSED})).await["finished"], true);
    assert_eq!(client.done("emergency_stop", json!({"run_id": GOING})).await["action"], "sigterm_sent");
    assert_eq!(client.done("emergency_stop", json!({"run_id": "nowhere"})).await["action"], "not_found");
    assert_eq!(client.done("delete_test_plan", json!({"name": "checkout"})).await["deleted"], "plans/checkout");
    assert_eq!(client.done("delete_fixture_file", json!({"fixture_id": "shop-orders", "file": "orders.parquet"})).await["success"], true);
}

#[tokio::test]
async fn a_draft_is_made_where_the_gateway_cannot_be_asked() {
    let client = Client::of(Played { always: Some((503, "{}")), ..Played::default() }, None).await;
    let facts = json!({"goal": "x", "sut_type": "mysql", "host": "h:1", "target_db": "d", "username": "u", "workload_ids": ["w"]});
    let draft = client.done("draft_test_plan", facts).await;
    assert_eq!(draft["valid"], json!(null));
    assert!(draft["next_step"].as_str().unwrap().contains("could not be asked"));
}
