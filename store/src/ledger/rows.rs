//! What goes into the ledger and what comes out of it: plain rows, no SQL and no Kubernetes.

use jiff::Timestamp;
use serde_json::Value;

/// A run as the ledger has it: the columns of the earlier system, then ours.
///
/// Rows that other programs wrote have no namespace, name, uid, phase, verdict or summary, and any of their texts may be
/// absent but the id and the status.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRow {
    /// `{plan name}_{YYYYMMDD-HHmm}_{8 hex digits}`, or whatever another program called it.
    pub run_id: String,
    /// What carried the run out: for our runs the uid of the TestRun.
    pub task_id: Option<String>,
    /// The plan's name as the client knows it.
    pub plan_name: Option<String>,
    /// Where the plan lies in the bucket, where it came from there.
    pub plan_key: Option<String>,
    /// A word to find the run by.
    pub run_label: Option<String>,
    /// The engine of the system under test.
    pub sut_type: Option<String>,
    /// `intra_node` or `inter_node`.
    pub scaling_mode: Option<String>,
    /// What the client said of the cluster under test.
    pub cluster_spec: Option<Value>,
    /// What the client noted of its settings.
    pub cluster_settings: Option<String>,
    /// One of the eight words of the earlier system; rows of other programs may hold any.
    pub status: String,
    /// Why the run failed, where it did.
    pub error_detail: Option<String>,
    /// When the run was submitted.
    pub submitted_at: Timestamp,
    /// When the load began.
    pub started_at: Option<Timestamp>,
    /// When the run reached its end.
    pub completed_at: Option<Timestamp>,
    /// The namespace of the TestRun.
    pub namespace: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its uid.
    pub uid: Option<String>,
    /// Its phase.
    pub phase: Option<String>,
    /// The outcome of its verdict, once there is one.
    pub verdict: Option<String>,
    /// The rest of its status, bounded: reason, message, verdict with checks, headline figures, where the results are.
    pub summary: Option<Value>,
}

/// A run as it is to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRecord {
    /// The resource version that it was read at: the higher one wins.
    pub resource_version: u64,
    /// The uid of the TestRun: the row's identity.
    pub uid: String,
    /// Its row. `uid` there is this uid; what is absent keeps what a submit wrote.
    pub row: RunRow,
    /// Its waiting room, where it came as far as having one.
    pub waiting_room: Option<WaitingRoom>,
    /// Every phase that it went through, oldest first.
    pub transitions: Vec<TransitionRow>,
    /// What it measured, once it has.
    pub history: Option<HistoryRow>,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The uid of the record.
    pub uid: String,
    /// What became of it.
    pub outcome: RecordOutcome,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOutcome {
    /// The ledger holds this state of the run.
    Written,
    /// The ledger held this state of the run, or a later one, already.
    Superseded,
    /// The run's id belongs to another run's row, which was left alone.
    Taken,
}

/// A row of ours that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The uid of the TestRun.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A run that was just submitted. Its status is `PENDING`.
#[derive(Clone, Debug, PartialEq)]
pub struct SubmittedRun {
    /// As in [`RunRow`].
    pub run_id: String,
    /// The namespace of the TestRun that was created.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// As in [`RunRow`].
    pub plan_name: String,
    /// As in [`RunRow`].
    pub plan_key: Option<String>,
    /// As in [`RunRow`].
    pub run_label: Option<String>,
    /// As in [`RunRow`].
    pub sut_type: Option<String>,
    /// As in [`RunRow`].
    pub scaling_mode: Option<String>,
    /// As in [`RunRow`].
    pub cluster_spec: Option<Value>,
    /// As in [`RunRow`].
    pub cluster_settings: Option<String>,
    /// The creation time of the TestRun.
    pub submitted_at: Timestamp,
}

/// Where the workers of a run gather.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingRoom {
    /// How many workers are ready.
    pub ready_count: u32,
    /// How many have handed in results.
    pub completed_count: u32,
    /// How many the plan asks for.
    pub target_count: u32,
    /// What they were told.
    pub signal: Signal,
    /// When the room opened.
    pub created_at: Timestamp,
}

/// What the workers of a run were told, in the words of the earlier system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Not to start yet.
    Wait,
    /// To start.
    Start,
    /// Not to start any more, or to end.
    Abort,
}

impl Signal {
    /// Every word.
    pub const ALL: [Self; 3] = [Self::Wait, Self::Start, Self::Abort];

    /// The word as it stands in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "WAIT",
            Self::Start => "START",
            Self::Abort => "ABORT",
        }
    }
}

/// One move of a run from phase to phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransitionRow {
    /// The phase that the run came to.
    pub phase: String,
    /// When.
    pub at: Timestamp,
    /// Why, in one word.
    pub reason: String,
}

/// What a finished run measured, for comparison with other runs of its plan.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryRow {
    /// The run.
    pub run_id: String,
    /// When it reached its end.
    pub completed_at: Timestamp,
    /// SHA-256 of the resolved plan: only runs of the same one are alike.
    pub plan_digest: String,
    /// The outcome of its verdict.
    pub verdict: String,
    /// Queries of the measured stages, errors included.
    pub queries: u64,
    /// Queries answered without error per second of the measured stages.
    pub queries_per_second: Option<f64>,
    /// The share of queries that ended in an error or a time-out, from 0 to 1.
    pub error_rate: Option<f64>,
    /// The 95th percentile of the latency, in microseconds.
    pub p95_micros: Option<u64>,
}

/// Which runs are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListRuns {
    /// Their namespace. Rows without one belong to the namespace of the earlier system's clients.
    pub namespace: String,
    /// Only runs with this label.
    pub label: Option<String>,
    /// Only runs after this place, as the last page said it.
    pub after: Option<Cursor>,
    /// How many at most; nought or more than [`super::LONGEST_PAGE`] stands for that.
    pub limit: u32,
}

/// A place between two runs. It stays where it is whatever is added.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When the run before the place was submitted.
    pub submitted_at: Timestamp,
    /// Its id.
    pub run_id: String,
}

/// One page of runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The runs, newest first.
    pub runs: Vec<RunRow>,
    /// Where the next page begins, where there is one.
    pub next: Option<Cursor>,
}

/// Where the runs of one page stand, without anything else of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The runs, newest first.
    pub runs: Vec<Cursor>,
    /// Where the next page begins, where there is one.
    pub next: Option<Cursor>,
}

/// What became of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopOutcome {
    /// The run's row is `STOPPING` now.
    Stopping,
    /// It was `STOPPING` already, or had ended.
    AlreadyStopped,
    /// There is no such run in this namespace.
    NotFound,
}

impl RunRow {
    /// The place right after this run.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { submitted_at: self.submitted_at, run_id: self.run_id.clone() }
    }
}
