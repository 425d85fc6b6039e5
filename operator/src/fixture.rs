//! The controller of `Fixture`s: whether a dataset's files are there, and which tables they were loaded into.
//!
//! The same three steps as for runs, small enough for one file. The bucket tells nobody of its changes, so it is looked at
//! again and again; runs that have something to tell of a dataset are watched.

use std::{future::ready, sync::Arc, time::Duration};

use crucible_crds::{Fixture, FixtureStatus, TestRun};
use crucible_lifecycle::{
    fixture::{
        prefix,
        review::{Decision, Observed, decide},
    },
    seen::Seen,
    wake::Wake,
};
use futures::{Stream, StreamExt, stream};
use kube::{
    Api, Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams},
    core::DeserializeGuard,
    runtime::{
        Controller, PredicateConfig, WatchStreamExt,
        controller::{Action, Config},
        predicates,
        reflector::{self, ObjectRef},
        watcher::{self, watcher},
    },
};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    context::{Context, FIELD_MANAGER},
    fixtures,
    retry::Retry,
};

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(10);
/// How long the bucket may take to list a dataset.
const LISTING: Duration = Duration::from_secs(20);
/// How many fixtures are looked at at once.
const CONCURRENCY: u16 = 4;

/// A fixture as it comes from the watch: one that does not fit the schema must not stall the others.
type Guarded = DeserializeGuard<Fixture>;

/// Why a pass over a fixture was not finished.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object does not fit its own schema.
    #[error("failed to read Fixture {name}: {message}")]
    Malformed {
        /// `namespace/name`.
        name: String,
        /// What does not fit.
        message: String,
    },
    /// The status could not be written.
    #[error("failed to write the status of Fixture {name}")]
    Status {
        /// `namespace/name`.
        name: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// The API server did not answer.
    #[error("failed to write the status of Fixture {name}: the API server did not answer in time")]
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
    let fixtures = watcher(ctx.watched::<Guarded>(), watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .applied_objects()
        .predicate_filter(predicates::generation, PredicateConfig::default());
    Controller::for_stream(fixtures, reader)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .reconcile_on(told_by_runs(&ctx))
        .graceful_shutdown_on(async move { stop.cancelled().await })
        .run(reconcile, after_error, ctx)
        .for_each(|_| ready(()))
        .await;
}

/// The fixtures of runs that have something to tell of them.
fn told_by_runs(ctx: &Context) -> impl Stream<Item = ObjectRef<Guarded>> + Send + use<> {
    let runs = watcher(ctx.watched::<DeserializeGuard<TestRun>>(), watcher::Config::default()).default_backoff().applied_objects();
    runs.flat_map(|run| {
        let run = run.ok().and_then(|run| run.0.ok());
        let namespace = run.as_ref().and_then(ResourceExt::namespace).unwrap_or_default();
        let told = run.and_then(|run| run.status).map(|status| status.fixtures).unwrap_or_default();
        stream::iter(told.into_iter().filter(|fixture| fixture.state.is_ready()).map(move |fixture| ObjectRef::new(&fixture.name).within(&namespace)))
    })
}

/// One pass over a fixture.
pub async fn reconcile(fixture: Arc<Guarded>, ctx: Arc<Context>) -> Result<Action, Error> {
    let fixture = match &fixture.0 {
        Ok(fixture) => fixture.clone(),
        Err(invalid) => {
            let name = format!("{}/{}", fixture.namespace().unwrap_or_default(), fixture.name_any());
            return Err(Error::Malformed { name, message: invalid.error.clone() });
        }
    };
    let span = tracing::info_span!(
        "reconcile",
        controller = "fixture",
        namespace = fixture.namespace(),
        object = fixture.name_any(),
        generation = fixture.metadata.generation
    );
    let uid = fixture.uid().unwrap_or_default();
    let wake = pass(fixture, &ctx).instrument(span).await?;
    ctx.attempts.succeeded(&uid);
    Ok(match wake {
        Wake::OnChange => Action::await_change(),
        Wake::After(span) => Action::requeue(span),
    })
}

/// Reads, decides, writes. Returns when to look again.
pub async fn pass(fixture: Fixture, ctx: &Context) -> Result<Wake, Error> {
    let observed = observe(ctx, fixture).await;
    let Decision { status, wake } = decide(&observed);
    write_status(ctx, &observed.fixture, &status).await?;
    Ok(wake)
}

/// Reads only; whatever fails to be read is not known.
async fn observe(ctx: &Context, fixture: Fixture) -> Observed {
    use crucible_lifecycle::fixture::Listing;
    let name = fixture.name_any();
    let below = prefix(&name, Some(&fixture.spec));
    let listing = tokio::time::timeout(LISTING, fixtures::listing(ctx, &name, Some(&fixture.spec)));
    let uploads = tokio::time::timeout(LISTING, ctx.vault.pending_uploads(&below));
    let runs: Api<TestRun> = Api::namespaced(ctx.client.clone(), &fixture.namespace().unwrap_or_default());
    let everything = ListParams::default();
    let runs = tokio::time::timeout(REQUEST, runs.list(&everything));
    let (listing, uploads, runs) = tokio::join!(listing, uploads, runs);
    Observed {
        now: ctx.clock.now(),
        listing: listing.unwrap_or_else(|_| Listing::Unreadable("the bucket did not answer in time".to_owned())),
        uploads: match uploads {
            Ok(Ok(pending)) => Seen::Found(u32::try_from(pending.len()).unwrap_or(u32::MAX)),
            Ok(Err(error)) => Seen::Unreadable(error.to_string()),
            Err(_) => Seen::Unreadable("the bucket did not answer in time".to_owned()),
        },
        runs: match runs {
            Ok(Ok(list)) => Seen::Found(list.items),
            Ok(Err(_)) | Err(_) => Seen::Unreadable("the runs cannot be listed".to_owned()),
        },
        fixture,
    }
}

/// Writes the status against the version that was read, where it differs. A fixture that has changed meanwhile, or is gone,
/// is looked at again anyway.
async fn write_status(ctx: &Context, fixture: &Fixture, status: &FixtureStatus) -> Result<(), Error> {
    if fixture.status.as_ref() == Some(status) {
        return Ok(());
    }
    let (namespace, name) = (fixture.namespace().unwrap_or_default(), fixture.name_any());
    // The version that was read may be older than our own last write, and only we write: nothing is lost without it.
    let patch = json!({"apiVersion": Fixture::api_version(&()), "kind": Fixture::kind(&()), "metadata": {"name": name}, "status": status});
    let fixtures: Api<Fixture> = Api::namespaced(ctx.client.clone(), &namespace);
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let full_name = format!("{namespace}/{name}");
    match tokio::time::timeout(REQUEST, fixtures.patch_status(&name, &params, &Patch::Apply(patch))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) if status.is_not_found() => Ok(()),
        Ok(Err(source)) => Err(Error::Status { name: full_name, source }),
        Err(_) => Err(Error::TimedOut { name: full_name }),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the controller's own signature")]
fn after_error(fixture: Arc<Guarded>, error: &Error, ctx: Arc<Context>) -> Action {
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, source, "failed a pass");
    match error.retry() {
        Retry::AwaitChange => Action::await_change(),
        Retry::Backoff => Action::requeue(ctx.attempts.failed(&fixture.uid().unwrap_or_default())),
    }
}
