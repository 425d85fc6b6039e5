//! Query files: refused with every line that is wrong, or stored byte for byte.

use serde_json::{Value, json};

use super::harness::World;

const CONTENT: &str = "-- @type: sql\r\n-- @name: A\r\nSELECT 1;\r\n";

#[tokio::test]
async fn a_workload_is_stored_byte_for_byte_listed_and_read() {
    let world = World::open().await;
    let body = json!({"workload_id": "Shop_1-a", "content": CONTENT});
    assert_eq!(world.post("/v1/workloads", &body).await.expect(201), json!({"workload_id": "Shop_1-a", "s3_key": "workloads/Shop_1-a"}));
    assert_eq!(world.vault.objects()["workloads/Shop_1-a"], CONTENT);
    let listed = json!({"workloads": [{"workload_id": "Shop_1-a", "s3_key": "workloads/Shop_1-a", "size": 39}]});
    assert_eq!(world.get("/v1/workloads").await.expect(200), listed);
    let read = json!({"workload_id": "Shop_1-a", "s3_key": "workloads/Shop_1-a", "content": CONTENT});
    assert_eq!(world.get("/v1/workloads/Shop_1-a").await.expect(200), read);
    assert_eq!(world.get("/v1/workloads/nobody").await.status, 404);
}

#[tokio::test]
async fn a_wrong_file_is_refused_with_a_list_of_sentences() {
    let world = World::open().await;
    let table = [
        ("", "line 1"),
        ("-- @name: A\nSELECT 1;\n", "@type"),
        ("-- @type: oracle8\n-- @name: A\nSELECT 1;\n", "oracle8"),
        ("-- @type: sql\n-- @name: A\n-- @colour: green\nSELECT 1;\n", "line 3"),
        ("-- @type: sql\n-- @name: A\nSELECT 1;\n-- @name: a\nSELECT 2;\n", "line 4"),
    ];
    for (content, says) in table {
        let detail = world.post("/v1/workloads", &json!({"workload_id": "a", "content": content})).await.expect(422)["detail"].take();
        let sentences: Vec<String> = serde_json::from_value(detail).unwrap();
        assert!(sentences.iter().any(|sentence| sentence.contains(says)), "{content:?}: {sentences:?}");
    }
    assert!(world.vault.objects().is_empty());
}

#[tokio::test]
async fn an_id_that_is_none_is_refused() {
    let world = World::open().await;
    let long = "a".repeat(2000);
    for id in ["", "-a", "_a", "a b", "a/b", "../a", "a.b", "ä", &long, "a\n"] {
        assert_eq!(world.post("/v1/workloads", &json!({"workload_id": id, "content": CONTENT})).await.status, 422, "{id:?}");
    }
}

#[tokio::test]
async fn a_body_that_is_none_is_refused() {
    let world = World::open().await;
    let deep = format!("{{\"workload_id\": \"a\", \"content\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let large = format!("{{\"workload_id\": \"a\", \"content\": \"{}\"}}", "x".repeat(5_000_000));
    let json = [("content-type", "application/json")];
    for (body, status) in [
        ("", 422),
        ("workload_id=x", 422),
        ("{\"workload_id\": \"a", 422),
        ("{\"workload_id\": \"a\", \"content\": \"b\"} x", 422),
        ("{\"workload_id\": \"a\", \"workload_id\": \"b\", \"content\": \"c\"}", 422),
        ("{\"workload_id\": \"\\ud800\", \"content\": \"c\"}", 422),
        ("[]", 422),
        ("null", 422),
        ("{\"workload_id\": 7, \"content\": {}}", 422),
        (&deep, 422),
        (&large, 413),
    ] {
        let answer = world.ask("POST", "/v1/workloads", &json, body).await;
        assert_eq!(answer.status, status, "{body:.60}");
        assert!(!answer.json()["detail"].is_null());
    }
    for headers in [[("content-type", "text/plain")], [("content-encoding", "gzip")]] {
        assert_eq!(world.ask("POST", "/v1/workloads", &headers, "{}").await.status, 415);
    }
}

#[tokio::test]
async fn what_is_no_text_is_the_users_affair() {
    let world = World::open().await;
    crucible_store::Vault::put(&*world.vault, "workloads/odd", bytes::Bytes::from_static(b"\xff\xfe"), "", &std::collections::BTreeMap::new()).await.unwrap();
    let answer = world.get("/v1/workloads/odd").await.expect(422);
    assert!(matches!(answer["detail"], Value::Array(_)));
    world.vault.set_down(true);
    assert_eq!(world.get("/v1/workloads").await.status, 503);
}
