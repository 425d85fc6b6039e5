//! What the ledger is told of a run: a function of the object alone, so that the same object is always told alike.

use crucible_crds::{Outcome, Phase, Reason, TestRun, TestRunStatus, Verdict, test_run::Transition};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde_json::{Value, json};

use super::{Outline, legacy_status};
use crate::{build::labels, plan};

/// What a run that was deleted before its end says of itself.
const DELETED: &str = "The run was deleted before it had ended";
/// No more checks than these go into the ledger; those that did not hold come first.
const MOST_CHECKS: usize = 64;

/// A run as the ledger is told of it, without the resource version that it was read at: two readings that differ in nothing
/// else need not be told twice.
#[derive(Clone, Debug, PartialEq)]
pub struct MirroredRun {
    /// The uid of the TestRun.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The run's name for results and for clients outside Kubernetes.
    pub run_id: String,
    /// The plan's name as the client knows it.
    pub plan_name: String,
    /// Where the plan lies in the bucket, where it came from there.
    pub plan_key: Option<String>,
    /// A word to find the run by: its label, else the plan's name.
    pub run_label: String,
    /// The engine of the system under test, once it is known.
    pub sut_type: Option<String>,
    /// `intra_node` or `inter_node`, once it is known.
    pub scaling_mode: Option<String>,
    /// What the client said of the system under test.
    pub cluster_spec: Option<Value>,
    /// What the client noted of its settings.
    pub cluster_settings: Option<String>,
    /// One of the eight words of the earlier system.
    pub status: &'static str,
    /// Why the run failed, where it did.
    pub error_detail: Option<String>,
    /// When the run was created.
    pub submitted_at: Timestamp,
    /// When the load began.
    pub started_at: Option<Timestamp>,
    /// When the run reached its end.
    pub completed_at: Option<Timestamp>,
    /// Its phase.
    pub phase: Phase,
    /// What the results mean, once there are any.
    pub verdict: Option<Outcome>,
    /// The rest of its status: reason, message, verdict with checks, and at the end what was measured and where it is.
    pub summary: Value,
    /// Where its workers gather, once it came as far as that.
    pub room: Option<Room>,
    /// Every phase that it went through, oldest first.
    pub transitions: Vec<Transition>,
    /// What it measured, once it has.
    pub figures: Option<Figures>,
}

/// Where the workers of a run gather.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// How many workers are ready.
    pub ready: u32,
    /// How many have handed in results.
    pub completed: u32,
    /// How many the plan asks for.
    pub target: u32,
    /// What they were told.
    pub word: Word,
    /// When the room opened.
    pub since: Timestamp,
}

/// What the workers of a run were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Not to start yet.
    Wait,
    /// To start.
    Start,
    /// Not to start any more, or to end.
    Abort,
}

/// What a finished run measured, for comparison with other runs of its plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// When it reached its end.
    pub completed_at: Timestamp,
    /// SHA-256 of the resolved plan.
    pub plan_digest: String,
    /// The outcome of its verdict.
    pub verdict: Outcome,
    /// Queries of the measured stages, errors included.
    pub queries: u64,
    /// Queries answered without error per second of the measured stages.
    pub queries_per_second: Option<f64>,
    /// The share of queries that ended in an error or a time-out.
    pub error_rate: Option<f64>,
    /// The 95th percentile of the latency, in microseconds.
    pub p95_micros: Option<u64>,
}

/// What the ledger is told of a run. Nothing where its resource version is no number: such versions cannot be put in order.
///
/// A run that is being deleted, and that the run controller has let go of before its end, is told as failed: no other word
/// will follow.
#[must_use]
pub fn record(run: &TestRun) -> Option<MirroredRun> {
    let Outline { namespace, name, uid, deleting, version: _, phase: _, finalizers: _, said: _ } = Outline::of(run)?;
    let status = last_words(run, deleting);
    let phase = status.phase.unwrap_or_default();
    let submitted_at = run.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |created| created.0);
    let annotation = |name: &str| run.metadata.annotations.as_ref().and_then(|all| all.get(name).cloned());
    let plan_name = annotation(labels::PLAN_NAME).unwrap_or_else(|| run.spec.plan_ref.name.to_string());
    let run_id = status
        .run_id
        .clone()
        .or_else(|| run.spec.run_id.as_ref().map(ToString::to_string))
        .unwrap_or_else(|| plan::run_id(&run.spec.plan_ref.name, submitted_at, &uid));
    Some(MirroredRun {
        namespace,
        name,
        run_id,
        plan_key: annotation(labels::PLAN_KEY),
        run_label: run.spec.label.clone().unwrap_or_else(|| plan_name.clone()),
        plan_name,
        sut_type: engine(run, &status),
        scaling_mode: annotation(labels::SCALING_MODE).or_else(|| scaling_mode(&status)),
        cluster_spec: run.spec.cluster_spec.as_ref().and_then(|cluster| serde_json::to_value(cluster).ok()),
        cluster_settings: run.spec.cluster_settings.clone(),
        status: legacy_status(phase),
        error_detail: status.message.clone().filter(|_| phase == Phase::Failed),
        submitted_at,
        started_at: status.start_at.as_ref().map(|at| at.0),
        completed_at: status.completed_at.as_ref().map(|at| at.0),
        phase,
        verdict: status.verdict.as_ref().map(|verdict| verdict.outcome),
        summary: summary(&status),
        room: room(&status),
        figures: figures(&status),
        transitions: status.transitions,
        uid,
    })
}

/// The run's status, ended where no other end will come.
fn last_words(run: &TestRun, deleting: Option<Timestamp>) -> TestRunStatus {
    let mut status = run.status.clone().unwrap_or_default();
    let let_go = !run.metadata.finalizers.as_ref().is_some_and(|all| all.iter().any(|one| one == labels::FINALIZER));
    if let Some(at) = deleting.filter(|_| let_go && !status.phase.unwrap_or_default().is_terminal()) {
        let at = status.transitions.last().map_or(at, |last| last.at.0.max(at));
        status.phase = Some(Phase::Failed);
        status.transitions.push(Transition { phase: Phase::Failed, at: MicroTime(at), reason: Reason::Deleted.to_string() });
        status.reason = Some(Reason::Deleted.to_string());
        status.message = Some(DELETED.to_owned());
        status.completed_at = Some(MicroTime(at));
        status.verdict = Some(Verdict { outcome: Outcome::Aborted, reasons: vec![Reason::Deleted.to_string(), DELETED.to_owned()], checks: Vec::new() });
    }
    status
}

/// The engine of the frozen plan, until then what the client says that it is.
fn engine(run: &TestRun, status: &TestRunStatus) -> Option<String> {
    let frozen = status.plan.as_ref().and_then(|plan| plan.engine.clone());
    frozen.or_else(|| run.spec.cluster_spec.as_ref().map(|cluster| cluster.kind.clone()))
}

/// One worker is what the earlier system called `intra_node`.
fn scaling_mode(status: &TestRunStatus) -> Option<String> {
    let workers = status.workers.as_ref()?;
    Some(if workers.expected > 1 { "inter_node" } else { "intra_node" }.to_owned())
}

/// What is kept of a status beside the columns. Numbers that move while the load is on are left out until they stand still:
/// they are read from the cluster, and each would cost a write.
fn summary(status: &TestRunStatus) -> Value {
    let ended = status.phase.unwrap_or_default().is_terminal();
    let mut summary = json!({"reason": status.reason, "message": status.message});
    let mut keep = |name: &str, value: Value| {
        if !value.is_null() {
            summary[name] = value;
        }
    };
    keep("sut", json!(status.sut));
    keep("plan", json!(status.plan));
    keep("endedEarly", json!(status.ended_early));
    keep("verdict", json!(status.verdict.as_ref().map(bounded)));
    if ended {
        keep("results", json!(status.results));
        keep("measured", json!(status.live));
        keep("workers", json!(status.workers));
        keep("firstQueryAt", json!(status.first_query_at));
        keep("lastQueryAt", json!(status.last_query_at));
    }
    summary
}

fn bounded(verdict: &Verdict) -> Verdict {
    let mut verdict = verdict.clone();
    if verdict.checks.len() > MOST_CHECKS {
        verdict.checks.sort_by_key(|check| check.held);
        verdict.checks.truncate(MOST_CHECKS);
    }
    verdict
}

fn room(status: &TestRunStatus) -> Option<Room> {
    let opened = status.transitions.iter().find(|step| step.phase == Phase::WaitingRoom)?;
    let workers = status.workers.clone().unwrap_or_default();
    let word = match status.phase.unwrap_or_default() {
        Phase::Pending | Phase::Queued | Phase::Loading | Phase::WaitingRoom => Word::Wait,
        Phase::Executing | Phase::Collecting | Phase::Completed if status.ended_early.is_none() => Word::Start,
        Phase::Executing | Phase::Collecting | Phase::Completed | Phase::Stopping | Phase::Failed => Word::Abort,
    };
    Some(Room { ready: workers.ready, completed: workers.succeeded, target: workers.expected, word, since: opened.at.0 })
}

fn figures(status: &TestRunStatus) -> Option<Figures> {
    let results = status.results.as_ref()?;
    Some(Figures {
        completed_at: status.completed_at.as_ref()?.0,
        plan_digest: status.plan.as_ref()?.digest.clone(),
        verdict: status.verdict.as_ref()?.outcome,
        queries: results.queries,
        queries_per_second: results.queries_per_second.as_ref().and_then(|rate| rate.parse().ok()),
        error_rate: results.errors.and_then(|errors| share(errors, results.queries)),
        p95_micros: results.p95_micros,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a share; counts stay exact up to 2^53")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
