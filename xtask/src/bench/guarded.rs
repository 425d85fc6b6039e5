//! Programs that must not outlive the bench: asked to end when their owner is done with them, and ended by the kernel should the bench
//! itself be killed. Also what such a program and its children cost.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::program;
use crate::tools::{self, Package};

/// How long a program may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(15);
/// What the kernel counts processor time in, for every program: `USER_HZ` is 100 wherever Linux runs.
const TICKS_PER_SECOND: u32 = 100;
/// The size of a page of memory in `/proc`, on the machines that this is run on.
const PAGE: u64 = 4096;

/// An account of this machine, by its numbers: a user's group may have another name.
#[derive(Clone, Copy, Debug)]
pub struct User {
    /// Of the user
    pub uid: u32,
    /// Of the group
    pub gid: u32,
}

/// A command that is ended with this process. As another user where one is given, which only root can ask for.
pub fn command(program: &Path, user: Option<User>) -> Result<Command> {
    tools::ensure_packages(&[Package::new("util-linux", "setpriv")])?;
    let mut command = program::command(program::find("setpriv").context("setpriv is not on the search path")?);
    if let Some(User { uid, gid }) = user {
        command.args(["--reuid", &uid.to_string(), "--regid", &gid.to_string(), "--clear-groups"]);
    }
    // Last, because a change of user takes the wish back.
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    Ok(command)
}

/// A program that runs. Dropping it ends it.
pub struct Guarded {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Guarded {
    /// Starts a command made by [`command`]; what it writes to standard error goes to `log`, its standard output to `output` or nowhere.
    pub fn start(name: &str, command: &mut Command, log: &Path, output: Option<&Path>) -> Result<Self> {
        let create = |path: &Path| File::create(path).with_context(|| format!("failed to create {}", path.display()));
        let output = output.map_or_else(|| Ok(Stdio::null()), |path| create(path).map(Stdio::from))?;
        let child = command.stdin(Stdio::null()).stdout(output).stderr(create(log)?).spawn().with_context(|| format!("failed to start {name}"))?;
        Ok(Self { name: name.into(), child, log: log.into() })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, where it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("failed to look at {}", self.name))
    }

    /// The end of its log.
    pub fn last_lines(&self) -> String {
        program::last_lines(&self.log, 15)
    }

    /// An error that quotes the log where the program has ended.
    pub fn require_alive(&mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("{} ended with {status}; the end of its log:\n{}", self.name, self.last_lines());
        }
        Ok(())
    }

    /// Waits for its own end, which has to be a success.
    pub fn finish(&mut self, at_most: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            match self.ended()? {
                Some(status) if status.success() => return Ok(()),
                Some(_) => return self.require_alive(),
                None if begun.elapsed() > at_most => bail!("{} did not end within {} s", self.name, at_most.as_secs()),
                None => sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Asks it to end and sees to it.
    pub fn end(&mut self) {
        let begun = Instant::now();
        self.signal(Signal::SIGTERM);
        while matches!(self.child.try_wait(), Ok(None)) {
            if begun.elapsed() > PATIENCE {
                self.signal(Signal::SIGKILL);
                // The kernel ends it; only the exit status is fetched here.
                let _ = self.child.wait();
                return;
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// Our own child keeps its number until it is waited for, so the signal cannot reach another one.
    fn signal(&mut self, signal: Signal) {
        if let (Ok(None), Ok(pid)) = (self.child.try_wait(), i32::try_from(self.child.id())) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.end();
    }
}

/// User and system seconds of a process and all its descendants, children that have ended included.
pub fn cpu_seconds(root: u32) -> f64 {
    loop {
        let before = tree(root);
        let ticks: u32 = before.iter().filter_map(|pid| stat(*pid)).map(|stat| stat.ticks).sum();
        // A child that ended in between would count twice, or not at all.
        if before == tree(root) {
            return f64::from(ticks) / f64::from(TICKS_PER_SECOND);
        }
    }
}

/// Resident bytes of a process and all its descendants; nothing where it is gone.
pub fn resident_bytes(root: u32) -> Option<u64> {
    let of = |pid: u32| fs::read_to_string(format!("/proc/{pid}/statm")).ok()?.split_ascii_whitespace().nth(1)?.parse::<u64>().ok();
    let pages: Vec<u64> = tree(root).into_iter().filter_map(of).collect();
    (!pages.is_empty()).then(|| pages.iter().sum::<u64>() * PAGE).filter(|bytes| *bytes > 0)
}

/// The most bytes that a process has had resident so far; nothing where it is gone.
pub fn peak_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// The first child of a process.
pub fn child_of(parent: u32) -> Option<u32> {
    tree(parent).into_iter().find(|pid| *pid != parent && stat(*pid).is_some_and(|stat| stat.parent == parent))
}

struct Stat {
    parent: u32,
    ticks: u32,
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in parentheses may hold anything, so the fields are counted from its end.
fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u32>()).sum::<Result<u32, _>>().ok()?;
    Some(Stat { parent: fields.get(1)?.parse().ok()?, ticks })
}

fn tree(root: u32) -> BTreeSet<u32> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = pids.filter_map(|pid| Some((pid, stat(pid)?.parent))).collect();
    let mut found: BTreeSet<u32> = parents.iter().map(|(pid, _)| *pid).filter(|pid| *pid == root).collect();
    loop {
        let more: Vec<u32> = parents.iter().filter(|(pid, parent)| found.contains(parent) && !found.contains(pid)).map(|(pid, _)| *pid).collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_children_that_have_ended_counts() {
        let stat = parse_stat("42 (k6) (x) S 7 42 42 0 -1 4194304 100 0 0 0 150 50 30 4 20 0 9 0 1000 1 1").unwrap();
        assert_eq!((stat.parent, stat.ticks), (7, 234));
    }

    #[test]
    fn this_process_has_memory_and_its_child_is_found() {
        let mut child = Command::new("sleep").arg("5").spawn().unwrap();
        assert!(child_of(std::process::id()).is_some());
        assert!(tree(std::process::id()).contains(&child.id()));
        assert!(resident_bytes(std::process::id()).unwrap() > 1 << 20);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
