//! `cargo xtask test`: every ring, from the linter to stories on a real cluster. Each prints its counts; the last line holds the totals,
//! alone. What cannot run is a failure: nothing is skipped.

mod contract;
mod go;
mod licences;
mod mcp;
mod pages;
mod rings;
mod tally;

use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};

use self::tally::Tally;
use crate::cluster::{self, Cluster};
use crate::{chaos, chart, paths, say};

/// The words after `cargo xtask test`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: cluster::Options,
    /// Leave the cluster up, also where this command started it
    #[arg(long)]
    keep: bool,
    /// Run the rings alone whose names hold one of these words, after the preparation and the installation; for work on one of them
    #[arg(long, value_name = "WORD")]
    only: Vec<String>,
}

impl Args {
    /// Carries the command out.
    pub fn run(self) -> ExitCode {
        let start = Instant::now();
        let was_up = cluster::current().is_ok_and(|cluster| cluster.is_some());
        let mut total = Tally::default();
        let asked = |name: &str| self.only.is_empty() || self.only.iter().any(|word| name.contains(word.as_str()));
        let run = |total: &mut Tally, name: &str, of: &dyn Fn() -> Result<((), Tally)>| {
            if asked(name) {
                ring(total, name, of);
            }
        };
        // First what takes longest and needs nobody: the programs of the cluster beside those of the workspace.
        let cluster = ring(&mut total, "preparation", || prepare(&self.cluster));
        run(&mut total, "lint", &rings::lint);
        run(&mut total, "unit tests, scenarios and fault sweeps", &rings::units);
        run(&mut total, "Go", &go::run);
        run(&mut total, "engines on real servers", &|| Ok(((), go::engines())));
        run(&mut total, "fixtures into real servers", &rings::fixtures);
        run(&mut total, "chart", &rings::chart);
        if let Some(cluster) = &cluster {
            let failed_before = total.failed;
            if ring(&mut total, "installation", || install(cluster)).is_some() {
                run(&mut total, "k6 against MariaDB", &|| go::integration(cluster));
                run(&mut total, "ledger against PostgreSQL", &|| rings::ledger(cluster));
                run(&mut total, "vault against the S3 server", &|| rings::vault(cluster));
                run(&mut total, "REST contract, from outside", &|| contract::run(cluster));
                run(&mut total, "pages and reports in a browser", &|| pages::run(cluster));
                run(&mut total, "MCP, from outside", &|| mcp::run(cluster));
                run(&mut total, "stories on the cluster", &|| rings::stories(cluster));
            }
            if total.failed > failed_before {
                explain(cluster);
            }
        } else {
            say::note("the stories on the cluster count as failed: there is no cluster to tell them on");
            total.failed += 1;
        }
        if !self.keep && !was_up {
            ring(&mut total, "clean-up", || cluster::down().map(|()| ((), Tally::default())));
        }
        if !self.only.is_empty() {
            say::note(format!("only rings with {} were run", self.only.join(", ")));
        }
        say::note(format!("all of it took {}", say::took(start)));
        println!("{} passed, {} failed", total.passed, total.failed);
        if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Runs one ring and adds what it counted. A ring that could not run to its end is one failure more.
fn ring<T>(total: &mut Tally, name: &str, run: impl FnOnce() -> Result<(T, Tally)>) -> Option<T> {
    let start = Instant::now();
    say::step(format!("ring: {name}"));
    let (made, mut counted) = match run() {
        Ok((made, counted)) => (Some(made), counted),
        Err(error) => {
            eprintln!("{error:#}");
            (None, Tally { passed: 0, failed: 1 })
        }
    };
    if made.is_none() && counted.failed == 0 {
        counted.failed = 1;
    }
    say::note(format!("{name}: {} passed, {} failed after {}", counted.passed, counted.failed, say::took(start)));
    total.add(counted);
    made
}

/// Compiles every program and test of the workspace while the cluster's own programs are built and started.
fn prepare(options: &cluster::Options) -> Result<(Cluster, Tally)> {
    let cluster = thread::scope(|threads| {
        let compiling = threads.spawn(rings::compile);
        let cluster = cluster::up(options)?;
        // Some stories break things.
        chaos::install(&cluster)?;
        match compiling.join() {
            Ok(compiled) => compiled.map(|()| cluster),
            Err(_) => bail!("the thread that compiles the workspace panicked"),
        }
    })?;
    Ok((cluster, Tally::default()))
}

fn install(cluster: &Cluster) -> Result<((), Tally)> {
    chart::install(cluster, chart::Content::Stories)?;
    chart::open_ports(cluster)?;
    Ok(((), Tally::default()))
}

/// Says where to look.
fn explain(cluster: &Cluster) {
    match chart::diagnose(cluster, &tally::logs().join("diagnostics.txt")) {
        Ok(file) => say::note(format!("pods, runs, events and the operator's log are in {}", file.display())),
        Err(error) => eprintln!("{error:#}"),
    }
    if let Ok(state) = paths::state() {
        say::note(format!("logs of the cluster's own programs are in {} while it is up", state.join("logs").display()));
    }
}
