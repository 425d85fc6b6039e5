//! What an agent does, through the real MCP server and the real routes: every tool and every resource finds what it asks for, in the shape that
//! it reads.

use std::collections::BTreeMap;

use axum::Router;
use crucible_mcp::{Server, gateway::Gateway, server::Settings};
use crucible_store::{Vault, vault::SignedRequest};
use rmcp::{
    RoleClient, ServiceExt,
    model::{CallToolRequestParams, ReadResourceRequestParams},
    service::RunningService,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::harness::{NAMESPACE, World};

const WORKLOAD: &str = "-- @type: mysql\n-- @name: PointLookup\nSELECT 1;\n";

/// An agent in front of a gateway.
struct Agent {
    world: World,
    service: RunningService<RoleClient, ()>,
}

impl Agent {
    async fn new() -> Self {
        let world = World::open().await;
        let address = serve(world.routes()).await;
        let server = Server::new(Gateway::new(&address.parse().unwrap()).unwrap(), Settings::default());
        let (near, far) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move { server.serve(far).await.unwrap().waiting().await });
        Self { world, service: ().serve(near).await.unwrap() }
    }

    /// What a tool answers where it does what it was asked.
    async fn call(&self, tool: &'static str, arguments: Value) -> Value {
        let request = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().cloned().unwrap());
        let result = self.service.call_tool(request).await.unwrap();
        assert_ne!(result.is_error, Some(true), "{tool}: {result:?}");
        result.structured_content.unwrap()
    }

    /// Why a tool cannot do what it was asked.
    async fn refused(&self, tool: &'static str, arguments: Value) -> Value {
        let request = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().cloned().unwrap());
        let result = self.service.call_tool(request).await.unwrap();
        assert_eq!(result.is_error, Some(true), "{tool}: {result:?}");
        serde_json::from_str(&result.content[0].as_text().unwrap().text).unwrap()
    }

    async fn read(&self, uri: &str) -> String {
        let result = self.service.read_resource(ReadResourceRequestParams::new(uri)).await.unwrap();
        serde_json::to_value(&result.contents[0]).unwrap()["text"].as_str().unwrap().to_owned()
    }

    /// What the operator would say of a run.
    async fn set_status(&self, run_id: &str, status: Value) {
        let run = self.world.gateway.runs.by_id(NAMESPACE, run_id).unwrap();
        let mut object = self.world.cluster.find("testruns", run.name()).unwrap();
        object["status"] = status;
        object["status"]["runId"] = json!(run_id);
        let uid = run.uid().to_owned();
        self.world.cluster.put("testruns", NAMESPACE, &object);
        let version: u64 = self.world.cluster.find("testruns", run.name()).unwrap()["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        let known = |world: &World| world.gateway.runs.by_id(NAMESPACE, run_id).is_some_and(|run| run.uid() == uid && run.version() >= version);
        self.world.until("the status is known", known).await;
    }
}

async fn serve(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

fn facts() -> Value {
    json!({"goal": "Does it work at all?", "sut_type": "mysql", "host": "mariadb.sut.svc:3306", "target_db": "shop", "username": "u", "password": "hush-hush",
        "workload_ids": ["shop"], "ramp_up": "1s", "hold_for": "5s"})
}

#[tokio::test]
async fn a_plan_is_drafted_checked_stored_shown_replaced_and_deleted() {
    let agent = Agent::new().await;
    let draft = agent.call("draft_test_plan", facts()).await;
    assert_eq!(draft["valid"], true, "{draft}");
    let plan = draft["plan_yaml"].as_str().unwrap();
    assert_eq!(agent.call("validate_test_plan", json!({"plan_yaml": plan})).await, json!({"valid": true}));
    let broken = agent.call("validate_test_plan", json!({"plan_yaml": plan.replace("\"5s\"", "\"5 s\"")})).await;
    assert_eq!((&broken["valid"], &broken["errors"][0]["path"]), (&json!(false), &json!("execution.hold_for")), "{broken}");
    assert_eq!(agent.call("upload_test_plan", json!({"plan_yaml": plan, "name": "checkout"})).await, json!({"success": true, "key": "plans/checkout"}));
    let taken = agent.call("upload_test_plan", json!({"plan_yaml": plan, "name": "checkout"})).await;
    assert_eq!(taken["success"], false);
    assert_eq!(agent.call("upload_test_plan", json!({"plan_yaml": plan, "name": "checkout", "replace": true})).await["success"], true);
    assert_eq!(agent.call("upload_test_plan", json!({"plan_yaml": plan, "name": "another", "replace": true})).await["success"], true);
    let shown = agent.call("get_test_plan", json!({"name": "checkout"})).await;
    assert_eq!(shown["plan"]["test_environment"]["component_spec"]["cluster_info"]["password"], "********");
    assert!(!shown.to_string().contains("hush-hush"));
    let listed = agent.call("list_test_plans", json!({})).await;
    let names: Vec<&str> = listed["plans"].as_array().unwrap().iter().map(|plan| plan["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["another", "checkout"]);
    assert!(agent.read("crucible://plans").await.contains("plans/checkout"));
    assert!(agent.read("crucible://plans/checkout").await.contains("********"));
    assert_eq!(agent.call("delete_test_plan", json!({"name": "checkout"})).await["deleted"], "plans/checkout");
    assert_eq!(agent.refused("get_test_plan", json!({"name": "checkout"})).await["kind"], "not_found");
}

#[tokio::test]
async fn a_run_is_begun_watched_explained_and_stopped() {
    let agent = Agent::new().await;
    let plan = agent.call("draft_test_plan", facts()).await["plan_yaml"].take();
    let order = json!({"plan_yaml": plan, "plan_name": "checkout", "cluster_spec": {"type": "mysql"}, "label": "nightly", "idempotency_key": "once"});
    let begun = agent.call("submit_test_run", order.clone()).await;
    assert_eq!((&begun["success"], &begun["plan_key"], &begun["strategy"]), (&json!(true), &json!("plans/checkout"), &json!("intra_node")), "{begun}");
    let run = begun["run_id"].as_str().unwrap();
    assert_eq!(agent.call("submit_test_run", order).await["run_id"], run, "the same key is the same run");
    let wrong = json!({"plan_yaml": plan, "plan_name": "checkout", "cluster_spec": {"type": "postgres"}});
    let wrong = agent.call("submit_test_run", wrong).await;
    assert!(wrong["success"] == false && wrong["errors"][0]["message"].as_str().unwrap().contains("does not match"), "{wrong}");
    let listed = agent.call("list_test_runs", json!({"run_label": "nightly"})).await;
    assert_eq!((listed["runs"].as_array().map(Vec::len), &listed["runs"][0]["run_id"]), (Some(1), &json!(run)));
    assert_eq!(agent.call("monitor_test_progress", json!({"run_id": run})).await["status"], "PENDING");
    assert_eq!(agent.refused("get_test_results", json!({"run_id": run})).await["kind"], "conflict");

    agent.set_status(run, json!({"phase": "WaitingRoom", "workers": {"expected": 2, "ready": 1, "succeeded": 0, "lost": 0, "summary": "1/2"}})).await;
    let told = agent.call("monitor_test_progress", json!({"run_id": run})).await;
    assert!(told["meaning"].as_str().unwrap().contains("1 of 2"), "{told}");
    assert_eq!(agent.call("get_db_inventory", json!({})).await["active"][0]["run_id"], run);
    assert!(agent.read("crucible://telemetry/recent-stats").await.contains(run));

    let check = json!({"name": "p95 of PointLookup", "limit": "< 5ms", "observed": "5.2ms", "held": false, "decided": true, "owner": "sut"});
    let verdict = json!({"outcome": "Failed", "reasons": ["LimitBroken: p95 of PointLookup was 5.2ms, the limit is < 5ms"], "checks": [check]});
    let transitions = json!([{"phase": "Completed", "at": "2026-01-05T08:00:09.000000Z", "reason": "Judged"}]);
    agent.set_status(run, json!({"phase": "Completed", "verdict": verdict, "transitions": transitions})).await;
    let metric = json!({"name": "sql_duration_PointLookup", "type": "trend", "stats": {"count": 9, "min": 0.2, "max": 9.0, "avg": 1.4, "med": 1.2, "p90": 2.8, "p95": 5.2, "p99": 7.7, "rate": 1.0}});
    let results = json!({"run_id": run, "k6": {"metrics": [metric]}, "observability": {"sources": []}});
    agent.world.vault.put(&format!("results/{run}/results.json"), results.to_string().into(), "", &BTreeMap::new()).await.unwrap();
    let waited = agent.call("wait_for_run", json!({"run_id": run, "timeout_seconds": 5})).await;
    assert_eq!((&waited["status"], &waited["finished"]), (&json!("COMPLETED"), &json!(true)));
    let explained = agent.call("explain_run", json!({"run_id": run})).await;
    assert_eq!((&explained["verdict"], &explained["failed_checks"][0]["observed"]), (&json!("Failed"), &json!("5.2ms")), "{explained}");
    assert_eq!(explained["figures"]["queries"][0], json!({"query": "PointLookup", "p50_ms": 1.2, "p95_ms": 5.2, "p99_ms": 7.7}));
    assert_eq!(agent.call("get_test_results", json!({"run_id": run})).await["status"], "COMPLETED");
    assert_eq!(agent.read(&format!("crucible://logs/{run}")).await, "2026-01-05T08:00:09.000Z Completed (Judged)\n");
    for kind in ["telemetry", "reports", "results"] {
        assert!(agent.read(&format!("crucible://{kind}/{run}")).await.contains(run), "{kind}");
    }

    let again = agent.call("trigger_run_by_plan", json!({"plan_name": "checkout", "label": "again"})).await;
    assert_eq!(again["success"], true, "{again}");
    let other = again["run_id"].as_str().unwrap();
    agent.set_status(other, json!({"phase": "Collecting"})).await;
    agent.world.vault.put(&format!("results/{other}/results.json"), results.to_string().into(), "", &BTreeMap::new()).await.unwrap();
    let compared = agent.call("compare_runs", json!({"a": run, "b": other})).await;
    assert!(compared["changes"].as_array().is_some_and(|changes| !changes.is_empty()), "{compared}");
    assert_eq!(agent.call("emergency_stop", json!({"run_id": other})).await["action"], "sigterm_sent");
    assert_eq!(agent.call("emergency_stop", json!({"run_id": "nobody_20260105-0800_00000009"})).await["action"], "not_found");
    assert_eq!(agent.call("trigger_run_by_plan", json!({"plan_name": "nowhere"})).await["success"], false);
}

#[tokio::test]
async fn workloads_and_fixtures_are_stored_listed_and_read() {
    let agent = Agent::new().await;
    assert!(agent.call("list_supported_suts", json!({})).await["sut_types"].as_array().unwrap().contains(&json!("mysql")));
    assert_eq!(agent.call("upload_workload_sql", json!({"workload_id": "shop", "content": WORKLOAD})).await["success"], true);
    let wrong = agent.call("upload_workload_sql", json!({"workload_id": "shop", "content": "SELECT 1"})).await;
    assert!(wrong["success"] == false && wrong["errors"][0]["message"].is_string(), "{wrong}");
    assert_eq!(agent.call("list_workloads", json!({})).await["workloads"][0]["workload_id"], "shop");
    assert_eq!(agent.call("get_workload", json!({"workload_id": "shop"})).await["content"], WORKLOAD);
    assert_eq!(agent.read("crucible://workloads/shop").await, WORKLOAD);

    let place = "/fixtures/shop-orders/orders.csv/multipart";
    let upload = agent.world.post(&format!("{place}/init"), &Value::Null).await.expect(200)["upload_id"].as_str().unwrap().to_owned();
    let address = agent.world.get(&format!("{place}/{upload}/part/1")).await.expect(200)["presigned_url"].as_str().unwrap().to_owned();
    let etag = agent.world.vault.put_part(&SignedRequest { url: address, headers: BTreeMap::new() }, "a,b\n".into()).unwrap();
    agent.world.post(&format!("{place}/{upload}/complete"), &json!([{"PartNumber": 1, "ETag": etag}])).await.expect(200);
    assert_eq!(agent.call("list_fixtures", json!({})).await["fixture_ids"], json!(["shop-orders"]));
    assert_eq!(agent.call("list_fixtures", json!({"fixture_id": "shop-orders"})).await["files"][0]["name"], "orders.csv");
    assert!(agent.read("crucible://fixtures/registry").await.contains("fixtures/shop-orders/orders.csv"));
    assert_eq!(agent.call("delete_fixture_file", json!({"fixture_id": "shop-orders", "file": "orders.csv"})).await["success"], true);
    assert_eq!(agent.refused("delete_fixture_file", json!({"fixture_id": "shop-orders", "file": "orders.csv"})).await["kind"], "not_found");
}
