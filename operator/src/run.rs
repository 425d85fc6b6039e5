//! The controller of `TestRun`s: observe, decide, apply.
//!
//! A pass starts when the run changes, when something of it changes (its Job is gone, a pod is in trouble, its system
//! under test was given back, its plan appeared), when its workers or its results have something to say, and when the
//! last decision asked for it. Nothing that the operator itself wrote starts one.

use std::{sync::Arc, time::Instant};

use crucible_crds::TestRun;
use crucible_lifecycle::{run::decide, wake::Wake};
use kube::{ResourceExt, core::DeserializeGuard, runtime::controller::Action};
use tracing::Instrument;

use crate::{
    context::{Context, RunKey},
    retry::Retry,
    telemetry::Outcome,
};

pub mod apply;
pub mod error;
mod faults;
pub mod observe;
pub mod pods;
mod triggers;
pub(crate) mod workload;

pub use error::Error;
pub use triggers::control;

/// One pass over a run, as the controller calls it.
pub async fn reconcile(run: Arc<DeserializeGuard<TestRun>>, ctx: Arc<Context>) -> Result<Action, Error> {
    let Some(run) = accept(&run, &ctx)? else { return Ok(Action::await_change()) };
    let span = span_of(&run);
    let wake = pass(run, &ctx).instrument(span).await?;
    Ok(match wake {
        Wake::OnChange => Action::await_change(),
        Wake::After(span) => Action::requeue(span),
    })
}

/// Reads everything, decides with no input or output, writes what was decided. Returns when to look again.
pub async fn pass(run: TestRun, ctx: &Context) -> Result<Wake, Error> {
    // The two futures are large: boxed, a pass costs little while it waits.
    let observed = Box::pin(observe::observe(ctx, run)).await;
    let decision = decide(&observed);
    Box::pin(apply::apply(ctx, &observed.run, decision)).await.map_err(|source| Error::Apply { name: name_of(&observed.run), source })
}

/// Takes a run as it came from the watch, or as we wrote it where that is newer. Nothing, where the watch is known to lag behind.
fn accept(run: &DeserializeGuard<TestRun>, ctx: &Context) -> Result<Option<TestRun>, Error> {
    match &run.0 {
        Ok(run) => Ok(ctx.memory.newest(run.clone())),
        Err(invalid) => {
            let name = format!("{}/{}", invalid.metadata.namespace.clone().unwrap_or_default(), invalid.metadata.name.clone().unwrap_or_default());
            Err(Error::Malformed { name, message: invalid.error.clone() })
        }
    }
}

/// One pass with its end reported: the log, the metric and the time of the next attempt all come from here.
pub async fn reconcile_and_report(run: Arc<DeserializeGuard<TestRun>>, ctx: Arc<Context>) -> Result<Action, Error> {
    let began = Instant::now();
    let uid = run.uid().unwrap_or_default();
    let result = reconcile(run, Arc::clone(&ctx)).await;
    let outcome = match &result {
        Ok(_) => {
            ctx.attempts.succeeded(&uid);
            Outcome::Done
        }
        Err(error) if error.is_conflict() => Outcome::Dropped,
        Err(_) => Outcome::Failed,
    };
    ctx.metrics.passed(outcome, began.elapsed());
    result
}

/// What follows an error: when the run is looked at again.
pub fn after_error(ctx: &Context, run: &DeserializeGuard<TestRun>, error: &Error) -> Action {
    let key = run.0.as_ref().map(RunKey::of).ok();
    let source = std::error::Error::source(error).map(ToString::to_string);
    if error.is_conflict() {
        tracing::debug!(run = ?key, %error, source, "dropped a pass");
    } else {
        tracing::warn!(run = ?key, %error, source, "failed a pass");
    }
    match error.retry() {
        Retry::AwaitChange => Action::await_change(),
        Retry::Backoff => Action::requeue(ctx.attempts.failed(&run.uid().unwrap_or_default())),
    }
}

fn span_of(run: &TestRun) -> tracing::Span {
    let phase = run.status.as_ref().and_then(|status| status.phase).unwrap_or_default();
    tracing::info_span!(
        "reconcile",
        controller = "testrun",
        namespace = run.namespace(),
        object = run.name_any(),
        generation = run.metadata.generation,
        phase = phase.as_str(),
    )
}

fn name_of(run: &TestRun) -> String {
    format!("{}/{}", run.namespace().unwrap_or_default(), run.name_any())
}
