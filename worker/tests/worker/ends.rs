//! Ends that somebody wants: stops and signals, in every state.

use std::time::{Duration, Instant};

use crucible_lifecycle::contract::WorkerState::{Armed, Draining, Failed, Finished, Ready, Running};
use nix::sys::signal::Signal::{SIGINT, SIGTERM};
use serde_json::json;

use crate::pod::{Pod, Setup};

#[test]
fn a_stop_before_the_load_ends_k6_and_the_worker() {
    let pod = Pod::start(json!({}));
    pod.until(Ready);
    assert_eq!(pod.stop_load(), 200);
    let report = pod.until(Failed);
    assert_eq!(report.failure.unwrap().reason, "StopRequested");
    let left = pod.left();
    assert_eq!((left.code, left.outcome.state), (16, Failed));
}

#[test]
fn a_stop_during_the_preflight_ends_k6_and_the_worker() {
    let pod = Pod::start(json!({"preflightMillis": 30_000}));
    assert_eq!(pod.stop_load(), 200);
    pod.until(Failed);
    assert_eq!(pod.left().reason(), "StopRequested");
}

#[test]
fn a_stop_before_the_agreed_instant_ends_with_empty_results() {
    let pod = Pod::start(json!({}));
    pod.until(Ready);
    pod.start_load(30_000);
    pod.until(Armed);
    assert_eq!(pod.stop_load(), 200);
    let report = pod.until(Finished);
    assert!(report.interrupted);
    assert_eq!((report.seconds.len(), report.files.len()), (0, 2));
}

#[test]
fn a_stop_during_the_load_ends_with_what_there_is() {
    let pod = Pod::start(json!({"seconds": 1000}));
    pod.until(Ready);
    pod.start_load(0);
    pod.until(Running);
    std::thread::sleep(Duration::from_millis(200));
    let stopped = Instant::now();
    assert_eq!(pod.stop_load(), 200);
    let report = pod.until(Finished);
    assert!(stopped.elapsed() < Duration::from_secs(8), "nothing had to be drained");
    assert!(report.interrupted && !report.seconds.is_empty());
}

#[test]
fn a_k6_that_ignores_everything_is_killed_when_its_time_is_over() {
    let setup = Setup::new(json!({"seconds": 1000, "ignoreStop": true, "ignoreSigterm": true})).with("/spec/deadlines", json!({"drain": "1s"}));
    let pod = setup.start();
    pod.until(Ready);
    pod.start_load(0);
    pod.until(Running);
    let stopped = Instant::now();
    assert_eq!(pod.stop_load(), 200);
    assert_eq!(pod.status().state, Draining);
    let report = pod.until(Failed);
    assert_eq!(report.failure.unwrap().reason, "DrainDeadlineExceeded");
    let took = stopped.elapsed();
    assert!((Duration::from_millis(2400)..Duration::from_secs(10)).contains(&took), "{took:?}");
    assert_eq!(pod.left().code, 15);
}

#[test]
fn sigterm_before_the_load_fails_the_worker_as_evicted() {
    let pod = Pod::start(json!({}));
    pod.until(Ready);
    pod.signal(SIGTERM);
    pod.until(Failed);
    let left = pod.left();
    assert_eq!((left.code, left.reason()), (16, "WorkerEvicted"));
}

#[test]
fn sigterm_during_the_load_drains_and_hands_in() {
    let pod = Pod::start(json!({"seconds": 1000}));
    pod.until(Ready);
    pod.start_load(0);
    pod.until(Running);
    pod.signal(SIGINT);
    assert!(pod.until(Finished).interrupted);
    let bucket = crate::bucket::Bucket::refusing(0);
    let files = pod.status().files;
    assert_eq!(pod.order("/upload", &bucket.order(&files)), 200);
    assert_eq!(pod.left().code, 0);
}

#[test]
fn sigterm_after_the_load_leaves_at_once_with_the_last_word() {
    let pod = Pod::start(json!({"seconds": 1}));
    pod.until(Ready);
    pod.start_load(0);
    pod.until(Finished);
    let asked = Instant::now();
    pod.signal(SIGTERM);
    let left = pod.left();
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert_eq!((left.code, left.outcome.state, left.outcome.files.len()), (20, Finished, 2));
}
