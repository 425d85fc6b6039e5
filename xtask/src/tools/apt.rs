//! Installs missing Debian or Ubuntu packages. A package counts as present when the file that it is wanted for is there, however it
//! came.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{program, say};

/// A package, and the program or absolute path that shows that it is installed.
#[derive(Clone, Copy)]
pub struct Package {
    /// The name that apt knows
    pub name: &'static str,
    /// A program on the search path, or a file by its full path
    pub proof: &'static str,
}

impl Package {
    /// A package that is wanted for one program.
    pub const fn new(name: &'static str, proof: &'static str) -> Self {
        Self { name, proof }
    }

    fn is_present(self) -> bool {
        if self.proof.starts_with('/') { Path::new(self.proof).exists() } else { program::find(self.proof).is_some() }
    }
}

/// Installs the packages that are missing, having said which; does nothing else where all are present.
pub fn ensure_packages(packages: &[Package]) -> Result<()> {
    let missing = missing(packages);
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let list = names.join(" ");
    if program::find("apt-get").is_none() {
        bail!("these are missing, and there is no apt-get to install them with: {list}");
    }
    say::step(format!("installing Debian packages: {list}"));
    if names.contains(&"containerd") && Path::new("/run/systemd/system").exists() {
        say::note("the containerd package starts a service of its own; ours has its own directories and leaves that one alone");
    }
    let log = crate::paths::cache()?.join("logs/apt.log");
    program::run_logged(apt_get().args(["update", "-q"]), &log).with_context(|| format!("failed to update the package lists for {list}"))?;
    program::run_logged(apt_get().args(["install", "-q", "-y", "--no-install-recommends"]).args(&names), &log)
        .with_context(|| format!("failed to install {list}"))?;
    let still = self::missing(packages);
    if let Some(package) = still.first() {
        bail!("package {} was installed but {} is still not there", package.name, package.proof);
    }
    Ok(())
}

fn missing(packages: &[Package]) -> Vec<Package> {
    packages.iter().copied().filter(|package| !package.is_present()).collect()
}

fn apt_get() -> std::process::Command {
    let mut command = program::command("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "DPkg::Lock::Timeout=300"]);
    command
}
