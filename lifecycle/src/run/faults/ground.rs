//! Whether a fault may and can be injected: Chaos Mesh is there, the namespaces let faults in, and something is there to hit.

use crucible_crds::{Fault, Reason};

use crate::{
    build::chaos::hits,
    chaos::{self, ALLOWED, ALLOWED_LABEL, Kind},
    contract::FrozenPlan,
    run::{
        admission::Refusal,
        draft::Draft,
        observed::{FaultView, Observed, Settings},
    },
    seen::Seen,
};

/// Whether a fault can be injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ground {
    /// It can; so many targets could be hit.
    Ready(u32),
    /// It must not: a namespace does not let faults in.
    Refused(String),
    /// Nothing is there to hit.
    Lacking(String),
    /// It could not be found out.
    Unknown(String),
}

/// Whether every fault of a plan may be injected at all: what is asked before a run is admitted.
pub fn admissible(observed: &Observed, plan: &FrozenPlan) -> Result<(), Refusal> {
    for fault in &plan.spec.faults {
        if chaos::namespaces(fault).contains(&observed.settings.namespace.as_str()) {
            let message = format!("Fault {} touches namespace {}, which holds Crucible itself", fault.name, observed.settings.namespace);
            return Err(Refusal::Wrong(Reason::ChaosNotAllowed, message));
        }
        let unknown = FaultView::not_asked();
        let view = observed.faults.get(&*fault.name).unwrap_or(&unknown);
        let kind = Kind::of(fault).as_str();
        match &view.served {
            Seen::Found(()) => {}
            Seen::Absent => {
                return Err(Refusal::Missing(Reason::ChaosUnavailable, format!("Fault {} needs {kind} of Chaos Mesh, which is not installed", fault.name)));
            }
            Seen::Unreadable(why) => {
                return Err(Refusal::Unreadable(Reason::ChaosUnavailable, format!("Whether Chaos Mesh serves {kind} cannot be read: {why}")));
            }
        }
        match entry(fault, view) {
            Ground::Ready(_) | Ground::Lacking(_) => {}
            Ground::Refused(why) => return Err(Refusal::Missing(Reason::ChaosNotAllowed, why)),
            Ground::Unknown(why) => return Err(Refusal::Unreadable(Reason::ChaosNotAllowed, why)),
        }
    }
    Ok(())
}

/// Whether every fault finds something to hit, before any load. Writes down how much.
pub fn on_target(observed: &Observed, draft: &mut Draft, plan: &FrozenPlan) -> Ground {
    let mut worst = Ground::Ready(0);
    super::each(draft, plan, |_, fault, status| {
        let unknown = FaultView::not_asked();
        let view = observed.faults.get(&status.name).unwrap_or(&unknown);
        match stands(&observed.settings, fault, view) {
            Ground::Ready(targets) => status.targets = targets,
            other if worst == Ground::Ready(0) => worst = other,
            _ => {}
        }
    });
    worst
}

/// Whether a fault can be injected now.
pub(super) fn stands(settings: &Settings, fault: &Fault, view: &FaultView) -> Ground {
    match reach(fault, view) {
        Ground::Ready(targets) if targets > settings.most_targets => {
            let most = settings.most_targets;
            Ground::Refused(format!("Fault {} would hit {targets} targets; the operator lets no fault hit more than {most}", fault.name))
        }
        other => other,
    }
}

/// How many targets a fault would hit.
fn reach(fault: &Fault, view: &FaultView) -> Ground {
    match entry(fault, view) {
        Ground::Ready(_) => {}
        other => return other,
    }
    if let Some(machines) = &fault.target.machines {
        return Ground::Ready(hits(&fault.target, u32::try_from(machines.addresses.len()).unwrap_or(u32::MAX)));
    }
    if cuts_workers_off(fault) && view.workers.found().is_none_or(Vec::is_empty) {
        return Ground::Unknown(format!("The addresses of the workers that fault {} cuts off are not known", fault.name));
    }
    match &view.matching {
        Seen::Found(matching) if hits(&fault.target, *matching) > 0 => Ground::Ready(hits(&fault.target, *matching)),
        Seen::Found(0) | Seen::Absent => {
            Ground::Lacking(format!("No pod in {} fits the selector of fault {}", chaos::namespaces(fault).join(", "), fault.name))
        }
        Seen::Found(matching) => Ground::Lacking(format!("The mode of fault {} hits none of {matching} pods", fault.name)),
        Seen::Unreadable(why) => Ground::Unknown(format!("The pods of fault {} cannot be read: {why}", fault.name)),
    }
}

/// Whether a fault keeps the run's own workers from the system under test.
#[must_use]
pub fn cuts_workers_off(fault: &Fault) -> bool {
    fault.chaos.network_chaos.as_ref().and_then(|chaos| chaos.peer.as_ref()).is_some_and(|peer| peer.workers)
}

/// Whether the namespaces let the fault in.
fn entry(fault: &Fault, view: &FaultView) -> Ground {
    for (namespace, allowed) in &view.namespaces {
        match allowed {
            Seen::Found(true) => {}
            Seen::Found(false) => {
                let how = format!("kubectl label namespace {namespace} {ALLOWED_LABEL}={ALLOWED}");
                return Ground::Refused(format!("Fault {} touches namespace {namespace}, which does not let faults in; to allow it: {how}", fault.name));
            }
            Seen::Absent => return Ground::Refused(format!("Fault {} touches namespace {namespace}, which does not exist", fault.name)),
            Seen::Unreadable(why) => return Ground::Unknown(format!("Whether namespace {namespace} lets faults in cannot be read: {why}")),
        }
    }
    if view.namespaces.is_empty() {
        return Ground::Unknown(format!("Whether the namespaces of fault {} let it in is not known", fault.name));
    }
    Ground::Ready(0)
}
