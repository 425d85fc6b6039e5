//! Layers with a Debian userland: the bare system once, shared by every image that stands on it, and above it what installing an image's
//! packages changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::hash::hash_text;
use super::layer::{Blob, stored};
use crate::tools::{self, Package};
use crate::{paths, program, say};

const SUITE: &str = "bookworm";
/// Counted up where the way in which these layers are made changes.
const FORM: u32 = 1;
/// No server of the image is ever started by its installation.
const NO_SERVICES: &str = "#!/bin/sh\nexit 101\n";
/// PostgreSQL's package would make a cluster at once.
const NO_CLUSTER: &str = "create_main_cluster = false\n";
/// Documentation and package lists are nothing to a server; PostgreSQL does without its compiler where that is not there.
const PRUNED: [&str; 9] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "var/cache",
    "var/lib/apt/lists",
    "var/log",
    "usr/lib/postgresql/15/lib/bitcode",
];

/// The layers that hold Debian with these packages, from the bottom up.
pub fn layers(packages: &[&str]) -> Result<Vec<Blob>> {
    let base_key = hash_text(&format!("debian {FORM} {SUITE}"))?;
    let base = paths::cache()?.join("debian").join(format!("{SUITE}-{}", &base_key[..12]));
    let bottom = stored(&base_key, |target| pack_everything(&bootstrap(&base)?, target))?;
    let key = hash_text(&format!("{base_key} {}", packages.join(" ")))?;
    let top = stored(&key, |target| install(&bootstrap(&base)?, packages, target))?;
    Ok(vec![bottom, top])
}

/// Answers the directory with the bare system, made first where it is not there.
fn bootstrap(base: &Path) -> Result<PathBuf> {
    if base.is_dir() {
        return Ok(base.to_path_buf());
    }
    tools::ensure_packages(&[
        Package::new("debootstrap", "debootstrap"),
        Package::new("debian-archive-keyring", "/usr/share/keyrings/debian-archive-keyring.gpg"),
    ])?;
    let start = Instant::now();
    let log = paths::cache()?.join("logs/debootstrap.log");
    say::step(format!("unpacking a minimal Debian {SUITE} for images (log {})", log.display()));
    let draft = base.with_extension(format!("{}.draft", std::process::id()));
    remove(&draft)?;
    fs::create_dir_all(&draft).with_context(|| format!("failed to make {}", draft.display()))?;
    let mut debootstrap = program::command("debootstrap");
    debootstrap.args(["--variant=minbase", SUITE]).arg(&draft);
    debootstrap.args(mirror());
    program::run_logged(&mut debootstrap, &log)?;
    write(&draft.join("usr/sbin/policy-rc.d"), NO_SERVICES)?;
    program::run(program::command("chmod").arg("755").arg(draft.join("usr/sbin/policy-rc.d")))?;
    prune(&draft, &["var/lib/apt/lists", "var/log/apt"])?;
    fs::rename(&draft, base).with_context(|| format!("failed to move {} into its place", draft.display()))?;
    say::note(format!("Debian unpacked in {}", say::took(start)));
    Ok(base.to_path_buf())
}

/// Packs what installing the packages made or changed.
fn install(base: &Path, packages: &[&str], target: &Path) -> Result<()> {
    let start = Instant::now();
    let log = paths::cache()?.join("logs").join(format!("image-{}.log", packages[0]));
    say::step(format!("installing {} into an image (log {})", packages.join(" "), log.display()));
    let root = target.with_extension("root");
    remove(&root)?;
    program::run(program::command("cp").args(["--archive", "--reflink=auto"]).arg(base).arg(&root))?;
    let marker = target.with_extension("marker");
    write(&marker, "")?;
    fs::copy("/etc/resolv.conf", root.join("etc/resolv.conf")).context("failed to copy /etc/resolv.conf")?;
    fs::create_dir_all(root.join("etc/postgresql-common")).context("failed to make etc/postgresql-common in the image")?;
    write(&root.join("etc/postgresql-common/createcluster.conf"), NO_CLUSTER)?;
    program::run_logged(apt_in(&root).arg("update"), &log)?;
    program::run_logged(apt_in(&root).args(["install", "--yes", "--no-install-recommends"]).args(packages), &log)?;
    prune(&root, &PRUNED)?;
    // The just-in-time compiler is twice as large as the server; without its library PostgreSQL does not use it.
    let _ = fs::remove_file(root.join("usr/lib/postgresql/15/lib/llvmjit.so"));
    program::run(program::command("sh").args(["-c", "rm -f \"$1\"/usr/lib/*/libLLVM*", "sh"]).arg(&root))?;
    let pack = "cd \"$1\" && find . -mindepth 1 -cnewer \"$2\" ! -type s -print0 | \
        tar --create --null --no-recursion --numeric-owner --sort=name --file=\"$3\" --files-from=-";
    program::run(program::command("sh").args(["-c", pack, "sh"]).arg(&root).arg(&marker).arg(target))?;
    remove(&root)?;
    let _ = fs::remove_file(&marker);
    say::note(format!("{} installed in {}", packages.join(" "), say::took(start)));
    Ok(())
}

fn pack_everything(root: &Path, target: &Path) -> Result<()> {
    let mut tar = program::command("tar");
    tar.args(["--create", "--numeric-owner", "--sort=name", "--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*"]);
    for path in PRUNED {
        tar.arg(format!("--exclude=./{path}/*"));
    }
    program::run(tar.arg("--file").arg(target).arg("--directory").arg(root).arg("."))
}

/// Where this machine itself is a Debian, its own mirror is known to answer; debootstrap's default elsewhere.
fn mirror() -> Option<String> {
    let is_debian = fs::read_to_string("/etc/os-release").is_ok_and(|text| text.lines().any(|line| line == "ID=debian"));
    let targets = program::output(program::command("apt-get").args(["indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages"])).ok()?;
    let ours = targets.lines().find_map(|line| line.strip_suffix(SUITE).map(|site| site.trim().to_string()));
    ours.filter(|_| is_debian)
}

fn apt_in(root: &Path) -> Command {
    let mut command = program::command("chroot");
    command.arg(root).args(["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get", "--quiet"]);
    command
}

fn prune(root: &Path, paths: &[&str]) -> Result<()> {
    for path in paths {
        let directory = root.join(path);
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten().map(|entry| entry.path()) {
            remove(&entry)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).with_context(|| format!("failed to remove {}", path.display())),
        _ => Ok(()),
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("failed to write {}", file.display()))
}
