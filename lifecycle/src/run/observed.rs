//! One reading of the world around a run: the only thing that a decision is made from.

use std::collections::{BTreeMap, BTreeSet};

use crucible_crds::{TestPlan, TestRun, Verdict};
use jiff::Timestamp;

use crate::{
    chaos::ChaosObject,
    contract::{FrozenPlan, LiveArrivals, LoadReport, WorkerOutcome, WorkerReport},
    fixture::FixtureView,
    results::Headline,
    seen::Seen,
};

/// Everything that is known when a run is decided on. Made anew for each decision, `now` included.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When the reading was made, by the operator's clock.
    pub now: Timestamp,
    /// The run, as the API server has it.
    pub run: TestRun,
    /// The installation's own settings.
    pub settings: Settings,
    /// The plan that the run names, with its workload. Read until the plan is frozen.
    pub plan: Seen<PlanView>,
    /// `namespace/name` of another run that has the id which this one asks for. Read until the plan is frozen, where it asks for one.
    pub namesake: Seen<String>,
    /// The plan as it was frozen for this run.
    pub frozen: Seen<FrozenPlan>,
    /// The keys of the Secret with the credentials, never its values. Read until the workers exist.
    pub credentials: Seen<BTreeSet<String>>,
    /// Whether the run's own token exists.
    pub token: Seen<()>,
    /// 64 fresh random hex digits, should a token have to be made.
    pub entropy: String,
    /// Who holds the right to load the system under test.
    pub lease: Seen<LeaseView>,
    /// The same of the second system, where the run's arms are at two. Read only then.
    pub second_lease: Seen<LeaseView>,
    /// Every live run that names the same system under test, this one included, in the order in which they may have it.
    pub queue: Seen<Vec<Contender>>,
    /// The Job of the workers.
    pub job: Seen<JobView>,
    /// The pods of the workers.
    pub pods: Seen<Vec<PodView>>,
    /// What is known of each dataset that the plan names, in the plan's order. Looked at until it is written down what is loaded; empty: nobody looked.
    pub fixtures: Vec<FixtureView>,
    /// How the loader of the fixtures is. Asked about only where the plan names some.
    pub loader: LoaderView,
    /// What the workers themselves say.
    pub fleet: Fleet,
    /// How far the merging of the results is.
    pub collection: Collection,
    /// What is known of the plan's faults, by name. A fault that nobody asked about is missing.
    pub faults: BTreeMap<String, FaultView>,
}

/// How the loader of the fixtures is.
#[derive(Clone, Debug)]
pub struct LoaderView {
    /// Its Job.
    pub job: Seen<JobView>,
    /// Its pods: the one that is at work, and those that were before it.
    pub pods: Seen<Vec<LoaderPod>>,
    /// The last that it said.
    pub heard: Option<HeardLoader>,
}

impl LoaderView {
    /// The view of somebody who has not looked.
    #[must_use]
    pub fn not_asked() -> Self {
        Self { job: Seen::not_asked(), pods: Seen::not_asked(), heard: None }
    }
}

/// One pod of a loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderPod {
    /// Its name.
    pub name: String,
    /// When it was created.
    pub created: Timestamp,
    /// How it is.
    pub state: PodState,
}

/// The last that a loader said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardLoader {
    /// When, by the operator's clock.
    pub at: Timestamp,
    /// What it said.
    pub report: LoadReport,
}

/// What is known of one fault.
#[derive(Clone, Debug)]
pub struct FaultView {
    /// Whether Chaos Mesh is there to inject its kind.
    pub served: Seen<()>,
    /// The namespaces that it touches, and whether each lets faults in.
    pub namespaces: BTreeMap<String, Seen<bool>>,
    /// How many pods fit its selector, pods of Crucible left out.
    pub matching: Seen<u32>,
    /// The Chaos Mesh object that injects it.
    pub object: Seen<ChaosObject>,
    /// Targets of that object that are not there any more, where something took their place. Asked while the fault is on.
    pub replaced: Seen<Vec<String>>,
    /// Why the API server or Chaos Mesh refuses the object, where it does.
    pub refused: Option<String>,
    /// The addresses of the run's workers, where the fault cuts them off.
    pub workers: Seen<Vec<String>>,
}

impl FaultView {
    /// The view of somebody who has not looked.
    #[must_use]
    pub fn not_asked() -> Self {
        Self {
            served: Seen::not_asked(),
            namespaces: BTreeMap::new(),
            matching: Seen::not_asked(),
            object: Seen::not_asked(),
            replaced: Seen::not_asked(),
            refused: None,
            workers: Seen::not_asked(),
        }
    }
}

/// The installation's own settings, as far as decisions depend on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The operator's own namespace; the leases live there.
    pub namespace: String,
    /// The image of the worker pods.
    pub worker_image: String,
    /// `Always`, `IfNotPresent` or `Never`.
    pub image_pull_policy: String,
    /// Where workers check in: `http://host:port`.
    pub check_in_url: String,
    /// The bucket of the results.
    pub bucket: String,
    /// Whether there is a ledger that runs are mirrored to.
    pub ledger: bool,
    /// The most pods or machines that one fault may hit.
    pub most_targets: u32,
}

/// A plan with the texts of its workload.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanView {
    /// The plan.
    pub plan: TestPlan,
    /// The text in each of the places that its source names, in the order of [`crate::workload::places`].
    pub workload: Vec<Seen<String>>,
}

/// Who holds the right to load a system under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// The uid of the run that holds it.
    pub holder_uid: String,
    /// `namespace/name` of that run, for people.
    pub holder: String,
    /// Whether that run can still give it back.
    pub holder_state: HolderState,
    /// The lease's resource version: a take-over is made against it.
    pub resource_version: String,
}

/// Whether the holder of a lease can still give it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderState {
    /// The run exists and has not ended.
    Live,
    /// No run with that uid exists any more, or it ended so long ago that none of its pods can still be loading.
    Gone,
    /// It could not be found out.
    Unknown,
}

/// A run that waits for, or holds, the same system under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contender {
    /// Its uid.
    pub uid: String,
    /// `namespace/name`.
    pub name: String,
}

/// The Job of the workers, or of the loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobView {
    /// When it was created.
    pub created: Timestamp,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Why the cluster refuses to create its pods, where it does: the newest `FailedCreate` event.
    pub create_error: Option<String>,
    /// Why the cluster has given the Job up, where it has.
    pub failed: Option<String>,
}

/// One pod of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodView {
    /// Its name.
    pub name: String,
    /// The worker's index.
    pub index: u32,
    /// When it was created.
    pub created: Timestamp,
    /// How it is.
    pub state: PodState,
}

/// How a pod is, in the words that decisions need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodState {
    /// Not running yet, with nothing wrong so far.
    Starting,
    /// No node has room for it; the text is the scheduler's.
    Unschedulable(String),
    /// Its image cannot be pulled; the text is the kubelet's.
    ImagePull(String),
    /// Its container cannot be made (a missing Secret or key, say); the text is the kubelet's.
    ConfigError(String),
    /// Its container runs.
    Running,
    /// Its container has ended.
    Ended {
        /// The exit code.
        exit_code: i32,
        /// The kubelet's or the scheduler's word: `OOMKilled`, `Evicted`, `Error`, `Completed`, …
        reason: String,
        /// The worker's last word, where it left one.
        outcome: Option<WorkerOutcome>,
    },
    /// It is being deleted or its node is gone.
    Leaving(String),
}

/// What the workers themselves say, as heard by the run's poller.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// By index: the last report and when it was heard.
    pub workers: BTreeMap<u32, Heard>,
    /// The load as the whole fleet sees it.
    pub live: LiveView,
}

/// The last that was heard of a worker.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When, by the operator's clock.
    pub at: Timestamp,
    /// How far its clock is ahead of the operator's, by the answer that came fastest, in milliseconds.
    pub clock_offset_millis: i64,
    /// What it said.
    pub report: WorkerReport,
}

/// The load as the whole fleet sees it: only seconds that every worker has reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveView {
    /// Complete seconds, oldest first, at most an hour of them.
    pub seconds: Vec<FleetSecond>,
    /// The 95th percentile over the last five of them, in microseconds.
    pub p95_micros: Option<u64>,
}

/// One second of the load over the whole fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetSecond {
    /// Whole seconds since the agreed instant.
    pub second: u64,
    /// Queries answered without error.
    pub ok: u64,
    /// Queries that ended in an error or a time-out.
    pub errors: u64,
    /// What became of the arrivals; only in the open model.
    pub arrivals: Option<LiveArrivals>,
    /// How long its queries took; nothing where none was answered.
    pub latency: Option<SecondLatency>,
}

/// How long the queries of one second took over the whole fleet, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondLatency {
    /// The median.
    pub p50_micros: u64,
    /// The 95th percentile.
    pub p95_micros: u64,
    /// The 99th percentile.
    pub p99_micros: u64,
}

/// How far the merging of the results is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Collection {
    /// It was not asked for, or this operator does not know of it.
    #[default]
    Idle,
    /// It is under way.
    Running,
    /// It is done.
    Done(Box<Collected>),
    /// It failed in a way that trying again does not mend.
    Failed {
        /// One of the words of [`crucible_crds::Reason`].
        reason: crucible_crds::Reason,
        /// One sentence.
        message: String,
    },
}

/// What came of the merging.
#[derive(Clone, Debug, PartialEq)]
pub struct Collected {
    /// What the results mean.
    pub verdict: Verdict,
    /// The measured stages in one row.
    pub headline: Headline,
    /// SHA-256 of `results.json`, in hex.
    pub sha256: String,
    /// Of how many workers results were merged.
    pub workers: u32,
    /// Whether results are missing or the load ended early.
    pub partial: bool,
}
