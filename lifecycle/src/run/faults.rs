//! Faults of a run: when each is injected, how it goes on, and that nothing of it is left behind.
//!
//! Chaos Mesh injects and heals; what is decided here is when its objects are made, what they are believed, and when they
//! are taken away. `ground` says whether a fault may and can be injected, `schedule` when it is due, `follow` what its
//! object says. The objects stay until the results are written, because they hold the evidence.

mod follow;
mod ground;
mod schedule;

pub use ground::{Ground, admissible, cuts_workers_off, on_target};

use std::time::Duration;

use crucible_crds::{
    Fault, Reason,
    fault::{FaultPhase, FaultStatus},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    decision::{Child, Gone, Healing},
    draft::{Draft, bounded, later},
    observed::{FaultView, Observed},
};
use crate::{
    build,
    build::names,
    chaos::{Kind, LET_GO},
    contract::FrozenPlan,
    notice::Severity,
    seen::Seen,
};

/// How soon to look again while something of a fault is under way.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a fault that cannot be healed holds a run up, once it counts as stuck.
const PATIENCE: Duration = Duration::from_mins(4);
/// How soon to look again at what is stuck after the end of its run.
const SELDOM: Duration = Duration::from_secs(10);

/// Every fault of a plan before anything has happened, with the object that will inject it.
pub fn listed(plan: &FrozenPlan, now: Timestamp) -> Vec<FaultStatus> {
    let of = |fault: &Fault| {
        let beside = fault.target.pods.as_ref().and_then(|pods| pods.namespaces.first());
        FaultStatus {
            name: fault.name.to_string(),
            kind: Kind::of(fault).as_str().to_owned(),
            namespace: beside.map_or_else(|| plan.run.namespace.clone(), ToString::to_string),
            object: names::fault(&plan.run.name, &plan.run.uid, &fault.name),
            phase: FaultPhase::Waiting,
            phase_since: MicroTime(now),
            confirmed: false,
            targets: 0,
            due_at: None,
            injected_at: None,
            recovered_at: None,
            moves: 0,
            over_at: None,
            message: None,
        }
    };
    plan.spec.faults.iter().map(of).collect()
}

/// Injects what is due, and follows what is on. The load is on.
pub fn tend(observed: &Observed, draft: &mut Draft, plan: &FrozenPlan) {
    each(draft, plan, |draft, fault, status| match status.phase {
        FaultPhase::Waiting => await_time(observed, draft, plan, fault, status),
        FaultPhase::Moving => follow_target(observed, draft, plan, fault, status),
        FaultPhase::Injecting | FaultPhase::Injected | FaultPhase::Healing | FaultPhase::Stuck => follow::follow(observed, draft, fault, status),
        FaultPhase::Healed | FaultPhase::Skipped => {}
    });
}

/// How far the healing of every fault is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing of any fault is left in its targets.
    Healed,
    /// It goes on.
    Healing,
    /// It has gone on for so long that it is not waited for any more.
    GivenUp(String),
}

/// Heals whatever is still on, and injects nothing any more. The load has ended, or is about to.
pub fn heal(observed: &Observed, draft: &mut Draft, plan: &FrozenPlan) -> Health {
    each(draft, plan, |draft, fault, status| match status.phase {
        FaultPhase::Waiting => give_up(observed, draft, fault, status),
        FaultPhase::Injecting | FaultPhase::Injected | FaultPhase::Moving => {
            follow::follow(observed, draft, fault, status);
            follow::cut_short(observed, draft, fault, status);
        }
        FaultPhase::Healing | FaultPhase::Stuck => follow::follow(observed, draft, fault, status),
        FaultPhase::Healed | FaultPhase::Skipped => {}
    });
    if !draft.status.faults.iter().any(|status| status.phase.is_on() || status.phase == FaultPhase::Waiting) {
        return Health::Healed;
    }
    let lost = draft.status.faults.iter().find(|status| status.phase == FaultPhase::Stuck && draft.since(status.phase_since.0) >= PATIENCE);
    if let Some(lost) = lost {
        return Health::GivenUp(lost.message.clone().unwrap_or_else(|| format!("Fault {} is not healed", lost.name)));
    }
    draft.wake_after(AGAIN);
    Health::Healing
}

/// Takes the objects of faults away: their evidence is written down, or nobody will ask for it. Says which are still there.
pub fn clear(observed: &Observed, draft: &mut Draft) -> Vec<String> {
    let mut left = Vec::new();
    let mut all = std::mem::take(&mut draft.status.faults);
    for status in all.iter_mut().filter(|status| may_exist(status, draft.now)) {
        match observed.faults.get(&status.name).map_or(&Seen::not_asked(), |view| &view.object) {
            Seen::Found(object) => {
                if !object.deleting {
                    draft.remove.extend(gone(status, Healing::Delete));
                }
                left.push(advice(status));
            }
            Seen::Absent if status.phase.is_on() => {
                status.recovered_at.get_or_insert(MicroTime(draft.now));
                enter(status, FaultPhase::Healed, draft.now);
            }
            Seen::Absent => {}
            Seen::Unreadable(_) => left.push(advice(status)),
        }
    }
    draft.status.faults = all;
    if !left.is_empty() {
        draft.wake_after(if draft.phase().is_terminal() { SELDOM } else { AGAIN });
    }
    left
}

/// Whether what Chaos Mesh says about every fault could be read. Results are not written without it.
pub fn is_read(observed: &Observed, draft: &Draft) -> bool {
    let unread = |status: &FaultStatus| observed.faults.get(&status.name).is_none_or(|view| matches!(view.object, Seen::Unreadable(_)));
    !draft.status.faults.iter().any(|status| may_exist(status, draft.now) && unread(status))
}

/// Whether an object of the fault may exist: it was due, and not given up.
fn may_exist(status: &FaultStatus, now: Timestamp) -> bool {
    match status.phase {
        FaultPhase::Skipped => false,
        FaultPhase::Waiting => status.due_at.as_ref().is_some_and(|due| due.0 <= now),
        FaultPhase::Injecting | FaultPhase::Injected | FaultPhase::Moving | FaultPhase::Healing | FaultPhase::Stuck | FaultPhase::Healed => true,
    }
}

/// How long faults may hold a run up beyond its other deadlines.
#[must_use]
pub fn longest_healing(plan: &FrozenPlan) -> Duration {
    if plan.spec.faults.is_empty() { Duration::ZERO } else { follow::RECOVERY + PATIENCE }
}

/// Goes through the faults with their place in the plan.
fn each(draft: &mut Draft, plan: &FrozenPlan, mut step: impl FnMut(&mut Draft, &Fault, &mut FaultStatus)) {
    let mut all = std::mem::take(&mut draft.status.faults);
    for status in &mut all {
        if let Some(fault) = plan.spec.faults.iter().find(|fault| *fault.name == *status.name) {
            step(draft, fault, status);
        }
    }
    draft.status.faults = all;
}

/// Injects a fault when its time has come. What is late is injected late; what is over is not injected at all.
fn await_time(observed: &Observed, draft: &mut Draft, plan: &FrozenPlan, fault: &Fault, status: &mut FaultStatus) {
    let Some(due) = schedule::due(observed, draft, plan, fault, status) else {
        return draft.wake_after(AGAIN);
    };
    status.due_at = Some(MicroTime(due));
    if draft.now < due {
        return draft.wake_after(draft.until(due));
    }
    let over = later(due, fault.duration.span());
    let Some(view) = observed.faults.get(&status.name) else {
        return draft.wake_after(Duration::from_millis(10));
    };
    match &view.object {
        // The operator died between making it and writing that down.
        Seen::Found(_) => {
            enter(status, FaultPhase::Injecting, draft.now);
            follow::follow(observed, draft, fault, status);
        }
        Seen::Absent if draft.now >= over => skip(draft, status, "its time had passed before it could be injected"),
        Seen::Absent => inject(observed, draft, plan, fault, status, view),
        Seen::Unreadable(_) => draft.wake_after(AGAIN),
    }
}

/// Lets go of a target that was replaced, then injects the fault into what took its place, for the time that is left.
fn follow_target(observed: &Observed, draft: &mut Draft, plan: &FrozenPlan, fault: &Fault, status: &mut FaultStatus) {
    draft.wake_after(AGAIN);
    let Some(view) = observed.faults.get(&status.name) else { return };
    match &view.object {
        // The operator died between making the new one and writing that down.
        Seen::Found(object) if !object.deleting && object.created.as_second() >= status.phase_since.0.as_second() => {
            enter(status, FaultPhase::Injecting, draft.now);
            follow::follow(observed, draft, fault, status);
        }
        Seen::Found(object) if !object.deleting => draft.remove.extend(gone(status, Healing::Delete)),
        Seen::Absent if follow::left(draft, status) >= follow::WORTH_MOVING => inject(observed, draft, plan, fault, status, view),
        Seen::Absent => follow::follow(observed, draft, fault, status),
        Seen::Found(_) | Seen::Unreadable(_) => {}
    }
}

fn inject(observed: &Observed, draft: &mut Draft, plan: &FrozenPlan, fault: &Fault, status: &mut FaultStatus, view: &FaultView) {
    match ground::stands(&observed.settings, fault, view) {
        Ground::Ready(matching) => status.targets = matching,
        Ground::Refused(why) if status.phase == FaultPhase::Waiting => return skip(draft, status, &why),
        // A pod that an earlier fault has killed may come back while there is time.
        Ground::Refused(why) | Ground::Lacking(why) | Ground::Unknown(why) => {
            status.message = Some(bounded(why, 512));
            return draft.wake_after(AGAIN);
        }
    }
    let workers = view.workers.found().cloned().unwrap_or_default();
    let lasts = if status.over_at.is_some() { crucible_crds::Duration::of(follow::left(draft, status)) } else { fault.duration.clone() };
    let object = build::chaos::chaos(&plan.run, fault, status, &lasts, &workers);
    draft.ensure.push(Child::Fault { kind: Kind::of(fault), object: Box::new(object) });
    (status.confirmed, status.recovered_at) = (false, None);
    if status.phase == FaultPhase::Waiting {
        let late = status.due_at.as_ref().map_or(Duration::ZERO, |due| draft.since(due.0));
        status.message = (late >= Duration::from_secs(2)).then(|| format!("it was injected {} s late", late.as_secs()));
    }
    enter(status, FaultPhase::Injecting, draft.now);
    draft.wake_after(AGAIN);
}

/// A fault that was not injected when the load ended is not injected any more.
fn give_up(observed: &Observed, draft: &mut Draft, fault: &Fault, status: &mut FaultStatus) {
    if !may_exist(status, draft.now) {
        return skip(draft, status, "the load ended before its time");
    }
    match observed.faults.get(&status.name).map_or(&Seen::not_asked(), |view| &view.object) {
        Seen::Found(_) => {
            enter(status, FaultPhase::Injecting, draft.now);
            follow::follow(observed, draft, fault, status);
            follow::cut_short(observed, draft, fault, status);
        }
        Seen::Absent => skip(draft, status, "the load ended before it was injected"),
        Seen::Unreadable(_) => {}
    }
}

fn skip(draft: &mut Draft, status: &mut FaultStatus, why: &str) {
    enter(status, FaultPhase::Skipped, draft.now);
    let message = format!("Fault {} was not injected: {why}", status.name);
    draft.notice(Severity::Warning, Reason::FaultSkipped, message.clone());
    status.message = Some(bounded(message, 512));
}

fn enter(status: &mut FaultStatus, phase: FaultPhase, now: Timestamp) {
    if status.phase != phase {
        status.phase = phase;
        status.phase_since = MicroTime(now);
    }
}

/// What takes a fault away; nothing where its kind is none of ours.
fn gone(status: &FaultStatus, by: Healing) -> Option<Gone> {
    Some(Gone::Fault { kind: Kind::parse(&status.kind)?, namespace: status.namespace.clone(), name: status.object.clone(), by })
}

/// What people can do about a fault that is not healed.
fn advice(status: &FaultStatus) -> String {
    let FaultStatus { name, kind, namespace, object, .. } = status;
    let resource = Kind::parse(kind).map_or_else(|| kind.to_lowercase(), |kind| kind.resource().to_owned());
    format!(
        "Fault {name} is not healed; see: kubectl -n {namespace} get {resource} {object} -o yaml; once its targets are well, let go of it: \
         kubectl -n {namespace} patch {resource} {object} {LET_GO}"
    )
}
