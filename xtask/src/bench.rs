//! `cargo xtask bench`: what we claim, measured again on this machine. It only reports: slow figures are an answer, and the command
//! fails only where it could not measure.

mod clock;
mod engines;
mod fixtures;
mod gateway;
mod guarded;
mod http;
mod machine;
mod report;
mod start;
mod statistics;
mod uploads;
mod worker;

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Subcommand;

use crate::{engines as engine_servers, paths};

/// The words after `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// What a query costs our worker, a bare driver loop and stock k6, side by side on one database; and their memory over time
    Worker(worker::Options),
    /// The same for every engine, on real servers that the command starts one after the other
    Engines(engines::Options),
    /// How fast rows get into a server by our loader, and by what the server's own makers give
    Fixtures(fixtures::Options),
    /// How fast a run starts and ends on the development cluster, how far apart its workers start, and what a killed operator costs
    Start(start::Options),
    /// What the gateway answers in a second beside a Python service over the same Postgres, with ten thousand mirrored runs; and its memory
    Gateway(gateway::Options),
    /// What the gateway has resident while gigabytes go past it into the bucket, in parts
    Uploads(uploads::Options),
}

impl Args {
    /// Carries the command out.
    pub fn run(self) -> Result<()> {
        let _lock = lock()?;
        let others = engine_servers::alive()?;
        ensure!(others.is_empty(), "{} would be measured along: `cargo xtask engines down` ends what is up", others.join(" and "));
        match self.action {
            Action::Worker(options) => worker::run(&options),
            Action::Engines(options) => engines::run(&options),
            Action::Fixtures(options) => fixtures::run(&options),
            Action::Start(options) => start::run(&options),
            Action::Gateway(options) => gateway::run(&options),
            Action::Uploads(options) => uploads::run(&options),
        }
    }
}

/// One bench at a time: two would measure each other.
fn lock() -> Result<File> {
    let cache = paths::cache()?;
    fs::create_dir_all(&cache).with_context(|| format!("failed to make {}", cache.display()))?;
    let path = cache.join("bench.lock");
    let lock = File::create(&path).with_context(|| format!("failed to open {}", path.display()))?;
    if lock.try_lock().is_err() {
        bail!("another bench is running on this machine");
    }
    Ok(lock)
}

/// A directory for the files of one bench that other users may enter, emptied at its start and removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    /// Only one bench runs at a time, so the name is free.
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join("crucible-bench");
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("failed to remove what an earlier bench left in {}", path.display()))?;
        }
        fs::create_dir(&path).with_context(|| format!("failed to make {}", path.display()))?;
        Ok(Self(path))
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed by the next bench.
        let _ = fs::remove_dir_all(&self.0);
    }
}
