//! Input that nobody means well with: always the caller's fault, and nothing is touched.

use serde_json::{Value, json};

use super::harness::World;

#[tokio::test]
async fn what_is_not_there_is_said_in_the_legacy_body() {
    let world = World::open().await;
    for (method, path, status) in
        [("GET", "/nowhere", 404), ("GET", "/v1/nowhere", 404), ("DELETE", "/health", 405), ("PATCH", "/v1/test-runs", 405), ("PUT", "/v1/sut/types", 405)]
    {
        let answer = world.ask(method, path, &[], "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.json()["detail"].is_string());
    }
    assert_eq!(world.ask("PATCH", "/v1/sut/types", &[], "").await.headers["allow"], "GET");
    assert_eq!(world.ask("PATCH", "/v1/workloads", &[], "").await.headers["allow"], "POST, GET");
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_keeps_the_one_that_it_was_given() {
    let world = World::open().await;
    let given = world.ask("GET", "/health", &[("x-request-id", "of-the-client-1")], "").await;
    assert_eq!(given.headers["x-request-id"], "of-the-client-1");
    let (first, second) = (world.get("/health").await, world.get("/nowhere").await);
    assert_ne!(first.headers["x-request-id"], second.headers["x-request-id"]);
    assert_eq!(first.headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn an_id_that_cannot_be_one_finds_nothing_and_touches_no_store() {
    let world = World::open().await;
    world.ledger.set_down(true);
    world.vault.set_down(true);
    let long = "a".repeat(10_000);
    for id in ["..%2F..%2Fx", "%2e%2e%2f", "a%00b", &long, "%F0%9F%92%A3", ";drop%20table%20test_runs", "%25zz", "a%0Ab", "%ff", "'%20or%201=1%20--"] {
        let answer = world.get(&format!("/v1/test-runs/{id}/status")).await;
        assert_eq!(answer.status, 404, "{id}: {answer:?}");
    }
}

#[tokio::test]
async fn pages_that_cannot_be_are_refused() {
    let world = World::open().await;
    for query in
        ["limit=-1", "limit=0", "limit=501", "limit=1000000000", "limit=x", "limit=1&limit=2", "cursor=nonsense", "cursor=%00", "cursor=%27%20or%201=1"]
    {
        let answer = world.get(&format!("/v1/test-runs?{query}")).await;
        assert_eq!(answer.status, 422, "{query}: {answer:?}");
        let detail = &answer.json()["detail"][0];
        assert_eq!(detail["loc"][0], "query", "{query}");
        assert!(detail["msg"].is_string() && detail["type"].is_string());
    }
    assert_eq!(world.get("/v1/test-runs?page=7&token=x").await.expect(200), json!({"runs": []}));
}

#[tokio::test]
async fn a_body_in_an_encoding_is_not_unpacked() {
    let world = World::open().await;
    let answer = world.ask("GET", "/v1/test-runs", &[("content-encoding", "gzip")], "").await;
    assert_eq!(answer.status, 415);
    assert!(matches!(answer.json()["detail"], Value::String(_)));
}
