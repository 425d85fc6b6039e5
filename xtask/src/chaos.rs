//! Chaos Mesh on the development cluster: images built and loaded, its own chart installed. Only who asks for faults gets it.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::cluster::{Cluster, Engine};
use crate::images::{self, Image, Programs};
use crate::tools;
use crate::{chart, paths, program, say};

/// Where Chaos Mesh lives.
pub const NAMESPACE: &str = "chaos-mesh";
const PATIENCE: &str = "180s";
/// Holds the digest of the images that the controllers run.
const DIGEST: &str = "crucible.dev/images";

/// What is about to be built and installed, for those who say so before they start.
pub const INTENTIONS: &str = "\
Faults need Chaos Mesh: its controllers and its daemon are built, once, into the cache from a pinned Go module (gcc and libc6-dev are
installed where they are missing), a Debian image gets iptables, ipset, iproute2, procps and stress-ng, and Chaos Mesh's own chart is
installed in namespace chaos-mesh. Its daemon is a privileged pod: that is how faults enter other pods. It goes with the cluster.";

/// Installs Chaos Mesh and waits until it is ready; does next to nothing where these very images run already.
pub fn install(cluster: &Cluster) -> Result<()> {
    let start = Instant::now();
    say::step(INTENTIONS);
    let built = images::build_and_load(&Image::CHAOS, &Programs::Dev)?;
    let values = paths::repository().join("dev/chaos-mesh/values.yaml");
    let settings = fs::read_to_string(&values).with_context(|| format!("failed to read {}", values.display()))?;
    let digest = images::hash_text(&built.iter().map(images::Built::digest).chain([settings.as_str()]).collect::<String>())?;
    if is_installed(cluster, &digest[..16]) {
        say::note("Chaos Mesh runs in the cluster already");
    } else {
        install_chart(cluster, &values, &digest[..16])?;
    }
    let mut patch = cluster.kubectl_command()?;
    patch.args(["patch", "customresourcedefinition", "networkchaos.chaos-mesh.org", "--type=json", "--patch-file"]);
    program::output(patch.arg(paths::repository().join("dev/chaos-mesh/networkchaos.yaml")))?;
    say::note(format!("Chaos Mesh is ready after {}", say::took(start)));
    Ok(())
}

fn install_chart(cluster: &Cluster, values: &Path, digest: &str) -> Result<()> {
    say::step(format!("installing the chart of Chaos Mesh in namespace {NAMESPACE}"));
    let mut helm = chart::helm(cluster)?;
    helm.args(["upgrade", "--install", "chaos-mesh"]).arg(tools::ensure_chaos_mesh()?.chart());
    helm.args(["--namespace", NAMESPACE, "--create-namespace", "--values"]).arg(values);
    helm.arg("--set").arg(format!("chaosDaemon.socketPath={}", socket(cluster)?));
    for component in ["controllerManager", "chaosDaemon"] {
        helm.arg("--set-string").arg(format!("{component}.podAnnotations.{}={digest}", DIGEST.replace('.', "\\.")));
    }
    helm.args(["--wait", "--timeout", PATIENCE]);
    if let Err(error) = program::output(&mut helm) {
        let pods = cluster.kubectl(&["--namespace", NAMESPACE, "describe", "pods"]).unwrap_or_default();
        return Err(error.context(format!("Chaos Mesh was not ready within {PATIENCE}\n{pods}")));
    }
    Ok(())
}

fn is_installed(cluster: &Cluster, digest: &str) -> bool {
    let ready = |kind: &str, path: &str, wanted: &str| {
        let output = format!("--output=jsonpath={path}");
        cluster.kubectl(&["--namespace", NAMESPACE, "get", kind, &output]).is_ok_and(|said| said == wanted)
    };
    let annotation = format!("{{.spec.template.metadata.annotations.{}}} {{.status.readyReplicas}}", DIGEST.replace('.', "\\."));
    ready("deployment/chaos-controller-manager", &annotation, &format!("{digest} 1")) && ready("daemonset/chaos-daemon", "{.status.numberReady}", "1")
}

/// Where the node's containerd listens.
fn socket(cluster: &Cluster) -> Result<String> {
    Ok(match cluster.engine() {
        Engine::Embedded => paths::state()?.join("containerd.sock").display().to_string(),
        Engine::Kind => "/run/containerd/containerd.sock".into(),
    })
}
