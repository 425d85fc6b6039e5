//! How far a run is, at this moment.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Run;
use crate::{
    argument::Name,
    failure::Failure,
    tool::{About, Context, Effect, Tool},
};

/// Which run to look at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MonitorTestProgress {
    /// The run.
    pub run_id: Name,
}

/// A run at this moment.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AtThisMoment {
    /// The run.
    #[serde(flatten)]
    pub run: Run,
    /// What its status means, in one sentence.
    pub meaning: String,
    /// Whether it has ended.
    pub finished: bool,
    /// What to do next.
    pub next_step: String,
}

impl From<Run> for AtThisMoment {
    fn from(run: Run) -> Self {
        let next_step = match run.status.as_str() {
            "COMPLETED" | "FAILED" => "Call explain_run for the verdict and its reasons.",
            _ => "Call wait_for_run rather than this tool again and again.",
        };
        Self { meaning: run.meaning(), finished: run.has_ended(), next_step: next_step.to_owned(), run }
    }
}

impl Tool for MonitorTestProgress {
    type Output = AtThisMoment;

    const ABOUT: About = About {
        name: "monitor_test_progress",
        title: "Look at a run",
        description: "Says at once where a run is: its status with what it means, the waiting room while load generators gather, its times, its error. To wait for the end \
                      use wait_for_run instead of calling this again and again.\n\nExample: {\"run_id\": \"checkout_20260307-2359_5b54ae4d\"} -> {\"run_id\": \"...\", \
                      \"status\": \"WAITING_ROOM\", \"waiting_room\": {\"ready_count\": 1, \"target_count\": 2}, \"meaning\": \"...\", \"finished\": false, ...}",
        effect: Effect::Reads,
    };

    async fn call(self, context: Context) -> Result<AtThisMoment, Failure> {
        Run::find(&context.session, &self.run_id).await.map(AtThisMoment::from)
    }
}
