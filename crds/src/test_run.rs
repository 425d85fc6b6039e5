//! TestRun: one execution of a plan. The spec is frozen but for `stop`; the status tells the whole story.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};
use kube_derive::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cluster_spec::ClusterSpec,
    duration::Duration,
    fault::FaultStatus,
    name::{ObjectName, RunId},
    phase::Phase,
    verdict::Verdict,
};

/// One execution of a TestPlan. Create it to start a load test; read its status for progress and verdict.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "crucible.dev",
    version = "v1alpha1",
    kind = "TestRun",
    plural = "testruns",
    shortname = "tr",
    category = "crucible",
    namespaced,
    status = "TestRunStatus",
    derive = "PartialEq",
    doc = "One execution of a TestPlan. Create it to start a load test; read its status for progress and verdict.",
    crates(kube_core = "::kube_core"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "Where the run is in its life."),
    printcolumn(name = "Verdict", type_ = "string", json_path = ".status.verdict.outcome", description = "What the results mean."),
    printcolumn(name = "Progress", type_ = "string", json_path = ".status.progress", description = "How much of the load has passed."),
    printcolumn(
        name = "QPS",
        type_ = "string",
        json_path = ".status.live.queriesPerSecond",
        description = "Queries answered per second: live, then over the measured stages."
    ),
    printcolumn(
        name = "P95",
        type_ = "string",
        json_path = ".status.live.p95",
        description = "95th percentile of the latency: live, then over the measured stages."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason", priority = 1, description = "Why the run is where it is."),
    printcolumn(name = "Plan", type_ = "string", json_path = ".spec.planRef.name", priority = 1, description = "The plan that is executed."),
    printcolumn(name = "Workers", type_ = "string", json_path = ".status.workers.summary", priority = 1, description = "Workers ready of workers expected.")
)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("self.planRef == oldSelf.planRef && has(self.label) == has(oldSelf.label) && (!has(self.label) || self.label == oldSelf.label) && has(self.ttlAfterFinished) == has(oldSelf.ttlAfterFinished) && (!has(self.ttlAfterFinished) || self.ttlAfterFinished == oldSelf.ttlAfterFinished) && has(self.runId) == has(oldSelf.runId) && (!has(self.runId) || self.runId == oldSelf.runId) && has(self.clusterSpec) == has(oldSelf.clusterSpec) && (!has(self.clusterSpec) || self.clusterSpec == oldSelf.clusterSpec) && has(self.clusterSettings) == has(oldSelf.clusterSettings) && (!has(self.clusterSettings) || self.clusterSettings == oldSelf.clusterSettings)")
        .message("the spec of a TestRun cannot be changed, except that stop may be set to true"),
    validation = Rule::new("!(has(oldSelf.stop) && oldSelf.stop) || (has(self.stop) && self.stop)").message("stop cannot be taken back")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestRunSpec {
    /// The plan to execute, in the run's own namespace.
    pub plan_ref: PlanRef,
    /// A word of yours to find the run by, for example `nightly`. No control characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[^\x00-\x1f\x7f]+$"))]
    pub label: Option<String>,
    /// The run's name for results and for clients outside Kubernetes, where a client has to know it before it creates the run: `{plan}_{YYYYMMDD-HHmm}_{8 hex digits}`, with the minute of creation in UTC. No other run may have it. Made up by the operator when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The system under test in the client's own words. The run fails where its `type` is not the engine of the plan; the rest is kept as it is, at most 16 KiB of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_spec: Option<ClusterSpec>,
    /// How the system under test was set up, in the client's own words. Kept as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536), regex(pattern = r"^[^\x00]*$"))]
    pub cluster_settings: Option<String>,
    /// Set to true to end the load early. What was measured until then is kept. It cannot be taken back.
    #[serde(default)]
    pub stop: bool,
    /// How long a finished run is kept before it is deleted. Kept for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_after_finished: Option<Duration>,
}

/// A reference to a TestPlan in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanRef {
    /// The name of the TestPlan.
    pub name: ObjectName,
}

/// Everything that is known about a run: summaries only, at most 50 KiB. Blobs are in the bucket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TestRunStatus {
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The run's name for results and for clients outside Kubernetes: `{plan}_{YYYYMMDD-HHmm}_{8 hex digits}`, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub run_id: Option<String>,
    /// Where the run is in its life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Since when the run is in its phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase_since: Option<MicroTime>,
    /// Why the run is where it is, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// Why the run is where it is, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// The plan as it was frozen for this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<FrozenPlanStatus>,
    /// The identity of the system under test: engine, host and port. One run at a time loads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub sut: Option<String>,
    /// The second system under test of a run whose arms are at two of them. The run holds the right to load both.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub second_sut: Option<String>,
    /// Where the run stands in the queue for its system under test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueStatus>,
    /// The datasets of the plan, in the plan's order, and how far each is. Written down before anything is loaded: from then on the run goes by exactly these files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub fixtures: Vec<RunFixture>,
    /// How fast the datasets are being loaded, while they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loading: Option<LoadingStatus>,
    /// How the workers are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<WorkersStatus>,
    /// The instant at which all workers were told to start. Written before they are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_at: Option<MicroTime>,
    /// When the last stage ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<MicroTime>,
    /// When the first query went out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_query_at: Option<MicroTime>,
    /// When the last query was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_query_at: Option<MicroTime>,
    /// When the run reached its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<MicroTime>,
    /// The stage that the load is in; in a load with rounds with the number of the round, for example `steady#2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 68))]
    pub stage: Option<String>,
    /// How much of the load has passed, for example `42%`; before it, how much of the datasets is loaded, for example `fixtures 42%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub progress: Option<String>,
    /// What is measured right now; at the end, what was measured over all measured stages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveStatus>,
    /// What became of each fault of the plan, in the plan's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub faults: Vec<FaultStatus>,
    /// Why the run fails once its faults are healed, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing: Option<EndedEarly>,
    /// What the results mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Where the results are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<ResultsStatus>,
    /// Why the load was ended early, where it was: the reason that the rest of the run carries on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_early: Option<EndedEarly>,
    /// Every phase that the run went through, oldest first. Append-only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub transitions: Vec<Transition>,
    /// What holds of the run, by type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// The plan as it was frozen for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FrozenPlanStatus {
    /// The name of the TestPlan.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its generation when it was frozen.
    pub generation: i64,
    /// SHA-256 of the resolved plan, workload text included.
    #[schemars(length(max = 64))]
    pub digest: String,
    /// The ConfigMap that holds the resolved plan.
    #[schemars(length(max = 253))]
    pub config_map: String,
    /// The engine of the system under test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub engine: Option<String>,
}

/// Where a run stands in the queue for its system under test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueStatus {
    /// How many runs go first, the one that is loading included.
    pub ahead: u32,
    /// `namespace/name` of the run that holds the system under test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    pub blocked_by: Option<String>,
}

/// How the workers of a run are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkersStatus {
    /// How many the plan asks for.
    pub expected: u32,
    /// How many wait at the barrier or have passed it.
    pub ready: u32,
    /// How many ended the load as planned and handed in their results.
    pub succeeded: u32,
    /// How many left without results.
    pub lost: u32,
    /// `ready/expected`.
    #[schemars(length(max = 16))]
    pub summary: String,
    /// The time between the first queries of the first and the last worker, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_skew_micros: Option<i64>,
    /// The largest share of one processor that any worker used while the load was on, for example `0.42`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub cpu_share: Option<String>,
    /// The version that the system under test gave when the workers connected to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub server_version: Option<String>,
    /// When the system under test that answered after the load had been started, as exactly as it tells; the latest that any worker was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_started_at: Option<MicroTime>,
    /// The largest share of the load in which the kernel held any worker back, for example `0.02`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub throttled_share: Option<String>,
    /// The largest share of its processor time that any worker spent on collecting garbage, for example `0.03`; known at the end of the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub garbage_collection_share: Option<String>,
    /// By how much the first query of the last worker was late against the agreed start, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_start_micros: Option<i64>,
    /// The largest difference between any worker's clock and the operator's, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset_millis: Option<i64>,
}

/// What is measured over the whole fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveStatus {
    /// Queries answered without error per second.
    #[schemars(length(max = 24))]
    pub queries_per_second: String,
    /// The 95th percentile of their latency.
    #[schemars(length(max = 24))]
    pub p95: String,
    /// The share of queries that ended in an error or a time-out.
    #[schemars(length(max = 24))]
    pub error_rate: String,
    /// In the open model, arrivals per second that the plan asks for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 24))]
    pub arrivals_per_second: String,
    /// In the open model, arrivals that wait for a virtual user.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 24))]
    pub waiting: String,
    /// When this was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<MicroTime>,
}

/// Where the results of a run are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResultsStatus {
    /// The bucket.
    #[schemars(length(max = 63))]
    pub bucket: String,
    /// Everything of this run lies under this prefix.
    #[schemars(length(max = 400))]
    pub prefix: String,
    /// SHA-256 of `results.json`.
    #[schemars(length(max = 64))]
    pub sha256: String,
    /// Queries of the measured stages, errors included.
    pub queries: u64,
    /// How many of them ended in an error or a time-out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<u64>,
    /// Queries answered without error per second of the measured stages, for example `1234.567`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    pub queries_per_second: Option<String>,
    /// The 95th percentile of the answered queries' latency, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_micros: Option<u64>,
    /// Of how many workers results were merged.
    pub workers: u32,
    /// Whether results of some workers are missing or the load ended early.
    pub partial: bool,
}

/// A dataset of a run's plan and the table that it is loaded into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunFixture {
    /// The dataset.
    #[schemars(length(max = 128))]
    pub name: String,
    /// The database that the table is in.
    #[schemars(length(max = 128))]
    pub database: String,
    /// The table.
    #[schemars(length(max = 128))]
    pub table: String,
    /// How far it is.
    pub state: TableState,
    /// SHA-256 over the files and over how they are read.
    #[schemars(length(max = 64))]
    pub digest: String,
    /// How many files there are.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Whether queries of the plan may write: the table then counts as changed from here on.
    #[serde(default)]
    pub writes: bool,
    /// Rows of the table, once it is proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// SHA-256 over the counts and sums of the table's columns, once it is proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub checksum: Option<String>,
    /// When it was proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<MicroTime>,
}

/// How far a table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TableState {
    /// Nothing was done for it yet.
    #[default]
    Waiting,
    /// Its rows are being loaded.
    Loading,
    /// Its rows are loaded and are being counted.
    Proving,
    /// It was loaded and proved by this run.
    Loaded,
    /// It was found as it had been loaded before, so nothing was loaded.
    Found,
    /// It was brought back and proved by this run, from the rows that its fixture keeps (`reset: snapshot`); no file was read.
    Restored,
}

impl TableState {
    /// Whether the table is ready for the load.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        matches!(self, Self::Loaded | Self::Found | Self::Restored)
    }
}

/// How fast datasets are being loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LoadingStatus {
    /// Files read to their end, of all: `3/10`.
    #[schemars(length(max = 48))]
    pub files: String,
    /// Rows sent so far.
    pub rows: u64,
    /// Bytes of the files read so far.
    pub bytes: u64,
    /// Bytes of the files per second since the loading began, for example `48.2 MB/s`.
    #[schemars(length(max = 24))]
    pub rate: String,
    /// How long the rest takes at that rate, for example `2m10s`; nothing where it cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    pub eta: Option<String>,
    /// When this was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<MicroTime>,
}

/// Why a load was ended before its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndedEarly {
    /// Why, in one word.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// Why, in one sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// One move from phase to phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// The phase that the run came to.
    pub phase: Phase,
    /// When.
    pub at: MicroTime,
    /// Why, in one word.
    #[schemars(length(max = 64))]
    pub reason: String,
}

/// The creation time of a run as whole seconds, which Kubernetes keeps.
pub type CreatedAt = Time;
