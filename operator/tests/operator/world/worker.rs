//! A worker as the contract describes it: a state that follows from what it was told and when.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use crucible_crds::test_plan::Invariant;
use crucible_lifecycle::{
    class::Class,
    contract::{
        Failure, FrozenPlan, InvariantAnswer, LiveSecond, PROTOCOL, ResultFile, StartOrder, StopOrder, UploadOrder, WorkerOutcome, WorkerReport, WorkerState,
    },
    histogram::{
        Histogram,
        log::{HEADER, Record},
    },
};
use crucible_operator::workers::{CallError, Peer, WorkerClient};
use crucible_store::SignedRequest;
use sha2::{Digest, Sha256};

use super::World;
use crate::fake_api::Line;

/// How long a worker needs to be ready.
const PREPARING: f64 = 0.3;
/// How long queries in flight go on.
const DRAINING: f64 = 0.05;
/// How long a worker stays after its upload.
const LEAVING: f64 = 0.3;

/// What workers do in a scenario.
#[derive(Clone, Debug, Default)]
pub struct Habits {
    /// How many of 100 queries fail.
    pub errors: u64,
    /// What the preflight finds.
    pub preflight: Option<(&'static str, &'static str)>,
    /// Whether what is uploaded differs from what was reported.
    pub corrupt: bool,
    /// What a loader finds wrong with the files.
    pub files: Option<(&'static str, &'static str)>,
}

/// One worker.
pub struct SimWorker {
    pub run: String,
    pub run_uid: String,
    pub index: u32,
    pub pod: String,
    pub killed: bool,
    pub gone: bool,
    pub polled: bool,
    born: f64,
    plan: FrozenPlan,
    habits: Habits,
    begins: Option<f64>,
    stopped: Option<f64>,
    uploaded: Option<f64>,
    /// A second's latencies: of the answered queries, of the failed ones.
    latencies: [String; 2],
    written: OnceLock<BTreeMap<String, String>>,
}

impl SimWorker {
    pub fn new(run: &str, run_uid: &str, index: u32, pod: &str, born: f64, plan: FrozenPlan, habits: Habits) -> Self {
        let (run, run_uid, pod) = (run.to_owned(), run_uid.to_owned(), pod.to_owned());
        let latencies = [100 - habits.errors, habits.errors].map(|count| latencies(count).encode());
        let written = OnceLock::new();
        Self {
            run,
            run_uid,
            index,
            pod,
            killed: false,
            gone: false,
            polled: false,
            born,
            plan,
            habits,
            begins: None,
            stopped: None,
            uploaded: None,
            latencies,
            written,
        }
    }

    /// For how long its load has been on, while it is.
    pub fn loading_for(&self, now: f64) -> Option<f64> {
        (self.state(now) == WorkerState::Running && !self.killed && !self.gone).then(|| now - self.begins.unwrap_or(now))
    }

    /// How its process ended, once it has.
    pub fn exit(&self, now: f64) -> Option<(i32, &'static str, String)> {
        let word = || serde_json::to_string(&self.last_word(now)).unwrap();
        if self.killed {
            return Some((137, "Error", String::new()));
        }
        if self.habits.preflight.is_some() && now >= self.born + PREPARING + 1.0 {
            return Some((1, "Error", word()));
        }
        self.uploaded.filter(|at| now >= at + LEAVING).map(|_| (0, "Completed", word()))
    }

    fn last_word(&self, now: f64) -> WorkerOutcome {
        let WorkerReport { state, failure, interrupted, files, answers, .. } = self.report(now, None);
        WorkerOutcome { protocol: PROTOCOL, index: self.index, state, failure, interrupted, files, answers }
    }

    fn planned(&self) -> f64 {
        self.plan.spec.load.stages.iter().map(|stage| stage.duration.span().as_secs_f64()).sum()
    }

    fn ends(&self) -> f64 {
        let planned = self.begins.map_or(f64::INFINITY, |begins| begins + self.planned());
        planned.min(self.stopped.unwrap_or(f64::INFINITY))
    }

    fn state(&self, now: f64) -> WorkerState {
        if now < self.born + PREPARING {
            return WorkerState::Preparing;
        }
        if self.habits.preflight.is_some() {
            return WorkerState::Failed;
        }
        match self.begins {
            None if self.stopped.is_none() => WorkerState::Ready,
            Some(begins) if now < begins && self.stopped.is_none() => WorkerState::Armed,
            _ if self.uploaded.is_some() => WorkerState::Uploaded,
            _ if now < self.ends() => WorkerState::Running,
            _ if now < self.ends() + DRAINING => WorkerState::Draining,
            _ => WorkerState::Finished,
        }
    }

    fn report(&self, now: f64, after: Option<u64>) -> WorkerReport {
        let state = self.state(now);
        let nanos = |seconds: f64| super::EPOCH.as_nanosecond() as i64 + (seconds * 1e9) as i64;
        let begun = self.begins.filter(|begins| now >= *begins);
        let over = matches!(state, WorkerState::Finished | WorkerState::Uploaded);
        let lasted = begun.map_or(0.0, |begins| self.ends().min(now) - begins);
        let whole = whole_seconds(lasted);
        WorkerReport {
            protocol: PROTOCOL,
            run_uid: self.run_uid.clone(),
            index: self.index,
            state,
            failure: self
                .habits
                .preflight
                .filter(|_| state == WorkerState::Failed)
                .map(|(reason, message)| Failure { reason: reason.to_owned(), message: message.to_owned() }),
            now_unix_nanos: nanos(now),
            server_version: Some("10.11.6-MariaDB".to_owned()),
            first_query_unix_nanos: begun.map(nanos),
            late_nanos: begun.map(|_| 1_000_000),
            last_query_unix_nanos: over.then(|| nanos(self.ends())),
            interrupted: over && self.stopped.is_some_and(|stopped| stopped < self.begins.map_or(f64::INFINITY, |begins| begins + self.planned())),
            seconds: (after.map_or(0, |after| after + 1)..whole).take(60).map(|second| self.second(second)).collect(),
            files: if over { self.files().iter().map(|(name, content)| file(name, content)).collect() } else { Vec::new() },
            answers: if state == WorkerState::Uploaded { self.answers() } else { Vec::new() },
            cpu_seconds: 0.0,
            memory_bytes: 64 << 20,
            throttled_seconds: None,
            gc_nanos: None,
            server_started_nanos: None,
        }
    }

    /// Every invariant holds, and the first worker says so.
    fn answers(&self) -> Vec<InvariantAnswer> {
        let held = |invariant: &Invariant| InvariantAnswer { name: invariant.name.to_string(), held: Some(true), said: invariant.expect.clone() };
        if self.index == 0 { self.plan.spec.workload.invariants.iter().map(held).collect() } else { Vec::new() }
    }

    fn second(&self, second: u64) -> LiveSecond {
        let errors = self.habits.errors;
        LiveSecond { second, ok: 100 - errors, errors, vus: 4, histogram: self.latencies[0].clone(), arrivals: None }
    }

    /// What it has written, once its load is over.
    fn files(&self) -> &BTreeMap<String, String> {
        self.written.get_or_init(|| self.write())
    }

    fn write(&self) -> BTreeMap<String, String> {
        let begins = self.begins.unwrap_or_default();
        let seconds = whole_seconds(self.ends() - begins);
        let mut log = HEADER.to_owned();
        for second in 0..seconds {
            let mut end = 0.0;
            let stage = self.plan.spec.load.stages.iter().find(|stage| {
                end += stage.duration.span().as_secs_f64();
                (second as f64) < end
            });
            let stage = stage.unwrap().name.to_string();
            for (class, histogram) in [Class::Ok, Class::Connection].into_iter().zip(&self.latencies) {
                if class == Class::Ok || self.habits.errors > 0 {
                    let record = Record {
                        query: "PointLookup".to_owned(),
                        stage: stage.clone(),
                        class,
                        service: false,
                        second,
                        max_micros: 1000,
                        histogram: histogram.clone(),
                    };
                    log.push_str(&record.to_line(1));
                }
            }
        }
        let errors = format!("{{\"worker\":{},\"samples\":[]}}", self.index);
        let mut files = BTreeMap::from([(format!("histograms/worker-{}.hlog", self.index), log), (format!("errors/worker-{}.json", self.index), errors)]);
        if self.plan.spec.results.raw_samples {
            files.insert(format!("k6_raw_{}_0.csv", self.index), "metric_name,timestamp,metric_value\n".to_owned());
        }
        files
    }
}

/// Seconds that are over, with a little room for what floating point leaves behind.
fn whole_seconds(lasted: f64) -> u64 {
    (lasted.max(0.0) + 1e-3).floor() as u64
}

fn latencies(count: u64) -> Histogram {
    let mut histogram = Histogram::new();
    (0..count).for_each(|_| histogram.record(1000));
    histogram
}

fn file(name: &str, content: &str) -> ResultFile {
    let sha256 = format!("{:x}", Sha256::digest(content));
    ResultFile { name: name.to_owned(), bytes: content.len() as u64, sha256 }
}

/// The workers as an operator reaches them.
pub struct SimWorkers {
    pub world: World,
    pub line: Arc<Line>,
}

impl SimWorkers {
    /// Asks a worker, or tells it something.
    async fn reach<T>(&self, peer: &Peer, told: Option<&str>, mut what: impl FnMut(&mut SimWorker, f64) -> T + Send) -> Result<T, CallError>
    where
        T: Send,
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
        if self.line.is_dead() {
            return std::future::pending().await;
        }
        let now = self.world.clock.seconds();
        let (mut answer, index) = {
            let mut workers = self.world.workers.lock().unwrap();
            let worker = workers.get_mut(&peer.address).filter(|worker| !worker.gone && !worker.killed).ok_or(CallError::Unreachable)?;
            worker.polled = true;
            (what(worker, now), worker.index)
        };
        if let Some(told) = told {
            self.world.api.log.lock().unwrap().push(format!("TELL worker {index} {told}"));
            if self.line.twice {
                let mut workers = self.world.workers.lock().unwrap();
                answer = workers.get_mut(&peer.address).map(|worker| what(worker, now)).unwrap();
            }
            if !self.line.effect() {
                return std::future::pending().await;
            }
        }
        Ok(answer)
    }
}

#[async_trait]
impl WorkerClient for SimWorkers {
    async fn status(&self, worker: &Peer, after: Option<u64>) -> Result<WorkerReport, CallError> {
        self.reach(worker, None, |worker, now| worker.report(now, after)).await
    }

    async fn start(&self, worker: &Peer, order: &StartOrder) -> Result<(), CallError> {
        self.reach(worker, Some("to start"), |worker, now| {
            if worker.state(now) == WorkerState::Ready {
                worker.begins = Some(now + order.in_nanos as f64 / 1e9);
            }
        })
        .await
    }

    async fn stop(&self, worker: &Peer, _: &StopOrder) -> Result<(), CallError> {
        self.reach(worker, Some("to stop"), |worker, now| {
            if worker.state(now) < WorkerState::Draining {
                worker.stopped = Some(now);
            }
        })
        .await
    }

    async fn upload(&self, worker: &Peer, order: &UploadOrder) -> Result<(), CallError> {
        let vault = Arc::clone(&self.world.vault);
        self.reach(worker, Some("to upload"), move |worker, now| {
            let files = worker.files();
            let stored = order.objects.iter().all(|object| {
                let request = SignedRequest { url: object.url.clone(), headers: object.headers.clone() };
                vault.put_signed(&request, Bytes::from(files[&object.name].clone()))
            });
            if stored && !order.objects.is_empty() {
                worker.uploaded.get_or_insert(now);
                if worker.habits.corrupt {
                    vault.tamper();
                }
            }
        })
        .await
    }
}
