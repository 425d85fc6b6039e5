//! The operator killed while the workers of a run gather: how long until the load is on all the same. Either its process gets SIGKILL
//! (the kubelet starts it again under the same name) or its pod is deleted without grace (a new pod waits for the old one's lease).

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::api::{self, Api, RUNS};
use super::run::{await_end, remove};
use crate::bench::clock::{self, Micros};
use crate::bench::statistics::number;
use crate::chart::NAMESPACE;

const DEPLOYMENT: &str = "deployment/crucible-operator";
const PODS: &str = "/api/v1/namespaces/crucible/pods";
const SELECTOR: &str = "app.kubernetes.io/component=operator";
const TRIES: u32 = 5;

/// How the operator is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// SIGKILL to its process
    Process,
    /// Its pod is deleted without grace
    Pod,
}

/// Seconds from the kill to the first query. A run that began its load before the kill came is done again.
pub fn measure(api: &Api, how: How, name: &str, plan: &str, seconds: u64) -> Result<f64> {
    for attempt in 1..=TRIES {
        renew(api)?;
        let name = format!("{name}-{attempt}");
        let created = api.create(RUNS, &api::run(&name, plan))?;
        await_workers_called(api, &name)?;
        let killed = match how {
            How::Process => kill_process(api)?,
            How::Pod => delete_pod(api)?,
        };
        let finished = await_end(api, &name, created, seconds)?;
        let first = finished.instant("firstQueryAt")?;
        let agreed = finished.instant("startAt")?;
        remove(api, &name, &finished.created.uid)?;
        // An instant that was agreed before the kill was carried to the workers already, or not: both count as "started".
        if first > killed && agreed > killed {
            return Ok(number(first - killed) / 1e6);
        }
    }
    bail!("the operator was too quick: {TRIES} runs had begun before it could be killed")
}

/// A fresh pod: a container that has crashed before would wait for the kubelet's back-off.
fn renew(api: &Api) -> Result<()> {
    api.0.kubectl(&["--namespace", NAMESPACE, "rollout", "restart", DEPLOYMENT])?;
    api.0.kubectl(&["--namespace", NAMESPACE, "rollout", "status", DEPLOYMENT, "--timeout=120s"])?;
    let begun = Instant::now();
    while operators(api)?.len() != 1 {
        if begun.elapsed() > Duration::from_mins(1) {
            bail!("the old operator's pod does not leave");
        }
        sleep(Duration::from_millis(500));
    }
    // The new one takes the old one's lease within a second or two.
    sleep(Duration::from_secs(3));
    Ok(())
}

/// Until the operator has called for the workers: they are starting, and nobody has agreed on an instant.
fn await_workers_called(api: &Api, name: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        let run = api.read(&format!("{RUNS}/{name}"))?;
        if run["status"]["phase"].as_str().is_some_and(|phase| phase != "Pending" && phase != "Queued") {
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(30) {
            bail!("run {name} does not leave {}: {}", run["status"]["phase"], run["status"]["message"]);
        }
    }
}

fn operators(api: &Api) -> Result<Vec<serde_json::Value>> {
    api.list(PODS, SELECTOR)
}

fn kill_process(api: &Api) -> Result<Micros> {
    let pods = operators(api)?;
    let container =
        pods.first().and_then(|pod| pod["status"]["containerStatuses"][0]["containerID"].as_str()).context("the operator's pod has no container")?;
    let id = container.rsplit('/').next().unwrap_or(container);
    let pid = process_in(id).with_context(|| format!("no process of this machine is in the operator's container {id}"))?;
    kill(Pid::from_raw(pid), Signal::SIGKILL).context("failed to kill the operator's process")?;
    Ok(clock::now())
}

fn delete_pod(api: &Api) -> Result<Micros> {
    let pods = operators(api)?;
    let name = pods.first().and_then(|pod| pod["metadata"]["name"].as_str()).context("the operator has no pod")?.to_owned();
    let killed = clock::now();
    api.0.kubectl(&["--namespace", NAMESPACE, "delete", "pod", &name, "--grace-period=0", "--force", "--wait=false"])?;
    Ok(killed)
}

/// The process whose control group names the container.
fn process_in(container: &str) -> Option<i32> {
    let pids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|groups| groups.contains(container))).min()
}
