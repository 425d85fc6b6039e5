//! Takes everything of the embedded cluster away: processes, mounts, links, packet filter tables, cgroups, files. `down` calls it, and
//! so does `up` before it starts where a cluster died uncleanly. Each part looks for what is there and needs no other part to have run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::record::Record;
use super::{cgroup, network};
use crate::{paths, program, say};

/// Directories that kubelet and containerd make outside their own, whatever they are told.
const FOREIGN_DIRECTORIES: [&str; 11] = [
    "/var/log/containers",
    "/var/lib/kubelet",
    "/var/lib/kubelet/device-plugins",
    "/run/containerd",
    "/run/containerd/s",
    "/run/mount",
    "/run/netns",
    "/var/lib/cni",
    "/var/lib/cni/results",
    "/var/lib/cni/networks",
    // Chaos Mesh's daemon asks to see it, and containerd makes what a pod asks to see.
    "/lib/modules",
];

/// Whether an earlier cluster left anything.
pub fn is_needed() -> Result<bool> {
    Ok(Record::load()?.is_some() || cgroup::exists() || network::exists() || !mounts_below(&paths::state()?)?.is_empty())
}

/// The directories of `FOREIGN_DIRECTORIES` that are not there now.
pub fn absent_directories() -> Vec<PathBuf> {
    FOREIGN_DIRECTORIES.iter().map(PathBuf::from).filter(|directory| !directory.exists()).collect()
}

/// Removes everything; what is not there is passed over.
pub fn clean() -> Result<()> {
    let state = paths::state()?;
    // A record that cannot be read must not keep the rest from being removed.
    let record = Record::load().ok().flatten();
    if let Some(record) = &record {
        for process in record.forwards.iter().map(|forward| &forward.process).chain(&record.processes) {
            process.kill();
        }
    }
    cgroup::remove()?;
    let sockets = shim_sockets(&state);
    unmount_below(&state)?;
    network::remove()?;
    for socket in sockets {
        let _ = fs::remove_file(socket);
    }
    remove_log_links(&state.join("pods"));
    remove_address_results();
    if let Some(record) = &record {
        network::restore_kernel_settings(&record.kernel_settings)?;
        remove_made_directories(&record.made_directories);
    }
    remove_state(&state)
}

/// Mount points below the directory, the deepest first.
fn mounts_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mounts").context("failed to read the list of mounts")?;
    let points = table.lines().filter_map(|line| line.split(' ').nth(1)).map(|point| PathBuf::from(point.replace("\\040", " ")));
    let mut below: Vec<PathBuf> = points.filter(|point| point.starts_with(directory)).collect();
    below.reverse();
    Ok(below)
}

fn unmount_below(directory: &Path) -> Result<()> {
    let points = mounts_below(directory)?;
    if points.is_empty() {
        return Ok(());
    }
    // One call for all; what is still busy is detached, and leaves with its last user.
    program::succeeds(program::command("umount").args(&points));
    let left = mounts_below(directory)?;
    if !left.is_empty() {
        program::succeeds(program::command("umount").arg("--lazy").args(&left));
    }
    if let Some(point) = mounts_below(directory)?.first() {
        bail!("failed to unmount {}", point.display());
    }
    Ok(())
}

/// The sockets of containerd's shims lie outside its directories; each shim's directory names its own.
fn shim_sockets(state: &Path) -> Vec<PathBuf> {
    let tasks = state.join("containerd/state/io.containerd.runtime.v2.task/k8s.io");
    let Ok(entries) = fs::read_dir(tasks) else { return Vec::new() };
    let addresses = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path().join("address")).ok());
    addresses.filter_map(|address| address.trim().strip_prefix("unix://").map(PathBuf::from)).collect()
}

/// kubelet links every container's log into one directory of the machine's.
fn remove_log_links(pod_logs: &Path) {
    let Ok(entries) = fs::read_dir("/var/log/containers") else { return };
    for link in entries.flatten().map(|entry| entry.path()) {
        if fs::read_link(&link).is_ok_and(|target| target.starts_with(pod_logs)) {
            let _ = fs::remove_file(link);
        }
    }
}

/// containerd's CNI library keeps what each plugin answered, for our network and for the loopback of the same pod.
fn remove_address_results() {
    let directory = Path::new("/var/lib/cni/results");
    let Ok(entries) = fs::read_dir(directory) else { return };
    for name in entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()) {
        if let Some(pod) = name.strip_prefix("crucible-").and_then(|rest| rest.strip_suffix("-eth0")) {
            let _ = fs::remove_file(directory.join(&name));
            let _ = fs::remove_file(directory.join(format!("cni-loopback-{pod}-lo")));
        }
    }
}

/// Only directories that `up` did not find, and of their content only what kubelet keeps for device plugins.
fn remove_made_directories(directories: &[PathBuf]) {
    let mut deepest_first = directories.to_vec();
    deepest_first.sort_by_key(|directory| std::cmp::Reverse(directory.components().count()));
    for directory in deepest_first {
        if directory.ends_with("device-plugins") {
            let _ = fs::remove_dir_all(&directory);
        }
        // Fails where somebody else has put something there since, which is right.
        let _ = fs::remove_dir(&directory);
    }
}

/// The lock outlives the rest: whoever waits for it must wait for the same file.
fn remove_state(state: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(state) else { return Ok(()) };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.ends_with("lock") {
            continue;
        }
        let removed = if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("failed to remove {}", path.display()))?;
    }
    Ok(())
}

/// Says what is about to be removed, then removes it.
pub fn clean_leftovers() -> Result<()> {
    if is_needed()? {
        say::step("removing what an earlier cluster left: processes, mounts, links, packet filter tables, cgroups, state");
        clean()?;
    }
    Ok(())
}
