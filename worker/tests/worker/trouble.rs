//! Ends that nobody wants: refusals, crashes, floods, things that are not there.

use std::time::Duration;

use crucible_lifecycle::contract::WorkerState::{Failed, Finished, Ready, Running};
use serde_json::json;

use crate::pod::{Pod, Setup};

#[test]
fn a_preflight_that_refuses_is_heard_from_the_worker_and_read_from_its_last_word() {
    let pod = Pod::start(json!({"refuse": "SutAuthenticationFailed"}));
    let failure = pod.until(Failed).failure.unwrap();
    assert_eq!((failure.reason.as_str(), failure.message.as_str()), ("SutAuthenticationFailed", "as the test wants it"));
    let left = pod.left();
    assert_eq!((left.code, left.reason()), (10, "SutAuthenticationFailed"));
}

#[test]
fn every_crash_of_k6_is_explained() {
    let pods: Vec<_> = [99, 100, 101, 103, 104, 105, 106, 107, 108, 109, -9]
        .map(|exit| (exit, Pod::start(json!({"crash": "begin", "exit": exit, "complain": "level=error msg=\"it hurts c4nary-passw0rd\""}))))
        .into();
    for (exit, pod) in pods {
        let failure = pod.until(Failed).failure.unwrap();
        let expected = if exit < 0 { ("WorkerOutOfMemory", "killed".to_owned()) } else { ("LoadGeneratorFailed", format!("exit code {exit} ")) };
        assert_eq!(failure.reason, expected.0);
        assert!(failure.message.contains(&expected.1), "{}", failure.message);
        assert!(failure.message.ends_with("its last words: level=error msg=\"it hurts ***\""), "{}", failure.message);
        drop(pod);
    }
}

#[test]
fn a_crash_in_the_middle_of_the_load_fails_the_worker() {
    let pod = Pod::start(json!({"crash": "load", "exit": 109, "seconds": 10}));
    pod.until(Ready);
    pod.start_load(0);
    pod.until(Failed);
    let left = pod.left();
    assert_eq!((left.code, left.reason()), (11, "LoadGeneratorFailed"));
    assert!(left.message().contains("it panicked"), "{}", left.message());
}

#[test]
fn a_k6_that_says_its_last_word_and_then_ends_badly_has_finished() {
    let pod = Pod::start(json!({"seconds": 1, "exit": 107}));
    pod.until(Ready);
    pod.start_load(0);
    pod.until(Finished);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(pod.status().state, Finished);
}

#[test]
fn a_k6_that_hangs_up_is_ended() {
    for place in ["ready", "load"] {
        let pod = Pod::start(json!({"hangUp": place, "seconds": 10, "secondMillis": 500}));
        if place == "load" {
            pod.until(Ready);
            pod.start_load(0);
            pod.until(Running);
        }
        let failure = pod.until(Failed).failure.unwrap();
        assert_eq!(failure.reason, "LoadGeneratorFailed");
        assert!(failure.message.contains("hung up"), "{}", failure.message);
    }
}

#[test]
fn a_flood_on_stderr_neither_stops_k6_nor_fills_the_log() {
    let pod = Pod::start(json!({"floodBytes": 30_000_000, "seconds": 1}));
    pod.until(Ready);
    pod.start_load(0);
    pod.until(Finished);
    pod.signal(nix::sys::signal::Signal::SIGTERM);
    let left = pod.left();
    assert!(left.log.len() < 200_000, "{} bytes of log", left.log.len());
}

#[test]
fn a_k6_that_is_not_there_fails_the_worker() {
    let mut setup = Setup::new(json!({}));
    setup.k6 = "/nonexistent/k6".into();
    let pod = setup.start();
    let failure = pod.until(Failed).failure.unwrap();
    assert_eq!((failure.reason.as_str(), failure.message.starts_with("k6 could not be started")), ("LoadGeneratorFailed", true));
    assert_eq!(pod.left().code, 11);
}

#[test]
fn a_plan_of_another_version_or_none_ends_the_worker_with_a_last_word() {
    let other = Setup::new(json!({})).with("/protocol", json!(7)).start().left();
    assert_eq!((other.code, other.reason()), (18, "ProtocolMismatch"));
    let broken = Setup::new(json!({})).with("/spec/load", json!("fast")).start().left();
    assert_eq!((broken.code, broken.reason()), (18, "FrozenPlanMissing"));
    let alone = Setup::new(json!({})).with("/spec/load/workers", json!(0)).start().left();
    assert_eq!((alone.code, alone.reason()), (18, "PlanInvalid"));
}

#[test]
fn raw_samples_are_reported_once_k6_has_written_them_out() {
    let pod = Setup::new(json!({"seconds": 1, "lingerMillis": 300})).with("/spec/results", json!({"rawSamples": true})).start();
    pod.until(Ready);
    pod.start_load(0);
    let files = pod.until(Finished).files;
    assert_eq!(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["histograms/worker-0.hlog", "errors/worker-0.json", "k6_raw_0_0.csv"]);
    assert_eq!(files[2].bytes, pod.scratch("k6_raw_0_0.csv").len() as u64);
    assert_eq!(files[2].sha256, "b1f15e6a47990fc89b58dd4d2e97c614e55f065aaa7da84856336c83ea1ae5d2", "a literal, taken with sha256sum");
}
