//! Whether the data is as it has to be once the load is over and every fault is healed.

use crucible_crds::Owner;

use super::{Judged, check};
use crate::{contract::InvariantAnswer, results::InvariantFact};

/// One check for each invariant. One that could not be asked is undecided.
pub(super) fn checks(facts: &[InvariantFact]) -> Vec<Judged> {
    facts.iter().map(of).collect()
}

fn of(InvariantFact { name, expected, answer }: &InvariantFact) -> Judged {
    let (observed, held) = match answer {
        Some(InvariantAnswer { held: Some(held), said, .. }) => (said.clone(), Some(*held)),
        Some(InvariantAnswer { held: None, said, .. }) => (format!("not answered: {said}"), None),
        None => ("not asked".to_owned(), None),
    };
    let check = check(&format!("invariant {name}"), &format!("= {expected}"), &observed, held == Some(true), held.is_some(), Owner::Sut);
    Judged { check, broken: "InvariantBroken", undecided: "InvariantNotAnswered" }
}
