//! A run in few words: what lists and streams of progress show.

use bytes::Bytes;
use crucible_crds::{Phase, TestRun, Verdict};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde::Serialize;
use utoipa::ToSchema;

/// A run in few words.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunOutline {
    /// The name of its object.
    name: String,
    /// The name that results have.
    run_id: String,
    /// The TestPlan that it carries out.
    plan: String,
    /// A word to find it by.
    label: Option<String>,
    /// Where it is in its life: `Pending`, `Queued`, `Loading`, `WaitingRoom`, `Executing`, `Collecting`, `Stopping`, `Completed` or `Failed`.
    #[schema(value_type = String)]
    phase: Phase,
    /// Whether its end was asked for.
    stop: bool,
    /// Why it is where it is, in one word.
    reason: Option<String>,
    /// Why it is where it is, in one sentence.
    message: Option<String>,
    /// `Passed`, `Failed`, `Inconclusive`, `Invalid`, `Aborted` or `HarnessError`, once there is one.
    verdict: Option<&'static str>,
    /// The stage that the load is in.
    stage: Option<String>,
    /// How much of the load has passed, for example `42%`.
    progress: Option<String>,
    /// Queries answered per second: now, or at the end over the measured stages.
    queries_per_second: Option<String>,
    /// The 95th percentile of their latency.
    p95: Option<String>,
    /// The share of queries that failed.
    error_rate: Option<String>,
    /// Workers ready of workers expected.
    workers: Option<String>,
    /// When it was made.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<Timestamp>,
    /// When the load began or begins.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    /// When the load ends, once it has begun.
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<Timestamp>,
    /// When the run reached its end.
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<Timestamp>,
}

/// A run in few words, as it is sent.
#[must_use]
pub fn outline(run: &TestRun, run_id: &str) -> Bytes {
    let status = run.status.clone().unwrap_or_default();
    let at = |time: Option<MicroTime>| time.map(|time| time.0);
    let live = status.live.unwrap_or_default();
    let said = |text: String| Some(text).filter(|text| !text.is_empty());
    let outline = RunOutline {
        name: run.metadata.name.clone().unwrap_or_default(),
        run_id: run_id.to_owned(),
        plan: run.spec.plan_ref.name.to_string(),
        label: run.spec.label.clone(),
        phase: status.phase.unwrap_or_default(),
        stop: run.spec.stop,
        reason: status.reason,
        message: status.message,
        verdict: status.verdict.as_ref().map(|Verdict { outcome, .. }| outcome.as_str()),
        stage: status.stage,
        progress: status.progress,
        queries_per_second: said(live.queries_per_second),
        p95: said(live.p95),
        error_rate: said(live.error_rate),
        workers: status.workers.map(|workers| workers.summary),
        created_at: run.metadata.creation_timestamp.as_ref().map(|at| at.0),
        started_at: at(status.start_at),
        ends_at: at(status.ends_at),
        completed_at: at(status.completed_at),
    };
    // A type of texts can always be written.
    Bytes::from(serde_json::to_vec(&outline).unwrap_or_default())
}
