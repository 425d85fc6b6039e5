//! Which workers are lost, and why. Silence alone is not loss while the worker's pod is there; ignorance never is.

use std::time::Duration;

use crucible_crds::Reason;

use super::{
    draft::Draft,
    observed::{Observed, PodState, PodView},
};
use crate::contract::{Failure, FrozenPlan, WorkerState};

/// How long a worker may be silent before it counts as lost although its pod seems to run: its node is gone.
pub const HEARTBEAT: Duration = Duration::from_mins(1);

/// How long after a Job's creation a missing pod means that it vanished rather than that it has not come.
const BIRTH: Duration = Duration::from_secs(20);

/// A worker that will hand in no (more) results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The worker's index.
    pub index: u32,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, in one sentence.
    pub message: String,
}

/// The first worker that is lost, by index.
pub fn first(observed: &Observed, plan: &FrozenPlan, draft: &Draft) -> Option<Loss> {
    all(observed, plan, draft).into_iter().next()
}

/// Every worker that is lost, by index.
pub fn all(observed: &Observed, plan: &FrozenPlan, draft: &Draft) -> Vec<Loss> {
    (0..plan.spec.load.workers).filter_map(|index| of_worker(observed, draft, index)).collect()
}

fn of_worker(observed: &Observed, draft: &Draft, index: u32) -> Option<Loss> {
    let heard = observed.fleet.workers.get(&index);
    if heard.is_some_and(|heard| heard.report.state == WorkerState::Uploaded) {
        return None;
    }
    if let Some(failure) = heard.and_then(|heard| heard.report.failure.as_ref()) {
        return Some(told(index, failure));
    }
    let run = observed.run.metadata.name.as_deref().unwrap_or_default();
    if let Some(pods) = observed.pods.found() {
        match pods.iter().find(|pod| pod.index == index) {
            Some(pod) => {
                if let Some(loss) = of_pod(pod, index, run) {
                    return loss.into();
                }
                if matches!(pod.state, PodState::Ended { .. }) {
                    return None;
                }
            }
            None if heard.is_some() || long_born(observed, draft) => {
                return Some(Loss { index, reason: Reason::WorkerLost, message: format!("Worker {index} of {run} has vanished with its pod") });
            }
            None => {}
        }
    }
    heard.filter(|heard| draft.since(heard.at) >= HEARTBEAT).map(|_| Loss {
        index,
        reason: Reason::WorkerLost,
        message: format!("Worker {index} of {run} was silent for {} s", HEARTBEAT.as_secs()),
    })
}

/// Whether the Job exists for long enough that all its pods must have been made. A refused pod is another story.
fn long_born(observed: &Observed, draft: &Draft) -> bool {
    observed.job.found().is_some_and(|job| job.create_error.is_none() && draft.since(job.created) >= BIRTH)
}

/// What a pod says about a worker that does not speak for itself.
fn of_pod(pod: &PodView, index: u32, run: &str) -> Option<Loss> {
    let PodState::Ended { exit_code, reason, outcome } = &pod.state else {
        return None;
    };
    if let Some(outcome) = outcome {
        if outcome.state == WorkerState::Uploaded {
            return None;
        }
        if let Some(failure) = &outcome.failure {
            return Some(told(index, failure));
        }
    }
    let (word, story) = match (reason.as_str(), exit_code) {
        ("OOMKilled", _) => (Reason::WorkerOutOfMemory, "was killed for using more memory than its limit; raise spec.load.resources.memory".to_owned()),
        ("Evicted" | "Preempting" | "NodeLost" | "NodeShutdown" | "Terminated", _) => (Reason::WorkerEvicted, format!("was taken off its node ({reason})")),
        (_, code) => (Reason::WorkerLost, format!("left no outcome and ended with exit code {code}; see the events of pod {}", pod.name)),
    };
    Some(Loss { index, reason: word, message: format!("Worker {index} of {run} {story}") })
}

/// What a worker itself said about its failure.
fn told(index: u32, failure: &Failure) -> Loss {
    let reason = Reason::parse(&failure.reason).unwrap_or(Reason::LoadGeneratorFailed);
    Loss { index, reason, message: format!("Worker {index}: {}", failure.message) }
}
