//! What takes part, built from this repository: the worker and its k6 as they ship, and the two yardsticks.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::tools::{self, Tool};
use crate::{paths, program, say};

/// Where the programs lie.
pub struct Programs {
    /// Our worker
    pub worker: PathBuf,
    /// Our k6
    pub k6: PathBuf,
    /// The loop over the bare driver
    pub bare: PathBuf,
    /// k6 as published, with SQL as published
    pub stock: PathBuf,
    /// How the worker was compiled
    pub profile: &'static str,
}

/// Builds what is missing.
pub fn build(debug: bool) -> Result<Programs> {
    let (worker, profile) = build_worker(debug)?;
    Ok(Programs { worker, k6: tools::ensure(Tool::K6)?, bare: peer("bare")?, stock: peer("stock-k6")?, profile })
}

/// Compiles the worker; answers where it is and how it was compiled.
pub fn build_worker(debug: bool) -> Result<(PathBuf, &'static str)> {
    let profile = if debug { "dev" } else { "release" };
    say::step(format!("compiling the worker with cargo's {profile} profile"));
    let mut cargo = program::command("cargo");
    cargo.current_dir(paths::repository()).args(["build", "--quiet", "--package", "crucible-worker", "--bin", "crucible-worker", "--profile", profile]);
    program::run(&mut cargo)?;
    Ok((paths::target().join(if debug { "debug" } else { "release" }).join("crucible-worker"), profile))
}

/// Go's own cache makes this quick where nothing has changed.
fn peer(name: &str) -> Result<PathBuf> {
    if program::find("go").is_none() {
        bail!("Go is missing: {name} is built from the Go module in bench/peers/{name}; install Go 1.26 or newer and put it on the PATH");
    }
    let to = paths::target().join("bench").join(name);
    let log = paths::cache()?.join("logs").join(format!("build-{name}.log"));
    say::step(format!("building {name} from the Go module in bench/peers/{name} (log {})", log.display()));
    let mut go = program::command("go");
    go.env("CGO_ENABLED", "0").current_dir(paths::repository().join("bench/peers").join(name));
    go.args(["build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o"]).arg(&to).arg(".");
    program::run_logged(&mut go, Path::new(&log))?;
    Ok(to)
}
