//! Stopping: at once in every place where a client looks, whoever knows the run.

use crucible_store::{Ledger, ledger::memory::foreign_row};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::harness::{NAMESPACE, World};

const RUN: &str = "checkout_20260105-0800_00000001";

async fn world(phase: &str) -> World {
    let world = World::open().await;
    world.add_run("checkout-1", Value::Null, json!({"runId": RUN, "phase": phase})).await;
    world.ledger.insert(foreign_row(RUN, "EXECUTING", Timestamp::UNIX_EPOCH));
    world
}

async fn stop(world: &World, run_id: &str) -> Value {
    world.post(&format!("/v1/test-runs/{run_id}/stop"), &Value::Null).await.expect(200)["action"].take()
}

#[tokio::test]
async fn a_stop_is_seen_at_once_and_is_one_however_often_it_is_asked_for() {
    let world = world("Executing").await;
    assert_eq!(stop(&world, RUN).await, "sigterm_sent");
    assert_eq!(world.cluster.find("testruns", "checkout-1").unwrap()["spec"]["stop"], true);
    assert_eq!(world.get(&format!("/v1/test-runs/{RUN}/status")).await.expect(200)["status"], "STOPPING");
    assert_eq!(world.ledger.find(NAMESPACE, RUN).await.unwrap().unwrap().status, "STOPPING");
    assert_eq!(world.get("/v1/sut/inventory").await.expect(200), json!({"active": []}));
    assert_eq!(stop(&world, RUN).await, "already_stopped");
    assert_eq!(world.cluster.writes(), ["PATCH testruns/checkout-1"]);
}

#[tokio::test]
async fn what_has_ended_is_not_stopped_again() {
    for (phase, action) in [
        ("Completed", "already_stopped"),
        ("Failed", "already_stopped"),
        ("Stopping", "already_stopped"),
        ("Queued", "sigterm_sent"),
        ("Collecting", "sigterm_sent"),
    ] {
        assert_eq!(stop(&world(phase).await, RUN).await, action, "{phase}");
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_ledger() {
    let world = world("Executing").await;
    world.ledger.set_down(true);
    assert_eq!(stop(&world, RUN).await, "sigterm_sent");
}

#[tokio::test]
async fn imported_history_is_stopped_where_it_is() {
    let world = World::open().await;
    world.ledger.insert(foreign_row("imported_1", "EXECUTING", Timestamp::UNIX_EPOCH));
    assert_eq!(stop(&world, "imported_1").await, "sigterm_sent");
    assert_eq!(world.ledger.find(NAMESPACE, "imported_1").await.unwrap().unwrap().status, "STOPPING");
    assert_eq!(stop(&world, "imported_1").await, "already_stopped");
    assert!(world.cluster.writes().is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_no_error() {
    let world = World::open().await;
    for id in ["nobody_20260105-0800_00000001", "x", "..%2F..%2Fx", "a%00b"] {
        assert_eq!(stop(&world, id).await, "not_found", "{id}");
    }
}

#[tokio::test]
async fn what_cannot_be_told_now_is_put_off() {
    let world = world("Executing").await;
    world.cluster.set_down(true);
    assert_eq!(world.post(&format!("/v1/test-runs/{RUN}/stop"), &Value::Null).await.status, 503);
    world.ledger.set_down(true);
    assert_eq!(world.post("/v1/test-runs/imported_1/stop", &Value::Null).await.status, 503);
}
