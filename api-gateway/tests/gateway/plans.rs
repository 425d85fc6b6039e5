//! Stored plans: written, read, replaced, removed, refused; and no password in any of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use crucible_store::Vault;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::harness::{Answer, World};

/// A plan as a client writes it.
pub const PLAN: &str = "\
# nightly
test_environment:
  env_type: long-lived
  target_db: shop
  component_spec:
    type: mysql
    cluster_info: {host: 'db:3306', username: tester, password: hunter2}
execution:
  scaling_mode: intra_node
  concurrency: 2
  ramp_up: 1s
  hold_for: 3s
  workload: [{workload_id: shop}]
";

pub async fn upload(world: &World, method: &str, path: &str, name: &str, text: &str) -> Answer {
    let form = [("content-type", "multipart/form-data; boundary=edge")];
    let body = format!("--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{text}\r\n--edge--\r\n");
    world.ask(method, path, &form, &body).await
}

async fn stored(world: &World, key: &str) -> String {
    let mut text = String::new();
    world.vault.get(key).await.unwrap().read_to_string(&mut text).await.unwrap();
    text
}

fn plan() -> Value {
    json!({
        "test_environment": {
            "env_type": "long-lived", "target_db": "shop",
            "component_spec": {"type": "mysql", "cluster_info": {"host": "db:3306", "username": "tester", "password": "hunter2"}},
        },
        "execution": {"scaling_mode": "intra_node", "concurrency": 2, "ramp_up": "1s", "hold_for": "3s", "workload": [{"workload_id": "shop"}]},
    })
}

fn without_password(mut plan: Value) -> Value {
    plan["test_environment"]["component_spec"]["cluster_info"]["password"] = json!("********");
    plan
}

#[tokio::test]
async fn an_uploaded_plan_is_listed_read_and_removed() {
    let world = World::open().await;
    assert_eq!(upload(&world, "POST", "/test-plans/upload", "Check out (v2).yaml", PLAN).await.expect(201), json!({"key": "plans/Check_out__v2_"}));
    let text = stored(&world, "plans/Check_out__v2_").await;
    assert_eq!(text, PLAN.replace("hunter2", "\"********\""));
    let listed = world.get("/test-plans").await.expect(200)["plans"].take();
    assert_eq!((&listed[0]["name"], &listed[0]["key"], &listed[0]["size"]), (&json!("Check_out__v2_"), &json!("plans/Check_out__v2_"), &json!(text.len())));
    assert_eq!(world.get("/test-plans/Check_out__v2_").await.expect(200), without_password(plan()));
    assert_eq!(upload(&world, "POST", "/test-plans/upload", "Check out (v2).yaml", PLAN).await.status, 409);
    let secrets: Vec<String> = world.cluster.writes();
    assert_eq!(secrets, ["PATCH secrets/check-out-v2-7391d6ae2a-login"]);
    assert_eq!(world.cluster.find("secrets", "check-out-v2-7391d6ae2a-login").unwrap()["data"], json!({"password": "aHVudGVyMg=="}));

    assert_eq!(world.ask("DELETE", "/test-plans/Check_out__v2_", &[], "").await.status, 204);
    assert!(world.cluster.find("secrets", "check-out-v2-7391d6ae2a-login").is_none());
    for method in ["GET", "DELETE"] {
        assert!(world.ask(method, "/test-plans/Check_out__v2_", &[], "").await.expect(404)["detail"].is_string());
    }
}

#[tokio::test]
async fn a_plan_as_json_is_made_once_and_replaced_as_often_as_one_likes() {
    let world = World::open().await;
    assert_eq!(world.post("/test-plans?name=checkout", &plan()).await.expect(201), json!({"key": "plans/checkout"}));
    assert_eq!(world.post("/test-plans?name=checkout", &plan()).await.status, 409);
    let mut changed = without_password(plan());
    changed["execution"]["concurrency"] = json!(7);
    let answer = world.ask("PUT", "/test-plans/checkout", &[("content-type", "application/json")], &changed.to_string()).await;
    assert_eq!(answer.expect(200), json!({"key": "plans/checkout"}));
    assert_eq!(world.get("/test-plans/checkout").await.expect(200), changed);
    assert_eq!(world.cluster.find("secrets", "checkout-login").unwrap()["data"]["password"], "aHVudGVyMg==", "the mask keeps what there is");
    assert_eq!(upload(&world, "PUT", "/test-plans/checkout/upload", "whatever.yaml", PLAN).await.expect(200), json!({"key": "plans/checkout"}));
    assert_eq!(world.get("/test-plans").await.expect(200)["plans"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_plan_of_another_program_is_read_as_it_is_and_never_rewritten() {
    let world = World::open().await;
    world.vault.put("plans/by-hand", Bytes::from(PLAN), "text/plain", &BTreeMap::new()).await.unwrap();
    assert_eq!(world.get("/test-plans/by-hand").await.expect(200), without_password(plan()));
    assert_eq!(stored(&world, "plans/by-hand").await, PLAN);
    world.vault.put("plans/no-plan", Bytes::from_static(b"\xff\xfe\x00["), "text/plain", &BTreeMap::new()).await.unwrap();
    assert_eq!(world.get("/test-plans/no-plan").await.status, 422);
    assert!(world.cluster.writes().is_empty());
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_its_place_and_nothing_is_stored() {
    let world = World::open().await;
    let cases: [(&str, &str, Value); 6] = [
        ("concurrency: 2", "concurrency: 0", json!(["body", "execution", "concurrency"])),
        ("host: 'db:3306'", "host: no", json!(["body", "test_environment", "component_spec", "cluster_info", "host"])),
        ("hold_for: 3s", "holdfor: 3s", json!(["body", "execution", "hold_for"])),
        ("{workload_id: shop}", "{workload_id: '../x'}", json!(["body", "execution", "workload", 0, "workload_id"])),
        ("execution:", "execution: {}\nexecution:", json!(["body"])),
        ("password: hunter2", "password: '********'", json!(["body", "test_environment", "component_spec", "cluster_info", "password"])),
    ];
    for (from, to, loc) in cases {
        let answer = upload(&world, "POST", "/test-plans/upload", "bad.yaml", &PLAN.replace(from, to)).await.expect(422);
        assert_eq!(answer["detail"][0]["loc"], loc, "{answer}");
        assert!(answer["detail"][0]["msg"].is_string() && answer["detail"][0]["type"].is_string());
    }
    assert_eq!(world.get("/test-plans").await.expect(200), json!({"plans": []}));
    assert!(world.cluster.writes().is_empty());
}

#[tokio::test]
async fn forms_and_names_that_are_none_are_refused() {
    let world = World::open().await;
    let form = ("content-type", "multipart/form-data; boundary=edge");
    let bodies = [
        "",
        "--edge--\r\n",
        "--edge\r\ncontent-disposition: form-data; name=\"other\"\r\n\r\nx\r\n--edge--\r\n",
        "--edge\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\nx",
    ];
    for body in bodies {
        assert_eq!(world.ask("POST", "/test-plans/upload", &[form], body).await.status, 422, "{body}");
    }
    assert_eq!(world.ask("POST", "/test-plans/upload", &[("content-type", "application/json")], "{}").await.status, 422);
    for name in ["..", "", "/", "%00"] {
        assert_eq!(upload(&world, "POST", "/test-plans/upload", name, "a: 1").await.status, 422, "{name}");
    }
    assert_eq!(world.post("/test-plans?name=%2E%2E", &plan()).await.status, 422);
    assert_eq!(world.post("/test-plans", &plan()).await.status, 422);
    for name in ["..%2Fx", "a%00b", "%F0%9F%92%A3", "a%2Fb", "a..b"] {
        assert_eq!(world.get(&format!("/test-plans/{name}")).await.status, 404, "{name}");
    }
}

#[tokio::test]
async fn a_plan_can_be_looked_at_without_being_stored() {
    let world = World::open().await;
    assert_eq!(world.post("/v1/test-plans/validate", &json!({"plan_yaml": PLAN})).await.expect(200), json!({"valid": true}));
    let refused = world.post("/v1/test-plans/validate", &json!({"plan_yaml": PLAN.replace("hold_for: 3s", "hold_for: soon")})).await.expect(200);
    assert_eq!((&refused["valid"], &refused["errors"][0]["path"]), (&json!(false), &json!("execution.hold_for")), "{refused}");
    assert_ne!(refused["errors"][0]["message"], "");
    assert_eq!(world.get("/test-plans").await.expect(200), json!({"plans": []}));
}

#[tokio::test]
async fn a_store_that_is_away_is_said_so() {
    let world = World::open().await;
    world.vault.set_down(true);
    for path in ["/test-plans", "/test-plans/checkout"] {
        let answer = world.get(path).await;
        assert_eq!((answer.status, answer.headers["retry-after"].as_bytes()), (503, &b"5"[..]));
    }
    assert_eq!(world.post("/test-plans?name=checkout", &plan()).await.status, 503);
}
