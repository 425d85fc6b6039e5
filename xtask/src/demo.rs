//! `cargo xtask demo`: from a bare machine to a load test with a verdict, in one command. It says what it is about to do, does it, and
//! ends with an error where the run did not end `Completed`.

mod progress;
mod report;

use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::cluster::{self, Cluster};
use crate::images::{self, Programs};
use crate::{chart, paths, program, say};

const INTENTIONS: &str = "\
This brings up a development cluster on this machine, installs Crucible and runs one load test against a MariaDB in it.
Where they are missing, it installs Debian packages (containerd, runc, CNI plugins, nftables, debootstrap and a few more) and builds,
once, into the cache: Kubernetes, CoreDNS, Helm, an S3 server and k6 from Go modules, two database images from Debian packages, and
this workspace. It opens ports 8000, 8001, 9000, 3306 and 5432 of 127.0.0.1. `cargo xtask cluster down` ends and removes all that runs.";

/// The words after `cargo xtask demo`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: cluster::Options,
}

impl Args {
    /// Carries the command out.
    pub fn run(self) -> Result<()> {
        let start = Instant::now();
        say::step(INTENTIONS);
        let cluster = prepare(&self.cluster)?;
        chart::open_ports(&cluster)?;
        let samples = paths::repository().join("dev/samples");
        say::step("applying dev/samples/plan.yaml, creating a run from dev/samples/run.yaml");
        program::output(cluster.kubectl_command()?.args(["apply", "--filename"]).arg(samples.join("plan.yaml")))?;
        let created = program::output(cluster.kubectl_command()?.args(["create", "--output=name", "--filename"]).arg(samples.join("run.yaml")))?;
        let run = created.trim().rsplit_once('/').context("kubectl did not say what it created")?.1.to_string();
        say::note(format!("kubectl --namespace {} get testrun {run} --watch", chart::TESTS_NAMESPACE));
        let last = progress::follow(&cluster, &run)?;
        report::print(&cluster, &run, &last)?;
        say::note(format!("the demo took {}", say::took(start)));
        let phase = last.pointer("/status/phase").and_then(|phase| phase.as_str()).unwrap_or_default();
        if phase != "Completed" {
            let file = chart::diagnose(&cluster, &paths::state()?.join("logs/diagnostics.txt"))?;
            bail!("run {run} ended {phase}; what the cluster tells lies in {}", file.display());
        }
        Ok(())
    }
}

/// The cluster with the chart in it. The Rust programs are compiled while the cluster's own programs are built and started.
pub fn prepare(options: &cluster::Options) -> Result<Cluster> {
    let cluster = thread::scope(|threads| {
        let compiling = threads.spawn(|| images::compile(&Programs::Dev));
        let cluster = cluster::up(options)?;
        match compiling.join() {
            Ok(compiled) => compiled.map(|()| cluster),
            Err(_) => bail!("the thread that compiles the Rust programs panicked"),
        }
    })?;
    chart::install(&cluster, chart::Content::Demo)?;
    Ok(cluster)
}
