//! A plan from a few facts.

mod plan;

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::plans::validate;
use crate::{
    argument::{Label, Name, Sentence, Text},
    failure::{Failure, Problem},
    tool::{About, Context, Effect, Tool},
};

/// What to test, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftTestPlan {
    /// What the user wants to know, in one sentence. It is noted in the plan.
    pub goal: Sentence,
    /// The engine, from `list_supported_suts`.
    pub sut_type: Name,
    /// `name:port` of the database as reached from inside the cluster.
    pub host: Text<1, 253>,
    /// The database that the queries run in.
    pub target_db: Text<1, 128>,
    /// The workloads to run, from `list_workloads`.
    #[schemars(length(min = 1, max = 64))]
    pub workload_ids: Vec<Name>,
    /// The user of the database.
    pub username: Text<1, 128>,
    /// The user's password. Left out, the plan has an empty one, which is to be filled in before it is submitted.
    #[serde(default)]
    pub password: Option<Text<0, 1024>>,
    /// The kind of test, which decides users and times where they are not given.
    #[serde(default)]
    pub profile: Profile,
    /// Virtual users in all.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000))]
    pub concurrency: Option<u32>,
    /// Time from 0 to all users, for example 30s.
    #[serde(default)]
    pub ramp_up: Option<Text<1, 32>>,
    /// Time under full load, for example 5m.
    #[serde(default)]
    pub hold_for: Option<Text<1, 32>>,
    /// How many load generators share the load.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub load_generators: u32,
    /// A word to find the plan's runs by.
    #[serde(default)]
    pub run_label: Label,
    /// Datasets to load before.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub fixtures: Vec<FixtureOf>,
    /// A fault to inject; needed for the profile resilience.
    #[serde(default)]
    pub fault: Option<Fault>,
}

const fn one() -> u32 {
    1
}

/// The kind of test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// 2 users, 30 s: does it work at all?
    Smoke,
    /// 16 users, 5 min: how does it do under usual load?
    #[default]
    Load,
    /// 128 users, 10 min: where is the limit?
    Stress,
    /// 16 users, 2 h: does it stay that way?
    Soak,
    /// 16 users, 6 min, and a fault: does it recover?
    Resilience,
}

/// A dataset and the table that it is loaded into.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FixtureOf {
    /// From `list_fixtures`.
    pub fixture_id: Name,
    /// The table.
    pub table: Text<1, 128>,
}

/// A fault.
#[expect(clippy::struct_field_names, reason = "callers read this name alone")]
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The namespace of the pods to hit; it must be opened for faults.
    pub namespace: Name,
    /// Labels of the pods to hit; at least one.
    #[schemars(extend("minProperties" = 1))]
    pub selector: std::collections::BTreeMap<String, String>,
    /// The kind of fault.
    #[serde(default = "pod_chaos")]
    pub fault_type: Text<1, 64>,
    /// Fields of the Chaos Mesh spec; {"action": "pod-kill"} when absent.
    #[serde(default)]
    pub parameters: Option<JsonObject>,
    /// When it begins, after the start of the load; 2m when absent.
    #[serde(default)]
    pub start_after: Option<Text<1, 32>>,
    /// How long it lasts; 1m when absent.
    #[serde(default)]
    pub duration: Option<Text<1, 32>>,
}

fn pod_chaos() -> Text<1, 64> {
    serde_json::from_value(json!("podchaos")).unwrap_or_default()
}

/// A plan.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Draft {
    /// The plan, for `validate_test_plan` and `submit_test_run`.
    pub plan_yaml: String,
    /// The `cluster_spec` that belongs to it.
    pub cluster_spec: Value,
    /// Whether the gateway finds it valid; null where it could not be asked.
    pub valid: Option<bool>,
    /// What the gateway finds wrong with it.
    pub errors: Vec<Problem>,
    /// What was assumed because it was not given. Tell the user.
    pub assumptions: Vec<String>,
    /// What to do next.
    pub next_step: String,
}

impl Tool for DraftTestPlan {
    type Output = Draft;

    const ABOUT: About = About {
        name: "draft_test_plan",
        title: "Draft a test plan",
        description: "Writes a complete test plan from a few facts and checks it; nothing is stored or run. What you do not give is chosen by profile and told in assumptions: \
                      go through them with the user. Edit the YAML freely afterwards (validate_test_plan describes every field), then submit it with submit_test_run.\n\n\
                      Example: {\"goal\": \"Does checkout survive the loss of a database pod?\", \"profile\": \"resilience\", \"sut_type\": \"mysql\", \"host\": \
                      \"mariadb.sut.svc:3306\", \"target_db\": \"shop\", \"username\": \"loadtest\", \"workload_ids\": [\"shop-queries\"], \"fault\": {\"namespace\": \"sut\", \
                      \"selector\": {\"app\": \"mariadb\"}}} -> {\"plan_yaml\": \"...\", \"cluster_spec\": {\"type\": \"mysql\"}, \"valid\": true, \"errors\": [], \
                      \"assumptions\": [\"concurrency 16, ...\"], \"next_step\": \"...\"}",
        effect: Effect::Reads,
    };

    async fn call(self, context: Context) -> Result<Draft, Failure> {
        let plan::Written { plan_yaml, cluster_spec, assumptions } = plan::write(&self)?;
        let (valid, errors) = match validate(&context.session, &plan_yaml).await {
            Ok(validity) => (Some(validity.valid), validity.errors.unwrap_or_default()),
            Err(Failure::Unauthorized(message)) => return Err(Failure::Unauthorized(message)),
            Err(_) => (None, Vec::new()),
        };
        let next_step = match valid {
            Some(true) if self.password.is_none() => "Get the password from the user, put it into plan_yaml, go through assumptions, then submit_test_run.",
            Some(true) => "Go through assumptions with the user, then submit_test_run with this plan_yaml and cluster_spec.",
            Some(false) => "Correct what errors says, then validate_test_plan.",
            None => "The gateway could not be asked whether the plan is valid: call validate_test_plan when it answers.",
        };
        Ok(Draft { plan_yaml, cluster_spec, valid, errors, assumptions, next_step: next_step.to_owned() })
    }
}
