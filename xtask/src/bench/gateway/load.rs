//! wrk: what it is told to ask, and what it says it was answered. A refused or broken request is an error of the bench, not a figure.

use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::contender::Server;
use crate::bench::guarded;
use crate::bench::statistics::{number, rounded};
use crate::{paths, program};

/// The line that the script prints at the end begins so.
const MARK: &str = "wrk ";

/// Which processor a program gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(&'static str);

impl Place {
    /// Where the servers run.
    pub const SERVER: Self = Self("0");
    /// Where the load generator runs.
    pub const LOAD: Self = Self("1");

    /// The words before a program that put it there. With a single processor there is nothing to choose.
    pub fn words(self) -> Vec<String> {
        let several = available_parallelism().is_ok_and(|processors| processors.get() > 1);
        if several { ["taskset", "--cpu-list", self.0].map(str::to_owned).to_vec() } else { Vec::new() }
    }
}

/// What the results say of places.
pub fn processors() -> Value {
    json!({"server": Place::SERVER.words(), "load": Place::LOAD.words(), "note": "Kubernetes and Postgres run wherever the kernel puts them"})
}

/// What a contender did under one load.
pub struct Figures {
    /// Requests that were answered well
    pub requests: i64,
    seconds: f64,
    /// Milliseconds that half of the requests took at most
    pub p50: f64,
    /// Milliseconds that 99 of 100 requests took at most
    pub p99: f64,
    slowest: f64,
    bytes: f64,
    /// Resident memory of all processes of the contender right after the load
    pub megabytes: f64,
}

impl Figures {
    /// Requests in a second.
    pub fn rate(&self) -> f64 {
        number(self.requests) / self.seconds
    }

    /// For the results.
    pub fn to_json(&self) -> Value {
        json!({
            "requests": self.requests, "seconds": rounded(self.seconds, 3), "requestsPerSecond": rounded(self.rate(), 0), "p50Millis": rounded(self.p50, 3),
            "p99Millis": rounded(self.p99, 3), "maxMillis": rounded(self.slowest, 3), "bytesPerAnswer": rounded(self.bytes / number(self.requests), 0),
            "residentMegabytes": rounded(self.megabytes, 1)
        })
    }
}

/// The script's line. Times are microseconds.
#[derive(Deserialize)]
struct Said {
    requests: i64,
    micros: i64,
    bytes: i64,
    p50: i64,
    p99: i64,
    max: i64,
    refused: i64,
    broken: i64,
}

/// What wrk calls itself.
pub fn version() -> String {
    // It ends with an error after saying so, as programs do that have no such option.
    let said = program::command("wrk").arg("--version").output();
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    said.lines().next().unwrap_or_default().trim().to_owned()
}

/// Asks one server for so many seconds.
pub fn measure(server: &Server, words: &[String], connections: u32, seconds: u64) -> Result<Figures> {
    let script = paths::repository().join("bench/gateway/load.lua");
    let mut wrk = program::command("env");
    wrk.args(Place::LOAD.words()).args([
        "wrk",
        "--threads=1",
        &format!("--connections={connections}"),
        &format!("--duration={seconds}s"),
        "--timeout=10s",
        "--script",
    ]);
    let said = program::output(wrk.arg(script).arg(format!("http://{}", server.address)).arg("--").args(words))?;
    let line = said.lines().find_map(|line| line.strip_prefix(MARK)).with_context(|| format!("wrk said nothing of its own:\n{said}"))?;
    let said: Said = serde_json::from_str(line).with_context(|| format!("{line:?} is not what the script prints"))?;
    ensure!(
        said.refused == 0 && said.broken == 0 && said.requests > 0,
        "{} answered {} requests, refused {} and broke {} off: {}\n{}",
        server.name(),
        said.requests,
        said.refused,
        said.broken,
        words.join(" "),
        server.last_lines()
    );
    let millis = |micros: i64| number(micros) / 1000.0;
    let resident = guarded::resident_bytes(server.pid()).with_context(|| format!("{} is gone", server.name()))?;
    Ok(Figures {
        requests: said.requests,
        seconds: Duration::from_micros(said.micros.unsigned_abs()).as_secs_f64(),
        p50: millis(said.p50),
        p99: millis(said.p99),
        slowest: millis(said.max),
        bytes: number(said.bytes),
        megabytes: number(i64::try_from(resident).unwrap_or(i64::MAX)) / 1e6,
    })
}
