//! Collects a run's results: reads every worker's log from the vault, merges them, judges them, writes the report.
//!
//! A task of its own beside the reconcile loop, in constant memory, and repeatable: the same request reads the same
//! objects and writes the same ones. What comes of it is kept until the run is over, and a reconcile is asked for.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use crucible_crds::Reason;
use crucible_lifecycle::{
    comparison::Past,
    contract::ResultFile,
    results::{
        FaultRecord, Headline, MergeError, Merger, Report, SampleGroup, add_up_reconnects, chaos_events, group_samples, observability::SourceReading, windows,
    },
    run::{
        CollectRequest,
        observed::{Collected, Collection},
    },
    verdict::judge,
};
use crucible_store::{Vault, VaultError};
use futures::future::try_join_all;
use tokio::{sync::mpsc::UnboundedSender, task::JoinSet, time::sleep};

use crate::{
    context::{Clock, RunKey},
    prometheus::Observatory,
    retry,
};

mod history;
mod read;

use read::{Lines, whole};

/// After so many lines others get a turn on the processor.
const LINES_PER_TURN: u32 = 256;

/// The merging of every run's results.
pub struct Collections {
    vault: Arc<dyn Vault>,
    observatory: Observatory,
    clock: Arc<dyn Clock>,
    wake: UnboundedSender<RunKey>,
    runs: Mutex<HashMap<String, Entry>>,
}

/// One run's merging. Dropping it ends its task.
struct Entry {
    state: Arc<Mutex<Collection>>,
    _task: JoinSet<()>,
}

/// Why results were not merged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The vault did not do what it was asked.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// An object broke off while it was read.
    #[error("failed to read {key}")]
    Read {
        /// The object's key.
        key: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An object is not what the worker handed in.
    #[error("failed to verify {key}: {problem}")]
    Corrupt {
        /// The object's key.
        key: String,
        /// What differs.
        problem: String,
    },
    /// The comparison with an earlier run broke off.
    #[error("failed to compare with an earlier run: {0}")]
    Compare(String),
    /// A worker did not hand in the file that counts.
    #[error("failed to find the histogram log of worker {0} among what it handed in")]
    NoLog(u32),
    /// A line of a log cannot be merged.
    #[error("failed to merge {key}: {} ({})", .source, .source.problem)]
    Merge {
        /// The object's key.
        key: String,
        /// Which line, and why.
        #[source]
        source: MergeError,
    },
}

impl Error {
    /// Why the collection fails for good, or nothing where trying again may help.
    fn verdict(&self) -> Option<Reason> {
        match self {
            Self::Vault(error) if error.is_transient() => None,
            // A comparison breaks off when the operator ends.
            Self::Read { .. } | Self::Compare(_) => None,
            Self::Vault(VaultError::AccessDenied { .. } | VaultError::Refused { .. } | VaultError::Unavailable { .. }) => Some(Reason::ResultsUploadFailed),
            Self::Vault(VaultError::NotFound { .. }) | Self::Corrupt { .. } | Self::NoLog(_) | Self::Merge { .. } => Some(Reason::ResultsCorrupt),
        }
    }
}

impl Collections {
    /// No runs yet.
    #[must_use]
    pub fn new(vault: Arc<dyn Vault>, observatory: Observatory, clock: Arc<dyn Clock>, wake: UnboundedSender<RunKey>) -> Self {
        Self { vault, observatory, clock, wake, runs: Mutex::default() }
    }

    /// Begins to collect a run's results, unless that has begun.
    pub fn start(&self, run: &RunKey, request: CollectRequest) {
        self.runs().entry(run.uid.clone()).or_insert_with(|| {
            let state = Arc::new(Mutex::new(Collection::Running));
            let work = Work {
                vault: Arc::clone(&self.vault),
                observatory: self.observatory.clone(),
                clock: Arc::clone(&self.clock),
                wake: self.wake.clone(),
                run: run.clone(),
                state: Arc::clone(&state),
            };
            let mut task = JoinSet::new();
            task.spawn(work.carry_on(request));
            Entry { state, _task: task }
        });
    }

    /// How far a run's collection is.
    pub fn view(&self, uid: &str) -> Collection {
        self.runs().get(uid).map(|entry| entry.state.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }

    /// Ends a run's collection and forgets what came of it.
    pub fn forget(&self, uid: &str) {
        self.runs().remove(uid);
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Work {
    vault: Arc<dyn Vault>,
    observatory: Observatory,
    clock: Arc<dyn Clock>,
    wake: UnboundedSender<RunKey>,
    run: RunKey,
    state: Arc<Mutex<Collection>>,
}

impl Work {
    /// Tries until it is done or cannot be. How long that may take is decided elsewhere.
    async fn carry_on(self, request: CollectRequest) {
        let mut attempt = 0;
        let plan = &request.plan.spec;
        let sources = self.observatory.read(&plan.observe, request.window, plan.deadlines.collect.span()).await;
        let end = loop {
            match collect(&*self.vault, &*self.clock, &request, &sources).await {
                Ok(collected) => break Collection::Done(Box::new(collected)),
                Err(error) => {
                    if let Some(reason) = error.verdict() {
                        break Collection::Failed { reason, message: error.to_string() };
                    }
                    attempt += 1;
                    tracing::warn!(run_uid = self.run.uid, attempt, %error, "failed to collect results, trying again");
                    sleep(retry::delay(&self.run.uid, attempt)).await;
                }
            }
        };
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = end;
        // The receiver is gone only while the operator ends.
        let _ = self.wake.send(self.run);
    }
}

/// Reads, merges, judges and writes once.
async fn collect(vault: &dyn Vault, clock: &dyn Clock, request: &CollectRequest, sources: &[SourceReading]) -> Result<Collected, Error> {
    let CollectRequest { plan, files, facts, window: _, faults } = request;
    let prefix = format!("results/{}", plan.run.id);
    let planned = plan.spec.load.stages.iter().map(|stage| stage.duration.span()).sum::<std::time::Duration>().as_secs();
    let mut merger = Merger::new(plan, plan.spec.load.workers).with_windows(windows(&facts.faults, planned));
    let mut logs = BTreeMap::new();
    for (worker, handed_in) in files {
        let name = format!("histograms/worker-{worker}.hlog");
        let log = handed_in.iter().find(|file| file.name == name).ok_or(Error::NoLog(*worker))?;
        logs.insert(*worker, Lines::open(vault, format!("{prefix}/{name}"), log).await?);
    }
    let mut lines = 0_u32;
    while let Some(worker) = merger.wants() {
        let next = match logs.get_mut(&worker) {
            Some(log) => log.next().await?,
            None => None,
        };
        match next {
            Some(line) => merger.push(worker, &line).map_err(|source| Error::Merge { key: format!("{prefix}/histograms/worker-{worker}.hlog"), source })?,
            None => merger.end(worker),
        }
        lines = lines.wrapping_add(1);
        if lines.is_multiple_of(LINES_PER_TURN) {
            tokio::task::yield_now().await;
        }
    }
    let mut summary = merger.finish(facts.ended_early.is_some());
    let (samples, reconnects) = samples(vault, &prefix, files).await?;
    summary.timeline.add_reconnects(&reconnects);
    let answer = match &plan.spec.compare {
        Some(asked) if facts.ended_early.is_none() && asked.arms.is_some() => history::between_arms(plan, asked, &summary).await?,
        Some(asked) if facts.ended_early.is_none() => Some(history::answer(vault, plan, asked, facts, &summary).await?),
        _ => None,
    };
    let comparison = answer.as_ref().map(|answer| &answer.comparison);
    let verdict = judge(plan, &summary, facts, sources, comparison);
    let report = Report {
        plan,
        summary: &summary,
        verdict: &verdict,
        facts,
        samples: &samples,
        sources,
        comparison,
        trend: answer.as_ref().and_then(|answer| answer.trend.as_ref()),
        collected_at: clock.now(),
    };
    let sha256 = write(vault, &report, faults).await?;
    Ok(Collected {
        headline: Headline::from(&summary),
        sha256,
        workers: facts.merged_workers,
        partial: facts.merged_workers < facts.expected_workers || summary.ended_early,
        verdict,
    })
}

/// Writes the files of a run: what they are about first, then what later runs find it by. Returns the checksum of `results.json`.
async fn write(vault: &dyn Vault, report: &Report<'_>, faults: &[FaultRecord]) -> Result<String, Error> {
    let Report { plan, summary, verdict, facts, .. } = report;
    let metadata = BTreeMap::from([("run-id".to_owned(), plan.run.id.clone()), ("plan-digest".to_owned(), plan.digest.clone())]);
    let json = Bytes::from(report.to_json().to_string());
    let sha256 = read::hex(&json);
    let files = [
        ("summary.md", "text/markdown; charset=utf-8", Bytes::from(report.to_markdown())),
        ("report.html", "text/html; charset=utf-8", Bytes::from(report.to_html())),
        ("junit.xml", "application/xml", Bytes::from(report.to_junit())),
        (history::SERIES, "text/plain; charset=utf-8", Bytes::from(summary.series.to_log())),
        ("results.json", "application/json", json),
    ];
    let events = (!faults.is_empty()).then(|| ("chaos_events.json", "application/json", Bytes::from(chaos_events(plan, faults).to_string())));
    try_join_all(files.into_iter().chain(events).map(|(name, kind, body)| put(vault, format!("results/{}/{name}", plan.run.id), body, kind, &metadata)))
        .await?;
    if let Some(past) = Past::of(plan, summary, facts, verdict.outcome) {
        let entry = Bytes::from(serde_json::json!(past).to_string());
        try_join_all(past.keys().into_iter().map(|key| put(vault, key, entry.clone(), "application/json", &metadata))).await?;
    }
    Ok(sha256)
}

async fn put(vault: &dyn Vault, key: String, body: Bytes, kind: &str, metadata: &BTreeMap<String, String>) -> Result<(), Error> {
    Ok(vault.put(&key, body, kind, metadata).await?)
}

/// What errors looked like, from every worker that has seen any, and when virtual users had to connect anew.
async fn samples(vault: &dyn Vault, prefix: &str, files: &BTreeMap<u32, Vec<ResultFile>>) -> Result<(Vec<SampleGroup>, BTreeMap<u64, u64>), Error> {
    let mut texts = Vec::new();
    for (worker, handed_in) in files {
        let name = format!("errors/worker-{worker}.json");
        if let Some(file) = handed_in.iter().find(|file| file.name == name) {
            texts.push(whole(vault, format!("{prefix}/{name}"), file).await?);
        }
    }
    let texts = || texts.iter().map(Vec::as_slice);
    let read = group_samples(texts()).and_then(|groups| Ok((groups, add_up_reconnects(texts())?)));
    read.map_err(|error| Error::Corrupt { key: format!("{prefix}/errors/"), problem: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let (bucket, key) = ("b".to_owned(), "k".to_owned());
        let table = [
            (Error::Vault(VaultError::Unavailable { bucket: bucket.clone(), key: key.clone(), cause: "SlowDown".to_owned() }), None),
            (Error::Read { key: key.clone(), source: std::io::ErrorKind::ConnectionReset.into() }, None),
            (
                Error::Vault(VaultError::AccessDenied { bucket: bucket.clone(), key: key.clone(), code: "AccessDenied".to_owned() }),
                Some(Reason::ResultsUploadFailed),
            ),
            (Error::Vault(VaultError::NotFound { bucket, key: key.clone() }), Some(Reason::ResultsCorrupt)),
            (Error::Corrupt { key, problem: "its checksum differs".to_owned() }, Some(Reason::ResultsCorrupt)),
            (Error::NoLog(3), Some(Reason::ResultsCorrupt)),
        ];
        for (error, expected) in table {
            assert_eq!(error.verdict(), expected, "{error}");
        }
    }
}
