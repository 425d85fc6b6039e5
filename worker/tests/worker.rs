//! The worker as a process, against a k6 that does as it is told, an operator and a bucket.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "clippy takes only functions marked as tests for tests")]

#[path = "worker/bucket.rs"]
mod bucket;
#[path = "worker/ends.rs"]
mod ends;
#[path = "worker/http.rs"]
mod http;
#[path = "worker/operator.rs"]
mod operator;
#[path = "worker/orders.rs"]
mod orders;
#[path = "worker/pod.rs"]
mod pod;
#[path = "worker/trouble.rs"]
mod trouble;
#[path = "worker/uploads.rs"]
mod uploads;
