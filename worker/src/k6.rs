//! The k6 process: how it is called, what it writes, how it ends.

use std::{
    ffi::OsString,
    io,
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
};

use crate::{
    outcome::{Exit, How},
    tail::{Lines, Tail},
};

/// The one script of every run. What it runs is in engine.json.
pub const SCRIPT: &str = include_str!("../../k6/crucible.js");

/// What remote write sends of a trend: what the results hold of it, too.
const TREND_STATS: &str = "count,min,max,avg,med,p(90),p(95),p(99)";

/// How long the last output is waited for once k6 has ended. A child of k6's could hold the pipe open for ever.
const LAST_OUTPUT: Duration = Duration::from_millis(200);

/// How k6 is called.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The program.
    pub program: &'a Path,
    /// Where its REST interface listens.
    pub address: SocketAddr,
    /// The only directory it may write to.
    pub scratch: &'a Path,
    /// The run's id, for the tag.
    pub run_id: &'a str,
    /// The plan's name, for the tag.
    pub plan: &'a str,
    /// The worker's index, for the tag.
    pub index: u32,
    /// Where every sample goes, where raw samples are wanted.
    pub raw: Option<&'a Path>,
    /// Where k6's metrics are sent by Prometheus remote write, where that is wanted.
    pub remote_write: Option<&'a str>,
}

impl Call<'_> {
    /// The script's path.
    #[must_use]
    pub fn script(&self) -> PathBuf {
        self.scratch.join("crucible.js")
    }

    /// The path of the engine's plan.
    #[must_use]
    pub fn engine(&self) -> PathBuf {
        self.scratch.join("engine.json")
    }

    /// The arguments. Summary and thresholds are off together, or k6 keeps every sample in memory.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = ["run", "--paused", "--address"].map(OsString::from).into();
        arguments.push(self.address.to_string().into());
        arguments.extend(["--summary-mode=disabled", "--no-thresholds", "--no-usage-report", "--no-color", "--quiet", "--out", "crucible"].map(OsString::from));
        if let Some(raw) = self.raw {
            let mut csv = OsString::from("csv=");
            csv.push(raw);
            arguments.extend(["--out".into(), csv]);
        }
        if self.remote_write.is_some() {
            arguments.extend(["--out", "experimental-prometheus-rw"].map(OsString::from));
        }
        for (tag, value) in [("run_id", self.run_id), ("plan", self.plan), ("segment", &self.index.to_string())] {
            arguments.extend(["--tag".into(), format!("{tag}={value}").into()]);
        }
        arguments.push(self.script().into());
        arguments
    }

    /// The whole environment. Nothing of this process's own leaks into k6.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let scratch = || self.scratch.as_os_str().to_owned();
        let mut environment = vec![
            ("CRUCIBLE_ENGINE", self.engine().into()),
            ("K6_AUTO_EXTENSION_RESOLUTION", "false".into()),
            ("HOME", scratch()),
            ("TMPDIR", scratch()),
            ("XDG_CONFIG_HOME", scratch()),
            ("XDG_CACHE_HOME", scratch()),
        ];
        if let Some(url) = self.remote_write {
            environment.extend([("K6_PROMETHEUS_RW_SERVER_URL", url.into()), ("K6_PROMETHEUS_RW_TREND_STATS", TREND_STATS.into())]);
        }
        environment
    }

    /// Starts k6.
    pub fn start(&self, tail: Arc<Mutex<Tail>>) -> io::Result<K6> {
        let mut child = Command::new(self.program)
            .args(self.arguments())
            .env_clear()
            .envs(self.environment())
            .current_dir(self.scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let output =
            [child.stdout.take().map(|pipe| tokio::spawn(drain(pipe, tail.clone()))), child.stderr.take().map(|pipe| tokio::spawn(drain(pipe, tail.clone())))];
        let handle = Handle(Arc::new(AtomicI32::new(child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or(0))));
        Ok(K6 { child, output: output.into_iter().flatten().collect(), tail, handle })
    }
}

/// A running k6.
pub struct K6 {
    child: Child,
    output: Vec<tokio::task::JoinHandle<()>>,
    tail: Arc<Mutex<Tail>>,
    handle: Handle,
}

/// The process as others may address it: only until its end was seen, because its number may be given to another one
/// then.
#[derive(Clone, Debug)]
pub struct Handle(Arc<AtomicI32>);

impl Handle {
    /// The process's number while it lives.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        u32::try_from(self.0.load(Ordering::Relaxed)).ok().filter(|id| *id > 0)
    }

    /// Sends a signal, unless the process has ended.
    pub fn send(&self, signal: Signal) {
        let id = self.0.load(Ordering::Relaxed);
        if id > 0
            && let Err(error) = signal::kill(Pid::from_raw(id), signal)
        {
            tracing::warn!(%error, signal = signal.as_str(), "failed to signal k6");
        }
    }
}

impl K6 {
    /// The process as others may address it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits for the end of the process and of its output.
    pub async fn ended(mut self) -> Exit {
        let how = match self.child.wait().await {
            Ok(status) => how(status),
            Err(error) => {
                tracing::warn!(%error, "failed to wait for k6");
                How::Code(-1)
            }
        };
        self.handle.0.store(0, Ordering::Relaxed);
        let output = async {
            for pipe in self.output {
                let _ = pipe.await;
            }
        };
        let _ = tokio::time::timeout(LAST_OUTPUT, output).await;
        Exit { how, last_lines: self.tail.lock().unwrap_or_else(PoisonError::into_inner).last_lines() }
    }
}

fn how(status: ExitStatus) -> How {
    status.code().map(How::Code).or_else(|| status.signal().map(How::Signal)).unwrap_or(How::Code(-1))
}

/// Reads whatever k6 writes, always: a pipe that nobody empties would stop it.
async fn drain(mut pipe: impl AsyncRead + Unpin, tail: Arc<Mutex<Tail>>) {
    let mut lines = Lines::default();
    let mut buffer = vec![0; 8 << 10];
    loop {
        match pipe.read(&mut buffer).await {
            Ok(0) => break,
            Ok(read) => lines.feed(&buffer[..read], |line| tail.lock().unwrap_or_else(PoisonError::into_inner).add(line)),
            Err(error) => {
                tracing::warn!(%error, "failed to read k6's output");
                break;
            }
        }
    }
    lines.end(|line| tail.lock().unwrap_or_else(PoisonError::into_inner).add(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(raw: Option<&Path>) -> Call<'_> {
        Call {
            program: Path::new("/k6"),
            address: "127.0.0.1:6565".parse().unwrap(),
            scratch: Path::new("/scratch"),
            run_id: "checkout_1",
            plan: "checkout",
            index: 3,
            raw,
            remote_write: None,
        }
    }

    #[test]
    fn k6_is_called_paused_with_everything_off_that_keeps_samples() {
        let words = |raw| call(raw).arguments().iter().map(|word| word.to_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ");
        assert_eq!(
            words(None),
            "run --paused --address 127.0.0.1:6565 --summary-mode=disabled --no-thresholds --no-usage-report --no-color --quiet --out crucible \
             --tag run_id=checkout_1 --tag plan=checkout --tag segment=3 /scratch/crucible.js"
        );
        assert!(words(Some(Path::new("/scratch/k6_raw_3_0.csv"))).contains("--out crucible --out csv=/scratch/k6_raw_3_0.csv --tag"));
    }

    #[test]
    fn remote_write_goes_where_the_plan_says_and_nowhere_without_one() {
        let call = Call { remote_write: Some("http://prometheus.monitoring.svc:9090/api/v1/write"), ..call(None) };
        let words: Vec<String> = call.arguments().iter().map(|word| word.to_str().unwrap().to_owned()).collect();
        assert!(words.join(" ").contains("--out crucible --out experimental-prometheus-rw --tag run_id=checkout_1 --tag plan=checkout --tag segment=3"));
        let environment: Vec<_> = call.environment().into_iter().filter(|(name, _)| name.starts_with("K6_PROMETHEUS")).collect();
        assert_eq!(
            environment,
            [
                ("K6_PROMETHEUS_RW_SERVER_URL", "http://prometheus.monitoring.svc:9090/api/v1/write".into()),
                ("K6_PROMETHEUS_RW_TREND_STATS", "count,min,max,avg,med,p(90),p(95),p(99)".into()),
            ]
        );
        assert!(self::call(None).environment().iter().all(|(name, _)| !name.starts_with("K6_PROMETHEUS")));
    }

    #[test]
    fn k6_may_write_only_to_the_scratch_directory() {
        for (name, value) in call(None).environment() {
            assert!(name == "K6_AUTO_EXTENSION_RESOLUTION" || value.to_str().unwrap().starts_with("/scratch"), "{name}");
        }
    }
}
