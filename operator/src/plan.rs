//! The controller of `TestPlan`s: reads a plan with what it names, and says whether it can be run.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// Runs the controller until `stop` is cancelled; passes in hand are finished.
pub async fn control(_ctx: Arc<Context>, stop: CancellationToken) {
    stop.cancelled().await;
}
