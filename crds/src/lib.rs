//! The Kubernetes API of Crucible, `crucible.dev/v1alpha1`: what a user writes and what a user reads.
//!
//! This crate is the first room: every other one speaks in its types. It sees no Kubernetes client and no async
//! runtime, so that the pure core can be built on it. The doc comments here are the user's manual: they become the
//! descriptions that `kubectl explain` shows.

pub mod condition;
pub mod duration;
pub mod fixture;
pub mod name;
pub mod phase;
pub mod test_plan;
pub mod test_run;
pub mod verdict;

pub use condition::{ConditionType, Reason};
pub use duration::Duration;
pub use fixture::{Fixture, FixtureSpec, FixtureStatus};
pub use phase::Phase;
pub use test_plan::{TestPlan, TestPlanSpec, TestPlanStatus};
pub use test_run::{TestRun, TestRunSpec, TestRunStatus};
pub use verdict::{Check, Outcome, Owner, Verdict};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube_core::CustomResourceExt;

/// The API group of every kind of ours.
pub const GROUP: &str = "crucible.dev";

/// The three definitions with the file that each is generated into, in the order in which they are installed.
#[must_use]
pub fn definitions() -> [(&'static str, CustomResourceDefinition); 3] {
    [("testplans.yaml", TestPlan::crd()), ("testruns.yaml", TestRun::crd()), ("fixtures.yaml", Fixture::crd())]
}
