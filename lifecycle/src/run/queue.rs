//! Queued: one run at a time loads a system under test, in the order in which the runs were created.

use std::time::Duration;

use crucible_crds::{Phase, Reason, test_run::QueueStatus};

use super::{
    decision::{Child, Order},
    draft::{Draft, Step},
    observed::{HolderState, LeaseView, Observed},
};
use crate::{build::lease, notice::Severity, seen::Seen};

/// How soon a waiting run looks again. A lease that is given back is seen at once; this is for what is not seen.
const AGAIN: Duration = Duration::from_secs(5);

/// Takes the right to load the system under test when it is the run's turn.
pub fn wait(observed: &Observed, draft: &mut Draft) -> Step {
    if observed.run.spec.stop {
        return draft.fail(Reason::StopRequested, "The run was stopped while it waited for its system under test");
    }
    let Some(plan) = draft.plan.clone() else {
        return plan_gone(observed, draft);
    };
    let sut = draft.status.sut.clone().unwrap_or_default();
    let ahead = ahead_of(observed, &draft.uid);
    // The runs stand in line for the first of two systems; the second is taken where it is free. Neither is held while the other one is waited for,
    // unless somebody else was quicker; and since all runs take them in one order, none of them waits in a circle.
    let first = (sut, right(&observed.lease, &draft.uid, ahead == Some(0)), &observed.lease);
    let second = draft.status.second_sut.clone().map(|sut| (sut, right(&observed.second_lease, &draft.uid, true), &observed.second_lease));
    let mut wanted = Vec::new();
    for (sut, right, seen) in std::iter::once(first).chain(second) {
        match right {
            Right::Held => {}
            Right::Free { replaces } => wanted.push((sut, replaces)),
            Right::Taken => return stand(observed, draft, ahead, &sut, seen, plan.spec.deadlines.queue.span()),
        }
    }
    for (sut, replaces) in wanted {
        let lease = lease::sut_lease(&observed.settings.namespace, &sut, &plan.run, draft.now, replaces.as_deref());
        draft.ensure.push(Child::Lease { lease: Box::new(lease), replaces });
    }
    take(draft)
}

/// How the right to load one system stands for the run.
enum Right {
    /// It has it.
    Held,
    /// It may take it, in place of the lease of this resource version where somebody is gone who held it.
    Free { replaces: Option<String> },
    /// Others have it, go first, or nobody knows.
    Taken,
}

fn right(lease: &Seen<LeaseView>, uid: &str, is_turn: bool) -> Right {
    match lease {
        Seen::Found(held) if held.holder_uid == uid => Right::Held,
        Seen::Found(held) if held.holder_state == HolderState::Gone && is_turn => Right::Free { replaces: Some(held.resource_version.clone()) },
        Seen::Absent if is_turn => Right::Free { replaces: None },
        Seen::Found(_) | Seen::Absent | Seen::Unreadable(_) => Right::Taken,
    }
}

fn take(draft: &mut Draft) -> Step {
    draft.status.queue = None;
    let all: Vec<&str> = draft.status.sut.iter().chain(&draft.status.second_sut).map(String::as_str).collect();
    let message = format!("The run holds {}", all.join(" and "));
    draft.go(Phase::Loading, Reason::SutLeased, message)
}

fn stand(observed: &Observed, draft: &mut Draft, ahead: Option<u32>, sut: &str, lease: &Seen<LeaseView>, limit: Duration) -> Step {
    let holder = lease.found().map(|held| held.holder.clone());
    let blocked_by = holder.or_else(|| observed.queue.found().and_then(|queue| queue.first()).map(|first| first.name.clone()));
    let message = match &blocked_by {
        Some(name) => format!("{sut} is held by {name}"),
        None => format!("Who holds {sut} cannot be read"),
    };
    if draft.past(limit) {
        return draft.fail(Reason::QueueDeadlineExceeded, format!("{message}, and deadlines.queue has passed"));
    }
    let ahead = ahead.unwrap_or_default().max(u32::from(blocked_by.is_some()));
    let now = Some(QueueStatus { ahead, blocked_by });
    if draft.status.queue.is_none() {
        draft.notice(Severity::Normal, Reason::WaitingForSut, message.clone());
    }
    draft.status.queue = now;
    draft.because(Reason::WaitingForSut, message);
    draft.wake_after(AGAIN);
    Step::Stay
}

/// How many runs go before this one; nothing where it is not known.
fn ahead_of(observed: &Observed, uid: &str) -> Option<u32> {
    let queue = observed.queue.found()?;
    // A run that is not in the list yet was just labelled: everybody in the list goes first.
    let position = queue.iter().position(|run| run.uid == uid).unwrap_or(queue.len());
    u32::try_from(position).ok()
}

/// A run beyond admission whose frozen plan is not there: gone for good, or not readable for now.
pub fn plan_gone(observed: &Observed, draft: &mut Draft) -> Step {
    if observed.frozen.is_absent() {
        return draft.fail(Reason::FrozenPlanMissing, "The ConfigMap with the run's frozen plan was deleted");
    }
    // The workers are still listened to: what is not readable for a moment must not cost what they say.
    draft.order = Order::Listen;
    draft.wake_after(AGAIN);
    Step::Stay
}
