//! The vault against a real S3 server: uploads in parts as a client makes them, and addresses that are signed for one thing alone.
//!
//! `cargo xtask test` names the server in `CRUCIBLE_S3_ENDPOINT`, the bucket in `CRUCIBLE_BUCKET` and the credentials in the AWS variables.
//! Without them every test fails and says so. What a test stores lies below a prefix of its own and is removed by it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    env,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use bytes::Bytes;
use crucible_store::{
    Vault, VaultError,
    vault::{GetOnce, Part, PartOnce, S3Settings, S3Vault},
};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use jiff::{SignedDuration, Timestamp};
use tokio::io::AsyncReadExt;

const MEBIBYTE: usize = 1 << 20;
const MINUTE: Duration = Duration::from_mins(1);

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A place in the bucket that nobody else uses.
struct Place {
    vault: S3Vault,
    prefix: String,
}

/// An answer to a signed request.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Bytes,
}

impl Place {
    async fn new() -> Self {
        let said = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set: these tests need an S3 server; run cargo xtask test"));
        let settings =
            S3Settings { bucket: said("CRUCIBLE_BUCKET"), endpoint: Some(said("CRUCIBLE_S3_ENDPOINT")), worker_endpoint: None, region: "us-east-1".to_owned() };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { vault: S3Vault::new(settings).await, prefix: format!("tests/{}-{number}/", std::process::id()) }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    async fn read(&self, key: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.vault.get(key).await.unwrap().read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    async fn sign(&self, key: &str, upload_id: &str, number: u16) -> String {
        self.vault.presign_part(&PartOnce { key, upload_id, number, expires: MINUTE }).await.unwrap().url
    }

    /// Sends a part as a client does.
    async fn send(&self, key: &str, upload_id: &str, number: u16, body: Vec<u8>) -> Part {
        let answer = ask("PUT", &self.sign(key, upload_id, number).await, body).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        Part { number, etag: answer.headers["etag"].clone() }
    }

    async fn clear(&self) {
        for upload in self.vault.pending_uploads(&self.prefix).await.unwrap() {
            self.vault.abort_upload(&upload.key, &upload.upload_id).await.unwrap();
        }
        for entry in self.vault.list(&self.prefix).await.unwrap() {
            self.vault.delete(&entry.key).await.unwrap();
        }
    }
}

async fn ask(method: &str, url: &str, body: Vec<u8>) -> Answer {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = http::Request::builder().method(method).uri(url).body(Full::new(Bytes::from(body))).unwrap();
    let (head, body) = client.request(request).await.unwrap().into_parts();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    Answer { status: head.status.as_u16(), headers: headers.collect(), body: body.collect().await.unwrap().to_bytes() }
}

#[tokio::test]
async fn parts_become_an_object_once_however_often_that_is_asked() {
    let place = Place::new().await;
    let key = place.key("orders.csv");
    let upload = place.vault.begin_upload(&key).await.unwrap();
    let (first, last) = (vec![7; 5 * MEBIBYTE], b"the end".to_vec());
    // A later part may arrive first.
    let two = place.send(&key, &upload, 2, last.clone()).await;
    let one = place.send(&key, &upload, 1, first.clone()).await;
    assert!(matches!(place.vault.head(&key).await, Err(VaultError::NotFound { .. })), "nothing lies there before it is completed");
    let parts = [one, two];
    place.vault.complete_upload(&key, &upload, &parts).await.unwrap();
    place.vault.complete_upload(&key, &upload, &parts).await.unwrap();
    assert!(place.read(&key).await == [first, last].concat());
    assert_eq!(place.vault.pending_uploads(&place.prefix).await.unwrap(), []);
    place.clear().await;
}

#[tokio::test]
async fn what_was_not_sent_is_refused_and_what_was_never_begun_is_not_found() {
    let place = Place::new().await;
    let key = place.key("orders.csv");
    let upload = place.vault.begin_upload(&key).await.unwrap();
    let one = place.send(&key, &upload, 1, b"bytes".to_vec()).await;
    let wrong = Part { number: 1, etag: "\"00000000000000000000000000000000\"".to_owned() };
    let missing = Part { number: 2, etag: one.etag.clone() };
    for parts in [[wrong], [missing]] {
        let refused = place.vault.complete_upload(&key, &upload, &parts).await;
        assert!(matches!(&refused, Err(VaultError::Refused { code, .. }) if code == "InvalidPart"), "{refused:?}");
    }
    for nobodys in ["no-such-upload", "00000000-0000-0000-0000-000000000000"] {
        let unknown = place.vault.complete_upload(&key, nobodys, std::slice::from_ref(&one)).await;
        assert!(matches!(unknown, Err(VaultError::NotFound { .. })), "{nobodys}: {unknown:?}");
        let strange = Part { number: 1, etag: "\"0\"".to_owned() };
        let unknown = place.vault.complete_upload(&key, nobodys, &[strange]).await;
        assert!(matches!(unknown, Err(VaultError::NotFound { .. })), "{nobodys}: {unknown:?}");
    }
    place.vault.complete_upload(&key, &upload, &[one]).await.unwrap();
    place.clear().await;
}

#[tokio::test]
async fn uploads_that_are_not_over_are_known_by_when_they_were_begun_and_can_be_forgotten() {
    let place = Place::new().await;
    let key = place.key("a/orders.csv");
    let upload = place.vault.begin_upload(&key).await.unwrap();
    place.send(&key, &upload, 1, b"bytes".to_vec()).await;
    let pending = place.vault.pending_uploads(&place.prefix).await.unwrap();
    assert_eq!(pending.iter().map(|one| (one.key.as_str(), one.upload_id.as_str())).collect::<Vec<_>>(), [(key.as_str(), upload.as_str())]);
    let age = Timestamp::now().duration_since(pending[0].begun.expect("the server says when it was begun"));
    assert!(age.abs() < SignedDuration::from_mins(5), "{age}");
    place.vault.abort_upload(&key, &upload).await.unwrap();
    place.vault.abort_upload(&key, &upload).await.unwrap();
    assert_eq!(place.vault.pending_uploads(&place.prefix).await.unwrap(), []);
    assert_eq!(ask("PUT", &place.sign(&key, &upload, 2).await, b"late".to_vec()).await.status, 404, "an address that was signed is of no use any more");
    place.clear().await;
}

#[tokio::test]
async fn an_address_serves_one_method_one_key_and_one_part() {
    let place = Place::new().await;
    let key = place.key("one.csv");
    let upload = place.vault.begin_upload(&key).await.unwrap();
    let address = place.sign(&key, &upload, 1).await;
    assert!(address.contains("X-Amz-Expires=60"), "the time is part of what is signed");
    for (method, other) in [
        ("PUT", address.replace("one.csv", "other.csv")),
        ("PUT", address.replace("partNumber=1", "partNumber=2")),
        ("PUT", address.replace("X-Amz-Expires=60", "X-Amz-Expires=600")),
        ("DELETE", address.clone()),
    ] {
        assert_eq!(ask(method, &other, b"x".to_vec()).await.status, 403, "{method}");
    }
    assert_eq!(ask("PUT", &address, b"x".to_vec()).await.status, 200);
    place.clear().await;
}

#[tokio::test]
async fn what_a_signed_address_leads_to_is_stored_by_a_browser_and_not_shown() {
    let place = Place::new().await;
    let key = place.key("report.html");
    place.vault.put(&key, Bytes::from_static(b"<script>"), "text/html", &BTreeMap::new()).await.unwrap();
    let request = place.vault.presign_get(&GetOnce { key: &key, file_name: "run/1\"; report.html", expires: MINUTE }).await.unwrap();
    let answer = ask("GET", &request.url, Vec::new()).await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"<script>"[..]));
    assert_eq!(answer.headers["content-disposition"], "attachment; filename=\"run_1___report.html\"");
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    assert_eq!(ask("DELETE", &request.url, Vec::new()).await.status, 403);
    place.clear().await;
}

#[tokio::test]
async fn folders_are_the_names_right_below() {
    let place = Place::new().await;
    for name in ["b/2", "a/1", "a/x/3", "lonely"] {
        place.vault.put(&place.key(name), Bytes::new(), "", &BTreeMap::new()).await.unwrap();
    }
    assert_eq!(place.vault.folders(&place.prefix).await.unwrap(), ["a", "b"]);
    place.clear().await;
}

#[tokio::test]
async fn what_an_object_was_stored_with_comes_back_with_it() {
    let place = Place::new().await;
    let key = place.key("noted");
    for revision in ["a", "b"] {
        let notes = BTreeMap::from([("crucible-revision".to_owned(), revision.to_owned())]);
        place.vault.put(&key, Bytes::from_static(b"the same"), "text/plain", &notes).await.unwrap();
        assert_eq!(place.vault.get_noted(&key).await.unwrap().1, notes);
    }
    place.clear().await;
}
