//! Test plans: checked, stored, read, deleted.

use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::fixtures::Deleted;
use crate::{
    argument::{Name, PlanYaml},
    failure::{Failure, Problem},
    gateway::{Path, Session},
    tool::{About, Context, Effect, Tool},
};

/// How many plans are listed at once.
const MOST_LISTED: usize = 200;

/// A plan to check.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidateTestPlan {
    /// The whole plan as YAML.
    pub plan_yaml: PlanYaml,
}

/// Whether a plan is valid.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Validity {
    /// Whether it is.
    pub valid: bool,
    /// Everything that is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<Problem>>,
}

impl Tool for ValidateTestPlan {
    type Output = Validity;

    const ABOUT: About = About {
        name: "validate_test_plan",
        title: "Check a test plan",
        description: concat!(
            "Checks a test plan without storing or running it. Returns {\"valid\": true}, or {\"valid\": false, \"errors\": [{\"path\": \"execution.hold_for\", \
             \"message\": \"...\"}]}; correct the named fields and check again. It does not ask whether the host answers or whether the workloads and fixtures exist: a \
             run finds that out and then ends FAILED with the reason.\n\n",
            include_str!("../guide/plan.md")
        ),
        effect: Effect::Reads,
    };

    async fn call(self, context: Context) -> Result<Validity, Failure> {
        validate(&context.session, self.plan_yaml.as_str()).await
    }
}

/// What the gateway says about a plan.
pub async fn validate(session: &Session, plan_yaml: &str) -> Result<Validity, Failure> {
    session.post(&Path::to("/v1/test-plans/validate"), &json!({"plan_yaml": plan_yaml})).await
}

/// A plan to store.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadTestPlan {
    /// The whole plan as YAML.
    pub plan_yaml: PlanYaml,
    /// What to store it as; letters, digits, `_`, `.` and `-` are kept.
    pub name: Name,
    /// Whether a plan of this name may be replaced.
    #[serde(default)]
    pub replace: bool,
}

/// Whether the plan was stored.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanStored {
    /// Whether it was.
    pub success: bool,
    /// Where it lies, for example `plans/checkout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<Problem>>,
    /// Why it was not stored, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

impl Tool for UploadTestPlan {
    type Output = PlanStored;

    const ABOUT: About = About {
        name: "upload_test_plan",
        title: "Store a test plan",
        description: "Checks a plan and stores it under a name, without running it; trigger_run_by_plan runs it later, as often as needed. A plan of the same name is only \
                      replaced with replace: true. The password in it is kept apart and shown as ******** from then on; sending ******** back keeps it. For a plan that is \
                      to be run right now use submit_test_run, which stores it too. validate_test_plan describes every field.\n\nExample: {\"plan_yaml\": \"...\", \"name\": \
                      \"checkout\"} -> {\"success\": true, \"key\": \"plans/checkout\"}; on mistakes {\"success\": false, \"errors\": [{\"path\", \"message\"}]}",
        effect: Effect::Replaces,
    };

    async fn call(self, context: Context) -> Result<PlanStored, Failure> {
        let (name, text) = (self.name.as_str(), self.plan_yaml.as_str());
        let file = format!("{name}.yaml");
        let stored = if self.replace {
            replace(&context.session, name, &file, text).await
        } else {
            context.session.upload::<Key>(Method::POST, &Path::to("/test-plans/upload"), &file, text).await
        };
        let refused = |errors, error| PlanStored { success: false, key: None, errors, error };
        match stored {
            Ok(Key { key }) => Ok(PlanStored { success: true, key: Some(key), errors: None, error: None }),
            Err(Failure::Invalid(errors)) => Ok(refused(Some(errors), None)),
            Err(Failure::Conflict(error)) => Ok(refused(None, Some(format!("{error}; call again with replace: true if it is to be replaced")))),
            Err(failure) => Err(failure),
        }
    }
}

/// Replaces the plan, or stores it where there was none.
async fn replace(session: &Session, name: &str, file: &str, text: &str) -> Result<Key, Failure> {
    match session.upload(Method::PUT, &Path::to("/test-plans").step(name).step("upload"), file, text).await {
        Err(Failure::NotFound(_)) => session.upload(Method::POST, &Path::to("/test-plans/upload"), file, text).await,
        answer => answer,
    }
}

/// Which plans to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListTestPlans {
    /// Only plans whose name contains this text.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub contains: String,
}

/// Stored plans.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PlanList {
    /// The plans.
    pub plans: Vec<StoredPlan>,
    /// How many there are that are not listed; narrow the list with `contains`.
    #[serde(default)]
    pub not_listed: usize,
}

/// A stored plan.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct StoredPlan {
    /// Its name, for `trigger_run_by_plan` and `get_test_plan`.
    pub name: String,
    /// Whatever else the gateway tells: key, `last_modified`, size.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Tool for ListTestPlans {
    type Output = PlanList;

    const ABOUT: About = About {
        name: "list_test_plans",
        title: "List stored test plans",
        description: "Lists the stored test plans, at most 200. Read one with get_test_plan, run one with trigger_run_by_plan.\n\nExample: {\"contains\": \"check\"} -> \
                      {\"plans\": [{\"name\": \"checkout\", \"key\": \"plans/checkout\", \"last_modified\": \"...\", \"size\": 612}], \"not_listed\": 0}",
        effect: Effect::Reads,
    };

    async fn call(self, context: Context) -> Result<PlanList, Failure> {
        let PlanList { mut plans, .. } = context.session.get(&Path::to("/test-plans")).await?;
        plans.retain(|plan| plan.name.contains(&self.contains));
        let not_listed = plans.len().saturating_sub(MOST_LISTED);
        plans.truncate(MOST_LISTED);
        Ok(PlanList { plans, not_listed })
    }
}

/// Which plan to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetTestPlan {
    /// The plan's name, from `list_test_plans`.
    pub name: Name,
}

/// A plan.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// The plan as an object, with its password masked.
    pub plan: Map<String, Value>,
}

impl Tool for GetTestPlan {
    type Output = Plan;

    const ABOUT: About = About {
        name: "get_test_plan",
        title: "Read a stored test plan",
        description: "Returns a stored test plan as an object; its password is shown as ********. To change it, edit the object, send it as plan_yaml (JSON is YAML) to \
                      upload_test_plan with replace: true, and leave ******** where the password stays.\n\nExample: {\"name\": \"checkout\"} -> {\"name\": \"checkout\", \
                      \"plan\": {\"test_environment\": {...}, \"execution\": {...}}}",
        effect: Effect::Reads,
    };

    async fn call(self, context: Context) -> Result<Plan, Failure> {
        let plan = context.session.get(&Path::to("/test-plans").step(self.name.as_str())).await?;
        Ok(Plan { name: self.name.to_string(), plan })
    }
}

/// Which plan to delete.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteTestPlan {
    /// The plan's name, from `list_test_plans`.
    pub name: Name,
}

impl Tool for DeleteTestPlan {
    type Output = Deleted;

    const ABOUT: About = About {
        name: "delete_test_plan",
        title: "Delete a stored test plan",
        description: "Deletes a stored test plan for good. Runs that were made from it, also those under way, keep their own copy. Ask the user first.\n\nExample: \
                      {\"name\": \"checkout\"} -> {\"success\": true, \"deleted\": \"plans/checkout\"}",
        effect: Effect::Ends,
    };

    async fn call(self, context: Context) -> Result<Deleted, Failure> {
        context.session.delete(&Path::to("/test-plans").step(self.name.as_str())).await?;
        Ok(Deleted { success: true, deleted: format!("plans/{}", self.name) })
    }
}
