//! Reading runs: from the rows of the cluster, from the ledger, and while either is away.

use crucible_api_gateway::{args::Settings, auth::Gate};
use crucible_store::ledger::memory::foreign_row;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    cluster::Cluster,
    harness::{NAMESPACE, World},
};

const RUN: &str = "checkout_20260105-0800_00000001";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_600_000 + second).unwrap()
}

async fn world() -> World {
    let world = World::open().await;
    world.add_run("checkout-1", Value::Null, json!({"runId": RUN, "phase": "Executing", "startAt": "2026-01-05T08:00:09.000000Z"})).await;
    world
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["runs"].as_array().unwrap().iter().map(|run| run["run_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn health_is_one_word() {
    let world = World::open().await;
    world.cluster.set_down(true);
    world.ledger.set_down(true);
    world.vault.set_down(true);
    assert_eq!(world.get("/health").await.expect(200), json!({"status": "ok"}));
    assert_eq!(world.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_run_that_the_cluster_knows_is_shown_without_the_ledger() {
    let world = world().await;
    world.ledger.set_down(true);
    let answer = world.get(&format!("/v1/test-runs/{RUN}/status")).await.expect(200);
    let expected = json!({
        "run_id": RUN, "plan_name": "checkout", "run_label": "checkout", "sut_type": null, "status": "EXECUTING", "scaling_mode": null,
        "cluster_spec": null, "cluster_settings": null, "submitted_at": "2026-01-05T08:00:00Z", "started_at": "2026-01-05T08:00:09Z",
        "completed_at": null, "error_detail": null, "waiting_room": null
    });
    assert_eq!(answer, expected);
    let list = world.get("/v1/test-runs?limit=5").await;
    assert_eq!(list.headers["x-crucible-incomplete"], "ledger");
    assert_eq!(ids(&list.expect(200)), [RUN]);
    let active = json!({"active": [{"run_id": RUN, "run_label": "checkout", "sut_type": null, "status": "EXECUTING"}]});
    assert_eq!(world.get("/v1/sut/inventory").await.expect(200), active);
    let unknown = world.get("/v1/test-runs/nobody_20260105-0800_00000001/status").await;
    assert_eq!(unknown.headers["retry-after"], "5");
    assert_eq!(unknown.expect(503), json!({"detail": "the ledger cannot be reached right now; try again"}));
}

#[tokio::test]
async fn what_only_the_ledger_remembers_is_shown_beside_what_the_cluster_knows() {
    let world = world().await;
    world.ledger.insert(foreign_row("imported_1", "WAITING_ROOM", at(-60)));
    world.ledger.insert(foreign_row("imported_2", "COMPLETED", at(60)));
    assert_eq!(ids(&world.get("/v1/test-runs").await.expect(200)), ["imported_2", RUN, "imported_1"]);
    let first = world.get("/v1/test-runs?limit=2").await.expect(200);
    assert_eq!(ids(&first), ["imported_2", RUN]);
    let rest = world.get(&format!("/v1/test-runs?limit=2&cursor={}", first["next_cursor"].as_str().unwrap())).await.expect(200);
    assert_eq!((ids(&rest), &rest["next_cursor"]), (vec!["imported_1"], &Value::Null));
    let status = world.get("/v1/test-runs/imported_1/status").await.expect(200);
    assert_eq!((&status["status"], &status["plan_name"], &status["waiting_room"]), (&json!("WAITING_ROOM"), &json!("imported"), &Value::Null));
    let inventory = world.get("/v1/sut/inventory").await.expect(200);
    let active: Vec<&str> = inventory["active"].as_array().unwrap().iter().map(|run| run["run_id"].as_str().unwrap()).collect();
    assert_eq!(active, [RUN, "imported_1"]);
}

#[tokio::test]
async fn a_list_of_all_is_whole_however_long_it_is() {
    let world = world().await;
    for number in 0..1201 {
        world.ledger.insert(foreign_row(&format!("imported_{number}"), "COMPLETED", at(-1 - number)));
    }
    let all = world.get("/v1/test-runs").await.expect(200);
    assert_eq!(all["runs"].as_array().unwrap().len(), 1202);
    assert_eq!(ids(&all)[..3], [RUN, "imported_0", "imported_1"]);
    assert!(all.get("next_cursor").is_none());
    world.ledger.set_down(true);
    assert_eq!(ids(&world.get("/v1/test-runs").await.expect(200)), [RUN]);
}

#[tokio::test]
async fn a_label_finds_its_runs_and_no_others() {
    let world = world().await;
    world.add_run("nightly-1", json!({"planRef": {"name": "checkout"}, "label": "nightly"}), json!({"runId": "nightly_20260105-0800_00000002"})).await;
    assert_eq!(ids(&world.get("/v1/test-runs?run_label=nightly").await.expect(200)), ["nightly_20260105-0800_00000002"]);
    for label in ["nobody", "%27%20or%201=1%20--", "a%00b"] {
        assert_eq!(world.get(&format!("/v1/test-runs?run_label={label}")).await.expect(200), json!({"runs": []}), "{label}");
    }
}

#[tokio::test]
async fn before_the_runs_are_listed_nobody_is_told_that_one_is_missing() {
    let settings = Settings { namespace: NAMESPACE.to_owned(), require_cluster_spec: false };
    let world = World::unlisted(Gate::open(), settings, Cluster::default());
    assert_eq!(world.get("/readyz").await.status, 503);
    assert_eq!(world.get("/v1/test-runs/x_20260105-0800_00000001/status").await.status, 503);
    world.ledger.set_down(true);
    assert_eq!(world.get("/v1/test-runs").await.status, 503);
}

#[tokio::test]
async fn kinds_of_systems_are_those_that_a_plan_can_name() {
    let world = World::open().await;
    let types = world.get("/v1/sut/types").await.expect(200);
    let types: Vec<&str> = types["sut_types"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(types.starts_with(&["doris"]) && types.ends_with(&["mysql", "postgres"]), "{types:?}");
}
