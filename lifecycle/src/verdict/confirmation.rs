//! Whether every fault of the plan was really injected: a system that was never hit has shown nothing.

use crucible_crds::Owner;

use super::{Judged, check};
use crate::results::FaultFact;

/// One check for each fault. It cannot be broken; a fault that was not confirmed leaves it undecided.
pub(super) fn checks(faults: &[FaultFact]) -> Vec<Judged> {
    let of = |fact: &FaultFact| {
        let observed = match (fact.confirmed, &fact.message) {
            (true, _) if fact.targets == 1 => "1 target hit".to_owned(),
            (true, _) => format!("{} targets hit", fact.targets),
            (false, Some(why)) => format!("not confirmed: {why}"),
            (false, None) => "not confirmed".to_owned(),
        };
        let check = check(&format!("fault {}", fact.name), "confirmed by Chaos Mesh", &observed, true, fact.confirmed, Owner::Environment);
        Judged { check, broken: "FaultNotConfirmed", undecided: "FaultNotConfirmed" }
    };
    faults.iter().map(of).collect()
}
