//! Handing in results to buckets of every kind.

use std::time::Duration;

use crucible_lifecycle::contract::WorkerState::{Failed, Finished, Ready, Uploaded};
use serde_json::json;

use crate::{
    bucket::Bucket,
    pod::{Pod, Setup},
};

fn finished(setup: Setup) -> Pod {
    let pod = setup.start();
    pod.until(Ready);
    pod.start_load(0);
    pod.until(Finished);
    pod
}

#[test]
fn a_bucket_that_refuses_at_first_gets_every_file_in_the_end() {
    let bucket = Bucket::refusing(3);
    let pod = finished(Setup::new(json!({"seconds": 1})));
    let files = pod.status().files;
    assert_eq!(pod.order("/upload", &bucket.order(&files)), 200);
    pod.until(Uploaded);
    assert_eq!((bucket.stored().len(), bucket.puts().len()), (2, 5));
    assert!(pod.left().log.contains("answered 503 Service Unavailable SlowDown"));
}

#[test]
fn a_repeated_order_uploads_only_what_is_missing() {
    let bucket = Bucket::refusing(0);
    let pod = finished(Setup::new(json!({"seconds": 1})));
    let files = pod.status().files;
    assert_eq!(pod.order("/upload", &bucket.order(&files[..1])), 200);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(pod.status().state, Finished, "one file is missing");
    assert_eq!(pod.order("/upload", &bucket.order(&files)), 200);
    pod.until(Uploaded);
    assert_eq!(pod.order("/upload", &bucket.order(&files)), 200);
    assert_eq!(bucket.puts().len(), 2, "each file once");
}

#[test]
fn results_that_cannot_be_stored_in_time_fail_the_worker() {
    let bucket = Bucket::refusing(usize::MAX);
    let pod = finished(Setup::new(json!({"seconds": 1})).with("/spec/deadlines", json!({"collect": "1s"})));
    let files = pod.status().files;
    assert_eq!(pod.order("/upload", &bucket.order(&files)), 200);
    let failure = pod.until(Failed).failure.unwrap();
    assert_eq!(failure.reason, "ResultsUploadFailed");
    assert!(failure.message.contains("answered 503"), "{}", failure.message);
    assert_eq!(pod.left().code, 17);
}

#[test]
fn an_address_that_is_not_plain_http_is_refused_in_plain_words() {
    let pod = finished(Setup::new(json!({"seconds": 1})));
    let order = json!({"objects": [{"name": "errors/worker-0.json", "url": "https://bucket.example/x?X-Amz-Signature=s1gn4ture", "headers": {}}]});
    assert_eq!(pod.order("/upload", &order.to_string()), 200);
    let failure = pod.until(Failed).failure.unwrap();
    assert_eq!(failure.message, "The result file errors/worker-0.json could not be stored: not a plain http address");
    drop(pod);
}
