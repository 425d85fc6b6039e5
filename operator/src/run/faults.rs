//! Observes faults: only those that something is to be decided about, and of each only what that takes.
//!
//! | phase                | of which faults        | what                                       |
//! |----------------------|------------------------|--------------------------------------------|
//! | Pending              | all                    | whether Chaos Mesh is there, namespaces    |
//! | `WaitingRoom`        | all                    | namespaces, targets                        |
//! | Executing            | due ones               | namespaces, targets, object                |
//! | Executing            | those that are on      | object, whether its targets were replaced  |
//! | Executing            | those that move        | namespaces, targets, object                |
//! | every later one      | those that ever were on | object                                    |

use std::collections::BTreeMap;

use crucible_crds::{
    Fault, Phase,
    fault::{FaultPhase, FaultStatus},
};
use crucible_lifecycle::{
    chaos::{self, Kind},
    contract::FrozenPlan,
    run::{cuts_workers_off, observed::FaultView},
    seen::Seen,
};
use jiff::Timestamp;

use crate::{
    chaos::Chaos,
    context::{Context, RunKey},
};

/// What is asked about one fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // One column of the table above.
struct Asks {
    served: bool,
    namespaces: bool,
    targets: bool,
    object: bool,
    replaced: bool,
}

/// The table above.
fn asks(phase: Phase, deleting: bool, status: Option<&FaultStatus>, now: Timestamp) -> Asks {
    let nothing = Asks::default();
    let due = status.and_then(|status| status.due_at.as_ref()).is_some_and(|due| due.0 <= now);
    let fault = status.map_or(FaultPhase::Waiting, |status| status.phase);
    let ever_on = match fault {
        FaultPhase::Waiting => due,
        FaultPhase::Skipped => false,
        FaultPhase::Injecting | FaultPhase::Injected | FaultPhase::Moving | FaultPhase::Healing | FaultPhase::Stuck | FaultPhase::Healed => true,
    };
    match phase {
        _ if deleting => Asks { object: ever_on, ..nothing },
        Phase::Pending => Asks { served: true, namespaces: true, ..nothing },
        Phase::Queued | Phase::Loading => nothing,
        Phase::WaitingRoom => Asks { namespaces: true, targets: true, ..nothing },
        Phase::Executing => {
            let inject = fault == FaultPhase::Waiting && due || fault == FaultPhase::Moving;
            Asks { namespaces: inject, targets: inject, object: inject || fault.is_on(), replaced: fault == FaultPhase::Injected, ..nothing }
        }
        Phase::Collecting | Phase::Stopping | Phase::Completed | Phase::Failed => Asks { object: ever_on, ..nothing },
    }
}

/// What a reading of faults is made for.
pub(super) struct Reading<'a> {
    pub ctx: &'a Context,
    pub key: &'a RunKey,
    pub phase: Phase,
    pub deleting: bool,
    /// The faults of the plan, where it is known.
    pub plan: &'a [Fault],
    /// What is known of them.
    pub statuses: &'a [FaultStatus],
}

impl Reading<'_> {
    /// Reads what the phase needs, by fault.
    pub async fn read(&self) -> BTreeMap<String, FaultView> {
        let now = self.ctx.clock.now();
        let names = self.plan.iter().map(|fault| fault.name.to_string()).chain(self.statuses.iter().map(|status| status.name.clone()));
        let mut views = BTreeMap::new();
        for name in names {
            let status = self.statuses.iter().find(|status| status.name == name);
            let asks = asks(self.phase, self.deleting, status, now);
            if asks != Asks::default() && !views.contains_key(&name) {
                let fault = self.plan.iter().find(|fault| *fault.name == *name);
                views.insert(name, self.view(asks, fault, status).await);
            }
        }
        views
    }

    async fn view(&self, asks: Asks, fault: Option<&Fault>, status: Option<&FaultStatus>) -> FaultView {
        let chaos = Chaos::new(&self.ctx.client);
        let mut view = FaultView::not_asked();
        if let Some(fault) = fault {
            self.ground(&chaos, asks, fault, &mut view).await;
        }
        if let Some((status, kind)) = status.filter(|_| asks.object).and_then(|status| Some((status, Kind::parse(&status.kind)?))) {
            view.object = chaos.object(kind, &status.namespace, &status.object).await;
            view.refused = self.ctx.memory.refusal(&self.key.uid, &status.object);
        }
        if let (true, Some(pods), Seen::Found(object)) = (asks.replaced, fault.and_then(|fault| fault.target.pods.as_ref()), &view.object) {
            view.replaced = chaos.replaced(pods, object).await;
        }
        view
    }

    async fn ground(&self, chaos: &Chaos, asks: Asks, fault: &Fault, view: &mut FaultView) {
        let own = [self.key.namespace.as_str()];
        let mut touched = chaos::namespaces(fault);
        // Machines are in no namespace: what the run's own one allows counts.
        if touched.is_empty() {
            touched.extend(own);
        }
        if asks.served {
            view.served = chaos.served(Kind::of(fault), touched.first().copied().unwrap_or_default()).await;
        }
        if asks.namespaces {
            for namespace in touched {
                view.namespaces.insert(namespace.to_owned(), chaos.allowed(namespace).await);
            }
        }
        if asks.targets {
            if let Some(pods) = &fault.target.pods {
                view.matching = chaos.matching(pods).await;
            }
            if cuts_workers_off(fault) {
                view.workers = chaos.workers(&self.key.namespace, &self.key.uid).await;
            }
        }
    }
}

/// The faults of whichever plan is known: the frozen one, or the one that is about to be frozen.
pub(super) fn faults_of<'a>(frozen: &'a Seen<FrozenPlan>, plan: &'a Seen<crucible_lifecycle::run::observed::PlanView>) -> &'a [Fault] {
    let frozen = frozen.found().map(|frozen| frozen.spec.faults.as_slice());
    frozen.or_else(|| plan.found().map(|view| view.plan.spec.faults.as_slice())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    use super::*;

    fn letters(asks: Asks) -> String {
        let Asks { served, namespaces, targets, object, replaced } = asks;
        let columns = [(served, 's'), (namespaces, 'n'), (targets, 't'), (object, 'o'), (replaced, 'r')];
        columns.iter().filter(|(asked, _)| *asked).map(|(_, letter)| *letter).collect()
    }

    fn status(phase: FaultPhase, due: i64) -> FaultStatus {
        let at = |second| MicroTime(Timestamp::from_second(second).unwrap());
        FaultStatus {
            name: "kill".to_owned(),
            kind: "PodChaos".to_owned(),
            namespace: "sut".to_owned(),
            object: "x".to_owned(),
            phase,
            phase_since: at(0),
            confirmed: false,
            targets: 0,
            due_at: Some(at(due)),
            injected_at: None,
            recovered_at: None,
            moves: 0,
            over_at: None,
            message: None,
        }
    }

    #[test]
    fn each_phase_reads_what_it_needs_of_a_fault() {
        let now = Timestamp::from_second(100).unwrap();
        // phase of the run; a fault that waits, is due, is on, moves, was healed, was skipped; a deleted run whose fault is on
        let table = [
            (Phase::Pending, ["sn", "sn", "sn", "sn", "sn", "sn"], "o"),
            (Phase::Queued, ["", "", "", "", "", ""], "o"),
            (Phase::WaitingRoom, ["nt", "nt", "nt", "nt", "nt", "nt"], "o"),
            (Phase::Executing, ["", "nto", "or", "nto", "", ""], "o"),
            (Phase::Collecting, ["", "o", "o", "o", "o", ""], "o"),
            (Phase::Stopping, ["", "o", "o", "o", "o", ""], "o"),
            (Phase::Completed, ["", "o", "o", "o", "o", ""], "o"),
            (Phase::Failed, ["", "o", "o", "o", "o", ""], "o"),
        ];
        let faults = [
            status(FaultPhase::Waiting, 101),
            status(FaultPhase::Waiting, 100),
            status(FaultPhase::Injected, 50),
            status(FaultPhase::Moving, 50),
            status(FaultPhase::Healed, 50),
            status(FaultPhase::Skipped, 50),
        ];
        for (phase, expected, deleting) in table {
            let read = faults.each_ref().map(|fault| letters(asks(phase, false, Some(fault), now)));
            assert_eq!(read, expected, "{phase}");
            assert_eq!(letters(asks(phase, true, Some(&faults[2]), now)), deleting, "{phase}, deleting");
        }
    }
}
