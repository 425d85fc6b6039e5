//! Running other programs: each failure names the program, its arguments and what it said.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A command whose search path holds the system directories too: a root shell does not always list them.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", search_path());
    command
}

/// Runs to the end with the terminal's own output.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("failed to start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs to the end and answers its standard output; what it wrote to standard error is in the error.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("failed to start {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} ended with {}: {}", shown(command), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Like `output`, with `text` on its standard input.
pub fn output_with_input(command: &mut Command, text: &str) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("failed to start {}", shown(command)))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes()).with_context(|| format!("failed to write to {}", shown(command)))?;
    }
    let output = child.wait_with_output().with_context(|| format!("failed to wait for {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} ended with {}: {}", shown(command), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs to the end with all output in a log file, whose last lines are in the error.
pub fn run_logged(command: &mut Command, log: &Path) -> Result<()> {
    if let Some(directory) = log.parent() {
        std::fs::create_dir_all(directory).with_context(|| format!("failed to make {}", directory.display()))?;
    }
    let file = File::create(log).with_context(|| format!("failed to create {}", log.display()))?;
    let errors = file.try_clone().with_context(|| format!("failed to share {}", log.display()))?;
    let status = command.stdin(Stdio::null()).stdout(file).stderr(errors).status();
    let status = status.with_context(|| format!("failed to start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}; the end of {}:\n{}", shown(command), log.display(), last_lines(log, 15));
    }
    Ok(())
}

/// Whether the program runs and succeeds; nothing is printed.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The program's place on the search path.
pub fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path()).map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// The last lines of a log file, or a word on why there are none.
pub fn last_lines(log: &Path, count: usize) -> String {
    match std::fs::read(log) {
        Ok(content) => {
            let text = String::from_utf8_lossy(&content);
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(count)..].join("\n")
        }
        Err(error) => format!("(failed to read {}: {error})", log.display()),
    }
}

fn search_path() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin:/usr/local/go/bin");
    path
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
