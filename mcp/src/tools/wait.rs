//! A run is waited for.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{Run, progress::AtThisMoment};
use crate::{
    argument::Name,
    failure::Failure,
    tool::{About, Context, Effect, Tool},
};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest time that one call waits.
const LONGEST: u64 = 1800;
/// How often in a row the gateway may fail to answer.
const PATIENCE: u32 = 5;

/// Which run to wait for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitForRun {
    /// The run.
    pub run_id: Name,
    /// How many seconds to wait at most. The run goes on when the time is over.
    #[serde(default = "five_minutes", alias = "timeout")]
    #[schemars(range(min = 1, max = 1800))]
    pub timeout_seconds: u64,
}

const fn five_minutes() -> u64 {
    300
}

/// A run that was waited for.
#[expect(clippy::struct_field_names, reason = "callers read this name alone")]
#[derive(Debug, Serialize, JsonSchema)]
pub struct Waited {
    /// The run as it is now.
    #[serde(flatten)]
    pub now: AtThisMoment,
    /// How many seconds were waited.
    pub waited_seconds: u64,
    /// Whether the time was over before the run was.
    pub timed_out: bool,
}

impl Tool for WaitForRun {
    type Output = Waited;

    const ABOUT: About = About {
        name: "wait_for_run",
        title: "Wait for a run to end",
        description: "Waits until a run is COMPLETED or FAILED, or the time is over, telling progress meanwhile to clients that ask for it. A run takes ramp_up + hold_for of \
                      its plan and about half a minute more, and longer where it is queued. When timed_out is true the run goes on: call again. Cancelling this call does not \
                      stop the run; emergency_stop does.\n\nExample: {\"run_id\": \"checkout_20260307-2359_5b54ae4d\", \"timeout_seconds\": 600} -> {\"status\": \"COMPLETED\", \
                      \"finished\": true, \"timed_out\": false, \"waited_seconds\": 148, \"next_step\": \"Call explain_run ...\", ...}",
        effect: Effect::Reads,
    };

    async fn call(self, context: Context) -> Result<Waited, Failure> {
        let Self { run_id, timeout_seconds } = self;
        if !(1..=LONGEST).contains(&timeout_seconds) {
            return Err(Failure::argument("timeout_seconds", format!("must be a whole number from 1 to {LONGEST}")));
        }
        let cancelled = context.cancelled.clone();
        tokio::select! {
            () = cancelled.cancelled() => Err(Failure::Cancelled),
            waited = wait(&context, &run_id, timeout_seconds) => waited,
        }
    }
}

async fn wait(context: &Context, run_id: &Name, timeout_seconds: u64) -> Result<Waited, Failure> {
    let (start, mut told, mut missed) = (Instant::now(), String::new(), 0);
    loop {
        let passed = start.elapsed().as_secs();
        match Run::find(&context.session, run_id).await {
            Ok(run) if run.has_ended() || passed >= timeout_seconds => {
                let timed_out = !run.has_ended();
                return Ok(Waited { now: run.into(), waited_seconds: passed, timed_out });
            }
            Ok(run) => {
                missed = 0;
                tell(context, &run, start.elapsed(), timeout_seconds, &mut told).await;
            }
            // A gateway that is being replaced is away for moments; a run is not lost by that.
            Err(Failure::Unreachable(_) | Failure::Late(_) | Failure::TryLater { .. }) if missed < PATIENCE && passed < timeout_seconds => missed += 1,
            Err(failure) => return Err(failure),
        }
        sleep(PAUSE).await;
    }
}

/// Tells what is new, and every fifth second that it is still so.
async fn tell(context: &Context, run: &Run, passed: Duration, total: u64, told: &mut String) {
    let message = format!("{}: {}", run.status, run.meaning());
    if *told != message || passed.as_secs().is_multiple_of(5) {
        #[expect(clippy::cast_precision_loss, reason = "half an hour in seconds")]
        context.progress.tell(passed.as_secs_f64(), total as f64, message.clone()).await;
        *told = message;
    }
}
