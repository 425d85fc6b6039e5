//! The cgroup `/crucible`: every process of the embedded cluster and of its pods is below it, which makes them ours to end even where
//! their parents have died. Works with the one hierarchy of cgroup v2 and the many of v1.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::process::kill_pid;

const NAME: &str = "crucible";
/// Where the cluster's own programs are, as the pods are under `kubepods`.
const SYSTEM: &str = "crucible/system";
/// Hierarchies of cgroup v1 in which the cluster's own programs are counted: the first that is there. Joining the one that shares out
/// memory would take them out of the limit that the machine's other work is under.
const COUNTING: [&str; 3] = ["pids", "freezer", "systemd"];

struct Hierarchy {
    mount: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One of the many of v1
    Legacy,
    /// The only one, of v2
    Unified,
    /// That of v2 beside those of v1: it shares nothing out, and runc makes groups in it all the same
    Spare,
}

/// Makes the cgroups and answers the task lists that the cluster's own programs join.
///
/// One of them is where the processor is shared out: as single tasks of the machine, etcd and the API server got none of it for as long
/// as pods under load could use all of it, half a minute at a time.
pub fn create() -> Result<Vec<PathBuf>> {
    let all = hierarchies()?;
    for hierarchy in all.iter().filter(|hierarchy| hierarchy.kind != Kind::Spare) {
        let ours = hierarchy.mount.join(NAME);
        fs::create_dir_all(&ours).with_context(|| format!("failed to make the cgroup {}", ours.display()))?;
        if hierarchy.kind == Kind::Unified {
            share_controllers(&hierarchy.mount, &ours)?;
        } else {
            inherit_cpuset(&hierarchy.mount, &ours);
        }
        // Against the machine's other work the whole cluster counts as a few processors' worth, not as one task among many.
        let _ = fs::write(ours.join("cpu.shares"), "4096");
        let _ = fs::write(ours.join("cpu.weight"), "400");
    }
    let home = home(&all).context("no cgroup hierarchy is mounted below /sys/fs/cgroup")?;
    let processor = all.iter().filter(|hierarchy| hierarchy.shares_processor()).map(|hierarchy| hierarchy.mount.as_path());
    let mut tasks = Vec::new();
    for mount in processor.chain([home]) {
        let system = mount.join(SYSTEM);
        fs::create_dir_all(&system).with_context(|| format!("failed to make the cgroup {}", system.display()))?;
        // Twice what all pods together have by the kubelet's count of two processors.
        let _ = fs::write(system.join("cpu.shares"), "4096");
        let _ = fs::write(system.join("cpu.weight"), "400");
        tasks.push(system.join("cgroup.procs"));
    }
    tasks.dedup();
    Ok(tasks)
}

/// Whether anything of ours is left.
pub fn exists() -> bool {
    hierarchies().is_ok_and(|all| all.iter().any(|hierarchy| hierarchy.mount.join(NAME).exists()))
}

/// Ends every process below our cgroup and removes the cgroup from every hierarchy.
pub fn remove() -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let all = hierarchies()?;
    let roots: Vec<PathBuf> = all.iter().map(|hierarchy| hierarchy.mount.join(NAME)).filter(|path| path.exists()).collect();
    loop {
        let members: Vec<i32> = roots.iter().flat_map(|root| members(root)).collect();
        if members.is_empty() && roots.iter().all(|root| remove_tree(root)) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the cgroup /{NAME} still holds the processes {members:?}");
        }
        for pid in members {
            kill_pid(pid);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The mounted hierarchies, from the kernel's own list.
fn hierarchies() -> Result<Vec<Hierarchy>> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("failed to read the list of mounts")?;
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        if let [_, mount, kind @ ("cgroup" | "cgroup2"), ..] = fields[..]
            && mount.starts_with("/sys/fs/cgroup")
        {
            let kind = if kind == "cgroup2" { Kind::Unified } else { Kind::Legacy };
            found.push(Hierarchy { mount: PathBuf::from(mount), kind });
        }
    }
    if found.iter().any(|hierarchy| hierarchy.kind == Kind::Legacy) {
        for hierarchy in found.iter_mut().filter(|hierarchy| hierarchy.kind == Kind::Unified) {
            hierarchy.kind = Kind::Spare;
        }
    }
    Ok(found)
}

impl Hierarchy {
    /// Whether it is the hierarchy of cgroup v1 that says who gets the processor.
    fn shares_processor(&self) -> bool {
        let name = self.mount.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        self.kind == Kind::Legacy && name.split(',').any(|controller| controller == "cpu")
    }
}

fn home(all: &[Hierarchy]) -> Option<&Path> {
    let named = COUNTING.iter().find_map(|name| all.iter().find(|hierarchy| hierarchy.mount.ends_with(name)));
    named.or(all.first()).map(|hierarchy| hierarchy.mount.as_path())
}

/// In v2 a group has only the controllers that each group above it hands down.
fn share_controllers(root: &Path, ours: &Path) -> Result<()> {
    let wanted = "+cpuset +cpu +io +memory +pids";
    for group in [root, ours] {
        let file = group.join("cgroup.subtree_control");
        fs::write(&file, wanted).with_context(|| format!("failed to hand {wanted} down in {}", file.display()))?;
    }
    Ok(())
}

/// In v1 a new cpuset is empty, and no task can enter it.
fn inherit_cpuset(root: &Path, ours: &Path) {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if let Ok(value) = fs::read_to_string(root.join(name)) {
            let _ = fs::write(ours.join(name), value.trim());
        }
    }
}

fn members(group: &Path) -> Vec<i32> {
    // A frozen process cannot die.
    let _ = fs::write(group.join("freezer.state"), "THAWED");
    let _ = fs::write(group.join("cgroup.freeze"), "0");
    let list = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let own = list.lines().filter_map(|line| line.trim().parse().ok());
    own.chain(children(group).iter().flat_map(|child| members(child))).collect()
}

/// Removes the group from its leaves up; false while a leaf is still busy.
fn remove_tree(group: &Path) -> bool {
    let emptied = children(group).iter().all(|child| remove_tree(child));
    emptied && (fs::remove_dir(group).is_ok() || !group.exists())
}

fn children(group: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(group) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}
