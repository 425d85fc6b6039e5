//! Submitting: of a plan that is sent, by name, by key; once under a key; and what stands in the cluster, the bucket and the ledger then.

use std::collections::BTreeMap;

use bytes::Bytes;
use crucible_api_gateway::{args::Settings, auth::Gate};
use crucible_store::{Ledger, Vault};
use serde_json::{Value, json};

use super::{
    harness::{Answer, NAMESPACE, World},
    plans::{PLAN, upload},
};

const RUN: &str = "Checkout.v2_20260105-0800_03030303";
const OBJECT: &str = "checkout-v2-20260105-0800-03030303";

fn submission(changes: &Value) -> Value {
    let mut body = json!({"plan_yaml": PLAN, "plan_name": "Checkout.v2", "cluster_spec": {"type": "mysql", "backend_node": {"replica": 2}}});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn submit(world: &World, changes: &Value) -> Answer {
    world.post("/v1/test-runs", &submission(changes)).await
}

async fn submit_once(world: &World, key: &str, changes: &Value) -> Answer {
    world.ask("POST", "/v1/test-runs", &[("content-type", "application/json"), ("idempotency-key", key)], &submission(changes).to_string()).await
}

/// The plan that a run names, and the login that the plan names.
fn pair(world: &World, run: &str) -> (Value, Value) {
    let run = world.cluster.find("testruns", run).unwrap();
    let plan = world.cluster.find("testplans", run["spec"]["planRef"]["name"].as_str().unwrap()).unwrap();
    let login = world.cluster.find("secrets", plan["spec"]["target"]["credentialsRef"]["name"].as_str().unwrap()).unwrap();
    (plan, login)
}

/// The password that a run logs in with.
fn password(world: &World, run: &str) -> Value {
    pair(world, run).1["data"]["password"].clone()
}

/// The object of the run that an answer names.
fn object(answer: &Value) -> String {
    answer["run_id"].as_str().unwrap().to_lowercase().replace(['.', '_'], "-")
}

#[tokio::test]
async fn a_submit_makes_a_run_beside_a_plan_and_a_login() {
    let world = World::open().await;
    let answer = submit(&world, &json!({"label": "nightly", "cluster_settings": "a=b", "plan_yaml": PLAN.replace("intra_node", "inter_node")})).await;
    assert_eq!(answer.expect(200), json!({"run_id": RUN, "plan_key": "plans/Checkout.v2", "strategy": "inter_node"}));

    let run = world.cluster.find("testruns", OBJECT).unwrap();
    let (plan, login) = pair(&world, OBJECT);
    let name = plan["metadata"]["name"].as_str().unwrap();
    let content = name.strip_prefix("checkout-v2-").unwrap();
    let cluster = json!({"type": "mysql", "backend_node": {"replica": 2}});
    let expected = json!({"planRef": {"name": name}, "label": "nightly", "runId": RUN, "clusterSpec": cluster, "clusterSettings": "a=b", "stop": false});
    assert_eq!(run["spec"], expected);
    let notes = json!({"crucible.dev/plan-name": "Checkout.v2", "crucible.dev/plan-key": "plans/Checkout.v2", "crucible.dev/scaling-mode": "inter_node"});
    assert_eq!(run["metadata"]["annotations"], notes);
    assert_eq!((&plan["spec"]["load"]["workers"], &plan["spec"]["target"]["endpoint"]), (&json!(2), &json!("db:3306")));
    assert_eq!(login["metadata"]["ownerReferences"][0]["uid"], plan["metadata"]["uid"]);
    assert_eq!(login["data"], json!({"username": "dGVzdGVy", "password": "aHVudGVyMg=="}));
    for object in [&run, &plan, &login] {
        assert_eq!(object["metadata"]["labels"]["crucible.dev/plan-content"], content);
        assert!(!object.to_string().contains("hunter2"));
    }
    let kept = "PATCH secrets/checkout-v2-e498c6e50e-login".to_owned();
    let made = [
        kept,
        "POST secrets/crucible-gateway-salt".to_owned(),
        format!("POST testplans/{name}"),
        format!("POST secrets/{name}-login"),
        format!("POST testruns/{OBJECT}"),
    ];
    assert_eq!(world.cluster.writes(), made, "the run comes last: it finds whatever it needs");
}

#[tokio::test]
async fn runs_of_the_same_content_share_a_plan_and_each_is_one_write() {
    let world = World::open().await;
    upload(&world, "POST", "/test-plans/upload", "Checkout.v2.yaml", PLAN).await.expect(201);
    world.post("/v1/test-runs/Checkout.v2", &json!({"label": "first"})).await.expect(200);
    let before = world.cluster.asked().len();
    let second = world.post("/v1/test-runs/Checkout.v2", &json!({"label": "second"})).await.expect(200);
    let second = object(&second);
    assert_eq!(world.cluster.asked()[before..], [format!("POST testruns/{second}")], "what was seen a moment ago is not even read again");
    assert_eq!(pair(&world, OBJECT), pair(&world, &second));

    // The same text stored again with another password is another login at once.
    upload(&world, "PUT", "/test-plans/Checkout.v2/upload", "Checkout.v2.yaml", &PLAN.replace("hunter2", "other")).await.expect(200);
    let changed = world.post("/v1/test-runs/Checkout.v2", &json!({})).await.expect(200);
    assert_eq!(password(&world, &object(&changed)), "b3RoZXI=");
    upload(&world, "PUT", "/test-plans/Checkout.v2/upload", "Checkout.v2.yaml", PLAN).await.expect(200);

    // Somebody has changed the plan by hand, or removed the login: a moment later a run has what was asked for.
    let moment = || tokio::time::sleep(std::time::Duration::from_millis(1010));
    let (mut plan, login) = pair(&world, OBJECT);
    plan["spec"]["load"]["stages"][1]["vus"] = json!(99);
    plan["metadata"]["generation"] = json!(2);
    world.cluster.put("testplans", NAMESPACE, &plan);
    moment().await;
    let third = world.post("/v1/test-runs/Checkout.v2", &json!({})).await.expect(200);
    let (plan, again) = pair(&world, &object(&third));
    assert_eq!(plan["spec"]["load"]["stages"][1]["vus"], 2);
    assert_eq!((&again["data"], &again["metadata"]["ownerReferences"][0]["uid"]), (&login["data"], &plan["metadata"]["uid"]));
    world.cluster.remove("secrets", again["metadata"]["name"].as_str().unwrap());
    moment().await;
    let fourth = world.post("/v1/test-runs/Checkout.v2", &json!({})).await.expect(200);
    assert_eq!(password(&world, &object(&fourth)), "aHVudGVyMg==");
}

#[tokio::test]
async fn a_plan_that_no_run_names_goes_with_its_login_after_a_notice() {
    let world = World::open().await;
    submit(&world, &json!({})).await.expect(200);
    let (plan, _) = pair(&world, OBJECT);
    let name = plan["metadata"]["name"].as_str().unwrap();
    let marked = || world.cluster.find("testplans", name).unwrap()["metadata"]["annotations"]["crucible.dev/unused-since"].clone();
    let mut older = plan.clone();
    older["metadata"]["creationTimestamp"] = json!("2026-01-05T06:59:00Z");
    world.cluster.put("testplans", NAMESPACE, &older);
    world.sweep_plans().await;
    assert!(marked().is_null(), "a run names it");

    let gone = |name: String| async {
        let name = name;
        world.until("the run is gone", |world| world.gateway.runs.by_name(NAMESPACE, &name).is_none()).await;
    };
    world.cluster.remove("testruns", OBJECT);
    gone(OBJECT.to_owned()).await;
    world.sweep_plans().await;
    assert_eq!(marked(), "2026-01-05T08:00:00Z");
    world.sweep_plans().await;
    assert!(world.cluster.find("testplans", name).is_some(), "a notice is given first");
    tokio::time::sleep(std::time::Duration::from_millis(1010)).await;
    let again = submit(&world, &json!({})).await.expect(200);
    assert!(marked().is_null(), "whoever wants it takes the mark off");

    world.cluster.remove("testruns", &object(&again));
    gone(object(&again)).await;
    let mut long_ago = older;
    long_ago["metadata"]["annotations"]["crucible.dev/unused-since"] = json!("2026-01-05T07:50:00Z");
    world.cluster.put("testplans", NAMESPACE, &long_ago);
    world.sweep_plans().await;
    assert!(world.cluster.find("testplans", name).is_none() && world.cluster.find("secrets", &format!("{name}-login")).is_none());
    tokio::time::sleep(std::time::Duration::from_millis(1010)).await;
    submit(&world, &json!({})).await.expect(200);
    assert_eq!(world.cluster.find("testplans", name).unwrap()["spec"], plan["spec"], "and it is made again where it is wanted");
}

#[tokio::test]
async fn a_run_is_everywhere_before_the_answer_goes_out() {
    let world = World::open().await;
    submit(&world, &json!({"label": "nightly"})).await.expect(200);
    let row = world.ledger.find(NAMESPACE, RUN).await.unwrap().unwrap();
    assert_eq!(
        (&*row.status, row.plan_name.as_deref(), row.run_label.as_deref(), row.sut_type.as_deref()),
        ("PENDING", Some("Checkout.v2"), Some("nightly"), Some("mysql"))
    );
    assert_eq!((row.plan_key.as_deref(), row.name.as_deref(), row.scaling_mode.as_deref()), (Some("plans/Checkout.v2"), Some(OBJECT), Some("intra_node")));
    let status = world.get(&format!("/v1/test-runs/{RUN}/status")).await.expect(200);
    assert_eq!((&status["status"], &status["cluster_spec"]["backend_node"]["replica"], &status["sut_type"]), (&json!("PENDING"), &json!(2), &json!("mysql")));
    let listed = world.get("/v1/test-runs?run_label=nightly").await.expect(200);
    assert_eq!(listed["runs"].as_array().unwrap().len(), 1);
    assert_eq!(world.post(&format!("/v1/test-runs/{RUN}/stop"), &Value::Null).await.expect(200)["action"], "sigterm_sent");
}

#[tokio::test]
async fn a_stored_plan_is_triggered_by_name_or_key_without_a_body() {
    let world = World::open().await;
    let labelled = format!("test_metadata: {{run_label: own}}\n{PLAN}");
    upload(&world, "POST", "/test-plans/upload", "Checkout.v2.yaml", &labelled).await.expect(201);
    assert_eq!(
        world.ask("POST", "/v1/test-runs/Checkout.v2", &[], "").await.expect(200),
        json!({"run_id": RUN, "plan_key": "plans/Checkout.v2", "strategy": "intra_node"})
    );
    let run = world.cluster.find("testruns", OBJECT).unwrap();
    assert_eq!((&run["spec"]["label"], &run["spec"]["clusterSpec"]), (&json!("own"), &json!({"type": "mysql"})));
    assert_eq!(password(&world, OBJECT), "aHVudGVyMg==", "the password that was kept with the plan");
    for (path, body) in [("/test-runs/plans/Checkout.v2", ""), ("/test-runs/Checkout.v2", "{}"), ("/test-runs/Checkout.v2", "null")] {
        let answer = world.ask("POST", path, &[], body).await.expect(200);
        assert_eq!(answer["strategy"], "intra_node");
        assert!(answer["run_id"].as_str().unwrap().starts_with("Checkout.v2_20260105-0800_"));
        assert_eq!(answer.as_object().unwrap().len(), 2);
    }
    for path in ["/v1/test-runs/nowhere", "/test-runs/plans/nowhere", "/test-runs/elsewhere/x", "/test-runs/..%2Fx", "/v1/test-runs/a%00b"] {
        assert!(world.ask("POST", path, &[], "").await.expect(404)["detail"].is_string(), "{path}");
    }
}

#[tokio::test]
async fn a_plan_of_another_program_runs_with_the_password_that_it_has() {
    let world = World::open().await;
    world.vault.put("plans/Checkout.v2", Bytes::from(PLAN), "text/plain", &BTreeMap::new()).await.unwrap();
    let run = world.ask("POST", "/v1/test-runs/Checkout.v2", &[], "").await.expect(200);
    assert_eq!(password(&world, &object(&run)), "aHVudGVyMg==");
    let masked = PLAN.replace("hunter2", "'********'");
    world.vault.put("plans/masked", Bytes::from(masked), "text/plain", &BTreeMap::new()).await.unwrap();
    let refused = world.ask("POST", "/v1/test-runs/masked", &[], "").await.expect(422);
    assert!(refused["detail"][0]["msg"].as_str().unwrap().contains("write the password itself"), "{refused}");
}

#[tokio::test]
async fn what_contradicts_itself_is_refused_and_leaves_nothing() {
    let world = World::open().await;
    let cases: [(Value, Value, &str); 8] = [
        (json!({"cluster_spec": {}}), json!(["body", "cluster_spec", "type"]), "missing"),
        (json!({"cluster_spec": {"type": "trino"}}), json!(["body", "cluster_spec", "type"]), "does not match"),
        (json!({"cluster_spec": []}), json!(["body", "cluster_spec"]), "mapping"),
        (json!({"plan_yaml": "a: ["}), json!(["body", "plan_yaml", "a", 0]), "line"),
        (json!({"plan_yaml": PLAN.replace("concurrency: 2", "concurrency: x")}), json!(["body", "plan_yaml", "execution", "concurrency"]), "whole number"),
        (json!({"plan_name": ""}), json!(["body", "plan_name"]), "letters"),
        (json!({"label": "a\u{0}b"}), json!(["body", "label"]), "control"),
        (json!({"cluster_settings": "a\u{0}b"}), json!(["body", "cluster_settings"]), "NUL"),
    ];
    for (changes, loc, word) in cases {
        let answer = submit(&world, &changes).await.expect(422);
        assert_eq!(answer["detail"][0]["loc"], loc, "{answer}");
        assert!(answer["detail"][0]["msg"].as_str().unwrap().contains(word), "{answer}");
    }
    for body in ["", "[]", "null", "{\"plan_name\": \"a\", \"plan_name\": \"b\"}", "{\"plan_yaml\": 7}"] {
        assert_eq!(world.ask("POST", "/v1/test-runs", &[], body).await.status, 422, "{body}");
    }
    assert!(world.cluster.writes().is_empty());
    assert_eq!(world.get("/test-plans").await.expect(200), json!({"plans": []}));
}

#[tokio::test]
async fn a_cluster_spec_can_be_required() {
    let world = World::new(Gate::open(), Settings { namespace: NAMESPACE.to_owned(), require_cluster_spec: true }).await;
    upload(&world, "POST", "/test-plans/upload", "checkout.yaml", PLAN).await.expect(201);
    for (path, body) in
        [("/v1/test-runs/checkout", Value::Null), ("/v1/test-runs/checkout", json!({})), ("/v1/test-runs", submission(&json!({"cluster_spec": null})))]
    {
        let answer = world.post(path, &body).await.expect(422);
        assert_eq!(answer["detail"][0]["loc"], json!(["body", "cluster_spec"]));
    }
    world.post("/v1/test-runs/checkout", &json!({"cluster_spec": {"type": "mysql"}})).await.expect(200);
}

#[tokio::test]
async fn the_same_key_and_body_are_one_run() {
    let world = World::open().await;
    let first = submit_once(&world, "k", &json!({})).await.expect(200);
    let again = submit_once(&world, "k", &json!({})).await.expect(200);
    assert_eq!(first, again);
    assert_eq!(world.get("/v1/test-runs").await.expect(200)["runs"].as_array().unwrap().len(), 1);
    assert!(submit_once(&world, "k", &json!({"label": "other"})).await.expect(409)["detail"].is_string());
    assert_ne!(submit_once(&world, "l", &json!({})).await.expect(200)["run_id"], first["run_id"]);
    let by_name = world.ask("POST", "/v1/test-runs/Checkout.v2", &[("idempotency-key", "m")], "").await.expect(200);
    assert_eq!(world.ask("POST", "/v1/test-runs/Checkout.v2", &[("idempotency-key", "m")], "").await.expect(200), by_name);
    for key in ["", &"k".repeat(256)] {
        assert_eq!(submit_once(&world, key, &json!({})).await.status, 422);
    }
}

#[tokio::test]
async fn an_id_that_is_taken_is_drawn_again() {
    let world = World::open().await;
    let taken = json!({"apiVersion": "crucible.dev/v1alpha1", "kind": "TestRun", "metadata": {"name": OBJECT}, "spec": {"planRef": {"name": "checkout"}}});
    world.cluster.put("testruns", NAMESPACE, &taken);
    let answer = submit(&world, &json!({})).await.expect(200);
    assert_eq!(answer["run_id"], "Checkout.v2_20260105-0800_04040404");
    assert_eq!(world.cluster.find("testruns", OBJECT).unwrap()["spec"], taken["spec"]);
}

#[tokio::test]
async fn a_later_submit_changes_nothing_for_an_earlier_one() {
    let world = World::open().await;
    submit(&world, &json!({})).await.expect(200);
    let changed = PLAN.replace("hunter2", "other").replace("concurrency: 2", "concurrency: 9");
    let later = submit(&world, &json!({"plan_yaml": changed})).await.expect(200);
    let (plan, login) = pair(&world, OBJECT);
    assert_eq!((&plan["spec"]["load"]["stages"][1]["vus"], &login["data"]["password"]), (&json!(2), &json!("aHVudGVyMg==")));
    let (plan, login) = pair(&world, &object(&later));
    assert_eq!((&plan["spec"]["load"]["stages"][1]["vus"], &login["data"]["password"]), (&json!(9), &json!("b3RoZXI=")));
}

#[tokio::test]
async fn the_ledger_holds_no_submit_up_and_the_cluster_does() {
    let world = World::open().await;
    world.ledger.set_down(true);
    submit(&world, &json!({})).await.expect(200);
    world.cluster.set_down(true);
    let answer = submit(&world, &json!({})).await;
    assert_eq!((answer.status, answer.headers["retry-after"].as_bytes()), (503, &b"5"[..]));
}

#[tokio::test]
async fn what_the_cluster_refuses_of_a_plan_is_told_before_there_is_a_run() {
    let world = World::open().await;
    let chaos = "chaos_spec: {experiments: [{name: kill, fault_type: PodChaos, parameters: {action: pod-kill}, target: {env_type: k8s, namespace: sut, selector: {app: be}}, schedule: {start_after: 1s, duration: 1s}}]}\n";
    submit(&world, &json!({"plan_yaml": format!("{PLAN}{chaos}")})).await.expect(200);
    assert_eq!(pair(&world, OBJECT).0["spec"]["faults"][0]["start"], json!({"stage": "ramp-up", "after": "1s"}));
    world.cluster.refuse("testplans");
    let refused = submit(&world, &json!({"plan_yaml": format!("{PLAN}{}", chaos.replace("pod-kill", "pod-failure"))})).await.expect(422);
    assert_eq!(refused["detail"][0]["msg"], "spec.faults[0]: is wrong");
    assert_eq!(world.get("/v1/test-runs").await.expect(200)["runs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_run_that_cannot_be_made_leaves_only_what_others_can_use() {
    let world = World::open().await;
    world.cluster.refuse("testruns");
    assert_eq!(submit(&world, &json!({})).await.status, 422);
    assert!(world.cluster.find("testruns", OBJECT).is_none());
    assert_eq!(world.get("/v1/test-runs").await.expect(200)["runs"], json!([]));
    world.cluster.refuse("nothing");
    submit(&world, &json!({})).await.expect(200);
}
