//! Kubernetes as plain processes of this machine, all of one binary, with a containerd of their own.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::process::Process;
use super::record::{Engine, Record};
use super::{cgroup, clean, files, network};
use crate::images::{self, Image, Programs};
use crate::tools::{self, Package, Tool};
use crate::{paths, program, say};

const PACKAGES: [Package; 10] = [
    Package::new("containerd", "containerd"),
    Package::new("runc", "runc"),
    Package::new("containernetworking-plugins", files::CNI_PROOF),
    Package::new("nftables", "nft"),
    Package::new("iptables", "iptables"),
    Package::new("ipset", "ipset"),
    Package::new("conntrack", "conntrack"),
    Package::new("iproute2", "ip"),
    Package::new("mount", "umount"),
    Package::new("util-linux", "setsid"),
];
const PATIENCE: Duration = Duration::from_mins(2);

/// Starts the cluster, having removed what an earlier one left, and answers its record.
pub fn up() -> Result<Record> {
    require_root()?;
    tools::ensure_packages(&PACKAGES)?;
    let kubernetes = tools::ensure(Tool::Kubernetes)?;
    let helm = tools::ensure(Tool::Helm)?;
    let first_images = images::build(&[Image::Pause, Image::Coredns], &Programs::Dev)?;
    clean::clean_leftovers()?;

    let state = paths::state()?;
    let mut record = Record::new(Engine::Embedded);
    record.kernel_settings = network::kernel_settings();
    record.made_directories = clean::absent_directories();
    record.save()?;

    say::step(format!("making the link {} with the address {}, a packet filter table and the cgroup /crucible", "crucible0", network::NODE_ADDRESS));
    network::create()?;
    let tasks = cgroup::create()?;
    files::write_all(&state, &kubernetes, &helm)?;

    let mut boot = Boot { state: &state, kubernetes: &kubernetes, tasks: &tasks, record };
    boot.start_containerd()?;
    boot.start("etcd", &etcd_arguments())?;
    boot.await_socket("etcd", &state.join("etcd/localhost:2379"))?;
    boot.start("kube-apiserver", &apiserver_arguments(&state))?;
    boot.await_socket("containerd", &state.join("containerd.sock"))?;
    for image in &first_images {
        image.import_into_containerd(&state)?;
    }
    boot.await_true("kube-apiserver", |kubectl| program::succeeds(kubectl.args(["get", "--raw", "/readyz"])))?;
    program::output(kubectl(&state).args(["apply", "--filename"]).arg(state.join("node-rights.yaml")))?;
    boot.start("kubelet", &kubelet_arguments(&state))?;
    boot.start("kube-controller-manager", &controller_manager_arguments(&state))?;
    boot.start(
        "kube-scheduler",
        &[format!("--config={}", state.join("kube-scheduler.yaml").display()), "--bind-address=127.0.0.1".into(), "--secure-port=16459".into()],
    )?;
    boot.start("kube-proxy", &[format!("--config={}", state.join("kube-proxy.yaml").display())])?;
    boot.settle()
}

/// Whether every program still runs and the API server says that it is ready.
pub fn is_healthy(record: &Record) -> Result<bool> {
    let state = paths::state()?;
    Ok(record.complete && record.processes.iter().all(Process::is_alive) && program::succeeds(kubectl(&state).args(["get", "--raw", "/readyz"])))
}

/// kubectl with the administrator's credentials.
pub fn kubectl(state: &Path) -> Command {
    let mut command = program::command(state.join("bin/kubectl"));
    command.arg("--kubeconfig").arg(state.join("kubeconfig"));
    command
}

struct Boot<'a> {
    state: &'a Path,
    kubernetes: &'a Path,
    tasks: &'a [PathBuf],
    record: Record,
}

impl Boot<'_> {
    fn start(&mut self, name: &str, arguments: &[String]) -> Result<()> {
        let mut command = program::command(self.kubernetes);
        // etcd and the API server name each other's socket relative to this directory.
        command.arg(name).args(arguments).current_dir(self.state.join("etcd"));
        // Half the garbage collections for half as much memory again: processors are scarcer here than memory.
        command.env("GOGC", "200");
        self.start_command(name, &command)
    }

    fn start_containerd(&mut self) -> Result<()> {
        let mut command = program::command("containerd");
        command.arg("--config").arg(self.state.join("containerd.toml"));
        self.start_command("containerd", &command)
    }

    fn start_command(&mut self, name: &str, command: &Command) -> Result<()> {
        say::step(format!("starting {name} (log {})", self.log(name).display()));
        self.record.processes.push(Process::start(name, command, &self.log(name), self.tasks)?);
        self.record.save()
    }

    fn log(&self, name: &str) -> PathBuf {
        self.state.join("logs").join(format!("{name}.log"))
    }

    fn await_socket(&self, name: &str, socket: &Path) -> Result<()> {
        self.await_true(name, |_| UnixStream::connect(socket).is_ok())
    }

    /// Asks again until the answer is yes; a program that ended meanwhile is named with the end of its log.
    fn await_true(&self, name: &str, is_done: impl Fn(&mut Command) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if is_done(&mut kubectl(self.state)) {
                return Ok(());
            }
            if let Some(process) = self.record.processes.iter().find(|process| !process.is_alive()) {
                let log = self.log(&process.name);
                bail!("{} ended; the end of {}:\n{}", process.name, log.display(), program::last_lines(&log, 15));
            }
            if Instant::now() > deadline {
                bail!("{name} was not ready within {} s; see {}", PATIENCE.as_secs(), self.log(name).display());
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// Waits for the node, gives it its labels, and waits for the name server.
    fn settle(mut self) -> Result<Record> {
        program::output(kubectl(self.state).args(["apply", "--filename"]).arg(self.state.join("coredns.yaml")))?;
        let ready = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
        self.await_true("kubelet", |kubectl| {
            program::output(kubectl.args(["get", "node", network::NODE_NAME, "--output", ready])).is_ok_and(|said| said == "True")
        })?;
        let roles = ["node-role.kubernetes.io/control-plane=", "node-role.kubernetes.io/worker="];
        program::output(kubectl(self.state).args(["label", "--overwrite", "node", network::NODE_NAME]).args(roles))?;
        let rollout = ["--namespace=kube-system", "rollout", "status", "deployment/coredns", "--timeout=120s"];
        program::output(kubectl(self.state).args(rollout)).context("the cluster's name server did not become ready")?;
        self.record.complete = true;
        self.record.save()?;
        Ok(self.record)
    }
}

fn require_root() -> Result<()> {
    let status = fs::read_to_string("/proc/self/status").context("failed to read the rights of this process")?;
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).and_then(|ids| ids.split_whitespace().nth(1));
    if user != Some("0") {
        bail!("the embedded cluster needs root (it makes links, mounts and cgroups): sudo --preserve-env=HOME,PATH cargo xtask …");
    }
    Ok(())
}

/// Sockets in a directory that only root enters: etcd asks nobody who they are.
fn etcd_arguments() -> Vec<String> {
    [
        "--name=crucible",
        "--data-dir=data",
        "--listen-client-urls=unix://localhost:2379",
        "--advertise-client-urls=unix://localhost:2379",
        "--listen-peer-urls=unix://localhost:2380",
        "--initial-advertise-peer-urls=unix://localhost:2380",
        "--initial-cluster=crucible=unix://localhost:2380",
        // A cluster that is thrown away has nothing to lose in a power cut.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]
    .map(String::from)
    .to_vec()
}

fn apiserver_arguments(state: &Path) -> Vec<String> {
    let pki = state.join("pki");
    let file = |flag: &str, name: &str| format!("--{flag}={}", pki.join(name).display());
    let mut arguments = vec![
        format!("--bind-address={}", network::NODE_ADDRESS),
        format!("--advertise-address={}", network::NODE_ADDRESS),
        format!("--secure-port={}", network::API_PORT),
        format!("--service-cluster-ip-range={}", network::SERVICE_RANGE),
        file("tls-cert-file", "apiserver.crt"),
        file("tls-private-key-file", "apiserver.key"),
        file("client-ca-file", "ca.crt"),
        file("kubelet-certificate-authority", "ca.crt"),
        file("kubelet-client-certificate", "apiserver-kubelet-client.crt"),
        file("kubelet-client-key", "apiserver-kubelet-client.key"),
        file("service-account-key-file", "service-account.pub"),
        file("service-account-signing-key-file", "service-account.key"),
    ];
    let plain = [
        "--etcd-servers=unix://localhost:2379",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
    ];
    arguments.extend(plain.map(String::from));
    arguments
}

fn kubelet_arguments(state: &Path) -> Vec<String> {
    vec![
        format!("--config={}", state.join("kubelet.yaml").display()),
        format!("--kubeconfig={}", state.join("pki/kubelet.kubeconfig").display()),
        format!("--root-dir={}", state.join("kubelet").display()),
        format!("--cert-dir={}", state.join("pki").display()),
        format!("--hostname-override={}", network::NODE_NAME),
        format!("--node-ip={}", network::NODE_ADDRESS),
        "--node-labels=topology.kubernetes.io/region=local,topology.kubernetes.io/zone=local".into(),
    ]
}

fn controller_manager_arguments(state: &Path) -> Vec<String> {
    let pki = state.join("pki");
    let kubeconfig = pki.join("controller-manager.kubeconfig");
    let mut arguments = vec![
        format!("--root-ca-file={}", pki.join("ca.crt").display()),
        format!("--service-account-private-key-file={}", pki.join("service-account.key").display()),
        format!("--cluster-signing-cert-file={}", pki.join("ca.crt").display()),
        format!("--cluster-signing-key-file={}", pki.join("ca.key").display()),
        format!("--flex-volume-plugin-dir={}", state.join("kubelet/plugins-exec").display()),
    ];
    arguments.extend(["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"].map(|flag| format!("--{flag}={}", kubeconfig.display())));
    let plain = [
        // Each controller has its own account; only those have rights.
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--concurrent-job-syncs=20",
        "--bind-address=127.0.0.1",
        "--secure-port=16457",
    ];
    arguments.extend(plain.map(String::from));
    arguments
}
