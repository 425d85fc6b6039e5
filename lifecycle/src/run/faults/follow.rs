//! Follows one fault by what its Chaos Mesh object says: hit, healed, or stuck.

use std::time::Duration;

use crucible_crds::{
    Fault, Reason,
    fault::{FaultPhase, FaultStatus},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{AGAIN, advice, enter, gone};
use crate::{
    chaos::{self, ChaosObject},
    notice::Severity,
    run::{
        decision::Healing,
        draft::{Draft, bounded, later},
        observed::Observed,
    },
    seen::Seen,
};

/// How long Chaos Mesh may take to hit every target.
const CONFIRMATION: Duration = Duration::from_mins(1);
/// How long healing may take before the object is deleted to press it.
const GENTLE: Duration = Duration::from_secs(10);
/// How long healing may take before it counts as stuck.
pub(super) const RECOVERY: Duration = Duration::from_mins(1);
/// How much of a fault's time has to be left for it to follow a target that was replaced.
pub(super) const WORTH_MOVING: Duration = Duration::from_secs(5);

/// How much of a fault's time is left, where it was injected anew before or is about to be.
pub(super) fn left(draft: &Draft, status: &FaultStatus) -> Duration {
    status.over_at.as_ref().map_or(Duration::ZERO, |over| draft.until(over.0))
}

/// When the time of a fault is over. Its object's own duration counts from its creation.
fn ends(fault: &Fault, status: &FaultStatus, object: &ChaosObject) -> Timestamp {
    status.over_at.as_ref().map_or_else(|| later(object.created, fault.duration.span()), |over| over.0)
}

/// Takes in what the object says.
pub(super) fn follow(observed: &Observed, draft: &mut Draft, fault: &Fault, status: &mut FaultStatus) {
    draft.wake_after(AGAIN);
    match observed.faults.get(&status.name).map(|view| &view.object) {
        Some(Seen::Found(object)) => {
            take_in(draft, status, object);
            advance(draft, fault, status, object);
            go_after(observed, draft, fault, status, object);
            press(draft, fault, status, object);
        }
        Some(Seen::Absent) => {
            if let Some(why) = observed.faults.get(&status.name).and_then(|view| view.refused.as_ref()) {
                return super::skip(draft, status, &format!("Chaos Mesh refuses it: {why}"));
            }
            vanished(draft, status);
        }
        Some(Seen::Unreadable(_)) | None => {}
    }
}

/// Ends a fault before its time. What is over in a moment has nothing to heal; what was not confirmed by now will not be.
pub(super) fn cut_short(observed: &Observed, draft: &mut Draft, fault: &Fault, status: &mut FaultStatus) {
    if !matches!(status.phase, FaultPhase::Injecting | FaultPhase::Injected | FaultPhase::Moving) {
        return;
    }
    if let Some(object) = observed.faults.get(&status.name).and_then(|view| view.object.found()) {
        status.message = Some("It was healed before its time because the load ended".to_owned());
        enter(status, FaultPhase::Healing, draft.now);
        press(draft, fault, status, object);
    }
}

/// Writes down whom the object hit, and when.
fn take_in(draft: &mut Draft, status: &mut FaultStatus, object: &ChaosObject) {
    let targets = u32::try_from(object.records.len()).unwrap_or(u32::MAX);
    if targets > 0 {
        status.targets = targets;
    }
    let first = object.first_hit().map(MicroTime);
    status.injected_at = if status.moves == 0 { first.or(status.injected_at.take()) } else { status.injected_at.take().or(first) };
    if object.is_confirmed() && !status.confirmed {
        status.confirmed = true;
        let late = status.message.as_ref().map(|message| format!("; {message}")).unwrap_or_default();
        draft.notice(Severity::Normal, Reason::FaultInjected, format!("Fault {} was confirmed, targets hit: {targets}{late}", status.name));
        if status.phase == FaultPhase::Injecting {
            enter(status, FaultPhase::Injected, draft.now);
        }
    }
}

/// Moves the fault on as far as the object says.
fn advance(draft: &mut Draft, fault: &Fault, status: &mut FaultStatus, object: &ChaosObject) {
    let ends = ends(fault, status, object);
    if chaos::is_momentary(fault) && status.confirmed {
        return healed(draft, status, object.last_hit().map(MicroTime));
    }
    if object.is_healed() {
        return healed(draft, status, object.last_healed().map(MicroTime));
    }
    match status.phase {
        FaultPhase::Injecting if draft.since(object.created) >= CONFIRMATION || draft.now >= later(ends, GENTLE) => {
            let why = object.last_trouble().map(|why| format!(": {why}")).unwrap_or_default();
            let message = format!("Chaos Mesh did not confirm fault {} in time{why}", status.name);
            draft.notice(Severity::Warning, Reason::FaultNotConfirmed, message.clone());
            status.message = Some(bounded(message, 512));
            enter(status, FaultPhase::Healing, draft.now);
        }
        FaultPhase::Injected if draft.now >= ends => enter(status, FaultPhase::Healing, draft.now),
        FaultPhase::Healing if draft.since(status.phase_since.0) >= RECOVERY => {
            let message = advice(status);
            draft.notice(Severity::Warning, Reason::ChaosRecoveryStuck, message.clone());
            status.message = Some(bounded(message, 512));
            enter(status, FaultPhase::Stuck, draft.now);
        }
        FaultPhase::Waiting
        | FaultPhase::Injecting
        | FaultPhase::Injected
        | FaultPhase::Moving
        | FaultPhase::Healing
        | FaultPhase::Stuck
        | FaultPhase::Healed
        | FaultPhase::Skipped => {}
    }
}

/// Leaves targets that are not there any more for what took their place. Chaos Mesh chooses its targets once; a fault of a pod that
/// was replaced would be over long before its time. Those that were not replaced are healed for the moment that it takes.
fn go_after(observed: &Observed, draft: &mut Draft, fault: &Fault, status: &mut FaultStatus, object: &ChaosObject) {
    let replaced = observed.faults.get(&status.name).and_then(|view| view.replaced.found()).map(Vec::as_slice).unwrap_or_default();
    if status.phase != FaultPhase::Injected || replaced.is_empty() || chaos::is_momentary(fault) {
        return;
    }
    let over = ends(fault, status, object);
    if draft.until(over) < WORTH_MOVING {
        return;
    }
    status.over_at = Some(MicroTime(over));
    status.moves += 1;
    status.recovered_at = Some(MicroTime(draft.now));
    let message = format!("Fault {} follows its targets: {} replaced while it was on", status.name, replaced.join(", "));
    draft.notice(Severity::Normal, Reason::FaultMoved, message.clone());
    status.message = Some(bounded(message, 512));
    enter(status, FaultPhase::Moving, draft.now);
    draft.remove.extend(gone(status, Healing::Delete));
}

/// Presses for healing what should be healed: gently first, so that the object stays and says when, then by deleting it.
fn press(draft: &mut Draft, fault: &Fault, status: &FaultStatus, object: &ChaosObject) {
    if !matches!(status.phase, FaultPhase::Healing | FaultPhase::Stuck) || object.deleting {
        return;
    }
    let early = draft.now < ends(fault, status, object);
    let impatient = status.phase == FaultPhase::Stuck || draft.since(status.phase_since.0) >= GENTLE;
    let by = if chaos::is_momentary(fault) || impatient {
        Healing::Delete
    } else if early && !object.paused {
        Healing::Pause
    } else {
        return;
    };
    let next = gone(status, by).filter(|next| !draft.remove.contains(next));
    draft.remove.extend(next);
}

fn healed(draft: &mut Draft, status: &mut FaultStatus, at: Option<MicroTime>) {
    status.recovered_at = Some(at.or(status.recovered_at.take()).unwrap_or(MicroTime(draft.now)));
    if !status.confirmed && status.phase != FaultPhase::Healing {
        let message = format!("Chaos Mesh never confirmed fault {}", status.name);
        draft.notice(Severity::Warning, Reason::FaultNotConfirmed, message.clone());
        status.message.get_or_insert(message);
    } else if status.phase != FaultPhase::Healed {
        draft.notice(Severity::Normal, Reason::FaultHealed, format!("Nothing of fault {} is left in its targets", status.name));
    }
    enter(status, FaultPhase::Healed, draft.now);
}

/// The object is gone: Chaos Mesh lets one go only when its targets are healed.
fn vanished(draft: &mut Draft, status: &mut FaultStatus) {
    if matches!(status.phase, FaultPhase::Injecting | FaultPhase::Injected) {
        status.message = Some("Its Chaos Mesh object was removed by somebody else".to_owned());
    }
    healed(draft, status, None);
}
