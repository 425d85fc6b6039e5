//! Programs that outlive this one: started in a session of their own, recorded by pid and start time, ended only when both match.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::program;

/// A process that we started, told apart from a later one that got the same pid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// What it is called in messages and log files
    pub name: String,
    /// The process id
    pub pid: i32,
    /// Start time in clock ticks since boot, as the kernel tells it
    pub started: u64,
    /// Which boot of the machine the start time counts from
    pub boot: String,
}

impl Process {
    /// Starts `program` in its own session, as a member of the cgroups whose task lists are `tasks`.
    pub fn start(name: &str, program: &Command, log: &Path, tasks: &[PathBuf]) -> Result<Self> {
        if let Some(directory) = log.parent() {
            fs::create_dir_all(directory).with_context(|| format!("failed to make {}", directory.display()))?;
        }
        let output = File::options().create(true).append(true).open(log).with_context(|| format!("failed to open {}", log.display()))?;
        let errors = output.try_clone().with_context(|| format!("failed to share {}", log.display()))?;
        // The shell enters the cgroups and then becomes the program, so that no child of it is ever outside.
        let mut shell = program::command("/bin/sh");
        shell.args(["-c", "while [ \"$1\" != -- ]; do echo 0 > \"$1\"; shift; done; shift; exec setsid \"$@\"", "sh"]);
        shell.args(tasks).arg("--").arg(program.get_program()).args(program.get_args());
        for (key, value) in program.get_envs() {
            if let Some(value) = value {
                shell.env(key, value);
            }
        }
        if let Some(directory) = program.get_current_dir() {
            shell.current_dir(directory);
        }
        let child = shell.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        let child = child.with_context(|| format!("failed to start {name}"))?;
        let pid = i32::try_from(child.id()).with_context(|| format!("{name} got a pid that is no pid"))?;
        let started = start_time(pid).with_context(|| format!("{name} ended at once; see {}", log.display()))?;
        Ok(Self { name: name.to_string(), pid, started, boot: boot_id() })
    }

    /// Whether the very process that we started still runs.
    pub fn is_alive(&self) -> bool {
        self.boot == boot_id() && start_time(self.pid) == Some(self.started)
    }

    /// Ends the process without asking; nothing happens where it is gone already.
    pub fn kill(&self) {
        if self.is_alive() {
            kill_pid(self.pid);
        }
    }
}

/// SIGKILL by pid. The caller has made sure whose it is.
pub fn kill_pid(pid: i32) {
    // The process may be gone by now, which is what was wanted.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

/// The start time of a live process; a zombie counts as gone.
fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, so the fields are counted from its end.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if fields.first() == Some(&"Z") {
        return None;
    }
    fields.get(19)?.parse().ok()
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_another_start_time_is_not_ours() {
        let me = Process { name: "me".into(), pid: 1, started: 1, boot: boot_id() };
        assert!(!me.is_alive());
    }

    #[test]
    fn a_process_of_another_boot_is_not_ours() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let me = Process { name: "me".into(), pid, started: start_time(pid).unwrap(), boot: "another".into() };
        assert!(!me.is_alive());
    }
}
