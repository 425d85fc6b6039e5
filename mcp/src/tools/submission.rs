//! Runs are begun.

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::plan_text::with_remote_write;
use crate::{
    argument::{self, Label, Name, PlanYaml, Settings, Word},
    failure::{Failure, Problem},
    gateway::Path,
    tool::{About, Context, Effect, Tool},
};

/// What to do with a run that was begun.
const NEXT_STEP: &str = "Call wait_for_run with this run_id, then explain_run.";

/// A plan to run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitTestRun {
    /// The whole plan as YAML; `validate_test_plan` describes every field.
    pub plan_yaml: PlanYaml,
    /// What the plan is stored as (a plan of this name is replaced) and what the run's id begins with.
    pub plan_name: Name,
    /// The database cluster as it is: `type` must be the plan's `component_spec.type`. Others are notes that the results show: `version`, `node` or `frontend_node` and
    /// `backend_node`. `backend_node.replica` is the number of load generators when the plan says `inter_node`. Absent: `{"type": <the plan's>}`.
    #[serde(default, deserialize_with = "argument::object")]
    #[schemars(with = "Option<JsonObject>")]
    pub cluster_spec: Option<JsonObject>,
    /// A word to find the run by, for example the version under test; the plan's name when absent.
    #[serde(default)]
    pub label: Label,
    /// Settings of the database that are worth remembering with the run.
    #[serde(default)]
    pub cluster_settings: Option<Settings>,
    /// A key of your choice: a second call with the same key and arguments answers the same run instead of beginning another one. Use it when you repeat a call whose answer
    /// was lost.
    #[serde(default)]
    pub idempotency_key: Option<Word>,
}

/// A stored plan to run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerRunByPlan {
    /// The plan's name, from `list_test_plans`.
    pub plan_name: Name,
    /// The database cluster as it is, as in `submit_test_run`. Absent: `{"type": <the plan's>}`.
    #[serde(default, deserialize_with = "argument::object")]
    #[schemars(with = "Option<JsonObject>")]
    pub cluster_spec: Option<JsonObject>,
    /// A word to find the run by; the plan's own `run_label`, or its name, when absent.
    #[serde(default)]
    pub label: Label,
    /// Settings of the database that are worth remembering with the run.
    #[serde(default)]
    pub cluster_settings: Option<Settings>,
    /// A key of your choice, as in `submit_test_run`.
    #[serde(default)]
    pub idempotency_key: Option<Word>,
}

/// Whether a run was begun.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Begun {
    /// Whether it was.
    pub success: bool,
    /// The run, for every tool that asks for a `run_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Where the plan lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_key: Option<String>,
    /// `intra_node` (one load generator) or `inter_node` (several).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// What is wrong with what was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<Problem>>,
    /// Why no run was begun, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
}

#[derive(Deserialize)]
struct Submitted {
    run_id: String,
    #[serde(default)]
    plan_key: Option<String>,
    #[serde(default)]
    strategy: Option<String>,
}

impl Tool for SubmitTestRun {
    type Output = Begun;

    const ABOUT: About = About {
        name: "submit_test_run",
        title: "Run a load test",
        description: "Stores a test plan and runs it now: real load on a real database, and the plan's faults with it. Make sure of host and target with the user first, and \
                      check the plan with validate_test_plan, which describes every field. Returns at once with the run's id; the run waits its turn where another one loads \
                      the same database. Returns {\"success\": false, \"errors\": [{\"path\", \"message\"}]} or {\"success\": false, \"error\"} where nothing was begun.\n\n\
                      Example: {\"plan_yaml\": \"test_environment:\\n  env_type: long-lived\\n  target_db: shop\\n  component_spec:\\n    type: mysql\\n    cluster_info: {host: \
                      \\\"mariadb.sut.svc:3306\\\", username: loadtest, password: \\\"...\\\"}\\nexecution:\\n  executor: k6\\n  concurrency: 16\\n  ramp_up: 10s\\n  hold_for: 2m\\n  \
                      workload: [{workload_id: shop-queries}]\\n\", \"plan_name\": \"checkout\", \"cluster_spec\": {\"type\": \"mysql\", \"version\": \"10.11\"}, \"label\": \
                      \"before-upgrade\"} -> {\"success\": true, \"run_id\": \"checkout_20260307-2359_5b54ae4d\", \"plan_key\": \"plans/checkout\", \"strategy\": \
                      \"intra_node\"}",
        effect: Effect::Loads,
    };

    async fn call(self, context: Context) -> Result<Begun, Failure> {
        let Self { plan_yaml, plan_name, cluster_spec, label, cluster_settings, idempotency_key } = self;
        let mut body = wish(cluster_spec, &label, cluster_settings);
        body.insert("plan_yaml".to_owned(), with_remote_write(plan_yaml.as_str(), context.remote_write_url.as_deref()).into());
        body.insert("plan_name".to_owned(), plan_name.as_str().into());
        begin(&context, &Path::to("/v1/test-runs"), body, idempotency_key).await
    }
}

impl Tool for TriggerRunByPlan {
    type Output = Begun;

    const ABOUT: About = About {
        name: "trigger_run_by_plan",
        title: "Run a stored test plan",
        description: "Runs a plan that is stored already, unchanged: the way to repeat a test, for example before and after an upgrade. It puts real load on a real \
                      database. Returns the same as submit_test_run.\n\nExample: {\"plan_name\": \"checkout\", \"cluster_spec\": {\"type\": \"mysql\", \"version\": \"11.4\"}, \
                      \"label\": \"after-upgrade\"} -> {\"success\": true, \"run_id\": \"checkout_20260308-0030_77aa01bc\", \"plan_key\": \"plans/checkout\", \"strategy\": \
                      \"intra_node\"}",
        effect: Effect::Loads,
    };

    async fn call(self, context: Context) -> Result<Begun, Failure> {
        let Self { plan_name, cluster_spec, label, cluster_settings, idempotency_key } = self;
        let body = wish(cluster_spec, &label, cluster_settings);
        begin(&context, &Path::to("/v1/test-runs").step(plan_name.as_str()), body, idempotency_key).await
    }
}

/// What both kinds of submit send. What was not said is not sent.
fn wish(cluster_spec: Option<JsonObject>, label: &Label, cluster_settings: Option<Settings>) -> Map<String, Value> {
    let mut body = Map::new();
    if let Some(cluster_spec) = cluster_spec {
        body.insert("cluster_spec".to_owned(), cluster_spec.into());
    }
    if !label.as_str().is_empty() {
        body.insert("label".to_owned(), label.as_str().into());
    }
    if let Some(settings) = cluster_settings {
        body.insert("cluster_settings".to_owned(), settings.as_str().into());
    }
    body
}

async fn begin(context: &Context, path: &Path, body: Map<String, Value>, key: Option<Word>) -> Result<Begun, Failure> {
    let key = match key {
        Some(key) => key.to_string(),
        None => random_key()?,
    };
    match context.session.post_once::<Submitted>(path, &json!(body), &key).await {
        Ok(Submitted { run_id, plan_key, strategy }) => {
            Ok(Begun { success: true, run_id: Some(run_id), plan_key, strategy, next_step: Some(NEXT_STEP.to_owned()), ..Begun::default() })
        }
        Err(Failure::Invalid(errors)) => Ok(Begun { errors: Some(errors), ..Begun::default() }),
        Err(Failure::NotFound(error) | Failure::Conflict(error)) => Ok(Begun { error: Some(error), ..Begun::default() }),
        Err(failure) => Err(failure),
    }
}

fn random_key() -> Result<String, Failure> {
    let random = getrandom::u64().map_err(|error| Failure::Unreachable(error.to_string()))?;
    Ok(format!("mcp-{random:016x}"))
}
