//! The runs that the gateway knows: one that really ran, and ten thousand with its specification and status, recorded in the ledger by the
//! operator's own mirror. Also everything that takes them away again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};

use super::contender::{Contender, Programs, Server, World, free_port};
use super::tables;
use crate::bench::Scratch;
use crate::bench::guarded::{self, Guarded};
use crate::bench::http::Client;
use crate::cluster::Cluster;
use crate::{chart, paths, say};

/// Where the runs of the bench live, and nothing else.
pub const NAMESPACE: &str = "crucible-bench";
/// The stored plan that is triggered.
pub const PLAN: &str = "bench-gateway";

const RUNS: &str = "/apis/crucible.dev/v1alpha1/namespaces/crucible-bench/testruns";
const WRITERS: u32 = 8;
const PATIENCE: Duration = Duration::from_mins(10);

/// Who follows the runs besides the contenders.
const FOLLOWERS: [&str; 3] = ["operator", "gateway", "mcp"];

/// No operator and no other gateway while this lives: what is submitted then stays as it was submitted, and nobody else reads along.
pub struct Paused<'a>(&'a Cluster);

impl<'a> Paused<'a> {
    /// Sends them away.
    pub fn new(cluster: &'a Cluster) -> Result<Self> {
        scale(cluster, 0)?;
        let paused = Self(cluster);
        for follower in FOLLOWERS {
            let selector = format!("--selector=app.kubernetes.io/component={follower}");
            cluster.kubectl(&["--namespace", chart::NAMESPACE, "wait", "--for=delete", "pod", &selector, "--timeout=90s"])?;
        }
        Ok(paused)
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        // The next installation of the chart sees to it as well.
        if let Err(error) = scale(self.0, 1) {
            say::note(format!("operator and gateway are still away: {error:#}"));
        }
    }
}

fn scale(cluster: &Cluster, replicas: u32) -> Result<()> {
    FOLLOWERS.iter().try_for_each(|follower| {
        let deployment = format!("deployment/crucible-{follower}");
        cluster.kubectl(&["--namespace", chart::NAMESPACE, "scale", &deployment, &format!("--replicas={replicas}")]).map(drop)
    })
}

/// The API server over plain HTTP, and a client of it for each writer.
struct Proxy {
    _process: Guarded,
    address: String,
}

impl Proxy {
    fn start(cluster: &Cluster, scratch: &Scratch) -> Result<Self> {
        let port = free_port()?;
        let mut kubectl = guarded::command(&paths::state()?.join("bin/kubectl"), None)?;
        kubectl.env("KUBECONFIG", cluster.kubeconfig()?).args(["proxy", &format!("--port={port}")]);
        let mut process = Guarded::start("kubectl proxy", &mut kubectl, &scratch.join("proxy.log"), None)?;
        let address = format!("127.0.0.1:{port}");
        let begun = Instant::now();
        while Client::new(&address, "").call("GET", "/readyz", "").is_err() {
            process.require_alive()?;
            ensure!(begun.elapsed() < Duration::from_secs(20), "kubectl proxy does not answer: {}", process.last_lines());
            sleep(Duration::from_millis(100));
        }
        Ok(Self { _process: process, address })
    }

    /// Does something `count` times, by several writers at once.
    fn each(&self, count: u32, write: impl Fn(&mut Client, u32) -> Result<()> + Sync) -> Result<()> {
        let next = AtomicU32::new(0);
        scope(|threads| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|_| {
                    threads.spawn(|| {
                        let mut client = Client::new(&self.address, "");
                        loop {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            if number >= count {
                                return Ok(());
                            }
                            write(&mut client, number)?;
                        }
                    })
                })
                .collect();
            writers.into_iter().try_for_each(|writer| writer.join().map_err(|_| anyhow!("a writer panicked"))?)
        })
    }
}

/// Lets one short run go through the gateway and answers what became of it.
pub fn model(world: &World, programs: &Programs, scratch: &Scratch) -> Result<Value> {
    say::step("one short run through the gateway, whose status the others get");
    world.cluster.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}).to_string())?;
    // The rights that the chart gives the gateway in the namespace of its earlier routes, which this is here.
    let rights = ["create", "role", "gateway", "--verb=create,delete,get,patch", "--resource=secrets"];
    world.cluster.kubectl(&[&["--namespace", NAMESPACE], &rights[..]].concat())?;
    let account = format!("--serviceaccount={}:crucible-gateway", chart::NAMESPACE);
    world.cluster.kubectl(&["--namespace", NAMESPACE, "create", "rolebinding", "gateway", "--role=gateway", &account])?;
    let gateway = Server::start(Contender::Gateway, world, programs, scratch)?;
    let mut client = Client::new(&gateway.address, "");
    let workload = json!({"workload_id": PLAN, "content": "-- @type: mysql\n-- @name: PointLookup\nSELECT name FROM customers WHERE id = 4711;\n"});
    client.call("POST", "/v1/workloads", &workload.to_string())?;
    let info = json!({"host": "mariadb.sut.svc:3306", "username": "crucible", "password": world.sut_password});
    let plan = json!({
        "test_environment": {"env_type": "long-lived", "target_db": "shop", "component_spec": {"type": "mysql", "cluster_info": info}},
        "execution": {
            "executor": "k6", "scaling_mode": "intra_node", "concurrency": 1, "ramp_up": "1s", "hold_for": "2s", "workload": [{"workload_id": PLAN}]
        }
    });
    client.call("PUT", &format!("/test-plans/{PLAN}"), &plan.to_string())?;
    let submitted: Value = serde_json::from_slice(&client.call("POST", &format!("/v1/test-runs/{PLAN}"), "")?).context("the submit's answer is no JSON")?;
    let run_id = submitted["run_id"].as_str().context("the submit was answered without a run_id")?;
    let begun = Instant::now();
    loop {
        let status: Value = serde_json::from_slice(&client.call("GET", &format!("/v1/test-runs/{run_id}/status"), "")?).context("the status is no JSON")?;
        match status["status"].as_str() {
            Some("COMPLETED") => break,
            Some("FAILED") => bail!("the run failed: {}", status["error_detail"]),
            _ if begun.elapsed() > Duration::from_mins(2) => bail!("the run did not end: {status}"),
            _ => sleep(Duration::from_millis(200)),
        }
    }
    let listed: Value = serde_json::from_str(&world.cluster.kubectl(&["get", "--raw", RUNS])?).context("the list of runs is no JSON")?;
    listed["items"].get(0).cloned().context("the run that completed is not there")
}

/// Makes the runs while nobody acts on them, then lets the operator mirror them.
pub fn populate(cluster: &Cluster, scratch: &Scratch, model: &Value, count: u32) -> Result<()> {
    let begun = Instant::now();
    say::step(format!("creating {count} finished runs in namespace {NAMESPACE}"));
    let paused = Paused::new(cluster)?;
    let proxy = Proxy::start(cluster, scratch)?;
    let run_id = model["status"]["runId"].as_str().and_then(|id| id.rsplit_once('_')).context("the run that completed has no id")?.0;
    proxy.each(count, |client, number| {
        let name = format!("bench-{number:05}");
        let metadata = json!({"name": name, "labels": model["metadata"]["labels"], "annotations": model["metadata"]["annotations"]});
        let mut run = json!({"apiVersion": "crucible.dev/v1alpha1", "kind": "TestRun", "metadata": metadata, "spec": model["spec"]});
        let mut status = json!({"status": model["status"]});
        for id in [&mut run["spec"]["runId"], &mut status["status"]["runId"]] {
            *id = format!("{run_id}_{number:08x}").into();
        }
        client.call("POST", RUNS, &run.to_string())?;
        client.call("PATCH", &format!("{RUNS}/{name}/status"), &status.to_string())?;
        Ok(())
    })?;
    say::note(format!("they are there after {}; waiting until the operator has mirrored them", say::took(begun)));
    drop(paused);
    loop {
        let rows = tables::count(cluster, tables::LEDGER, &format!("select count(*) from test_runs where namespace = '{NAMESPACE}'"))?;
        if rows > i64::from(count) {
            break;
        }
        ensure!(begun.elapsed() < PATIENCE, "only {rows} of {count} runs are in the ledger after {}", say::took(begun));
        sleep(Duration::from_secs(1));
    }
    say::note(format!("all of them are in the ledger after {}", say::took(begun)));
    Ok(())
}

/// Takes away everything of this bench, or of one that was broken off.
pub fn remove(cluster: &Cluster, scratch: &Scratch) -> Result<()> {
    if !cluster.kubectl(&["get", "namespace", NAMESPACE, "--ignore-not-found", "--output=name"])?.is_empty() {
        say::step(format!("removing namespace {NAMESPACE} with all its runs"));
        let _paused = Paused::new(cluster)?;
        remove_runs(cluster, scratch)?;
        cluster.kubectl(&["delete", "namespace", NAMESPACE, "--timeout=180s"])?;
    }
    let runs = format!("select uid from test_runs where namespace = '{NAMESPACE}'");
    for statement in [
        format!("delete from test_run_transitions where uid in ({runs})"),
        format!("delete from run_history where uid in ({runs})"),
        format!("delete from waiting_room where run_id in (select run_id from test_runs where namespace = '{NAMESPACE}')"),
        format!("delete from test_runs where namespace = '{NAMESPACE}'"),
    ] {
        tables::ask(cluster, tables::LEDGER, &statement)?;
    }
    tables::ask(cluster, "postgres", &format!("drop database if exists {} with (force)", tables::PEER))?;
    Ok(())
}

/// Nobody is there to take finalizers off: that is done here.
fn remove_runs(cluster: &Cluster, scratch: &Scratch) -> Result<()> {
    let proxy = Proxy::start(cluster, scratch)?;
    let left = cluster.kubectl(&["--namespace", NAMESPACE, "get", "testruns", "--output=name"])?;
    let names: Vec<&str> = left.lines().filter_map(|line| line.rsplit('/').next()).collect();
    let none = json!({"metadata": {"finalizers": null}}).to_string();
    proxy.each(u32::try_from(names.len()).unwrap_or(u32::MAX), |client, number| {
        let Some(name) = names.get(number as usize) else { return Ok(()) };
        // All of them in one request would take longer than the API server gives one.
        let run = format!("{RUNS}/{name}");
        client.call("PATCH", &run, &none)?;
        // One that was being deleted has gone with its finalizers.
        let _ = client.call("DELETE", &run, "");
        Ok(())
    })
}
