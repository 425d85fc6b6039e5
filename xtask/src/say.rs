//! What the developer reads on the terminal: plain lines, one for each thing that is about to be installed, built, started or removed.

use std::process::ExitCode;
use std::time::Instant;

/// Says what is about to happen; called before it does.
pub fn step(line: impl AsRef<str>) {
    eprintln!("==> {}", line.as_ref());
}

/// Says something worth knowing that changes nothing.
pub fn note(line: impl AsRef<str>) {
    eprintln!("    {}", line.as_ref());
}

/// Seconds since `start`, for the end of a line.
pub fn took(start: Instant) -> String {
    format!("{:.1} s", start.elapsed().as_secs_f64())
}

/// The last words of a command that failed: what failed, and why, from the outside in.
pub fn failure(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
