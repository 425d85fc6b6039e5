//! What the operator and its workers say to each other: the frozen plan, the worker's report, the operator's orders.
//!
//! This is the boundary between two programs that may be of different versions, so every message carries
//! [`PROTOCOL`]. Times of the load are whole nanoseconds, latencies whole microseconds.

mod loading;

use std::collections::BTreeMap;

use crucible_crds::{
    TestPlanSpec,
    name::{Label, QueryName},
    test_plan::Target,
};
use serde::{Deserialize, Serialize};

pub use loading::{LoadAnswer, LoadRecipe, LoadReport, LoaderState, SignedGet, StoredFile, TableRecipe, TableReport};

/// The version of this contract. A worker of another version is refused at check-in.
pub const PROTOCOL: u32 = 1;

/// The port of the worker's control API.
pub const CONTROL_PORT: u16 = 7070;

/// The path of the operator's check-in route.
pub const CHECK_IN_PATH: &str = "/v1/check-in";

/// The path of the operator's route for loaders of fixtures.
pub const LOAD_PATH: &str = "/v1/load";

/// How many signed addresses a loader may ask for at a time.
pub const MOST_KEYS: usize = 256;

/// Where the worker pod finds what it needs. The paths are part of the contract between Job builder and worker.
pub mod paths {
    /// The frozen plan as JSON ([`super::FrozenPlan`]), mounted from the run's ConfigMap.
    pub const PLAN: &str = "/etc/crucible/plan/plan.json";
    /// The run's token, mounted from the run's own Secret.
    pub const TOKEN: &str = "/etc/crucible/token/token";
    /// The directory with `username` and `password`, and [`AUTHORITIES`] where the Secret that the plan names holds it.
    pub const CREDENTIALS: &str = "/etc/crucible/credentials";
    /// The file of [`CREDENTIALS`] with certificates of authorities that are believed besides the system's, in PEM.
    pub const AUTHORITIES: &str = "ca.crt";
    /// Scratch space (an emptyDir): the engine's plan, the socket to k6, histogram logs, raw samples.
    pub const SCRATCH: &str = "/scratch";
    /// Where Kubernetes reads the worker's last word ([`super::WorkerOutcome`]) from.
    pub const TERMINATION_LOG: &str = "/dev/termination-log";
}

/// Names of the environment variables that the Job builder sets and the worker reads.
pub mod env {
    /// The worker's index in its Indexed Job; set by Kubernetes itself.
    pub const INDEX: &str = "JOB_COMPLETION_INDEX";
    /// The pod's own IP address, for the check-in.
    pub const POD_IP: &str = "CRUCIBLE_POD_IP";
    /// The pod's own name, for messages.
    pub const POD_NAME: &str = "CRUCIBLE_POD_NAME";
    /// `http://host:port` of the operator, for the check-in. Absent: the worker waits to be found.
    pub const CHECK_IN_URL: &str = "CRUCIBLE_CHECK_IN_URL";
}

/// How a loader leaves, as the Job builder and the loader agree on it.
pub mod exit {
    /// It cannot go on, and trying again would not help.
    pub const REFUSED: u8 = 3;
    /// It was told to end, or its time was over.
    pub const STOPPED: u8 = 4;
}

/// The plan of one run, resolved and immutable. It is the only thing that operator and workers go by once a run is
/// admitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrozenPlan {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// Which run this is.
    pub run: RunIdentity,
    /// The name of the TestPlan.
    pub plan_name: String,
    /// The generation of the TestPlan.
    pub plan_generation: i64,
    /// SHA-256 over spec and queries, in hex: what is asked for, whoever asks.
    pub digest: String,
    /// The TestPlan's spec as it was, but with the stages as they are carried out: the steps of a search are among them, and those of every round
    /// ([`crate::load::rounds`]).
    pub spec: TestPlanSpec,
    /// The queries that run, in the order of the workload, with SQL in the engine's own placeholders.
    pub queries: Vec<Query>,
    /// The two variants that the run compares, in the order of the spec; empty where it has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arms: Vec<FrozenArm>,
}

/// One variant of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrozenArm {
    /// Its name.
    pub name: Label,
    /// Where its queries go.
    pub target: Target,
    /// What is bound to the placeholders of each query, in the order of the plan's queries.
    pub bindings: Vec<Vec<Binding>>,
}

/// Which run something belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunIdentity {
    /// The TestRun's namespace.
    pub namespace: String,
    /// The TestRun's name.
    pub name: String,
    /// The TestRun's uid.
    pub uid: String,
    /// The run's name for results and clients: `{plan}_{YYYYMMDD-HHmm}_{8 hex digits}`.
    pub id: String,
    /// The TestRun's label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// One query that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Query {
    /// Its name.
    pub name: QueryName,
    /// Its text with the engine's own placeholders.
    pub sql: String,
    /// How often it is chosen, relative to the others.
    pub weight: u32,
    /// What is bound to each placeholder, in the placeholders' order.
    #[serde(default)]
    pub bindings: Vec<Binding>,
    /// How many rows the right answer has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_rows: Option<RowBounds>,
    /// How Cassandra answers it; nothing for any other engine.
    #[serde(flatten)]
    pub cql: CqlOptions,
}

/// What only a query of Cassandra has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CqlOptions {
    /// How many replicas have to answer; `LOCAL_QUORUM` where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// How many rows are asked for at a time; 5000 where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
}

/// How many replicas have to answer, by Cassandra's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Consistency {
    /// Any node at all, for writes.
    Any,
    /// One replica.
    One,
    /// Two replicas.
    Two,
    /// Three replicas.
    Three,
    /// Most of all replicas.
    Quorum,
    /// Every replica.
    All,
    /// Most of the replicas of the data centre that is asked.
    LocalQuorum,
    /// Most of the replicas of each data centre, for writes.
    EachQuorum,
    /// One replica of the data centre that is asked.
    LocalOne,
    /// For reads: whatever lightweight transactions have agreed on.
    Serial,
    /// The same in the data centre that is asked.
    LocalSerial,
}

impl Consistency {
    /// The level that a word names, in capitals or not.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_uppercase().as_str() {
            "ANY" => Self::Any,
            "ONE" => Self::One,
            "TWO" => Self::Two,
            "THREE" => Self::Three,
            "QUORUM" => Self::Quorum,
            "ALL" => Self::All,
            "LOCAL_QUORUM" => Self::LocalQuorum,
            "EACH_QUORUM" => Self::EachQuorum,
            "LOCAL_ONE" => Self::LocalOne,
            "SERIAL" => Self::Serial,
            "LOCAL_SERIAL" => Self::LocalSerial,
            _ => return None,
        })
    }
}

/// What is bound to one placeholder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Binding {
    /// A whole number drawn evenly, both ends included.
    #[serde(rename_all = "camelCase")]
    IntRange {
        /// The parameter's name.
        name: String,
        /// The smallest value.
        min: i64,
        /// The largest value.
        max: i64,
    },
    /// One of these texts, drawn evenly.
    #[serde(rename_all = "camelCase")]
    Choice {
        /// The parameter's name.
        name: String,
        /// The texts.
        values: Vec<String>,
    },
}

/// Bounds on a number of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowBounds {
    /// The fewest rows that are right.
    pub min: Option<u64>,
    /// The most rows that are right.
    pub max: Option<u64>,
}

/// How far a worker is. A worker only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WorkerState {
    /// k6 is starting and the system under test is being checked.
    Preparing,
    /// Every virtual user has its connection and waits at the barrier.
    Ready,
    /// The start order was accepted; the agreed instant has not come.
    Armed,
    /// The load is on.
    Running,
    /// No new query is sent; those in flight are being waited for.
    Draining,
    /// The load is over and the results lie on the worker's disk.
    Finished,
    /// The results are in the bucket.
    Uploaded,
    /// The worker cannot go on; `failure` says why.
    Failed,
}

/// What a worker answers to `GET /status?after=<second>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerReport {
    /// [`PROTOCOL`] of the worker.
    pub protocol: u32,
    /// The uid of the run that the worker belongs to.
    pub run_uid: String,
    /// The worker's index.
    pub index: u32,
    /// How far it is.
    pub state: WorkerState,
    /// Why it cannot go on, in state `Failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The worker's wall clock when it answered, for the offset between clocks.
    pub now_unix_nanos: i64,
    /// The version that the system under test gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// When the first query went out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_query_unix_nanos: Option<i64>,
    /// How long after the agreed instant the first query went out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_nanos: Option<i64>,
    /// When the last query was answered, from state `Finished` on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_query_unix_nanos: Option<i64>,
    /// Whether the load ended before the plan's last stage did, from state `Finished` on.
    #[serde(default)]
    pub interrupted: bool,
    /// The completed seconds after the one that was asked for, oldest first, at most 60.
    #[serde(default)]
    pub seconds: Vec<LiveSecond>,
    /// What is to be uploaded, from state `Finished` on.
    #[serde(default)]
    pub files: Vec<ResultFile>,
    /// What the system under test answered to the plan's invariants; only of the worker that asks, from state `Uploaded` on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<InvariantAnswer>,
    /// Processor seconds that the worker with its k6 has used while the load was on.
    #[serde(default)]
    pub cpu_seconds: f64,
    /// Resident memory of the worker with its k6, in bytes.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Seconds in which the kernel held the pod back while the load was on; nothing where the kernel does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled_seconds: Option<f64>,
    /// Processor time that k6 spent on collecting garbage, from state `Finished` on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gc_nanos: Option<u64>,
    /// When the server that answered after the load had been started, counted from the start instant, from state `Finished` on; nothing where
    /// that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_started_nanos: Option<i64>,
}

/// One second of the load as one worker saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveSecond {
    /// Whole seconds since the agreed instant.
    pub second: u64,
    /// Queries answered without error.
    pub ok: u64,
    /// Queries that ended in an error or a time-out.
    pub errors: u64,
    /// Virtual users at work.
    pub vus: u32,
    /// Latencies of the queries answered without error, all queries together: base64 of a compressed V2 histogram of microseconds.
    pub histogram: String,
    /// What became of the arrivals; only in the open model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<LiveArrivals>,
}

/// The arrivals of the open model in one second, as one worker or the fleet sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveArrivals {
    /// Arrivals that the schedule wanted in this second.
    pub due: u64,
    /// Arrivals that waited for a free virtual user at its end.
    pub waiting: u64,
}

/// Why a worker or its k6 cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// One of the words of [`crucible_crds::Reason`].
    pub reason: String,
    /// One sentence that names the query, the host or the exit code. Never a secret.
    pub message: String,
}

/// A file that a worker has written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultFile {
    /// Its name below `results/{run id}/`, for example `histograms/worker-0.hlog`.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// Whether one invariant holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvariantAnswer {
    /// The invariant's name in the plan.
    pub name: String,
    /// Whether the answer was the expected one; nothing where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<bool>,
    /// The answer, or why there was none, in at most 64 characters.
    pub said: String,
}

/// The body of `POST /start`. The first one that is accepted counts; later ones change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartOrder {
    /// How long after the arrival of this order the load starts. The sender has already taken off the way there.
    pub in_nanos: u64,
    /// The same instant by the worker's own clock, as the sender knows that clock: nanoseconds since 1970. The way of one order may be
    /// slow, so that this is the better word wherever the two are near each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_unix_nanos: Option<i64>,
}

/// The body of `POST /stop`. Repeating it changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StopOrder {
    /// Why, in one word, for the worker's log.
    pub reason: String,
}

/// The body of `POST /upload`. Repeating it uploads what is still missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadOrder {
    /// One signed request for each file.
    pub objects: Vec<SignedPut>,
}

/// A signed request that stores exactly one file. It carries no credentials beyond its own signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedPut {
    /// The file's name, as the worker reported it.
    pub name: String,
    /// Where to put it.
    pub url: String,
    /// The headers that the signature covers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// What a worker posts to the operator's check-in route when it can be reached, and again each second until it is polled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckIn {
    /// [`PROTOCOL`] of the worker.
    pub protocol: u32,
    /// The TestRun's namespace.
    pub namespace: String,
    /// The TestRun's name.
    pub run: String,
    /// The TestRun's uid.
    pub run_uid: String,
    /// The worker's index.
    pub index: u32,
    /// `ip:port` of the worker's control API.
    pub address: String,
}

/// The last word of a worker: its termination message, for whoever looks when the worker itself is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerOutcome {
    /// [`PROTOCOL`] of the worker.
    pub protocol: u32,
    /// The worker's index.
    pub index: u32,
    /// How far it came.
    pub state: WorkerState,
    /// Why it did not come further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Whether the load ended before the plan's last stage did.
    #[serde(default)]
    pub interrupted: bool,
    /// What it wrote.
    #[serde(default)]
    pub files: Vec<ResultFile>,
    /// What the system under test answered to the plan's invariants, where this worker asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<InvariantAnswer>,
}
