//! Runs are listed and stopped.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Run, RunPage};
use crate::{
    argument::{Label, Name, Word},
    failure::Failure,
    gateway::Path,
    tool::{About, Context, Effect, Tool},
};

/// Which runs to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListTestRuns {
    /// Only runs with exactly this label; all when empty.
    #[serde(default)]
    pub run_label: Label,
    /// How many at most.
    #[serde(default = "twenty")]
    #[schemars(range(min = 1, max = 100))]
    pub limit: u32,
    /// `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<Word>,
}

const fn twenty() -> u32 {
    20
}

impl Tool for ListTestRuns {
    type Output = RunPage;

    const ABOUT: About = About {
        name: "list_test_runs",
        title: "List runs",
        description: "Lists runs, newest first, a page at a time: status, plan, label, engine, cluster_spec, times, error_detail. Long texts are cut; \
                      monitor_test_progress shows one run whole.\n\nExample: {\"run_label\": \"nightly\", \"limit\": 2} -> {\"runs\": [{\"run_id\": \
                      \"checkout_20260307-2359_5b54ae4d\", \"plan_name\": \"checkout\", \"run_label\": \"nightly\", \"sut_type\": \"mysql\", \"status\": \"COMPLETED\", \
                      \"submitted_at\": \"2026-03-07T23:59:00Z\", ...}], \"next_cursor\": null}",
        effect: Effect::Reads,
    };

    async fn call(self, context: Context) -> Result<RunPage, Failure> {
        let Self { run_label, limit, cursor } = self;
        if !(1..=100).contains(&limit) {
            return Err(Failure::argument("limit", "must be a whole number from 1 to 100"));
        }
        let path = Path::to("/v1/test-runs").query("run_label", run_label.as_str()).query("limit", &limit.to_string());
        let RunPage { runs, next_cursor } = context.session.get(&path.query("cursor", cursor.as_ref().map_or("", Word::as_str))).await?;
        // A gateway that knows no pages answers everything.
        let runs = runs.into_iter().take(limit as usize).map(Run::shortened).collect();
        Ok(RunPage { runs, next_cursor })
    }
}

/// Which run to stop.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmergencyStop {
    /// The run.
    pub run_id: Name,
}

/// What became of a stop.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Stopped {
    /// The run.
    pub run_id: String,
    /// `sigterm_sent`: the run is being ended. `already_stopped`: it had ended, or was being ended, before. `not_found`: there is no such run.
    pub action: String,
    /// What that means, in one sentence.
    #[serde(default)]
    pub meaning: String,
}

impl Tool for EmergencyStop {
    type Output = Stopped;

    const ABOUT: About = About {
        name: "emergency_stop",
        title: "Stop a run",
        description: "Ends a run: no query is sent any more within 10 seconds, faults are taken back, what was measured is kept as partial results. Safe to call twice. Use it \
                      when the database or its users suffer, or when the user asks.\n\nExample: {\"run_id\": \"checkout_20260307-2359_5b54ae4d\"} -> {\"run_id\": \"...\", \
                      \"action\": \"sigterm_sent\", \"meaning\": \"...\"}; action is already_stopped or not_found where there was nothing to stop",
        effect: Effect::Ends,
    };

    async fn call(self, context: Context) -> Result<Stopped, Failure> {
        let path = Path::to("/v1/test-runs").step(self.run_id.as_str()).step("stop");
        let mut stopped: Stopped = context.session.post(&path, &json!({})).await?;
        let meaning = match stopped.action.as_str() {
            "sigterm_sent" => "The run is being ended (STOPPING); wait_for_run tells when it has ended.",
            "already_stopped" => "The run had ended, or was being ended, before; nothing was done.",
            "not_found" => "There is no run of this id; list_test_runs says which there are.",
            _ => "",
        };
        meaning.clone_into(&mut stopped.meaning);
        Ok(stopped)
    }
}
