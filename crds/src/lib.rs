//! The Kubernetes API of Crucible, `crucible.dev/v1alpha1`: what a user writes and what a user reads.
//!
//! This crate is the first room: every other one speaks in its types. It sees no Kubernetes client and no async
//! runtime, so that the pure core can be built on it. The doc comments here are the user's manual: they become the
//! descriptions that `kubectl explain` shows.

#![allow(clippy::duplicated_attributes, reason = "print columns repeat their type; the lint reads each list of them as one attribute")]

pub mod arms;
pub mod chaos;
pub mod cluster_spec;
pub mod condition;
pub mod duration;
pub mod fault;
pub mod fixture;
pub mod name;
pub mod observe;
pub mod phase;
pub mod test_plan;
pub mod test_run;
pub mod verdict;
mod yaml;

pub use arms::Arm;
pub use condition::{ConditionType, Reason};
pub use duration::Duration;
pub use fault::Fault;
pub use fixture::{Fixture, FixturePhase, FixtureSpec, FixtureStatus};
pub use phase::Phase;
pub use test_plan::{TestPlan, TestPlanSpec, TestPlanStatus};
pub use test_run::{TestRun, TestRunSpec, TestRunStatus};
pub use verdict::{Check, Outcome, Owner, Verdict};
pub use yaml::crds_yaml;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool, ValidationRule,
};
use kube_core::CustomResourceExt;

/// The API group of every kind of ours.
pub const GROUP: &str = "crucible.dev";

/// The three definitions with the file that each is generated into, in the order in which they are installed.
#[must_use]
pub fn definitions() -> [(&'static str, CustomResourceDefinition); 3] {
    [("testplans.yaml", TestPlan::crd()), ("testruns.yaml", TestRun::crd()), ("fixtures.yaml", Fixture::crd())].map(|(file, mut definition)| {
        for version in &mut definition.spec.versions {
            if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
                settle(schema);
            }
        }
        (file, definition)
    })
}

/// Takes out of a derived schema what the API server would stumble over, here and below.
///
/// It warns about number formats that only Rust knows. It knows no patterns for the keys of a map (which keys are allowed
/// is looked at where a plan is reviewed). It compares a number that is written without a point with the whole part of the least one
/// alone, so that 0 would pass where 0.01 is the least: a rule says it once more. And it keeps an explicit `null` where a field is nullable, so that
/// `has(self.field)` is true of it; our optional fields are absent or have a value, and a `null` is dropped before any rule
/// is evaluated.
fn settle(schema: &mut JSONSchemaProps) {
    if schema.format.as_deref().is_some_and(|format| format.starts_with("uint")) {
        schema.format = Some("int64".to_owned());
    }
    schema.nullable = None;
    if let Some(least) = schema.minimum.filter(|least| least.fract() != 0.0) {
        schema.x_kubernetes_validations.get_or_insert_default().push(ValidationRule {
            rule: format!("double(self) >= {least}"),
            message: Some(format!("greater than or equal to {least}")),
            ..ValidationRule::default()
        });
    }
    if let Some((_, values)) = schema.pattern_properties.take().and_then(|mut patterns| patterns.pop_first()) {
        schema.additional_properties = Some(JSONSchemaPropsOrBool::Schema(Box::new(values)));
    }
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        settle(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        settle(items);
    }
}
