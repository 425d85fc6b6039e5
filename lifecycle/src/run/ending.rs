//! The end of a run: what a finished one still owes, and what a deleted one leaves behind (nothing).

use std::time::Duration;

use crucible_crds::{Phase, Reason};

use super::{
    decision::{Gone, Order},
    draft::{Draft, Step},
    faults,
    observed::{Observed, PodState, PodView},
};
use crate::{build::labels, notice::Severity, seen::Seen};

/// How soon to look again while pods of a deleted run are ending.
const AGAIN: Duration = Duration::from_secs(1);
/// How long pods of a deleted run may take to end before the run lets go of them: a dead node never answers.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long faults of a deleted run may take to heal before the run lets go of them.
const FAULT_PATIENCE: Duration = Duration::from_mins(5);

/// A finished run gives back what it may still hold, and is deleted when its time has passed.
pub fn rest(observed: &Observed, draft: &mut Draft) -> Step {
    let left_over = [&observed.job, &observed.loader.job].into_iter().filter_map(Seen::found).any(|job| !job.deleting);
    if draft.phase() == Phase::Failed && left_over {
        draft.remove_workers();
    }
    let leases = [&observed.lease, &observed.second_lease];
    if leases.into_iter().filter_map(Seen::found).any(|held| held.holder_uid == draft.uid) {
        let ended = draft.status.completed_at.as_ref().map_or(draft.now, |at| at.0);
        if draft.phase() == Phase::Completed || (quiet(&observed.pods) && loader_is_quiet(observed, draft)) || draft.since(ended) >= PATIENCE {
            draft.release();
        } else {
            draft.wake_after(AGAIN);
        }
    }
    let left = faults::clear(observed, draft);
    let keep = observed.run.spec.ttl_after_finished.as_ref().map(crucible_crds::Duration::span);
    if let (Some(keep), Some(ended)) = (keep, draft.status.completed_at.as_ref().map(|at| at.0)) {
        let age = draft.since(ended);
        if age >= keep && left.is_empty() {
            draft.remove.push(Gone::Run);
        } else {
            draft.wake_after(keep.saturating_sub(age));
        }
    }
    Step::Stay
}

/// Whether no pod of the run can send a query any more.
fn quiet(pods: &Seen<Vec<PodView>>) -> bool {
    match pods {
        Seen::Absent => true,
        Seen::Found(pods) => pods.iter().all(|pod| matches!(pod.state, PodState::Ended { .. })),
        Seen::Unreadable(_) => false,
    }
}

/// Whether no loader of the run can send rows any more.
fn loader_is_quiet(observed: &Observed, draft: &Draft) -> bool {
    if draft.status.fixtures.is_empty() {
        return true;
    }
    match &observed.loader.pods {
        Seen::Absent => true,
        Seen::Found(pods) => pods.iter().all(|pod| matches!(pod.state, PodState::Ended { .. })),
        Seen::Unreadable(_) => false,
    }
}

/// A deleted run ends its load, sees the pods go, gives the system under test back and only then lets itself go.
pub fn delete(observed: &Observed, draft: &mut Draft) {
    let held = observed.run.metadata.finalizers.as_ref().is_some_and(|all| all.iter().any(|one| one == labels::FINALIZER));
    if !held {
        return;
    }
    let asked = observed.run.metadata.deletion_timestamp.as_ref().map_or(draft.now, |at| at.0);
    if !draft.phase().is_terminal() && draft.phase() != Phase::Stopping {
        draft.end_early(Reason::Deleted, "The run is being deleted");
    }
    draft.remove_workers();
    let left = faults::clear(observed, draft);
    let patient = draft.since(asked) < PATIENCE;
    if patient && draft.status.plan.is_none() && matches!(observed.frozen, Seen::Unreadable(_)) {
        // What was made for it is not known for now.
        draft.wake_after(AGAIN);
        return;
    }
    if !(quiet(&observed.pods) && loader_is_quiet(observed, draft)) {
        if patient && draft.status.plan.is_some() {
            if draft.status.start_at.is_some() {
                draft.order = Order::Stop { reason: Reason::Deleted.to_string() };
            }
            draft.wake_after(AGAIN);
            return;
        }
        let names = || observed.pods.found().into_iter().flatten().map(|pod| pod.name.as_str());
        let loaders = || observed.loader.pods.found().into_iter().flatten().map(|pod| pod.name.as_str());
        if observed.pods.found().is_some() || observed.loader.pods.found().is_some() {
            let names: Vec<&str> = names().chain(loaders()).collect();
            draft.notice(Severity::Warning, Reason::Deleted, format!("Pods of the run did not end and are left to the cluster: {}", names.join(", ")));
        }
    }
    if !left.is_empty() {
        if draft.since(asked) < FAULT_PATIENCE {
            return;
        }
        draft.notice(Severity::Warning, Reason::ChaosRecoveryStuck, left.join("; "));
    }
    draft.release();
    draft.remove.push(Gone::Finalizer);
}
