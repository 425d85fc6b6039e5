//! The way through a run, and orders that come twice, too early or from a stranger.

use std::time::{Duration, Instant};

use crucible_lifecycle::{
    contract::WorkerState::{Armed, Finished, Preparing, Ready, Running, Uploaded},
    histogram::{Histogram, log},
};
use serde_json::{Value, json};

use crate::{
    bucket::Bucket,
    pod::{Pod, TOKEN},
};

#[test]
fn a_run_without_trouble_ends_with_its_results_in_the_bucket() {
    let bucket = Bucket::refusing(0);
    let pod = Pod::start(json!({"seconds": 4, "errors": 2, "complain": "password=c4nary-passw0rd"}));
    let report = pod.until(Ready);
    assert_eq!((report.server_version.as_deref(), report.first_query_unix_nanos, report.files.len()), (Some("10.11-fake"), None, 0));
    assert_eq!(pod.start_load(1000), 200);
    assert_eq!(pod.status().state, Armed);
    let report = pod.until(Finished);
    assert!((0..1_000_000_000).contains(&report.late_nanos.unwrap()));
    assert!(report.first_query_unix_nanos < report.last_query_unix_nanos);
    assert!(!report.interrupted);
    assert_eq!(
        report.seconds.iter().map(|live| (live.second, live.ok, live.errors, live.vus)).collect::<Vec<_>>(),
        [(0, 6, 3, 4), (1, 6, 3, 4), (2, 6, 3, 4), (3, 6, 3, 4)]
    );
    assert_eq!(Histogram::decode(&report.seconds[0].histogram).unwrap().count(), 6);
    assert!(report.memory_bytes > 1 << 20);
    assert_eq!(report.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["histograms/worker-0.hlog", "errors/worker-0.json"]);

    assert_eq!(pod.order("/upload", &bucket.order(&report.files)), 200);
    pod.until(Uploaded);
    let stored = bucket.stored();
    for file in &report.files {
        assert_eq!(stored[&format!("/results/{}", file.name)].len() as u64, file.bytes);
    }
    let text = String::from_utf8(stored["/results/histograms/worker-0.hlog"].clone()).unwrap();
    let records: Vec<log::Record> = text.lines().filter_map(|line| log::Record::parse(line).unwrap()).collect();
    assert_eq!(records.len(), 12);
    assert_eq!((records[11].second, records[11].query.as_str(), records[11].class.as_str(), records[11].max_micros), (3, "PointLookup", "timeout", 12_348));
    let errors: Value = serde_json::from_slice(&stored["/results/errors/worker-0.json"]).unwrap();
    assert_eq!((errors["samples"].as_array().unwrap().len(), &errors["samples"][0]["class"]), (4, &json!("timeout")));

    let asked = Instant::now();
    let left = pod.left();
    assert!(asked.elapsed() > Duration::from_secs(2), "it stays three seconds after it was heard");
    assert_eq!((left.code, left.outcome.state), (0, Uploaded));
    assert_eq!(left.outcome.files, report.files);
    assert!(left.log.contains("password=***"));
}

#[test]
fn k6_is_called_paused_without_anything_of_the_workers_environment() {
    let pod = Pod::start(json!({}));
    pod.until(Ready);
    let called: Value = serde_json::from_slice(&pod.scratch("called.json")).unwrap();
    let arguments: Vec<&str> = called["arguments"].as_array().unwrap().iter().skip(1).map(|argument| argument.as_str().unwrap()).collect();
    assert_eq!(arguments[..3], ["run", "--paused", "--address"]);
    assert!(arguments.windows(2).any(|pair| pair == ["--tag", "run_id=checkout_20260102-0304_0b1e7c1d"]));
    assert!(!called["environment"].to_string().contains("CANARY"));
    assert!(!called.to_string().contains("passw0rd"));
}

#[test]
fn repeated_orders_are_answered_and_change_nothing() {
    let pod = Pod::start(json!({"seconds": 20}));
    pod.until(Ready);
    assert_eq!(pod.start_load(1000), 200);
    let armed = pod.status();
    assert_eq!(pod.start_load(60_000), 200, "the first one counts");
    assert_eq!(armed.state, Armed);
    pod.until(Running);
    assert_eq!(pod.start_load(0), 200);
    assert_eq!(pod.order("/upload", r#"{"objects":[]}"#), 409);
    assert_eq!(pod.stop_load(), 200);
    assert_eq!(pod.stop_load(), 200);
    assert!(pod.until(Finished).interrupted);
    assert_eq!(pod.stop_load(), 200);
    assert_eq!(pod.start_load(0), 200, "it was started once");
}

#[test]
fn a_start_before_the_worker_is_ready_is_a_conflict() {
    let pod = Pod::start(json!({"preflightMillis": 2000}));
    assert_eq!(pod.status().state, Preparing);
    assert_eq!(pod.start_load(50), 409);
    pod.until(Ready);
    assert_eq!(pod.start_load(50), 200);
}

#[test]
fn a_stranger_is_told_nothing() {
    let pod = Pod::start(json!({}));
    pod.until(Ready);
    assert_eq!(pod.call_with("guess", "/status"), 401);
    assert_eq!(pod.call_with("", "/healthz"), 200);
    assert_eq!(pod.call_with(TOKEN, "/status"), 200);
}

#[test]
fn seconds_that_were_read_are_not_sent_again() {
    let pod = Pod::start(json!({"seconds": 5}));
    pod.until(Ready);
    pod.start_load(0);
    pod.until(Finished);
    let (_, body) = pod.call("GET", "/status?after=2", "").unwrap();
    let report: Value = serde_json::from_slice(&body).unwrap();
    let seconds: Vec<_> = report["seconds"].as_array().unwrap().iter().map(|live| live["second"].as_u64().unwrap()).collect();
    assert_eq!(seconds, [3, 4]);
}

#[test]
fn a_worker_checks_in_until_it_is_read_and_once_more_when_it_is_ready() {
    let pod = Pod::start(json!({"preflightMillis": 4000}));
    std::thread::sleep(Duration::from_secs(1));
    let unheard = pod.operator.seen();
    assert!((2..=6).contains(&unheard.len()), "{} check-ins in the first second", unheard.len());
    assert_eq!(unheard[0].authorization, format!("Bearer {TOKEN}"));
    assert_eq!((unheard[0].check_in.run.as_str(), unheard[0].check_in.index), ("nightly-7", 0));
    pod.status();
    // One may have been on its way.
    std::thread::sleep(Duration::from_millis(100));
    let heard = pod.operator.seen().len();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(pod.operator.seen().len(), heard, "it was read");
    pod.until(Ready);
    let ready = Instant::now();
    while pod.operator.seen().len() == heard {
        assert!(ready.elapsed() < Duration::from_secs(5), "Ready is news");
        std::thread::sleep(Duration::from_millis(5));
    }
}
