//! Which databases can be tested, and which are being tested.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    failure::Failure,
    gateway::Path,
    tool::{About, Context, Effect, Tool},
};

/// No arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSupportedSuts {}

/// The engines.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SutTypes {
    /// Words for `component_spec.type` of a plan and `type` of a `cluster_spec`.
    pub sut_types: Vec<String>,
}

impl Tool for ListSupportedSuts {
    type Output = SutTypes;

    const ABOUT: About = About {
        name: "list_supported_suts",
        title: "List database engines",
        description: "Lists the database engines (systems under test) that can be load-tested. Use a word from this list as component_spec.type in a plan and as \
                      type in a cluster_spec.\n\nExample: {} -> {\"sut_types\": [\"mysql\", \"postgres\", \"trino\"]}",
        effect: Effect::Reads,
    };

    async fn call(self, context: Context) -> Result<SutTypes, Failure> {
        context.session.get(&Path::to("/v1/sut/types")).await
    }
}

/// No arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetDbInventory {}

/// The databases that are in use by a run.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Inventory {
    /// One entry for each run that holds a database right now.
    pub active: Vec<Active>,
}

/// A run that holds a database.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Active {
    /// The run.
    pub run_id: String,
    /// Its label.
    #[serde(default)]
    pub run_label: Option<String>,
    /// The engine.
    #[serde(default)]
    pub sut_type: Option<String>,
    /// `WAITING_ROOM` or EXECUTING.
    pub status: String,
    /// Whatever else the gateway tells.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Tool for GetDbInventory {
    type Output = Inventory;

    const ABOUT: About = About {
        name: "get_db_inventory",
        title: "See which databases are under load",
        description: "Lists the runs that hold a database right now (WAITING_ROOM or EXECUTING). Look here before submitting: one run at a time loads a database, so \
                      yours would wait as QUEUED behind these.\n\nExample: {} -> {\"active\": [{\"run_id\": \"checkout_20260307-2359_5b54ae4d\", \"run_label\": \
                      \"nightly\", \"sut_type\": \"mysql\", \"status\": \"EXECUTING\"}]}; {\"active\": []} when nothing is under load.",
        effect: Effect::Reads,
    };

    async fn call(self, context: Context) -> Result<Inventory, Failure> {
        context.session.get(&Path::to("/v1/sut/inventory")).await
    }
}
