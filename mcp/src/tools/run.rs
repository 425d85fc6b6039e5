//! A run as the gateway tells it, and what its status means.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    argument::Name,
    failure::{Failure, cut},
    gateway::{Path, Session},
};

/// The longest text of a run that is shown in a list.
const LONGEST_TEXT: usize = 500;

/// A run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// The run's id.
    pub run_id: String,
    /// The plan that it runs.
    #[serde(default)]
    pub plan_name: Option<String>,
    /// The word to find it by.
    #[serde(default)]
    pub run_label: Option<String>,
    /// The engine.
    #[serde(default)]
    pub sut_type: Option<String>,
    /// PENDING, QUEUED, `WAITING_ROOM`, EXECUTING, COLLECTING, COMPLETED, FAILED or STOPPING.
    pub status: String,
    /// When it was submitted.
    #[serde(default)]
    pub submitted_at: Option<String>,
    /// When the load began.
    #[serde(default)]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(default)]
    pub completed_at: Option<String>,
    /// Why it failed.
    #[serde(default)]
    pub error_detail: Option<String>,
    /// Whatever else the gateway tells: `scaling_mode`, `cluster_spec`, `cluster_settings`, `waiting_room`.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A page of runs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunPage {
    /// The runs, newest first.
    pub runs: Vec<Run>,
    /// Give this as cursor to get the next page; null on the last one.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

impl Run {
    /// The run of this id.
    pub async fn find(session: &Session, run_id: &Name) -> Result<Self, Failure> {
        session.get(&Path::to("/v1/test-runs").step(run_id.as_str()).step("status")).await
    }

    /// Whether nothing can follow.
    pub fn has_ended(&self) -> bool {
        matches!(self.status.as_str(), "COMPLETED" | "FAILED")
    }

    /// The same with long texts cut.
    #[must_use]
    pub fn shortened(mut self) -> Self {
        self.error_detail = self.error_detail.map(|text| cut(&text, LONGEST_TEXT));
        if let Some(Value::String(settings)) = self.more.get_mut("cluster_settings") {
            *settings = cut(settings, LONGEST_TEXT);
        }
        self
    }

    /// What the status means, in one sentence.
    pub fn meaning(&self) -> String {
        match self.status.as_str() {
            "PENDING" => "The run was accepted and its plan is being read.".to_owned(),
            "QUEUED" => "The run waits: another run loads the same database, or its fixtures are being loaded.".to_owned(),
            "WAITING_ROOM" => format!("The load generators gather{}; the load begins when all are ready.", self.gathering()),
            "EXECUTING" => "The load is on.".to_owned(),
            "COLLECTING" => "The load is over; results are being merged.".to_owned(),
            "COMPLETED" => "There are results. Whether they are good is another question: ask explain_run.".to_owned(),
            "FAILED" => "There are no results to be trusted; error_detail says why.".to_owned(),
            "STOPPING" => "The run is being ended; what was measured until then is kept.".to_owned(),
            other => format!("The gateway calls this {}.", cut(other, 40)),
        }
    }

    fn gathering(&self) -> String {
        let room = self.more.get("waiting_room");
        let count = |key: &str| room.and_then(|room| room[key].as_u64());
        match (count("ready_count"), count("target_count")) {
            (Some(ready), Some(target)) => format!(" ({ready} of {target} are ready)"),
            _ => String::new(),
        }
    }
}
