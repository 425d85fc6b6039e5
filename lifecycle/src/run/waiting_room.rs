//! `WaitingRoom`: the workers start, check the system under test and gather at the barrier.

use std::time::Duration;

use crucible_crds::{Phase, Reason, test_run::WorkersStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    decision::{Child, Order},
    draft::{Draft, Step, later},
    faults::{self, Ground},
    loss,
    observed::{Observed, PodState},
    queue,
};
use crate::{
    build::job,
    contract::{FrozenPlan, PROTOCOL, WorkerState},
    notice::Severity,
};

/// How long a pull may fail before it is believed: registries have bad moments.
pub const PULL_GRACE: Duration = Duration::from_mins(1);
/// How long a container may be refused before that is believed: a Secret may come a moment later.
pub const CONFIG_GRACE: Duration = Duration::from_secs(25);
/// How long a Job may be without pods while the cluster refuses them.
pub const REJECTED_GRACE: Duration = Duration::from_secs(30);
/// How soon to look again while pods start; the workers' own word comes sooner.
const AGAIN: Duration = Duration::from_secs(2);
/// From the agreement on a start instant to that instant: the time for the record to be written and the orders to be carried.
const LEAD: Duration = Duration::from_millis(140);
/// What each worker adds to that time: told to start, its k6 brings every virtual user to the barrier, and its node is still telling the
/// cluster that the pod has come up. Many workers may share a processor.
const LEAD_PER_WORKER: Duration = Duration::from_millis(25);
/// The time for the largest fleets, which have processors enough.
const LONGEST_LEAD: Duration = Duration::from_secs(3);

/// Sees to it that the workers exist, and starts them all at one instant when every one is ready.
pub fn gather(observed: &Observed, draft: &mut Draft) -> Step {
    let Some(plan) = draft.plan.clone() else {
        return queue::plan_gone(observed, draft);
    };
    if observed.run.spec.stop {
        return draft.end_early(Reason::StopRequested, "The run was stopped before its load began");
    }
    draft.order = Order::Listen;
    if observed.job.found().is_none() {
        draft.ensure.push(Child::Workers(Box::new(job::workers(&observed.run, &plan, &observed.settings))));
    }
    if let Some((reason, message)) = refused(observed, &plan, draft) {
        return draft.fail(reason, message);
    }
    let ready = ready_workers(observed);
    draft.status.workers = Some(workers_status(&plan, u32::try_from(ready.len()).unwrap_or(u32::MAX)));
    if ready.len() >= plan.spec.load.workers as usize {
        match faults::on_target(observed, draft, &plan) {
            Ground::Ready(_) => return start(draft, &plan),
            Ground::Refused(why) => return draft.fail(Reason::ChaosNotAllowed, why),
            Ground::Lacking(why) => return draft.fail(Reason::ChaosNoTarget, why),
            Ground::Unknown(why) if draft.past(plan.spec.deadlines.barrier.span()) => return draft.fail(Reason::ChaosNoTarget, why),
            Ground::Unknown(_) => {
                draft.wake_after(AGAIN);
                return Step::Stay;
            }
        }
    }
    if draft.past(plan.spec.deadlines.barrier.span()) {
        let (reason, message) = late(observed, &plan, &ready);
        return draft.fail(reason, message);
    }
    draft.wake_after(AGAIN);
    Step::Stay
}

/// Agrees on the instant at which every worker starts. It is written down before anybody is told.
fn start(draft: &mut Draft, plan: &FrozenPlan) -> Step {
    agree(draft, plan);
    let message = format!("All {} workers are ready and start at one instant", plan.spec.load.workers);
    draft.notice(Severity::Normal, Reason::LoadStarted, message.clone());
    draft.go(Phase::Executing, Reason::LoadStarted, message)
}

/// Sets the start instant and, from it, the planned end.
pub fn agree(draft: &mut Draft, plan: &FrozenPlan) {
    let at = later(draft.now, (LEAD + LEAD_PER_WORKER * plan.spec.load.workers).min(LONGEST_LEAD));
    let length: Duration = plan.spec.load.stages.iter().map(|stage| stage.duration.span()).sum();
    draft.status.start_at = Some(MicroTime(at));
    draft.status.ends_at = Some(MicroTime(later(at, length)));
}

/// The indexes of the workers that wait at the barrier or have passed it.
fn ready_workers(observed: &Observed) -> Vec<u32> {
    let at_barrier = |state| matches!(state, WorkerState::Ready | WorkerState::Armed | WorkerState::Running);
    observed.fleet.workers.iter().filter(|(_, heard)| at_barrier(heard.report.state)).map(|(index, _)| *index).collect()
}

/// The summary of workers that stands in status before and while the load is on.
fn workers_status(plan: &FrozenPlan, ready: u32) -> WorkersStatus {
    let expected = plan.spec.load.workers;
    WorkersStatus { expected, ready, summary: format!("{ready}/{expected}"), ..WorkersStatus::default() }
}

/// Why this fleet can never be complete, if so.
fn refused(observed: &Observed, plan: &FrozenPlan, draft: &Draft) -> Option<(Reason, String)> {
    for (index, heard) in &observed.fleet.workers {
        if heard.report.protocol != PROTOCOL {
            let theirs = heard.report.protocol;
            return Some((Reason::ProtocolMismatch, format!("Worker {index} speaks protocol {theirs}, the operator {PROTOCOL}: use images of one release")));
        }
    }
    if let Some(loss) = loss::first(observed, plan, draft) {
        return Some((loss.reason, loss.message));
    }
    for pod in observed.pods.found().into_iter().flatten() {
        let age = draft.since(pod.created);
        match &pod.state {
            PodState::ImagePull(why) if age >= PULL_GRACE => {
                return Some((Reason::ImagePull, format!("The image of pod {} cannot be pulled: {why}", pod.name)));
            }
            PodState::ConfigError(why) if age >= CONFIG_GRACE => return Some((Reason::SecretNotFound, format!("Pod {} cannot be started: {why}", pod.name))),
            PodState::ImagePull(_)
            | PodState::ConfigError(_)
            | PodState::Starting
            | PodState::Unschedulable(_)
            | PodState::Running
            | PodState::Ended { .. }
            | PodState::Leaving(_) => {}
        }
    }
    let job = observed.job.found()?;
    let why = job.create_error.as_ref()?;
    (draft.since(job.created) >= REJECTED_GRACE).then(|| (Reason::WorkersRejected, format!("The cluster refuses the worker pods: {why}")))
}

/// Why the barrier's deadline passed.
fn late(observed: &Observed, plan: &FrozenPlan, ready: &[u32]) -> (Reason, String) {
    let expected = plan.spec.load.workers;
    let pods = observed.pods.found().map(Vec::as_slice).unwrap_or_default();
    let told = pods.iter().find_map(|pod| match &pod.state {
        PodState::Unschedulable(why) => Some((Reason::Unschedulable, format!("Pod {} found no node within deadlines.barrier: {why}", pod.name))),
        PodState::ImagePull(why) => Some((Reason::ImagePull, format!("The image of pod {} cannot be pulled: {why}", pod.name))),
        PodState::ConfigError(why) => Some((Reason::SecretNotFound, format!("Pod {} cannot be started: {why}", pod.name))),
        PodState::Starting | PodState::Running | PodState::Ended { .. } | PodState::Leaving(_) => None,
    });
    let rejected = || {
        observed
            .job
            .found()
            .and_then(|job| job.create_error.as_ref())
            .map(|why| (Reason::WorkersRejected, format!("The cluster refuses the worker pods: {why}")))
    };
    if let Some(story) = told.or_else(rejected) {
        return story;
    }
    let missing: Vec<String> = (0..expected).filter(|index| !ready.contains(index)).take(10).map(|index| index.to_string()).collect();
    let message = format!("{} of {expected} workers were ready within deadlines.barrier; not ready: {}", ready.len(), missing.join(", "));
    (Reason::BarrierDeadlineExceeded, message)
}
