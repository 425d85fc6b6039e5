//! The routes that speak in the cluster's own objects.

use crucible_store::ledger::memory::foreign_row;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::harness::{Answer, World};

const BASE: &str = "/apis/crucible.dev/v1alpha1/namespaces/crucible";
const RUN: &str = "checkout_20260105-0800_00000001";

async fn world(status: Value) -> World {
    let world = World::open().await;
    let mut told = json!({"runId": RUN});
    told.as_object_mut().unwrap().extend(status.as_object().cloned().unwrap_or_default());
    world.add_run("checkout-1", Value::Null, told).await;
    world
}

fn run(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"planRef": {"name": "checkout"}}})
}

fn plan() -> Value {
    json!({
        "apiVersion": "crucible.dev/v1alpha1", "kind": "TestPlan", "metadata": {"name": "checkout", "labels": {"team": "a"}},
        "spec": {
            "target": {"engine": "mysql", "endpoint": "db:3306", "database": "shop", "credentialsRef": {"name": "shop"}},
            "workload": {"source": {"inline": "-- @name: A\nSELECT 1;"}},
            "load": {"workers": 2, "stages": [{"name": "steady", "duration": "1m", "vus": 4}]}
        }
    })
}

fn is_problem(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let problem = answer.json();
    assert_eq!((&problem["status"], &problem["type"]), (&json!(status), &json!("about:blank")));
    problem
}

#[tokio::test]
async fn an_object_is_made_read_listed_and_removed_as_kubectl_shows_it() {
    let world = World::open().await;
    let made = world.post(&format!("{BASE}/plans"), &plan()).await.expect(201);
    assert_eq!((&made["metadata"]["name"], &made["metadata"]["labels"]), (&json!("checkout"), &json!({"team": "a"})));
    assert_eq!(made["spec"], plan()["spec"], "the spec is passed on as it was sent");
    assert_eq!(world.get(&format!("{BASE}/plans/checkout")).await.expect(200), made);
    let listed = world.get(&format!("{BASE}/plans")).await.expect(200);
    let outline = json!({
        "name": "checkout", "engine": "mysql", "endpoint": "db:3306", "workers": 2, "accepted": null, "message": null, "created_at": "2026-01-05T08:00:00Z"
    });
    assert_eq!(listed, json!({"plans": [outline], "next_cursor": null}));
    let twice = is_problem(&world.post(&format!("{BASE}/plans"), &plan()).await, 409);
    assert_eq!(twice["detail"], "TestPlan 'checkout' exists already");
    assert_eq!(world.ask("DELETE", &format!("{BASE}/plans/checkout"), &[], "").await.status, 204);
    is_problem(&world.ask("DELETE", &format!("{BASE}/plans/checkout"), &[], "").await, 404);

    let fixture = json!({"metadata": {"name": "orders"}, "spec": {"source": {"prefix": "fixtures/orders/"}, "format": "parquet"}});
    world.post(&format!("{BASE}/fixtures"), &fixture).await.expect(201);
    let listed = world.get(&format!("{BASE}/fixtures")).await.expect(200);
    let outline = json!({"name": "orders", "prefix": "fixtures/orders/", "format": "parquet", "created_at": "2026-01-05T08:00:00Z"});
    assert_eq!(listed, json!({"fixtures": [outline], "next_cursor": null}));
    assert_eq!(world.ask("DELETE", &format!("{BASE}/fixtures/orders"), &[], "").await.status, 204);
}

#[tokio::test]
async fn a_run_is_begun_stopped_and_removed() {
    let world = World::open().await;
    world.post(&format!("{BASE}/runs"), &run("nightly")).await.expect(201);
    let listed = world.get(&format!("{BASE}/runs")).await.expect(200);
    assert_eq!((&listed["runs"][0]["name"], &listed["runs"][0]["phase"]), (&json!("nightly"), &json!("Pending")), "also before the operator has seen it");
    let id = listed["runs"][0]["run_id"].as_str().unwrap();
    assert!(id.starts_with("checkout_20260105-0800_"), "{id}");
    assert_eq!(world.get(&format!("/v1/test-runs/{id}/status")).await.expect(200)["status"], "PENDING");
    world.add_run("nightly", Value::Null, json!({"runId": RUN, "phase": "Executing", "progress": "42%"})).await;
    let listed = world.get(&format!("{BASE}/runs")).await.expect(200);
    assert_eq!((&listed["runs"][0]["name"], &listed["runs"][0]["progress"], &listed["next_cursor"]), (&json!("nightly"), &json!("42%"), &Value::Null));
    let stopped = world.post(&format!("{BASE}/runs/nightly/stop"), &Value::Null).await.expect(200);
    assert_eq!((&stopped["name"], &stopped["stop"], &stopped["phase"]), (&json!("nightly"), &json!(true), &json!("Executing")));
    assert_eq!(world.get(&format!("/v1/test-runs/{RUN}/status")).await.expect(200)["status"], "STOPPING");
    assert_eq!(world.ask("DELETE", &format!("{BASE}/runs/nightly"), &[], "").await.status, 202);
    assert_eq!(world.cluster.writes(), ["POST testruns/nightly", "PATCH testruns/nightly", "DELETE testruns/nightly"]);
}

#[tokio::test]
async fn a_run_that_has_ended_is_not_stopped_again() {
    let world = world(json!({"phase": "Completed"})).await;
    assert_eq!(world.post(&format!("{BASE}/runs/checkout-1/stop"), &Value::Null).await.expect(200)["phase"], "Completed");
    assert!(world.cluster.writes().is_empty());
}

#[tokio::test]
async fn runs_come_in_pages_newest_first() {
    let world = World::open().await;
    for number in 1..=5 {
        let name = format!("run-{number}");
        world.add_run(&name, Value::Null, json!({"runId": format!("checkout_20260105-0800_0000000{number}")})).await;
    }
    let names = |page: &Value| page["runs"].as_array().unwrap().iter().map(|run| run["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let first = world.get(&format!("{BASE}/runs?limit=3")).await.expect(200);
    assert_eq!(names(&first), ["run-5", "run-4", "run-3"]);
    let rest = world.get(&format!("{BASE}/runs?limit=3&cursor={}", first["next_cursor"].as_str().unwrap())).await.expect(200);
    assert_eq!((names(&rest), &rest["next_cursor"]), (vec!["run-2".to_owned(), "run-1".to_owned()], &Value::Null));
    for query in ["limit=-1", "limit=0", "limit=501", "limit=x", "cursor=nonsense", "cursor=%00", "limit=1&limit=2"] {
        let problem = is_problem(&world.get(&format!("{BASE}/runs?{query}")).await, 422);
        assert!(problem["errors"][0]["parameter"].is_string(), "{query}: {problem}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_named_by_its_field_and_nothing_is_written() {
    let world = World::open().await;
    let with = |path: &[&str], value: Value| {
        let mut body = run("x");
        let at = path.iter().fold(&mut body, |at, step| &mut at[*step]);
        *at = value;
        body
    };
    let table = [
        (with(&["spec", "planRef"], json!({"nmae": "x"})), "spec.planRef.nmae"),
        (with(&["spec", "stop"], json!("yes")), "spec.stop"),
        (with(&["metadata", "finalizers"], json!(["a"])), "metadata.finalizers"),
        (with(&["metadata", "ownerReferences"], json!([])), "metadata.ownerReferences"),
        (with(&["metadata", "name"], Value::Null), "metadata.name"),
        (with(&["metadata", "namespace"], json!("other")), "metadata.namespace"),
        (with(&["kind"], json!("TestPlan")), "kind"),
        (with(&["apiVersion"], json!("crucible.dev/v2")), "apiVersion"),
        (with(&["status"], json!({})), "status"),
    ];
    for (body, field) in table {
        let problem = is_problem(&world.post(&format!("{BASE}/runs"), &body).await, 422);
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    for body in ["", "[]", "{", "{\"metadata\": {}, \"metadata\": {}}"] {
        is_problem(&world.ask("POST", &format!("{BASE}/runs"), &[("content-type", "application/json")], body).await, 422);
    }
    is_problem(&world.ask("POST", &format!("{BASE}/runs"), &[("content-type", "application/yaml")], "a: 1").await, 415);
    assert!(world.cluster.writes().is_empty());
}

#[tokio::test]
async fn problems_are_told_as_problems_whatever_is_wrong() {
    let world = World::open().await;
    for (method, path) in [
        ("GET", "/runs/nobody"),
        ("DELETE", "/runs/nobody"),
        ("POST", "/runs/nobody/stop"),
        ("GET", "/runs/nobody/decision"),
        ("GET", "/runs/nobody/events"),
        ("GET", "/runs/nobody/artifacts"),
        ("GET", "/plans/nobody"),
        ("GET", "/fixtures/nobody"),
        ("GET", "/runs/A_B"),
        ("GET", "/runs/a%2F..%2Fb"),
        ("GET", "/nowhere"),
    ] {
        is_problem(&world.ask(method, &format!("{BASE}{path}"), &[], "").await, 404);
    }
    for namespace in ["A", "a%2Fb", "..", "a.b", "%00"] {
        let answer = world.get(&format!("/apis/crucible.dev/v1alpha1/namespaces/{namespace}/plans")).await;
        assert_eq!(answer.status, 404, "{namespace}");
    }
    assert_eq!(is_problem(&world.ask("PUT", &format!("{BASE}/runs"), &[], "").await, 405)["title"], "Method Not Allowed");
    is_problem(&world.ask("GET", &format!("{BASE}/runs"), &[("content-encoding", "gzip")], "").await, 415);
    world.cluster.set_down(true);
    let away = world.get(&format!("{BASE}/plans")).await;
    assert_eq!(away.headers["retry-after"], "5");
    is_problem(&away, 503);
}

#[tokio::test]
async fn a_namespace_that_nobody_watches_is_not_called_empty() {
    let world = World::open().await;
    world.gateway.runs.follow_only("crucible");
    assert_eq!(world.get(&format!("{BASE}/runs")).await.status, 200);
    let problem = is_problem(&world.get("/apis/crucible.dev/v1alpha1/namespaces/other/runs").await, 404);
    assert_eq!(problem["detail"], "this installation does not watch namespace 'other'");
}

#[tokio::test]
async fn a_decision_has_the_verdict_its_reasons_the_comparison_and_where_the_rest_is() {
    let check = |name: &str, held: bool| json!({"name": name, "limit": "< 5ms", "observed": "5.2ms", "held": held, "decided": true, "owner": "sut"});
    let verdict = json!({"outcome": "Failed", "reasons": ["LimitBroken: p95 was 5.2ms", "b", "c", "d"], "checks": [check("p95", false), check("p50", true)]});
    let world = world(json!({"phase": "Completed", "verdict": verdict})).await;
    let put = async |name: &str, text: &'static str| {
        let key = format!("results/{RUN}/{name}");
        crucible_store::Vault::put(&*world.vault, &key, text.into(), "", &std::collections::BTreeMap::new()).await.unwrap();
    };
    put("results.json", "{\"run_id\": \"x\", \"crucible\": {\"comparison\": {\"change\": \"Slower\"}}}").await;
    put("summary.md", "# x").await;
    let signed = |name: &str| format!("memory://results/{RUN}/{name}?attachment={RUN}_{name}&expires=300");
    let object = format!("{BASE}/runs/checkout-1");
    let expected = json!({
        "run_id": RUN, "status": "COMPLETED", "phase": "Completed", "verdict": "Failed", "reasons": ["LimitBroken: p95 was 5.2ms", "b", "c"],
        "failed_checks": [check("p95", false)], "held_checks": 1, "comparison": {"change": "Slower"},
        "links": {
            "run": object, "events": format!("{object}/events"), "artifacts": format!("{object}/artifacts"),
            "report": null, "summary": signed("summary.md"), "results": signed("results.json")
        }
    });
    assert_eq!(world.get(&format!("{object}/decision")).await.expect(200), expected);
    assert_eq!(world.get(&format!("/v1/test-runs/{RUN}/decision")).await.expect(200), expected);
    put("report.html", "<p>").await;
    assert_eq!(world.get(&format!("{object}/decision")).await.expect(200)["links"]["report"], signed("report.html"));
    world.vault.set_down(true);
    let poorer = world.get(&format!("{object}/decision")).await.expect(200);
    assert_eq!((&poorer["verdict"], &poorer["comparison"], &poorer["links"]["results"]), (&json!("Failed"), &Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_decision_about_what_only_the_ledger_remembers_is_the_same() {
    let world = World::open().await;
    let mut row = foreign_row("imported_1", "FAILED", Timestamp::UNIX_EPOCH);
    row.error_detail = Some("the host did not answer".to_owned());
    world.ledger.insert(row);
    let mut row = foreign_row("gone_1", "COMPLETED", Timestamp::UNIX_EPOCH);
    (row.phase, row.summary) =
        (Some("Completed".to_owned()), Some(json!({"message": "m", "verdict": {"outcome": "Passed", "reasons": ["AllChecksHeld: all 3"], "checks": []}})));
    world.ledger.insert(row);
    let imported = world.get("/v1/test-runs/imported_1/decision").await.expect(200);
    assert_eq!((&imported["verdict"], &imported["phase"], &imported["reasons"]), (&Value::Null, &Value::Null, &json!(["the host did not answer"])));
    assert_eq!(imported["links"]["artifacts"], "/v1/test-runs/imported_1/artifacts");
    let gone = world.get("/v1/test-runs/gone_1/decision").await.expect(200);
    assert_eq!((&gone["verdict"], &gone["phase"], &gone["reasons"]), (&json!("Passed"), &json!("Completed"), &json!(["AllChecksHeld: all 3"])));
    assert_eq!(world.get("/v1/test-runs/nobody_1/decision").await.expect(404)["detail"], "test run 'nobody_1' was not found");
}

#[tokio::test]
async fn a_log_tells_the_steps_of_a_run_whoever_knows_it() {
    let transitions = json!([{"phase": "Pending", "at": "2026-01-05T08:00:00.000000Z", "reason": "AsExpected"}]);
    let world = world(json!({"phase": "Pending", "transitions": transitions, "message": "The plan is read"})).await;
    let answer = world.get(&format!("/v1/test-runs/{RUN}/logs")).await;
    assert_eq!((answer.status, &answer.headers["content-type"]), (200, &"text/plain; charset=utf-8".parse().unwrap()));
    assert_eq!(answer.body, "2026-01-05T08:00:00.000Z Pending (AsExpected)\n2026-01-05T08:00:00.000Z The plan is read\n");
    world.ledger.insert(foreign_row("imported_1", "COMPLETED", Timestamp::UNIX_EPOCH));
    assert_eq!(world.get("/v1/test-runs/imported_1/logs").await.body, "1970-01-01T00:00:00.000Z submitted\n");
    assert_eq!(world.get("/v1/test-runs/nobody_1/logs").await.status, 404);
}

#[tokio::test]
async fn what_a_run_left_is_listed_in_pages_of_signed_addresses() {
    let world = world(json!({"phase": "Completed"})).await;
    for name in ["histograms/0.hlog", "histograms/1.hlog", "results.json"] {
        let key = format!("results/{RUN}/{name}");
        crucible_store::Vault::put(&*world.vault, &key, "abc".into(), "", &std::collections::BTreeMap::new()).await.unwrap();
    }
    let place = format!("{BASE}/runs/checkout-1/artifacts");
    let answer = world.get(&format!("{place}?limit=2")).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let first = answer.expect(200);
    assert_eq!((&first["run_id"], &first["expires_at"]), (&json!(RUN), &json!("2026-01-05T08:05:00Z")));
    let link = json!({
        "name": "histograms/0.hlog", "size": 3,
        "url": format!("memory://results/{RUN}/histograms/0.hlog?attachment={RUN}_histograms/0.hlog&expires=300")
    });
    assert_eq!((first["artifacts"].as_array().map(Vec::len), &first["artifacts"][0]), (Some(2), &link));
    let rest = world.get(&format!("{place}?cursor={}", first["next_cursor"].as_str().unwrap())).await.expect(200);
    assert_eq!(
        (&rest["artifacts"][0]["name"], rest["artifacts"].as_array().map(Vec::len), &rest["next_cursor"]),
        (&json!("results.json"), Some(1), &Value::Null)
    );
    is_problem(&world.get(&format!("{place}?cursor=%ff")).await, 422);
}
