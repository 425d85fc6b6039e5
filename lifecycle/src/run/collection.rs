//! Collecting: every worker hands in its results, they are merged, and the run ends with a verdict.

use std::{collections::BTreeMap, time::Duration};

use crucible_crds::{
    Outcome, Phase, Reason,
    test_run::{LiveStatus, ResultsStatus},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    decision::{CollectRequest, Order},
    draft::{Draft, Step},
    hand_in::hand_in,
    loss,
    observed::{Collected, Collection, Observed},
    progress::{self, percent},
    queue,
};
use crate::{
    contract::{FrozenPlan, ResultFile},
    latency::human,
    notice::Severity,
    results::{Facts, observability::Window},
};

/// How soon to look again while results are on their way; the workers and the collector speak sooner.
const AGAIN: Duration = Duration::from_secs(2);

/// Collects the results of a load that ended as planned.
pub fn collect(observed: &Observed, draft: &mut Draft) -> Step {
    let Some(plan) = draft.plan.clone() else {
        return queue::plan_gone(observed, draft);
    };
    progress::record(observed, draft, &plan);
    if let Some(step) = merge(observed, draft, &plan, plan.spec.load.workers) {
        return step;
    }
    if let Some(loss) = loss::first(observed, &plan, draft) {
        return draft.fail(loss.reason, loss.message);
    }
    if draft.past(plan.spec.deadlines.collect.span()) {
        return draft.fail(Reason::ResultsUploadFailed, "The results were not stored and merged within deadlines.collect");
    }
    draft.wake_after(AGAIN);
    Step::Stay
}

/// Has what `awaited` workers handed in uploaded and merged. Says what came of it once there is something to say.
pub fn merge(observed: &Observed, draft: &mut Draft, plan: &FrozenPlan, awaited: u32) -> Option<Step> {
    match &observed.collection {
        Collection::Done(collected) => return Some(complete(observed, draft, plan, collected)),
        Collection::Failed { reason, message } => return Some(draft.fail(*reason, message.clone())),
        Collection::Running => {
            draft.order = Order::Listen;
            return None;
        }
        Collection::Idle => {}
    }
    draft.order = Order::Upload { run_id: plan.run.id.clone() };
    let files: BTreeMap<u32, Vec<ResultFile>> = (0..plan.spec.load.workers)
        .filter_map(|index| hand_in(observed, index).filter(|handed| handed.uploaded).map(|handed| (index, handed.files.to_vec())))
        .collect();
    if awaited > 0 && files.len() >= awaited as usize {
        let facts = facts(draft, plan, &files);
        draft.collect = Some(Box::new(CollectRequest { plan: plan.clone(), files, facts, window: window(draft) }));
    }
    None
}

/// The time of the load by the workers' clocks; by the operator's where no worker has told.
fn window(draft: &Draft) -> Window {
    let status = &draft.status;
    let at = |instant: &Option<MicroTime>| instant.as_ref().map(|at| at.0);
    Window { from: at(&status.first_query_at).or(at(&status.start_at)).unwrap_or(draft.now), to: at(&status.last_query_at).unwrap_or(draft.now) }
}

/// What the verdict needs to know beyond the measurements; from status, so that a new operator knows it too.
fn facts(draft: &Draft, plan: &FrozenPlan, files: &BTreeMap<u32, Vec<ResultFile>>) -> Facts {
    let workers = draft.status.workers.as_ref();
    let lacks_raw = |handed: &[ResultFile]| plan.spec.results.raw_samples && !handed.iter().any(|file| file.name.starts_with("k6_raw_"));
    Facts {
        expected_workers: plan.spec.load.workers,
        merged_workers: u32::try_from(files.len()).unwrap_or(u32::MAX),
        start_skew_micros: workers.and_then(|workers| workers.start_skew_micros),
        worker_cpu_share: workers.and_then(|workers| workers.cpu_share.as_ref()).and_then(|share| share.parse().ok()),
        ended_early: draft.status.ended_early.clone(),
        without_raw_samples: files.iter().filter(|(_, handed)| lacks_raw(handed)).map(|(worker, _)| *worker).collect(),
    }
}

fn complete(observed: &Observed, draft: &mut Draft, plan: &FrozenPlan, collected: &Collected) -> Step {
    let headline = &collected.headline;
    draft.status.results = Some(ResultsStatus {
        bucket: observed.settings.bucket.clone(),
        prefix: format!("results/{}/", plan.run.id),
        sha256: collected.sha256.clone(),
        queries: headline.ok + headline.errors,
        errors: Some(headline.errors),
        queries_per_second: Some(format!("{:.3}", headline.throughput)),
        p95_micros: headline.p95_micros,
        workers: collected.workers,
        partial: collected.partial,
    });
    draft.status.live = Some(LiveStatus {
        queries_per_second: format!("{:.0}", headline.throughput),
        p95: headline.p95_micros.map(human).unwrap_or_default(),
        error_rate: percent(headline.error_rate),
        at: Some(MicroTime(draft.now)),
    });
    if let Some(workers) = &mut draft.status.workers {
        workers.succeeded = collected.workers;
        workers.lost = plan.spec.load.workers.saturating_sub(collected.workers);
    }
    draft.status.verdict = Some(collected.verdict.clone());
    draft.status.completed_at = Some(MicroTime(draft.now));
    draft.status.stage = None;
    let (reason, severity) = match collected.verdict.outcome {
        Outcome::Passed => (Reason::VerdictPassed, Severity::Normal),
        Outcome::Failed => (Reason::VerdictFailed, Severity::Warning),
        Outcome::Inconclusive => (Reason::VerdictInconclusive, Severity::Warning),
        Outcome::Invalid => (Reason::VerdictInvalid, Severity::Warning),
        Outcome::Aborted => (Reason::VerdictAborted, Severity::Warning),
        Outcome::HarnessError => (Reason::VerdictHarnessError, Severity::Warning),
    };
    let message = format!("{}: {}", collected.verdict.outcome.as_str(), collected.verdict.reasons.join("; "));
    draft.notice(severity, reason, message.clone());
    draft.order = Order::None;
    draft.release();
    draft.go(Phase::Completed, reason, message)
}
