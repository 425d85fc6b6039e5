//! Who is compared, and one measurement of each.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::case::{Load, Sut};
use super::database::Database;
use super::pod::Pod;
use super::programs::Programs;
use crate::bench::Scratch;
use crate::bench::guarded::{self, Guarded};
use crate::bench::http::Server;
use crate::bench::statistics::{number, rounded};

/// One of those who are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// Our worker with its k6, supervised, polled and handing in its results
    Worker,
    /// The loop over the bare driver, rows decoded
    Bare,
    /// The same, rows read but not decoded, which is what our session does
    BareSkipping,
    /// k6 as published with SQL as published: rows become JavaScript values
    Stock,
}

impl Contender {
    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Bare => "bare",
            Self::BareSkipping => "bareSkipping",
            Self::Stock => "stockK6",
        }
    }
}

/// Everything that a measurement needs.
pub struct Bench<'a> {
    /// Files of the bench
    pub scratch: &'a Scratch,
    /// What takes part
    pub programs: &'a Programs,
    /// Whom they ask
    pub sut: &'a Sut,
    /// Who counts what it was asked, where somebody can
    pub witness: Option<&'a Database>,
    /// The operator's and the bucket's end
    pub server: &'a Server,
}

/// What one contender did in one round.
pub struct Figures {
    /// Queries that were answered
    pub queries: i64,
    /// How long the load was on
    pub seconds: f64,
    /// Processor seconds of all its processes over the load
    pub cpu_seconds: f64,
    /// Statements that the server counted in the meantime, preflight included, where it counts
    pub server_queries: Option<i64>,
    /// The most resident memory of all its processes, in bytes
    pub peak_bytes: i64,
}

impl Figures {
    /// Processor microseconds for each query.
    pub fn micros_per_query(&self) -> f64 {
        self.cpu_seconds / number(self.queries) * 1e6
    }

    /// Queries answered per second.
    pub fn rate(&self) -> f64 {
        number(self.queries) / self.seconds
    }

    /// As it stands in the results.
    pub fn to_json(&self) -> Value {
        json!({
            "queries": self.queries, "serverQueries": self.server_queries, "peakBytes": self.peak_bytes, "seconds": rounded(self.seconds, 3),
            "cpuSeconds": rounded(self.cpu_seconds, 3), "cpuMicrosPerQuery": rounded(self.micros_per_query(), 3), "queriesPerSecond": rounded(self.rate(), 0)
        })
    }
}

/// Puts the load on through one contender and answers what that took. Start-up is left out for everybody.
pub fn measure(bench: &Bench, contender: Contender, load: &Load) -> Result<Figures> {
    let before = bench.witness.map(Database::selects).transpose()?;
    let mut figures = match contender {
        Contender::Worker => {
            let mut pod = Pod::start(bench, load)?;
            pod.start_load()?;
            let mut peak = 0;
            let figures = pod.until_handed_in(|pid| peak = guarded::resident_bytes(pid).unwrap_or(0).max(peak))?;
            pod.end();
            Figures { peak_bytes: i64::try_from(peak).unwrap_or(i64::MAX), ..figures }
        }
        Contender::Bare | Contender::BareSkipping | Contender::Stock => {
            let mut peer = Peer::start(bench, contender, load)?;
            peer.finish(load.length)?
        }
    };
    if figures.queries == 0 {
        bail!("{} sent no query", contender.name());
    }
    if let Some((witness, before)) = bench.witness.zip(before) {
        let counted = witness.selects()? - before;
        // A few more are the preflight's; anything else means that somebody counts wrongly.
        if number((counted - figures.queries).abs()) > 50.0 + number(figures.queries) / 1000.0 {
            bail!("{} counted {} queries, the server {counted}", contender.name(), figures.queries);
        }
        figures.server_queries = Some(counted);
    }
    Ok(figures)
}

/// A yardstick at work. It measures itself, from its first query to its last.
pub struct Peer {
    name: &'static str,
    process: Guarded,
    output: std::path::PathBuf,
}

impl Peer {
    /// Starts one; its load begins as soon as it has its connections.
    pub fn start(bench: &Bench, contender: Contender, load: &Load) -> Result<Self> {
        let name = contender.name();
        let file = |suffix: &str| bench.scratch.join(&format!("{name}{suffix}"));
        let engine = file("-engine.json");
        super::pod::write(&engine, &load.engine(bench.sut, &bench.scratch.join("credentials")).to_string())?;
        let program = if contender == Contender::Stock { &bench.programs.stock } else { &bench.programs.bare };
        let mut command = guarded::command(program, None)?;
        command.arg("-engine").arg(&engine);
        if contender == Contender::BareSkipping {
            command.arg("-skip");
        }
        let output = file(".json");
        Ok(Self { name, process: Guarded::start(name, &mut command, &file(".log"), Some(&output))?, output })
    }

    /// The process that sends the queries. Stock k6 runs below a process of ours that only watches it.
    pub fn pid(&self, contender: Contender) -> Option<u32> {
        if contender == Contender::Stock { guarded::child_of(self.process.pid()) } else { Some(self.process.pid()) }
    }

    /// Waits for the end and reads what it measured.
    pub fn finish(&mut self, length: Duration) -> Result<Figures> {
        self.process.finish(length + Duration::from_mins(2))?;
        let text = fs::read_to_string(&self.output).with_context(|| format!("failed to read {}", self.output.display()))?;
        let said: Value = serde_json::from_str(&text).with_context(|| format!("{} wrote {text:?}", self.name))?;
        let field = |name: &str| said[name].as_f64().with_context(|| format!("{} does not say {name}", self.name));
        let queries = said["queries"].as_i64().with_context(|| format!("{} does not say queries", self.name))?;
        Ok(Figures {
            queries,
            seconds: field("seconds")?,
            cpu_seconds: field("cpuSeconds")?,
            server_queries: None,
            peak_bytes: said["maxRssBytes"].as_i64().unwrap_or_default(),
        })
    }
}
