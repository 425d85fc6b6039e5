//! The frozen plan that unit tests share.

use crucible_lifecycle::contract::FrozenPlan;

pub fn plan() -> FrozenPlan {
    serde_json::from_str(include_str!("../tests/plan.json")).unwrap()
}
