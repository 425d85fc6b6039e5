//! The files of the embedded cluster: configuration from `dev/cluster` with the addresses filled in, certificates, and the links that
//! give the one binary its many names.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::network;
use crate::{paths, program};

/// Shows that the CNI plugins are installed; the others lie beside it.
pub const CNI_PROOF: &str = "/usr/lib/cni/ptp";
/// The kernel allows 107 bytes for a socket's path, and containerd appends to ours.
const LONGEST_SOCKET_PATH: usize = 95;
const TEMPLATES: [&str; 7] = ["containerd.toml", "cni.conflist", "kubelet.yaml", "kube-proxy.yaml", "kube-scheduler.yaml", "coredns.yaml", "node-rights.yaml"];

/// Writes everything that the programs read, before any of them starts.
pub fn write_all(state: &Path, kubernetes: &Path, helm: &Path) -> Result<()> {
    let socket = state.join("containerd.sock");
    if socket.as_os_str().len() > LONGEST_SOCKET_PATH {
        bail!("{} is too long for a socket's path; set XDG_STATE_HOME to a shorter one", socket.display());
    }
    fs::set_permissions(state, fs::Permissions::from_mode(0o700)).with_context(|| format!("failed to close {} to others", state.display()))?;
    for directory in ["etcd", "cni", "bin", "pods", "kubelet", "containerd"] {
        make(&state.join(directory))?;
    }
    for name in ["kubectl", "kubernetes"] {
        link(kubernetes, &state.join("bin").join(name))?;
    }
    link(helm, &state.join("bin/helm"))?;
    write_certificates(state, kubernetes)?;
    write_resolver(state)?;
    for template in TEMPLATES {
        let source = paths::repository().join("dev/cluster").join(template);
        let text = fs::read_to_string(&source).with_context(|| format!("failed to read {}", source.display()))?;
        let target = if template.ends_with("conflist") { state.join("cni/10-crucible.conflist") } else { state.join(template) };
        write(&target, &fill(&text, state)?)?;
    }
    Ok(())
}

fn fill(text: &str, state: &Path) -> Result<String> {
    let values = [
        ("${STATE}", state.display().to_string()),
        ("${NODE_ADDRESS}", network::NODE_ADDRESS.into()),
        ("${NODE_NAME}", network::NODE_NAME.into()),
        ("${POD_RANGE}", network::POD_RANGE.into()),
        ("${DNS_ADDRESS}", network::DNS_ADDRESS.into()),
        ("${CNI_PROGRAMS}", Path::new(CNI_PROOF).parent().unwrap_or(Path::new("/")).display().to_string()),
        ("${SNAPSHOTTER}", snapshotter(state).into()),
        ("${RESTRICT_OOM_SCORE_ADJ}", (!may_lower_oom_score()?).to_string()),
    ];
    Ok(values.iter().fold(text.to_string(), |text, (name, value)| text.replace(name, value)))
}

fn write_certificates(state: &Path, kubernetes: &Path) -> Result<()> {
    let pki = state.join("pki");
    let server = format!("https://{}:{}", network::NODE_ADDRESS, network::API_PORT);
    let mut command = program::command(kubernetes);
    command.arg("pki").arg(&pki).args([&server, network::NODE_NAME]);
    command.args([network::NODE_ADDRESS, network::API_SERVICE_ADDRESS, "127.0.0.1", "localhost", network::NODE_NAME, "kubernetes"]);
    command.args(["kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]);
    program::output(&mut command)?;
    let kubeconfig = state.join("kubeconfig");
    fs::copy(pki.join("admin.kubeconfig"), &kubeconfig).with_context(|| format!("failed to write {}", kubeconfig.display()))?;
    Ok(())
}

/// Pods cannot ask a resolver on the machine's loopback: they get the ones behind it, or none.
fn write_resolver(state: &Path) -> Result<()> {
    let candidates = ["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"];
    let texts = candidates.iter().filter_map(|file| fs::read_to_string(file).ok());
    let servers = texts.map(|text| outside_servers(&text)).find(|servers| !servers.is_empty());
    // CoreDNS refuses to start with no server to ask; this address answers to nobody.
    write(&state.join("resolv.conf"), &servers.unwrap_or_else(|| "nameserver 192.0.2.53\n".into()))
}

fn outside_servers(resolver: &str) -> String {
    let is_outside = |line: &&str| line.starts_with("nameserver ") && !line.contains(" 127.") && !line.contains(" ::1");
    resolver.split_inclusive('\n').filter(is_outside).collect()
}

/// Overlay mounts where the file system below allows them, copies elsewhere.
fn snapshotter(state: &Path) -> &'static str {
    let probe = state.join("overlay-probe");
    let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| probe.join(name));
    let made = [&lower, &upper, &work, &merged].iter().all(|directory| fs::create_dir_all(directory).is_ok());
    let options = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    let works = made && program::succeeds(program::command("mount").args(["-t", "overlay", "crucible-probe", "-o", &options]).arg(&merged));
    if works {
        program::succeeds(program::command("umount").arg(&merged));
    }
    let _ = fs::remove_dir_all(&probe);
    if works { "overlayfs" } else { "native" }
}

/// Whether this process holds `CAP_SYS_RESOURCE`, capability 24.
fn may_lower_oom_score() -> Result<bool> {
    let status = fs::read_to_string("/proc/self/status").context("failed to read the rights of this process")?;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).context("the kernel does not tell the rights of this process")?;
    let bits = u64::from_str_radix(effective.trim(), 16).context("the kernel tells the rights of this process in an unknown form")?;
    Ok(bits & (1 << 24) != 0)
}

fn make(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("failed to make {}", directory.display()))
}

fn link(target: &Path, name: &Path) -> Result<()> {
    symlink(target, name).with_context(|| format!("failed to link {} to {}", name.display(), target.display()))
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("failed to write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_on_the_loopback_is_not_passed_on_to_pods() {
        let text = "search example\nnameserver 127.0.0.53\nnameserver 192.0.2.1\n";
        assert_eq!(outside_servers(text), "nameserver 192.0.2.1\n");
    }
}
