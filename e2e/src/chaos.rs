//! What Chaos Mesh has in the cluster and on this machine, asked of others than our operator; and faults as plans name them.

use std::{fs, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{
    kubectl::{ask, kubectl},
    run::eventually,
};

/// Every kind that a plan can name.
const KINDS: &str = "podchaos,networkchaos,stresschaos,iochaos,timechaos,dnschaos,httpchaos,physicalmachinechaos";
/// What the daemon starts inside its targets; the kernel cuts names off after 15 characters.
const STRESSORS: [&str; 3] = ["stress-ng", "memStress", "nsexec"];

/// Fails where Chaos Mesh does not run.
pub async fn ready() -> Result<()> {
    for workload in ["deployment/chaos-controller-manager", "daemonset/chaos-daemon"] {
        let rollout = ["--namespace=chaos-mesh", "rollout", "status", workload, "--timeout=60s"];
        kubectl(&rollout).await.context("Chaos Mesh is not ready; cargo xtask cluster up --with-chaos installs it")?;
    }
    Ok(())
}

/// The objects of Chaos Mesh, as kind, namespace and name.
pub async fn objects() -> Result<Vec<String>> {
    let path = r#"--output=jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}{"\n"}{end}"#;
    Ok(kubectl(&["get", KINDS, "--all-namespaces", path]).await?.lines().map(str::to_owned).collect())
}

/// Network orders that Chaos Mesh still has for a pod of the system under test: its own object for that pod, where it is not empty.
async fn network_orders() -> Result<String> {
    kubectl(&["--namespace=sut", "get", "podnetworkchaos", "--output=jsonpath={.items[*].spec.iptables}{.items[*].spec.ipsets}{.items[*].spec.tcs}"]).await
}

/// Processes on this machine that use up somebody's processor or memory.
fn stressors() -> Result<Vec<String>> {
    let all = fs::read_dir("/proc").context("failed to list processes")?.flatten();
    let names = all.filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok()).map(|name| name.trim().to_owned());
    Ok(names.filter(|name| STRESSORS.iter().any(|stressor| name.starts_with(stressor))).collect())
}

/// Waits until nothing of Chaos Mesh is left: no object, no order for a pod's network, no process.
pub async fn leaves_nothing() -> Result<()> {
    eventually("nothing of Chaos Mesh is left behind", Duration::from_secs(30), || async {
        let (objects, orders, stressors) = (objects().await?, network_orders().await?, stressors()?);
        if objects.is_empty() && orders.is_empty() && stressors.is_empty() {
            return Ok(Some(()));
        }
        bail!("objects {objects:?}, network orders {orders:?}, processes {stressors:?}")
    })
    .await
}

/// Whether the real controllers would take an object, and what they said. Nothing is created.
pub async fn accepted(object: &Value) -> Result<(bool, String)> {
    let answer = ask(&["create", "--dry-run=server", "--filename=-"], &object.to_string()).await?;
    Ok((answer.ok, answer.output + &answer.error))
}

/// A fault of the development MariaDB that begins so many seconds into the stage `steady`.
#[must_use]
pub fn fault(name: &str, after: u32, seconds: u32, chaos: &Value) -> Value {
    let pods = json!({"namespaces": ["sut"], "labelSelectors": {"app.kubernetes.io/component": "mariadb"}});
    json!({
        "name": name, "start": {"stage": "steady", "after": format!("{after}s")}, "duration": format!("{seconds}s"),
        "target": {"mode": "all", "pods": pods}, "chaos": chaos,
    })
}
