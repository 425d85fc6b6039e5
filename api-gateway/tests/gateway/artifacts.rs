//! What a run left in the bucket.

use std::collections::BTreeMap;

use bytes::Bytes;
use crucible_store::{Vault, ledger::memory::foreign_row};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::harness::World;

const RUN: &str = "checkout_20260105-0800_00000001";

async fn world(phase: &str) -> World {
    let world = World::open().await;
    world.add_run("checkout-1", Value::Null, json!({"runId": RUN, "phase": phase})).await;
    world
}

async fn put(world: &World, name: &str, text: &str) {
    world.vault.put(&format!("results/{RUN}/{name}"), Bytes::from(text.to_owned()), "application/json", &BTreeMap::new()).await.unwrap();
}

#[tokio::test]
async fn everything_below_the_run_is_listed_and_nothing_else() {
    let world = world("Executing").await;
    assert_eq!(world.get(&format!("/v1/test-runs/{RUN}/artifacts")).await.expect(200), json!({"run_id": RUN, "artifacts": []}));
    put(&world, "results.json", "{}").await;
    put(&world, "histograms/0.hlog", "abc").await;
    world.vault.put(&format!("results/{RUN}0/results.json"), Bytes::new(), "", &BTreeMap::new()).await.unwrap();
    let expected = json!([{"key": format!("results/{RUN}/histograms/0.hlog"), "size": 3}, {"key": format!("results/{RUN}/results.json"), "size": 2}]);
    assert_eq!(world.get(&format!("/v1/test-runs/{RUN}/artifacts")).await.expect(200)["artifacts"], expected);
}

#[tokio::test]
async fn what_nobody_of_this_namespace_ran_is_not_shown_although_it_lies_in_the_same_bucket() {
    let world = world("Completed").await;
    world.vault.put("results/other_20260105-0800_00000002/results.json", Bytes::from_static(b"{}"), "", &BTreeMap::new()).await.unwrap();
    for what in ["artifacts", "results"] {
        assert_eq!(world.get(&format!("/v1/test-runs/other_20260105-0800_00000002/{what}")).await.status, 404, "{what}");
    }
}

#[tokio::test]
async fn results_are_not_there_before_they_are_collected() {
    for (phase, status) in [
        ("Pending", 409),
        ("Queued", 409),
        ("WaitingRoom", 409),
        ("Executing", 409),
        ("Stopping", 409),
        ("Collecting", 200),
        ("Completed", 200),
        ("Failed", 200),
    ] {
        let answer = world(phase).await.get(&format!("/v1/test-runs/{RUN}/results")).await;
        assert_eq!(answer.status, status, "{phase}");
        if status == 200 {
            let expected = json!({
                "run_id": RUN, "status": phase.to_uppercase(), "collected_at": null, "collection_error": "Results file not yet available.", "abort_reason": null,
                "k6": {"metrics": []}, "observability": {"sources": []}, "chaos": {"events": []}
            });
            assert_eq!(answer.json(), expected);
        }
    }
}

#[tokio::test]
async fn results_are_passed_on_number_for_number_with_status_and_chaos() {
    let world = world("Completed").await;
    put(&world, "results.json", "{\"run_id\":\"x\",\"k6\":{\"metrics\":[{\"avg\":1.50,\"count\":12345678901234567890123}]},\"status\":\"odd\"}").await;
    put(&world, "chaos_events.json", "[{\"experiment\":\"kill-be\"}]").await;
    let answer = world.get(&format!("/v1/test-runs/{RUN}/results")).await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.contains("{\"avg\":1.50,\"count\":12345678901234567890123}"), "{text}");
    assert!(text.contains("\"status\":\"COMPLETED\"") && text.contains("\"chaos\":{\"events\":[{\"experiment\":\"kill-be\"}]}"), "{text}");
}

#[tokio::test]
async fn results_that_cannot_be_read_are_said_to_be_so() {
    let world = world("Completed").await;
    put(&world, "results.json", "{\"run_id\": ").await;
    let answer = world.get(&format!("/v1/test-runs/{RUN}/results")).await.expect(200);
    assert!(answer["collection_error"].as_str().unwrap().starts_with("Results file cannot be read: "), "{answer}");
    world.vault.set_down(true);
    let answer = world.get(&format!("/v1/test-runs/{RUN}/results")).await;
    assert_eq!((answer.status, answer.headers.contains_key("retry-after")), (503, true));
}

#[tokio::test]
async fn results_of_imported_history_are_read_where_they_are() {
    let world = World::open().await;
    world.ledger.insert(foreign_row("imported_1", "COMPLETED", Timestamp::UNIX_EPOCH));
    world.vault.put("results/imported_1/results.json", Bytes::from_static(b"{\"run_id\": \"imported_1\"}"), "", &BTreeMap::new()).await.unwrap();
    let answer = world.get("/v1/test-runs/imported_1/results").await.expect(200);
    assert_eq!(answer, json!({"run_id": "imported_1", "status": "COMPLETED", "chaos": {"events": []}}));
}
