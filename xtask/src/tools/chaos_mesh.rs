//! Chaos Mesh, built from its Go module together with the small programs of ours that its daemon calls. One build makes them all, so
//! that what they share is compiled once; the chart that the module brings along is kept beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::apt::{Package, ensure_packages};
use super::go;
use crate::{paths, program, say};

const MODULE: &str = "github.com/chaos-mesh/chaos-mesh";
/// Where the module looks for the machine code that it writes over a target's clock, and the sources of it.
const CLOCKS: &str = "pkg/time/fakeclock";
/// Where libc6-dev puts the C library for programs that bring their own.
const STATIC_C_LIBRARY: &str = if cfg!(target_arch = "aarch64") { "/usr/lib/aarch64-linux-gnu/libc.a" } else { "/usr/lib/x86_64-linux-gnu/libc.a" };
/// Counted up where the way in which this is built changes.
const FORM: &str = "form 1: static, cgo";

/// What was built.
#[derive(Clone, Debug)]
pub struct ChaosMesh {
    directory: PathBuf,
}

impl ChaosMesh {
    /// The path of a program: those of the module by the names of their packages, ours by the names of their directories.
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join("bin").join(name)
    }

    /// The chart of the same version.
    pub fn chart(&self) -> PathBuf {
        self.directory.join("chart")
    }
}

/// Answers where everything lies, built first where the cache lacks it.
pub fn ensure_chaos_mesh() -> Result<ChaosMesh> {
    let ours = paths::repository().join("dev/chaos-mesh");
    let tools = paths::cache()?.join("tools");
    let directory = tools.join(format!("chaos-mesh-{}", go::module_key(&ours, FORM)?));
    if !directory.is_dir() {
        go::require("Chaos Mesh")?;
        // The daemon stops other programs and writes into them, for which its authors use C.
        ensure_packages(&[Package::new("gcc", "cc"), Package::new("libc6-dev", STATIC_C_LIBRARY)])?;
        let start = Instant::now();
        let draft = tools.join(format!("chaos-mesh.{}.draft", std::process::id()));
        remove(&draft)?;
        build(&ours, &draft).context("failed to build Chaos Mesh")?;
        fs::rename(&draft, &directory).with_context(|| format!("failed to move {} to {}", draft.display(), directory.display()))?;
        say::note(format!("Chaos Mesh built in {}", say::took(start)));
    }
    Ok(ChaosMesh { directory })
}

fn build(ours: &Path, draft: &Path) -> Result<()> {
    let log = paths::cache()?.join("logs/build-chaos-mesh.log");
    say::step(format!("building Chaos Mesh from the Go module in dev/chaos-mesh (minutes the first time; log {})", log.display()));
    let source = draft.join("source");
    copy_module(ours, &source)?;
    compile_clocks(&source.join(CLOCKS))?;
    let module = draft.join("go.mod");
    for name in ["go.mod", "go.sum"] {
        fs::copy(ours.join(name), draft.join(name)).with_context(|| format!("failed to copy {name}"))?;
    }
    program::output(program::command("go").args(["mod", "edit", "-replace"]).arg(format!("{MODULE}={}", source.display())).arg(&module))?;
    let mut go = program::command("go");
    go.current_dir(ours).env("CGO_ENABLED", "1").arg("build").arg(format!("-modfile={}", module.display()));
    // Static, because the image's C library need not be this machine's; then names are looked up by Go's own code.
    go.args(["-trimpath", "-buildvcs=false", "-tags=netgo,osusergo", "-ldflags=-s -w -linkmode external -extldflags -static"]);
    go.arg("-o").arg(draft.join("bin/")).args(["tool", "./pause", "./nsexec", "./memstress"]);
    fs::create_dir_all(draft.join("bin")).context("failed to make a directory for the programs")?;
    program::run_logged(&mut go, &log)?;
    let chart = source.join("helm/chaos-mesh");
    fs::rename(&chart, draft.join("chart")).with_context(|| format!("failed to keep {}", chart.display()))?;
    remove(&source)
}

/// The module as it was published is read-only and lacks files that its authors make before they build: a copy gets them.
fn copy_module(ours: &Path, source: &Path) -> Result<()> {
    let told = program::output(program::command("go").current_dir(ours).args(["mod", "download", "-json", MODULE]))?;
    let told: Value = serde_json::from_str(&told).context("go told of the module in an unknown form")?;
    let Some(published) = told["Dir"].as_str() else { bail!("go did not say where {MODULE} lies") };
    fs::create_dir_all(source.parent().unwrap_or(source)).with_context(|| format!("failed to make the directory of {}", source.display()))?;
    program::run(program::command("cp").args(["--recursive", published]).arg(source))?;
    program::run(program::command("chmod").args(["--recursive", "u+w"]).arg(source))
}

fn compile_clocks(directory: &Path) -> Result<()> {
    for name in ["fake_clock_gettime", "fake_gettimeofday"] {
        let mut compile: Command = program::command("cc");
        compile.current_dir(directory).args(["-c", "-fPIE", "-O2", &format!("{name}.c"), "-o", &format!("{name}.o")]);
        if cfg!(target_arch = "aarch64") {
            compile.arg("-mcmodel=tiny");
        }
        program::output(&mut compile)?;
    }
    Ok(())
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).with_context(|| format!("failed to remove {}", directory.display())),
        _ => Ok(()),
    }
}
