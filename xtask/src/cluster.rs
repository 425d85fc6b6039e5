//! The development cluster: one node of real Kubernetes, on kind where a Docker engine answers and as processes of this machine
//! elsewhere. Other commands of this tool start it with `up` and talk to it through `Cluster`.

mod cgroup;
mod clean;
mod embedded;
mod files;
mod forward;
mod kind;
mod network;
mod process;
mod record;

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use self::process::Process;
use self::record::{Forward, Record};
use crate::{chaos, paths, program, say};

pub use self::record::Engine;

/// The words after `cargo xtask cluster`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start the cluster; nothing happens where it runs already
    Up(Up),
    /// Stop the cluster and leave nothing of it behind
    Down,
    /// Say what runs
    Status,
    /// Print the path of the kubeconfig
    Kubeconfig,
    /// Open a port of 127.0.0.1 to a service until the cluster goes down
    Open(Target),
    /// What `open` leaves running
    #[command(hide = true)]
    Forward(Target),
}

/// What to bring up.
#[derive(clap::Args)]
struct Up {
    #[command(flatten)]
    options: Options,
    /// Install Chaos Mesh, too
    #[arg(long)]
    with_chaos: bool,
}

/// How to start the cluster.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Options {
    /// Run Kubernetes as processes of this machine even where a Docker engine answers
    #[arg(long)]
    pub embedded: bool,
}

/// A service, and the local port that leads to it.
#[derive(clap::Args, Clone, Debug)]
struct Target {
    /// The service's namespace
    namespace: String,
    /// The service's name
    service: String,
    /// The port on 127.0.0.1
    local_port: u16,
    /// The service's own port
    remote_port: u16,
}

impl Args {
    /// Carries the command out.
    pub fn run(self) -> Result<()> {
        match self.action {
            Action::Up(Up { options, with_chaos }) => {
                let cluster = up(&options)?;
                if with_chaos {
                    chaos::install(&cluster)?;
                }
                say::note(format!("export KUBECONFIG={}", cluster.kubeconfig()?.display()));
                say::note(format!("kubectl, helm and the logs are in {}", paths::state()?.display()));
            }
            Action::Down => down()?,
            Action::Status => status()?,
            Action::Kubeconfig => println!("{}", current()?.context("no cluster is up")?.kubeconfig()?.display()),
            Action::Open(target) => {
                let cluster = current()?.context("no cluster is up")?;
                cluster.port_forward(&target.namespace, &target.service, target.local_port, target.remote_port)?;
            }
            Action::Forward(target) => forward::serve(&current()?.context("no cluster is up")?, &target)?,
        }
        Ok(())
    }
}

/// A cluster that is up.
#[derive(Clone, Debug)]
pub struct Cluster {
    engine: Engine,
}

/// Starts the cluster, or finds it running.
pub fn up(options: &Options) -> Result<Cluster> {
    let _lock = lock()?;
    let start = Instant::now();
    if let Some(record) = Record::load().unwrap_or_default() {
        let healthy = match record.engine {
            Engine::Embedded => embedded::is_healthy(&record)?,
            Engine::Kind => record.complete && program::succeeds(Cluster { engine: Engine::Kind }.kubectl_command()?.args(["get", "--raw", "/readyz"])),
        };
        if healthy {
            say::note("the cluster is up already");
            return Ok(Cluster { engine: record.engine });
        }
    }
    let record = if !options.embedded && kind::is_available() { kind::up()? } else { embedded::up()? };
    say::step(format!("the cluster is up after {}", say::took(start)));
    Ok(Cluster { engine: record.engine })
}

/// Stops the cluster and removes everything that it left.
pub fn down() -> Result<()> {
    let _lock = lock()?;
    let start = Instant::now();
    if let Some(record) = Record::load().unwrap_or_default().filter(|record| record.engine == Engine::Kind) {
        for forward in &record.forwards {
            forward.process.kill();
        }
        say::step("deleting the kind cluster");
        kind::down()?;
    }
    if clean::is_needed()? {
        say::step("stopping the cluster: processes, mounts, links, packet filter tables, cgroups and state are removed");
        clean::clean()?;
        say::note(format!("nothing of it is left after {}", say::took(start)));
    } else {
        say::note("no cluster is up, and none left anything");
    }
    Ok(())
}

/// The cluster that the last `up` left running, where there is one.
pub fn current() -> Result<Option<Cluster>> {
    Ok(Record::load()?.filter(|record| record.complete).map(|record| Cluster { engine: record.engine }))
}

impl Cluster {
    /// How the cluster runs.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The administrator's kubeconfig.
    #[expect(clippy::unused_self, reason = "only a cluster that is up has one")]
    pub fn kubeconfig(&self) -> Result<PathBuf> {
        Ok(paths::state()?.join("kubeconfig"))
    }

    /// Runs kubectl as the administrator and answers what it printed.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        program::output(self.kubectl_command()?.args(arguments))
    }

    /// Applies manifests given as text.
    pub fn apply(&self, manifests: &str) -> Result<()> {
        program::output_with_input(self.kubectl_command()?.args(["apply", "--server-side", "--force-conflicts", "--filename=-"]), manifests)?;
        Ok(())
    }

    /// kubectl as the administrator, for callers that want its output elsewhere.
    #[expect(clippy::unused_self, reason = "only a cluster that is up answers")]
    pub fn kubectl_command(&self) -> Result<Command> {
        Ok(embedded::kubectl(&paths::state()?))
    }

    /// Loads an image laid out by `images`.
    pub fn load_image(&self, image: &crate::images::Built) -> Result<()> {
        match self.engine {
            Engine::Embedded => image.import_into_containerd(&paths::state()?),
            Engine::Kind => image.with_archive(kind::load),
        }
    }

    /// Opens 127.0.0.1:`local_port` to a service until `cluster down`, and answers when it listens. A port that is open to the same
    /// service already is left as it is.
    pub fn port_forward(&self, namespace: &str, service: &str, local_port: u16, remote_port: u16) -> Result<()> {
        let _lock = lock()?;
        let mut record = Record::load()?.context("no cluster is up")?;
        if let Some(old) = record.forwards.iter().find(|forward| forward.local_port == local_port) {
            let same = old.namespace == namespace && old.service == service && old.remote_port == remote_port;
            if same && old.process.is_alive() {
                return Ok(());
            }
            old.process.kill();
            record.forwards.retain(|forward| forward.local_port != local_port);
        }
        if is_listening(local_port) {
            bail!("port {local_port} of 127.0.0.1 is taken by another program");
        }
        say::step(format!("opening 127.0.0.1:{local_port} to service {namespace}/{service}, port {remote_port}"));
        let log = paths::state()?.join("logs").join(format!("forward-{local_port}.log"));
        let mut command = program::command(own_program());
        command.args(["cluster", "forward", namespace, service]).args([local_port, remote_port].map(|port| port.to_string()));
        let tasks = if self.engine == Engine::Embedded { cgroup::create()? } else { Vec::new() };
        let process = Process::start(&format!("forward-{local_port}"), &command, &log, &tasks)?;
        let forward = Forward { namespace: namespace.into(), service: service.into(), local_port, remote_port, process: process.clone() };
        record.forwards.push(forward);
        record.save()?;
        await_listener(local_port, &process, &log)
    }
}

fn await_listener(port: u16, process: &Process, log: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_listening(port) {
        if !process.is_alive() || Instant::now() > deadline {
            bail!("127.0.0.1:{port} was not opened; the end of {}:\n{}", log.display(), program::last_lines(log, 5));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn is_listening(port: u16) -> bool {
    TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), Duration::from_millis(500)).is_ok()
}

fn status() -> Result<()> {
    let Some(record) = Record::load()? else {
        println!("no cluster is up");
        return Ok(());
    };
    let cluster = Cluster { engine: record.engine };
    println!("engine      {}", if record.engine == Engine::Kind { "kind" } else { "embedded" });
    println!("kubeconfig  {}", cluster.kubeconfig()?.display());
    for process in &record.processes {
        println!("{:<28}{}", process.name, if process.is_alive() { format!("runs as {}", process.pid) } else { "is gone".into() });
    }
    for forward in &record.forwards {
        let state = if forward.process.is_alive() { "open" } else { "closed" };
        println!("127.0.0.1:{:<18}{state}, to service {}/{} port {}", forward.local_port, forward.namespace, forward.service, forward.remote_port);
    }
    print!("{}", cluster.kubectl(&["get", "nodes,pods", "--all-namespaces", "--output=wide"])?);
    Ok(())
}

/// One `up`, `down` or change of the record at a time.
fn lock() -> Result<File> {
    let state = paths::state()?;
    fs::create_dir_all(&state).with_context(|| format!("failed to make {}", state.display()))?;
    let file = state.join("lock");
    let lock = File::create(&file).with_context(|| format!("failed to open {}", file.display()))?;
    lock.lock().with_context(|| format!("failed to lock {}", file.display()))?;
    Ok(lock)
}

/// This very program, by a path that stays right while it runs: cargo may have replaced the file behind its name since it was started.
pub fn own_program() -> String {
    format!("/proc/{}/exe", std::process::id())
}
