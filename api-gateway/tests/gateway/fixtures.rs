//! Datasets: listed, uploaded in parts by signed addresses, removed.

use bytes::Bytes;
use crucible_store::{Vault, vault::SignedRequest};
use serde_json::{Value, json};

use super::harness::World;

const FILE: &str = "/fixtures/shop-orders/orders-0001.csv";
const KEY: &str = "fixtures/shop-orders/orders-0001.csv";

async fn begin(world: &World) -> String {
    let begun = world.post(&format!("{FILE}/multipart/init"), &Value::Null).await.expect(200);
    assert_eq!(begun["key"], KEY);
    begun["upload_id"].as_str().unwrap().to_owned()
}

/// Sends a part as a client does: to the address that was signed.
async fn send(world: &World, upload: &str, number: u16, body: &'static [u8]) -> Value {
    let signed = world.get(&format!("{FILE}/multipart/{upload}/part/{number}")).await.expect(200);
    let request = SignedRequest { url: signed["presigned_url"].as_str().unwrap().to_owned(), headers: std::collections::BTreeMap::new() };
    json!({"PartNumber": number, "ETag": world.vault.put_part(&request, Bytes::from_static(body)).unwrap()})
}

async fn complete(world: &World, upload: &str, parts: &Value) -> (u16, Value) {
    let answer = world.post(&format!("{FILE}/multipart/{upload}/complete"), parts).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn a_file_goes_up_in_parts_and_is_listed_and_removed() {
    let world = World::open().await;
    let upload = begin(&world).await;
    let parts = json!([send(&world, &upload, 1, b"one,").await, send(&world, &upload, 2, b"two").await]);
    assert_eq!(world.get("/fixtures").await.expect(200), json!({"fixture_ids": []}));
    let completed = (200, json!({"key": KEY, "status": "completed"}));
    assert_eq!(complete(&world, &upload, &parts).await, completed);
    assert_eq!(complete(&world, &upload, &parts).await, completed, "completing twice is completing once");
    assert_eq!(world.vault.objects()[KEY], "one,two");
    assert_eq!(world.get("/fixtures").await.expect(200), json!({"fixture_ids": ["shop-orders"]}));
    let files = json!([{"name": "orders-0001.csv", "key": KEY, "last_modified": null, "size": 7}]);
    assert_eq!(world.get("/fixtures/shop-orders").await.expect(200), json!({"fixture_id": "shop-orders", "files": files}));
    assert_eq!(world.get("/fixtures/shop-order").await.expect(200), json!({"fixture_id": "shop-order", "files": []}));
    assert_eq!(world.ask("DELETE", FILE, &[], "").await.status, 204);
    assert_eq!(world.ask("DELETE", FILE, &[], "").await.status, 404);
    assert!(world.vault.objects().is_empty());
}

#[tokio::test]
async fn an_address_is_signed_for_one_part_of_one_upload_and_for_an_hour() {
    let world = World::open().await;
    let signed = world.get(&format!("{FILE}/multipart/any-upload.1~2/part/10000")).await.expect(200);
    assert_eq!(signed, json!({"presigned_url": format!("memory://{KEY}?uploadId=any-upload.1~2&partNumber=10000&expires=3600")}));
    for number in ["0", "-1", "10001", "99999999999", "abc", "1.0", "+1", "%00"] {
        let refused = world.get(&format!("{FILE}/multipart/u/part/{number}")).await.expect(422);
        assert_eq!(refused["detail"][0]["loc"], json!(["path", "part_number"]), "{number}");
    }
}

#[tokio::test]
async fn what_was_not_sent_is_not_completed() {
    let world = World::open().await;
    let upload = begin(&world).await;
    let part = send(&world, &upload, 1, b"bytes").await;
    let other = json!([{"PartNumber": 1, "ETag": "\"00000000000000000000000000000000\""}]);
    let refused = json!({"detail": format!("the upload of '{KEY}' cannot be completed: InvalidPart")});
    assert_eq!(complete(&world, &upload, &other).await, (409, refused));
    assert_eq!(complete(&world, &upload, &json!([{"PartNumber": 2, "ETag": part["ETag"]}])).await.0, 409);
    assert_eq!(complete(&world, "nobodys", &json!([part])).await, (404, json!({"detail": format!("'{KEY}' has no such upload")})));
    let table = [
        (json!([]), json!(["body"])),
        (json!({}), json!(["body"])),
        (json!("x"), json!(["body"])),
        (json!([1]), json!(["body", 0])),
        (json!([part, {"PartNumber": 0, "ETag": "x"}]), json!(["body", 1, "PartNumber"])),
        (json!([{"PartNumber": 10001, "ETag": "x"}]), json!(["body", 0, "PartNumber"])),
        (json!([{"PartNumber": 99999, "ETag": "x"}]), json!(["body", 0, "PartNumber"])),
        (json!([{"PartNumber": "one", "ETag": "x"}]), json!(["body", 0, "PartNumber"])),
        (json!([{"PartNumber": 1, "ETag": ""}]), json!(["body", 0, "ETag"])),
        (json!([{"PartNumber": 1, "ETag": "a\nb"}]), json!(["body", 0, "ETag"])),
        (json!([{"PartNumber": 1}]), json!(["body", 0])),
        (json!([{"ETag": "x"}]), json!(["body", 0])),
    ];
    for (body, place) in table {
        let (status, answer) = complete(&world, &upload, &body).await;
        assert_eq!((status, &answer["detail"][0]["loc"]), (422, &place), "{body}: {answer}");
    }
    let many: Vec<Value> = (0..10_001).map(|_| part.clone()).collect();
    assert_eq!(complete(&world, &upload, &json!(many)).await.0, 422);
    assert!(world.vault.objects().is_empty());
    assert_eq!(complete(&world, &upload, &json!([part])).await.0, 200);
}

#[tokio::test]
async fn a_name_that_leaves_its_place_is_refused_before_the_bucket_is_asked() {
    let world = World::open().await;
    world.vault.set_down(true);
    let long = "a".repeat(1025);
    for name in ["..", ".hidden", "a%2F..%2F..%2Fb", "%2Fetc", "a%5Cb", "a%00b", "%F0%9F%92%A3", "a%0Ab", "%ff", "a..b", &long] {
        let targets = [
            ("POST", format!("/fixtures/{name}/x.csv/multipart/init")),
            ("POST", format!("/fixtures/shop/{name}/multipart/init")),
            ("GET", format!("/fixtures/shop/{name}/multipart/u/part/1")),
            ("GET", format!("/fixtures/{name}")),
            ("DELETE", format!("/fixtures/shop/{name}")),
            ("DELETE", format!("/fixtures/{name}/x.csv")),
        ];
        for (method, target) in targets {
            let answer = world.ask(method, &target, &[], "").await;
            assert!(matches!(answer.status, 404 | 422), "{method} {target}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn while_the_bucket_is_away_callers_are_told_when_to_ask_again() {
    let world = World::open().await;
    world.vault.set_down(true);
    for (method, target) in [("GET", "/fixtures"), ("GET", "/fixtures/shop"), ("DELETE", FILE), ("POST", "/fixtures/shop/a.csv/multipart/init")] {
        let answer = world.ask(method, target, &[], "").await;
        assert_eq!((answer.status, answer.headers.contains_key("retry-after")), (503, true), "{method} {target}");
    }
}

#[tokio::test]
async fn folders_and_what_others_put_there_are_no_files_of_ours_to_hide() {
    let world = World::open().await;
    for key in ["fixtures/made by hand/", "fixtures/made by hand/a b.csv", "fixtures/shop/", "fixtures/shop/part/0.csv"] {
        world.vault.put(key, Bytes::from_static(b"x"), "", &std::collections::BTreeMap::new()).await.unwrap();
    }
    assert_eq!(world.get("/fixtures").await.expect(200), json!({"fixture_ids": ["made by hand", "shop"]}));
    let files = world.get("/fixtures/shop").await.expect(200)["files"].take();
    assert_eq!(files, json!([{"name": "part/0.csv", "key": "fixtures/shop/part/0.csv", "last_modified": null, "size": 1}]));
}

#[tokio::test]
async fn uploads_that_nobody_came_back_to_are_forgotten() {
    let world = World::open().await;
    let (old, fresh) = (begin(&world).await, begin(&world).await);
    // The clock of the tests stands at 2026-01-05 08:00.
    world.vault.date_upload(&old, "2026-01-04T07:59:59Z".parse().unwrap());
    world.vault.date_upload(&fresh, "2026-01-04T08:00:01Z".parse().unwrap());
    let stop = tokio_util::sync::CancellationToken::new();
    stop.cancel();
    crucible_api_gateway::legacy::sweep(world.gateway.clone(), stop).await;
    let left: Vec<String> = world.vault.pending_uploads("fixtures/").await.unwrap().into_iter().map(|upload| upload.upload_id).collect();
    assert_eq!(left, [fresh]);
}
