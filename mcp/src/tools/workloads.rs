//! Workloads: the queries that runs send.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    argument::{Name, WorkloadText},
    failure::{Failure, Problem, cut},
    gateway::Path,
    tool::{About, Context, Effect, Tool},
};

/// How much of a workload's text is shown.
const LONGEST_SHOWN: usize = 16_384;
/// How many workloads are listed at once.
const MOST_LISTED: usize = 200;

/// Which workloads to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListWorkloads {
    /// Only workloads whose id contains this text.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub contains: String,
}

/// Workloads.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WorkloadList {
    /// Each with its `workload_id`, for `execution.workload` of a plan.
    pub workloads: Vec<Map<String, Value>>,
    /// How many there are that are not listed; narrow the list with `contains`.
    pub not_listed: usize,
}

impl Tool for ListWorkloads {
    type Output = WorkloadList;

    const ABOUT: About = About {
        name: "list_workloads",
        title: "List workloads",
        description: "Lists the stored workloads (files of named queries). Use a workload_id from here in execution.workload of a plan; read the queries with \
                      get_workload; store new ones with upload_workload_sql.\n\nExample: {\"contains\": \"shop\"} -> {\"workloads\": [{\"workload_id\": \
                      \"shop-queries\"}], \"not_listed\": 0}",
        effect: Effect::Reads,
    };

    async fn call(self, context: Context) -> Result<WorkloadList, Failure> {
        let answer: Value = context.session.get(&Path::to("/v1/workloads")).await?;
        let listed = answer["workloads"].as_array().ok_or_else(|| Failure::Unreadable("there is no list of workloads".to_owned()))?;
        let mut workloads: Vec<_> = listed.iter().filter_map(named).filter(|workload| id(workload).contains(&self.contains)).collect();
        let not_listed = workloads.len().saturating_sub(MOST_LISTED);
        workloads.truncate(MOST_LISTED);
        Ok(WorkloadList { workloads, not_listed })
    }
}

/// An entry with its id, also where the gateway lists ids alone.
fn named(entry: &Value) -> Option<Map<String, Value>> {
    match entry {
        Value::String(id) => json!({"workload_id": id}).as_object().cloned(),
        other => other.as_object().cloned(),
    }
}

fn id(workload: &Map<String, Value>) -> &str {
    workload.get("workload_id").and_then(Value::as_str).unwrap_or_default()
}

/// Which workload to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetWorkload {
    /// The workload's id, from `list_workloads`.
    pub workload_id: Name,
}

/// A workload.
#[expect(clippy::struct_field_names, reason = "callers read this name alone")]
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Workload {
    /// The workload's id.
    pub workload_id: String,
    /// Its text; the beginning of it where it is long.
    pub content: String,
    /// Whether the text was cut.
    #[serde(default)]
    pub truncated: bool,
    /// Whatever else the gateway tells, for example the names of the queries.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Tool for GetWorkload {
    type Output = Workload;

    const ABOUT: About = About {
        name: "get_workload",
        title: "Read a workload",
        description: "Returns the text of a stored workload, at most its first 16 KiB. The query names in it are the <query> of sql_duration_<query> in results.\n\n\
                      Example: {\"workload_id\": \"shop-queries\"} -> {\"workload_id\": \"shop-queries\", \"content\": \"-- @type: mysql\\n-- @name: PointLookup\\nSELECT \
                      ...\", \"truncated\": false}",
        effect: Effect::Reads,
    };

    async fn call(self, context: Context) -> Result<Workload, Failure> {
        let mut workload: Workload = context.session.get(&Path::to("/v1/workloads").step(self.workload_id.as_str())).await?;
        workload.truncated = workload.content.chars().nth(LONGEST_SHOWN).is_some();
        workload.content = cut(&workload.content, LONGEST_SHOWN);
        Ok(workload)
    }
}

/// A workload to store.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadWorkloadSql {
    /// What plans call it by: letters, digits, `_` and `-`, beginning with a letter or digit. A workload of this id is replaced.
    pub workload_id: Name,
    /// The whole text, beginning with `-- @type:`.
    pub content: WorkloadText,
}

/// Whether the workload was stored.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Stored {
    /// Whether it was.
    pub success: bool,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_id: Option<String>,
    /// Where it lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_key: Option<String>,
    /// What is wrong with the text, each with its line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<Problem>>,
}

#[derive(Deserialize)]
struct Key {
    workload_id: String,
    s3_key: String,
}

impl Tool for UploadWorkloadSql {
    type Output = Stored;

    const ABOUT: About = About {
        name: "upload_workload_sql",
        title: "Store a workload",
        description: concat!(
            "Checks and stores a workload, replacing one of the same id. Plans name it in execution.workload. Returns {\"success\": true, \"workload_id\", \"s3_key\"}, or \
             {\"success\": false, \"errors\": [...]} where nothing was stored.\n\n",
            include_str!("../guide/workload.md")
        ),
        effect: Effect::Replaces,
    };

    async fn call(self, context: Context) -> Result<Stored, Failure> {
        let body = json!({"workload_id": self.workload_id.as_str(), "content": self.content.as_str()});
        match context.session.post::<Key>(&Path::to("/v1/workloads"), &body).await {
            Ok(Key { workload_id, s3_key }) => Ok(Stored { success: true, workload_id: Some(workload_id), s3_key: Some(s3_key), errors: None }),
            Err(Failure::Invalid(errors)) => Ok(Stored { success: false, workload_id: None, s3_key: None, errors: Some(errors) }),
            Err(failure) => Err(failure),
        }
    }
}
