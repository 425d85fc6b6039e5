//! Collecting: every worker hands in its results, they are merged, and the run ends with a verdict.

use std::{collections::BTreeMap, time::Duration};

use crucible_crds::{
    Outcome, Phase, Reason,
    fault::FaultStatus,
    test_plan::Invariant,
    test_run::{LiveStatus, ResultsStatus, RunFixture},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    decision::{CollectRequest, Order},
    draft::{Draft, Step},
    faults::{self, Health},
    hand_in::hand_in,
    loss,
    observed::{Collected, Collection, Observed},
    progress::{self, percent},
    queue,
};
use crate::{
    contract::{FrozenPlan, InvariantAnswer, ResultFile},
    latency::human,
    notice::Severity,
    results::{Facts, FaultFact, FaultRecord, FixtureFact, InvariantFact, observability::Window},
};

/// How soon to look again while results are on their way; the workers and the collector speak sooner.
const AGAIN: Duration = Duration::from_secs(2);

/// Collects the results of a load that ended as planned.
pub fn collect(observed: &Observed, draft: &mut Draft) -> Step {
    let Some(plan) = draft.plan.clone() else {
        return queue::plan_gone(observed, draft);
    };
    progress::record(observed, draft, &plan);
    match faults::heal(observed, draft, &plan) {
        Health::Healed => {}
        Health::Healing => {
            draft.order = Order::Listen;
            return Step::Stay;
        }
        Health::GivenUp(message) => return draft.fail_now(Reason::ChaosRecoveryStuck, message),
    }
    if let Some(step) = merge(observed, draft, &plan, plan.spec.load.workers) {
        return step;
    }
    if let Some(loss) = loss::first(observed, &plan, draft) {
        return draft.fail(loss.reason, loss.message);
    }
    if draft.past(plan.spec.deadlines.collect.span() + faults::longest_healing(&plan)) {
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
    if awaited > 0 && files.len() >= awaited as usize && faults::is_read(observed, draft) {
        let facts = Facts { invariants: invariants(observed, plan), ..facts(draft, plan, &files) };
        let faults = draft.status.faults.iter().map(|status| fault_record(observed, status)).collect();
        draft.collect = Some(Box::new(CollectRequest { plan: plan.clone(), files, facts, window: window(draft), faults }));
    }
    None
}

/// The time of the load by the workers' clocks; by the operator's where no worker has told.
fn window(draft: &Draft) -> Window {
    let status = &draft.status;
    let at = |instant: &Option<MicroTime>| instant.as_ref().map(|at| at.0);
    Window { from: at(&status.first_query_at).or(at(&status.start_at)).unwrap_or(draft.now), to: at(&status.last_query_at).unwrap_or(draft.now) }
}

/// A fault with what Chaos Mesh itself says about it.
fn fault_record(observed: &Observed, status: &FaultStatus) -> FaultRecord {
    let object = observed.faults.get(&status.name).and_then(|view| view.object.found());
    FaultRecord { status: status.clone(), object: object.cloned() }
}

/// Whether every invariant of the plan holds. The worker that asks has done so before it uploaded.
fn invariants(observed: &Observed, plan: &FrozenPlan) -> Vec<InvariantFact> {
    let answers: Vec<&InvariantAnswer> =
        (0..plan.spec.load.workers).filter_map(|index| hand_in(observed, index)).filter(|handed| handed.uploaded).flat_map(|handed| handed.answers).collect();
    let fact = |invariant: &Invariant| InvariantFact {
        name: invariant.name.to_string(),
        expected: invariant.expect.clone(),
        answer: answers.iter().find(|answer| answer.name == *invariant.name).map(|answer| (*answer).clone()),
    };
    plan.spec.workload.invariants.iter().map(fact).collect()
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
        throttled_share: workers.and_then(|workers| workers.throttled_share.as_ref()).and_then(|share| share.parse().ok()),
        garbage_collection_share: workers.and_then(|workers| workers.garbage_collection_share.as_ref()).and_then(|share| share.parse().ok()),
        late_start_micros: workers.and_then(|workers| workers.late_start_micros),
        clock_offset_millis: workers.and_then(|workers| workers.clock_offset_millis),
        server_version: workers.and_then(|workers| workers.server_version.clone()),
        server_started_at: workers.and_then(|workers| workers.server_started_at.as_ref()).map(|at| at.0),
        started_at: draft.status.start_at.as_ref().map(|at| at.0),
        ended_early: draft.status.ended_early.clone(),
        without_raw_samples: files.iter().filter(|(_, handed)| lacks_raw(handed)).map(|(worker, _)| *worker).collect(),
        faults: draft.status.faults.iter().map(|status| fault_fact(draft, status)).collect(),
        invariants: Vec::new(),
        fixtures: draft.status.fixtures.iter().map(fixture_fact).collect(),
    }
}

fn fixture_fact(fixture: &RunFixture) -> FixtureFact {
    let content = fixture.checksum.as_ref().unwrap_or(&fixture.digest).clone();
    FixtureFact { table: format!("{}.{}", fixture.database, fixture.table), rows: fixture.rows, content }
}

/// What became of a fault, on the load's own time.
fn fault_fact(draft: &Draft, status: &FaultStatus) -> FaultFact {
    let start = draft.status.start_at.as_ref().map_or(draft.now, |at| at.0);
    let seconds = |at: &Option<MicroTime>| at.as_ref().map(|at| at.0.duration_since(start).as_secs_f64());
    FaultFact {
        name: status.name.clone(),
        kind: status.kind.clone(),
        confirmed: status.confirmed,
        targets: status.targets,
        from: seconds(&status.injected_at),
        to: seconds(&status.injected_at).and(seconds(&status.recovered_at)),
        message: status.message.clone(),
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
        arrivals_per_second: String::new(),
        waiting: String::new(),
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
