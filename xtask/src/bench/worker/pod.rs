//! Our worker as in its pod, with the bench as its operator: the same files, the same token, the same pace of questions, the same
//! orders, and somewhere to hand the results in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::case::Load;
use super::contender::{Bench, Figures};
use super::database::{self, random};
use crate::bench::guarded::{self, Guarded};
use crate::bench::http::Client;
use crate::bench::statistics::number;

/// How far ahead the operator orders the start of one worker.
const LEAD: Duration = Duration::from_millis(154);
/// How long before its end the operator watches a load closely.
const CLOSELY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_mins(1);

/// A worker that is ready.
pub struct Pod {
    process: Guarded,
    control: Client,
    bucket: String,
    ends: Instant,
    cpu_before: f64,
    seconds: BTreeMap<u64, (i64, i64)>,
}

impl Pod {
    /// Starts a worker and waits until it stands at the barrier.
    pub fn start(bench: &Bench, load: &Load) -> Result<Self> {
        let home = bench.scratch.join("worker");
        if home.exists() {
            fs::remove_dir_all(&home).with_context(|| format!("failed to empty {}", home.display()))?;
        }
        fs::create_dir_all(home.join("scratch")).with_context(|| format!("failed to make {}", home.display()))?;
        let (token, uid) = (random()?, random()?);
        write(&home.join("plan.json"), &load.plan(bench.sut, &uid).to_string())?;
        write(&home.join("token"), &token)?;
        bench.server.forget();
        let mut command = guarded::command(&bench.programs.worker, None)?;
        for (name, file) in [("plan", "plan.json"), ("token", "token"), ("scratch", "scratch"), ("termination-log", "termination-log")] {
            command.arg(format!("--{name}")).arg(home.join(file));
        }
        command.arg("--credentials").arg(bench.scratch.join("credentials")).arg("--k6").arg(&bench.programs.k6);
        command.args(["--index", "0", "--listen", "127.0.0.1:0", "--check-in-url", &format!("http://{}", bench.server.address)]);
        command.args(["--k6-address", &format!("127.0.0.1:{}", database::free_port()?)]);
        let mut process = Guarded::start("the worker", &mut command, &bench.scratch.join("worker.log"), None)?;
        let Some(address) = bench.server.check_in(PATIENCE) else {
            process.require_alive()?;
            bail!("the worker did not check in within {} s", PATIENCE.as_secs());
        };
        let bucket = format!("http://{}/results", bench.server.address);
        let mut pod = Self { process, control: Client::new(&address, &token), bucket, ends: Instant::now(), cpu_before: 0.0, seconds: BTreeMap::new() };
        pod.await_state("Ready", &mut |_| {})?;
        pod.ends = Instant::now() + load.length;
        Ok(pod)
    }

    /// The worker's process; its k6 is below it.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Orders the start. From here on the worker's processor time counts, the way to the first query included.
    pub fn start_load(&mut self) -> Result<()> {
        self.cpu_before = guarded::cpu_seconds(self.pid());
        self.ends = Instant::now() + LEAD + self.ends.saturating_duration_since(Instant::now());
        let order = json!({"inNanos": u64::try_from(LEAD.as_nanos()).unwrap_or_default()});
        self.control.call("POST", "/start", &order.to_string())?;
        Ok(())
    }

    /// Goes on until the results are handed in, which counts too. `each_time` is called whenever the worker was asked.
    pub fn until_handed_in(&mut self, mut each_time: impl FnMut(u32)) -> Result<Figures> {
        let report = self.await_state("Finished", &mut each_time)?;
        if report["interrupted"] == json!(true) {
            bail!("the worker's load ended early; {}", self.process_log());
        }
        let files = report["files"].as_array().context("the worker names no files")?;
        let objects: Vec<Value> =
            files.iter().map(|file| json!({"name": file["name"], "url": format!("{}/{}", self.bucket, file["name"].as_str().unwrap_or_default())})).collect();
        self.control.call("POST", "/upload", &json!({"objects": objects}).to_string())?;
        self.await_state("Uploaded", &mut each_time)?;
        let cpu_seconds = guarded::cpu_seconds(self.pid()) - self.cpu_before;
        self.read_again()?;
        let (ok, errors) = self.seconds.values().fold((0, 0), |(ok, errors), second| (ok + second.0, errors + second.1));
        if errors > 0 {
            bail!("{errors} of {} queries failed; {}", ok + errors, self.process_log());
        }
        let at = |name: &str| report[name].as_i64().with_context(|| format!("the worker does not say {name}"));
        let nanos = at("lastQueryUnixNanos")? - at("firstQueryUnixNanos")?;
        Ok(Figures { queries: ok, seconds: number(nanos) / 1e9, cpu_seconds, server_queries: None, peak_bytes: 0 })
    }

    /// Lets the worker leave.
    pub fn end(mut self) {
        self.process.end();
    }

    /// Asks as often as the operator does until the worker is in this state.
    fn await_state(&mut self, wanted: &str, each_time: &mut impl FnMut(u32)) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let report = self.ask(self.seconds.keys().last().copied()).inspect_err(|_| eprintln!("{}", self.process_log()))?;
            each_time(self.process.pid());
            let state = report["state"].as_str().unwrap_or_default().to_owned();
            if state == wanted {
                return Ok(report);
            }
            if state == "Failed" {
                bail!("the worker failed: {}; {}", report["failure"], self.process_log());
            }
            if begun.elapsed() > PATIENCE + self.ends.saturating_duration_since(begun) {
                bail!("the worker is still {state}, not {wanted}; {}", self.process_log());
            }
            sleep(self.pace(&state));
        }
    }

    /// The operator's own pace, from `operator/src/workers/fleet.rs`.
    fn pace(&self, state: &str) -> Duration {
        let near_the_end = self.ends.saturating_duration_since(Instant::now()) < CLOSELY;
        Duration::from_millis(match state {
            "Running" if !near_the_end => 250,
            "Armed" => 100,
            _ => 50,
        })
    }

    fn ask(&mut self, after: Option<u64>) -> Result<Value> {
        let path = after.map_or_else(|| "/status".to_owned(), |second| format!("/status?after={second}"));
        let body = self.control.call("GET", &path, "")?;
        let report: Value = serde_json::from_slice(&body).context("the worker's report is no JSON")?;
        for live in report["seconds"].as_array().into_iter().flatten() {
            let (Some(second), Some(ok), Some(errors)) = (live["second"].as_u64(), live["ok"].as_i64(), live["errors"].as_i64()) else {
                bail!("the worker reports a second that is none: {live}");
            };
            self.seconds.insert(second, (ok, errors));
        }
        Ok(report)
    }

    /// A second that was read while it lasted has grown since.
    fn read_again(&mut self) -> Result<()> {
        let mut after = None;
        loop {
            let report = self.ask(after)?;
            let last = report["seconds"].as_array().and_then(|seconds| seconds.last()?["second"].as_u64());
            if last.is_none() {
                return Ok(());
            }
            after = last;
        }
    }

    fn process_log(&self) -> String {
        format!("the end of its log:\n{}", self.process.last_lines())
    }
}

/// Writes a file that only its owner reads.
pub fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}
