//! The ConfigMap with the frozen plan.

use std::collections::BTreeMap;

use crucible_crds::TestRun;
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::{
    labels,
    names::{self, Role},
};
use crate::contract::FrozenPlan;

/// The key that holds the plan.
pub const KEY: &str = "plan.json";

/// The immutable ConfigMap that holds the plan of one run.
pub fn frozen_plan(run: &TestRun, plan: &FrozenPlan) -> ConfigMap {
    // A FrozenPlan is made of texts, numbers and lists, which JSON can always hold.
    let text = serde_json::to_string(plan).unwrap_or_default();
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(names::child(&plan.run.name, &plan.run.uid, Role::Plan)),
            namespace: Some(plan.run.namespace.clone()),
            labels: Some(labels::of_child(&plan.run.uid, "plan")),
            owner_references: Some(vec![labels::owner(run)]),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(KEY.to_owned(), text)])),
        immutable: Some(true),
        ..ConfigMap::default()
    }
}
