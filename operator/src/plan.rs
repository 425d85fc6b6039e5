//! The controller of `TestPlan`s: reads a plan with the workload that it names, and says whether it could be run.
//!
//! The same three steps as for runs, small enough for one file. A plan owns nothing, so there is nothing to make or remove.

use std::{future::ready, sync::Arc, time::Duration};

use crucible_crds::{TestPlan, TestPlanStatus};
use crucible_lifecycle::{
    review::{Review, review},
    run::observed::PlanView,
    wake::Wake,
};
use futures::StreamExt;
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::DeserializeGuard,
    runtime::{
        Controller, PredicateConfig, WatchStreamExt,
        controller::{Action, Config},
        predicates, reflector,
        watcher::{self, watcher},
    },
};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    context::{Context, FIELD_MANAGER},
    retry::Retry,
    run::workload::workload,
};

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(10);
/// How many plans are looked at at once.
const CONCURRENCY: u16 = 4;

/// A plan as it comes from the watch: one that does not fit the schema must not stall the others.
type Guarded = DeserializeGuard<TestPlan>;

/// Why a pass over a plan was not finished.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object does not fit its own schema.
    #[error("failed to read TestPlan {name}: {message}")]
    Malformed {
        /// `namespace/name`.
        name: String,
        /// What does not fit.
        message: String,
    },
    /// The status could not be written.
    #[error("failed to write the status of TestPlan {name}")]
    Status {
        /// `namespace/name`.
        name: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// The API server did not answer.
    #[error("failed to write the status of TestPlan {name}: the API server did not answer in time")]
    TimedOut {
        /// `namespace/name`.
        name: String,
    },
}

impl Error {
    /// When it is tried again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Malformed { .. } => Retry::AwaitChange,
            Self::Status { .. } | Self::TimedOut { .. } => Retry::Backoff,
        }
    }
}

/// Runs the controller until `stop` is cancelled; passes in hand are finished.
pub async fn control(ctx: Arc<Context>, stop: CancellationToken) {
    let (reader, writer) = reflector::store();
    let plans = watcher(ctx.watched::<Guarded>(), watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .applied_objects()
        .predicate_filter(predicates::generation, PredicateConfig::default());
    Controller::for_stream(plans, reader)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(async move { stop.cancelled().await })
        .run(reconcile, after_error, ctx)
        .for_each(|_| ready(()))
        .await;
}

/// One pass over a plan.
pub async fn reconcile(plan: Arc<Guarded>, ctx: Arc<Context>) -> Result<Action, Error> {
    let plan = match &plan.0 {
        Ok(plan) => plan.clone(),
        Err(invalid) => {
            let name = format!("{}/{}", plan.namespace().unwrap_or_default(), plan.name_any());
            return Err(Error::Malformed { name, message: invalid.error.clone() });
        }
    };
    let span = tracing::info_span!(
        "reconcile",
        controller = "testplan",
        namespace = plan.namespace(),
        object = plan.name_any(),
        generation = plan.metadata.generation
    );
    let uid = plan.uid().unwrap_or_default();
    let wake = pass(plan, &ctx).instrument(span).await?;
    ctx.attempts.succeeded(&uid);
    Ok(match wake {
        Wake::OnChange => Action::await_change(),
        Wake::After(span) => Action::requeue(span),
    })
}

/// Reads, decides, writes. Returns when to look again.
pub async fn pass(plan: TestPlan, ctx: &Context) -> Result<Wake, Error> {
    let workload = workload(ctx, &plan.namespace().unwrap_or_default(), &plan.spec.workload.source).await;
    let view = PlanView { plan, workload };
    let Review { status, wake } = review(&view, ctx.clock.now());
    write_status(ctx, &view.plan, &status).await?;
    Ok(wake)
}

/// Writes the status against the version that was read, where it differs. A plan that has changed meanwhile, or is gone,
/// is looked at again anyway.
async fn write_status(ctx: &Context, plan: &TestPlan, status: &TestPlanStatus) -> Result<(), Error> {
    if plan.status.as_ref() == Some(status) {
        return Ok(());
    }
    let (namespace, name) = (plan.namespace().unwrap_or_default(), plan.name_any());
    let patch = json!({
        "apiVersion": TestPlan::api_version(&()),
        "kind": TestPlan::kind(&()),
        "metadata": {"name": name, "resourceVersion": plan.resource_version()},
        "status": status,
    });
    let plans: Api<TestPlan> = Api::namespaced(ctx.client.clone(), &namespace);
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let full_name = format!("{namespace}/{name}");
    match tokio::time::timeout(REQUEST, plans.patch_status(&name, &params, &Patch::Apply(patch))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) if status.is_not_found() => Ok(()),
        Ok(Err(source)) => Err(Error::Status { name: full_name, source }),
        Err(_) => Err(Error::TimedOut { name: full_name }),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the controller's own signature")]
fn after_error(plan: Arc<Guarded>, error: &Error, ctx: Arc<Context>) -> Action {
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, source, "failed a pass");
    match error.retry() {
        Retry::AwaitChange => Action::await_change(),
        Retry::Backoff => Action::requeue(ctx.attempts.failed(&plan.uid().unwrap_or_default())),
    }
}
