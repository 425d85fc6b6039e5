//! Serves the pages over the world that the tests have in memory, filled with runs of every kind, to be looked at and to be asked by a browser:
//! `cargo run -p crucible-api-gateway --example pages -- REPORTS`. `REPORTS` is where the example `reports` of `crucible-lifecycle` wrote.
//!
//! It answers on two ports of loopback that it prints: one that asks nobody who they are, and one that wants the token `swordfish`. Each line on
//! its standard input ends the run that is live, as its operator would; it ends itself with its standard input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "it is a test's world")]
#![allow(dead_code, missing_docs, reason = "the world of the tests can do more than is shown here")]

#[path = "../tests/gateway/cluster.rs"]
mod cluster;
#[path = "../tests/gateway/harness.rs"]
mod harness;

use std::{
    env::args,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crucible_api_gateway::{
    args::Settings,
    auth::{Gate, StaticTokens},
    listener,
};
use crucible_store::{Vault, ledger::memory::foreign_row};
use harness::{NAMESPACE, World};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, stdin},
    net::TcpListener,
};
use tokio_util::sync::CancellationToken;

/// The clock of the world stands here.
const NOW: i64 = 1_767_600_000;
/// The run that is live, and how long its load is.
const LIVE: &str = "checkout_20260105-0758_5b54ae4d";
const SECONDS: u32 = 180;
/// What somebody called their run.
const HOSTILE: &str = "</td><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";

#[tokio::main]
async fn main() {
    let reports = PathBuf::from(args().nth(1).unwrap_or_else(|| "target/reports".to_owned()));
    let settings = || Settings { namespace: NAMESPACE.to_owned(), require_cluster_spec: false };
    // The SHA-256 of `swordfish`.
    let tokens = "- {sha256: b9f195c5cc7ef6afadbfbc42892ad47d3b24c6bc94bb510c4564a90a14e8b799, user: anna}\n";
    let guarded = World::new(Gate::of_tokens(StaticTokens::parse(tokens).unwrap()), settings()).await;
    for resource in ["testplans", "testruns", "fixtures"] {
        for verb in ["get", "list", "watch"] {
            guarded.cluster.allow("anna", verb, resource, NAMESPACE);
        }
    }
    let (open, guarded) = (Arc::new(World::open().await), Arc::new(guarded));
    for (name, world) in [("guarded", &guarded), ("open", &open)] {
        fill(world, &reports).await;
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{name} http://{}", socket.local_addr().unwrap());
        tokio::spawn(listener::serve(socket, world.routes(), CancellationToken::new()));
    }
    let going_on = tokio::spawn(go_on(Arc::clone(&open)));
    let mut orders = BufReader::new(stdin()).lines();
    while orders.next_line().await.unwrap().is_some() {
        going_on.abort();
        end(&open, &reports).await;
    }
}

fn at(minutes_ago: i64) -> Timestamp {
    Timestamp::from_second(NOW).unwrap() - minutes_ago.minutes()
}

/// A run that was made so many minutes ago.
async fn add(world: &World, name: &str, minutes_ago: i64, spec: Value, status: &Value) {
    let mut spec = spec;
    if spec["planRef"].is_null() {
        spec["planRef"] = json!({"name": "checkout"});
    }
    let run = json!({
        "apiVersion": "crucible.dev/v1alpha1", "kind": "TestRun", "metadata": {"name": name, "creationTimestamp": at(minutes_ago).to_string()},
        "spec": spec, "status": status
    });
    world.cluster.put("testruns", NAMESPACE, &run);
    world.until("the run is known", |world| world.gateway.runs.by_name(NAMESPACE, name).is_some()).await;
}

async fn put(world: &World, key: &str, content: Vec<u8>) {
    world.vault.put(key, content.into(), "", &std::collections::BTreeMap::new()).await.unwrap();
}

/// What an ended run left, and its status, from one of the sample reports.
async fn sample(world: &World, run_id: &str, reports: &Path, sample: &str) -> Value {
    let read = |ending: &str| std::fs::read(reports.join(format!("{sample}.{ending}"))).expect("the example reports of crucible-lifecycle was run before");
    let results: Value = serde_json::from_slice(&read("json")).unwrap();
    put(world, &format!("results/{run_id}/report.html"), read("html")).await;
    put(world, &format!("results/{run_id}/results.json"), read("json")).await;
    let headline = &results["crucible"]["headline"];
    let step = |phase: &str, second: i64, reason: &str| json!({"phase": phase, "at": format!("{:.6}", at(60) + second.seconds()), "reason": reason});
    json!({
        "runId": run_id, "phase": "Completed", "message": "The run has ended", "verdict": results["crucible"]["verdict"],
        "plan": {"name": "checkout", "generation": 3, "digest": "9f", "configMap": "x", "engine": "mysql"},
        "live": {
            "queriesPerSecond": format!("{:.3}", headline["throughput"].as_f64().unwrap_or_default()),
            "p95": format!("{:.1}ms", headline["latencyMicros"]["p95"].as_f64().unwrap_or_default() / 1e3),
            "errorRate": format!("{:.2}%", headline["errorRate"].as_f64().unwrap_or_default() * 100.0)
        },
        "workers": {"expected": 2, "ready": 2, "succeeded": 2, "lost": 0, "summary": "2/2"},
        "startAt": format!("{:.6}", at(60) + 3.seconds()), "endsAt": format!("{:.6}", at(57) + 3.seconds()), "completedAt": format!("{:.6}", at(57) + 4.seconds()),
        "transitions": [
            step("Pending", 0, "AsExpected"), step("Queued", 0, "AsExpected"), step("Loading", 0, "AsExpected"), step("WaitingRoom", 1, "Gathering"),
            step("Executing", 2, "Started"), step("Collecting", 183, "LoadEnded"), step("Completed", 184, "ResultsCollected")
        ]
    })
}

async fn fill(world: &World, reports: &Path) {
    let ended = [("passed", 62), ("failed", 135), ("chaos", 200), ("comparison", 600), ("invalid", 1500), ("aborted", 4000)];
    for (place, (kind, minutes)) in ended.into_iter().enumerate() {
        let run_id = format!("checkout_20260105-{:04}_{place:08x}", 700 - place);
        let status = sample(world, &run_id, reports, kind).await;
        add(world, kind, minutes, json!({"label": "nightly"}), &status).await;
    }
    let lost = json!({
        "runId": "reporting_20260105-0540_0badcafe", "phase": "Failed", "message": "Worker 1 of reporting left no outcome; see its pod events",
        "verdict": {"outcome": "HarnessError", "reasons": ["WorkerLost: Worker 1 of reporting left no outcome; see its pod events"], "checks": []},
        "transitions": [{"phase": "Pending", "at": "2026-01-05T05:40:00.000000Z", "reason": "AsExpected"}, {"phase": "Failed", "at": "2026-01-05T05:40:20.000000Z", "reason": "WorkerLost"}]
    });
    add(world, "lost", 140, json!({"planRef": {"name": "reporting"}}), &lost).await;
    let queued = json!({"runId": "reporting_20260105-0759_00c0ffee", "phase": "Queued", "message": "1 run goes first: crucible/live holds mysql://mariadb.sut.svc:3306"});
    add(world, "queued", 1, json!({"planRef": {"name": "reporting"}, "label": HOSTILE}), &queued).await;
    add(world, "live", 2, json!({"label": "before the release"}), &loading(40)).await;
    furnish(world).await;
    for number in 0..60 {
        let mut row = foreign_row(&format!("imported_{number}"), if number % 7 == 0 { "FAILED" } else { "COMPLETED" }, at(10_000 + number * 1440));
        (row.plan_name, row.sut_type) = (Some("imported".to_owned()), Some("doris".to_owned()));
        world.ledger.insert(row);
    }
}

/// Plans and datasets.
async fn furnish(world: &World) {
    let plan = |name: &str, engine: &str, accepted: &str, message: &str| {
        json!({
            "apiVersion": "crucible.dev/v1alpha1", "kind": "TestPlan", "metadata": {"name": name},
            "spec": {
                "target": {"engine": engine, "endpoint": format!("{engine}.sut.svc:3306"), "database": "shop", "credentialsRef": {"name": "shop-credentials"}},
                "workload": {"source": {"inline": "-- @type: sql\n-- @name: PointLookup\nSELECT total FROM orders WHERE id = :id\n"}},
                "load": {"workers": 2, "stages": [
                    {"name": "warmup", "duration": "20s", "vus": 8, "measured": false},
                    {"name": "steady", "duration": "100s", "vus": 32}, {"name": "peak", "duration": "60s", "vus": 64, "ramp": true}
                ]},
                "slos": [{"metric": "p99", "below": "400ms"}, {"metric": "p95", "query": "PointLookup", "below": "10ms"}, {"metric": "errorRate", "atMost": 0.001}],
                "faults": [{"name": "kill-primary", "start": {"stage": "steady", "after": "50s"}, "duration": "10s", "chaos": {"podChaos": {"action": "pod-kill"}}}]
            },
            "status": {"queries": 3, "conditions": [{"type": "Accepted", "status": accepted, "reason": "x", "message": message}]}
        })
    };
    world.cluster.put("testplans", NAMESPACE, &plan("checkout", "mysql", "True", ""));
    world.cluster.put("testplans", NAMESPACE, &plan("reporting", "postgres", "False", "Query Top has no binding for its parameter :city"));
    let fixture = json!({
        "apiVersion": "crucible.dev/v1alpha1", "kind": "Fixture", "metadata": {"name": "shop-orders"},
        "spec": {"source": {"prefix": "fixtures/shop-orders/"}, "format": "parquet"}, "status": {"rows": 12_000_000, "bytes": 734_003_200}
    });
    world.cluster.put("fixtures", NAMESPACE, &fixture);
    let stored = "# Written by hand.\ntest_environment:\n  env_type: long-lived\n  target_db: shop\n  component_spec:\n    type: doris\n    cluster_info: {host: \"doris-fe:9030\", username: root, password: \"hunter2\"}\n\
        execution:\n  executor: k6\n  scaling_mode: inter_node\n  concurrency: 100\n  ramp_up: 30s\n  hold_for: 5m\n  workload: [{workload_id: shop-queries}]\n";
    put(world, "plans/Check_out.v2", stored.into()).await;
    put(world, "plans/wrong", stored.replace("30s", "thirty seconds").into()).await;
    for (number, bytes) in [(1, 4_100_000), (2, 4_200_000), (3, 900_000), (4, 77)] {
        put(world, &format!("fixtures/shop-orders/part-{number:04}.parquet"), vec![0; bytes]).await;
    }
    put(world, "fixtures/customers/customers.csv", b"id,name\n".to_vec()).await;
}

/// The status of a run whose load has come so far.
fn loading(percent: u32) -> Value {
    let wave = f64::from(percent).sin();
    let begun = at(2);
    let error = if percent > 60 { "0.04%" } else { "0.00%" };
    json!({
        "runId": LIVE, "phase": "Executing", "progress": format!("{percent}%"), "stage": if percent < 12 { "warmup" } else { "steady" },
        "message": "The load is on", "plan": {"name": "checkout", "generation": 3, "digest": "9f", "configMap": "x", "engine": "mysql"},
        "live": {"queriesPerSecond": format!("{:.0}", 2400.0 + 180.0 * wave), "p95": format!("{:.2}ms", 9.1 - 1.3 * wave), "errorRate": error},
        "workers": {"expected": 2, "ready": 2, "succeeded": 0, "lost": 0, "summary": "2/2"},
        "startAt": format!("{begun:.6}"), "endsAt": format!("{:.6}", begun + i64::from(SECONDS).seconds())
    })
}

/// The live run goes on, over and over, until it is ended.
async fn go_on(world: Arc<World>) {
    for step in 0_u32.. {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let Some(mut run) = world.cluster.find("testruns", "live") else { return };
        run["status"] = loading(8 + step % 90);
        world.cluster.put("testruns", NAMESPACE, &run);
    }
}

async fn end(world: &World, reports: &Path) {
    let Some(mut run) = world.cluster.find("testruns", "live") else { return };
    run["status"] = sample(world, LIVE, reports, "passed").await;
    world.cluster.put("testruns", NAMESPACE, &run);
}
