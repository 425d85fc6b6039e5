//! Pods as things that die: the operator's, and those of workers.

use std::{fs, time::Duration};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::ListParams};
use tokio::process::Command;

use crate::{OPERATOR_NAMESPACE, kubectl::kubectl, run::eventually};

const DEPLOYMENT: &str = "deployment/crucible-operator";

/// Kills the operator's process with SIGKILL, then takes its pod away, so that another one has to come: no signal is heard, no lease
/// is given back, and the node does not simply start the container again.
pub async fn kill(client: &Client) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), OPERATOR_NAMESPACE);
    let all = pods.list(&ListParams::default().labels("app.kubernetes.io/component=operator")).await.context("failed to list the operator's pods")?;
    for pod in all {
        let name = pod.metadata.name.clone().unwrap_or_default();
        kill_container(&pod).await?;
        kubectl(&["--namespace", OPERATOR_NAMESPACE, "delete", "pod", &name, "--grace-period=0", "--force", "--wait=false"]).await?;
    }
    Ok(())
}

/// Kills the first process of a pod's running container with SIGKILL, and says whether there was one: the kubelet can be seconds late in
/// saying that a container runs.
pub async fn kill_container(pod: &Pod) -> Result<bool> {
    let Some(id) = container_id(pod) else { return Ok(false) };
    let name = pod.metadata.name.clone().unwrap_or_default();
    let pid = process_of(&id).with_context(|| format!("no process of this machine belongs to pod {name}"))?;
    let killed = Command::new("kill").args(["-KILL", &pid.to_string()]).status().await.context("failed to start kill")?;
    if !killed.success() {
        bail!("failed to kill process {pid} of pod {name}");
    }
    Ok(true)
}

/// Sets how many operators run and waits until it is so.
pub async fn scale(client: &Client, replicas: usize) -> Result<()> {
    kubectl(&["--namespace", OPERATOR_NAMESPACE, "scale", DEPLOYMENT, &format!("--replicas={replicas}")]).await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), OPERATOR_NAMESPACE);
    eventually("the operator's pods are as many as were asked for", Duration::from_mins(1), || async {
        let all = pods.list(&ListParams::default().labels("app.kubernetes.io/component=operator")).await?;
        Ok((all.items.len() == replicas).then_some(()))
    })
    .await
}

/// Waits until the operator is ready.
pub async fn ready() -> Result<()> {
    kubectl(&["--namespace", OPERATOR_NAMESPACE, "rollout", "status", DEPLOYMENT, "--timeout=90s"]).await.map(|_| ())
}

/// The id of the pod's running container, without the runtime's name before it.
fn container_id(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    status.state.as_ref()?.running.as_ref()?;
    status.container_id.as_ref()?.rsplit_once("//").map(|(_, id)| id.to_owned())
}

/// The first process of a container: the one whose cgroup is named after it.
fn process_of(container: &str) -> Option<u32> {
    let mut pids: Vec<u32> = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids.into_iter().find(|pid| fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|text| text.contains(container)))
}
