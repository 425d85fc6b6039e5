//! What a request says of a run beside its plan, and what becomes of both.

use crucible_lifecycle::legacy::{Facts, LegacyPlan, Translation, cluster_spec, cluster_spec::ClusterSpec, detail::Detail, ids};
use serde_json::{Value, json};

use crate::error::ApiError;

/// A run as it is asked for.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// The plan's name.
    pub plan_name: String,
    /// Whether the plan was named rather than sent.
    pub by_name: bool,
    /// A word to find the run by.
    pub label: Option<String>,
    /// What the client says of the system under test.
    pub cluster_spec: Option<ClusterSpec>,
    /// What the client notes of its settings.
    pub cluster_settings: Option<String>,
}

/// The most that is kept of a client's notes on its settings.
const MOST_SETTINGS: usize = 65_536;

impl Order {
    /// Reads what a request says. An absent `cluster_spec` is one that is null.
    pub fn read(plan_name: String, by_name: bool, said: (Option<String>, Option<Value>, Option<String>), needs_cluster_spec: bool) -> Result<Self, ApiError> {
        let (label, cluster_spec, cluster_settings) = said;
        let cluster_spec = match cluster_spec.filter(|spec| !spec.is_null()) {
            Some(spec) => Some(cluster_spec::parse(&spec).map_err(|details| ApiError::in_body(details, &[]))?),
            None if needs_cluster_spec => return Err(ApiError::invalid(&["body", "cluster_spec"], "cluster_spec is required here", "missing")),
            None => None,
        };
        if cluster_settings.as_ref().is_some_and(|settings| settings.chars().count() > MOST_SETTINGS || settings.contains('\0')) {
            return Err(ApiError::invalid(&["body", "cluster_settings"], format!("at most {MOST_SETTINGS} characters without NUL are kept"), "value_error"));
        }
        Ok(Self { plan_name, by_name, label, cluster_spec, cluster_settings })
    }

    /// What becomes of a plan under this order.
    pub fn translate(&self, plan: &LegacyPlan) -> Result<Translation, Vec<Detail>> {
        plan.translate(&Facts {
            plan_name: &self.plan_name,
            label: self.label.as_deref(),
            by_name: self.by_name,
            cluster_spec: self.cluster_spec.as_ref(),
            secret: "login",
        })
    }

    /// What this order is, for telling whether two are the same. It holds no password.
    #[must_use]
    pub fn outline(&self, masked_plan: Option<&str>) -> Value {
        json!({
            "plan_name": self.plan_name, "plan": masked_plan, "label": self.label,
            "cluster_spec": self.cluster_spec.as_ref().map(ClusterSpec::as_map), "cluster_settings": self.cluster_settings,
        })
    }
}

/// The plan's name as the bucket has it.
pub fn plan_name(asked: &str) -> Result<String, ApiError> {
    ids::sanitise(asked).ok_or_else(|| super::plans::no_name(&["body", "plan_name"]))
}
