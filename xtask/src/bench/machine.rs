//! What was measured on: without it no figure can be compared with another.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::{paths, program};

/// The machine, the versions of what runs on it, and how busy it is right now.
pub fn describe() -> Value {
    json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "processor": field("/proc/cpuinfo", "model name"),
        "memory": field("/proc/meminfo", "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease"),
        "system": field("/etc/os-release", "PRETTY_NAME").trim_matches('"'),
        "rustc": said(program::command("rustc").arg("--version")),
        "go": said(program::command("go").arg("version")),
        "loadAverageBefore": load_average(),
    })
}

/// The load average of one, five and fifteen minutes. A bench on a busy machine measures the other work.
pub fn load_average() -> String {
    read("/proc/loadavg").split_ascii_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// The commit that is measured, marked where the work tree differs from it.
pub fn commit() -> String {
    let git = |words: &[&str]| said(program::command("git").current_dir(paths::repository()).args(words));
    let changed = !git(&["status", "--porcelain", "--untracked-files=no"]).is_empty();
    format!("{}{}", git(&["rev-parse", "--short=12", "HEAD"]), if changed { " with changes" } else { "" })
}

/// The date and time in UTC.
pub fn date() -> String {
    said(program::command("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]))
}

/// What a program says, in one line; nothing where it cannot be asked.
pub fn said(command: &mut Command) -> String {
    program::output(command).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn field(path: &str, name: &str) -> String {
    let text = read(path);
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix([':', '=']));
    value.map(|value| value.trim().to_owned()).unwrap_or_default()
}
