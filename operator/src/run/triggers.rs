//! What starts a pass over a run: watches with the noise taken out, and the wake-ups of pollers and collectors.
//!
//! A watch only says *look again*. What is seen then is read anew, so a lost or a superfluous event does no harm.

use std::{collections::HashMap, future::ready, sync::Arc};

use crucible_crds::{Phase, TestPlan, TestRun};
use crucible_lifecycle::build::{labels, names};
use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::{batch::v1::Job, coordination::v1::Lease, core::v1::Pod};
use kube::{
    Api, Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::{
        Controller, WatchStreamExt,
        controller::Config,
        reflector::{self, ObjectRef, Store},
        watcher::{self, Event, watcher},
    },
};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use super::{after_error, pods, reconcile_and_report};
use crate::context::{Context, RunKey};

/// A run as it comes from the watch: one that does not fit the schema must not stall the others.
type Guarded = DeserializeGuard<TestRun>;

/// How many runs are looked at at once.
const CONCURRENCY: u16 = 16;
/// How many runs are listed at once: all of them together would need far more memory than what is kept of them.
const PAGE: u32 = 100;

/// Runs the controller until `stop` is cancelled; passes in hand are finished.
pub async fn control(ctx: Arc<Context>, woken: UnboundedReceiver<RunKey>, stop: CancellationToken) {
    let (reader, writer) = reflector::store();
    let bury = Arc::clone(&ctx);
    let echo = Arc::clone(&ctx);
    let runs = watcher(ctx.watched::<Guarded>(), watcher::Config::default().page_size(PAGE))
        .default_backoff()
        .modify(slim)
        .reflect(writer)
        .inspect(move |event| {
            if let Ok(Event::Delete(run)) = event {
                let uid = run.uid().unwrap_or_default();
                bury.forget(&uid);
                bury.memory.bury(&uid);
            }
        })
        .applied_objects()
        .filter(move |run| ready(!run.as_ref().is_ok_and(|run| run.0.as_ref().is_ok_and(|run| echo.memory.is_echo(run)))));
    let failures = Arc::clone(&ctx);
    Controller::for_stream(runs, reader.clone())
        .with_config(Config::default().concurrency(CONCURRENCY))
        .reconcile_on(lost_jobs(&ctx, reader.clone()))
        .reconcile_on(troubled_pods(&ctx, reader.clone()))
        .reconcile_on(returned_leases(&ctx, reader.clone()))
        .reconcile_on(changed_plans(&ctx, reader))
        .reconcile_on(wake_ups(woken))
        .graceful_shutdown_on(async move { stop.cancelled().await })
        .run(reconcile_and_report, move |run, error, _| after_error(&failures, &run, error), ctx)
        .for_each(|_| ready(()))
        .await;
}

/// What the API server notes of who wrote which field is nothing to us, and thousands of ended runs may be kept.
fn slim(run: &mut Guarded) {
    if let Ok(run) = &mut run.0 {
        run.metadata.managed_fields = None;
    }
}

/// Runs whose workers or results have something to say.
fn wake_ups(woken: UnboundedReceiver<RunKey>) -> impl Stream<Item = ObjectRef<Guarded>> + Send {
    stream::unfold(woken, |mut woken| async { woken.recv().await.map(|key| (ObjectRef::new(&key.name).within(&key.namespace), woken)) })
}

/// Runs whose Job is gone, or going.
fn lost_jobs(ctx: &Context, runs: Store<Guarded>) -> impl Stream<Item = ObjectRef<Guarded>> + Send + use<> {
    changes(ctx.watched::<Job>(), of_ours()).filter_map(move |change| {
        let lost = match &change {
            Change::Applied(job) => job.metadata.deletion_timestamp.is_some(),
            Change::Deleted(_) => true,
        };
        ready(if lost { by_uid(&runs, change.object()) } else { None })
    })
}

/// Runs of which a pod is in trouble. Pods that start and run as they should say nothing: their workers do.
fn troubled_pods(ctx: &Context, runs: Store<Guarded>) -> impl Stream<Item = ObjectRef<Guarded>> + Send + use<> {
    let mut last: HashMap<String, std::mem::Discriminant<crucible_lifecycle::run::observed::PodState>> = HashMap::new();
    changes(ctx.watched::<Pod>(), of_ours()).filter_map(move |change| {
        let pod = change.object();
        let uid = pod.uid().unwrap_or_default();
        let news = match &change {
            Change::Applied(pod) => {
                let state = pods::state(pod);
                let before = last.insert(uid, std::mem::discriminant(&state));
                pods::is_trouble(&state) && before != Some(std::mem::discriminant(&state))
            }
            Change::Deleted(_) => last.remove(&uid).is_some(),
        };
        ready(if news { by_uid(&runs, pod) } else { None })
    })
}

/// Runs that wait for a system under test that was given back.
fn returned_leases(ctx: &Context, runs: Store<Guarded>) -> impl Stream<Item = ObjectRef<Guarded>> + Send + use<> {
    let leases: Api<Lease> = Api::namespaced(ctx.client.clone(), &ctx.settings.namespace);
    changes(leases, of_ours()).flat_map(move |change| {
        let name = match &change {
            Change::Applied(_) => None,
            Change::Deleted(lease) => Some(lease.name_any()),
        };
        let waiting = |run: &TestRun| {
            let awaited = run.status.iter().flat_map(|status| status.sut.iter().chain(&status.second_sut)).map(|sut| names::sut_lease(sut));
            name.as_ref().is_some_and(|name| awaited.into_iter().any(|awaited| awaited == *name)) && !has_ended(run)
        };
        stream::iter(those(&runs, waiting))
    })
}

/// Runs that wait for their plan.
fn changed_plans(ctx: &Context, runs: Store<Guarded>) -> impl Stream<Item = ObjectRef<Guarded>> + Send + use<> {
    changes(ctx.watched::<DeserializeGuard<TestPlan>>(), watcher::Config::default()).flat_map(move |change| {
        let plan = change.object();
        let waiting = |run: &TestRun| {
            let pending = run.status.as_ref().and_then(|status| status.phase).unwrap_or_default() == Phase::Pending;
            pending && run.namespace() == plan.namespace() && *run.spec.plan_ref.name == *plan.name_any()
        };
        stream::iter(those(&runs, waiting))
    })
}

/// What a watch says of an object.
enum Change<K> {
    Applied(K),
    Deleted(K),
}

impl<K> Change<K> {
    fn object(&self) -> &K {
        match self {
            Self::Applied(object) | Self::Deleted(object) => object,
        }
    }
}

/// The changes of a watch. Errors are left out: the watch itself backs off and tries again.
fn changes<K>(api: Api<K>, config: watcher::Config) -> impl Stream<Item = Change<K>> + Send
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    watcher(api, config).default_backoff().filter_map(|event| {
        ready(match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => Some(Change::Applied(object)),
            Ok(Event::Delete(object)) => Some(Change::Deleted(object)),
            Ok(Event::Init | Event::InitDone) => None,
            Err(error) => {
                tracing::warn!(%error, kind = %K::kind(&()), "failed to watch");
                None
            }
        })
    })
}

fn of_ours() -> watcher::Config {
    watcher::Config::default().labels(labels::RUN_UID)
}

/// The run that a child's label names.
fn by_uid<K: ResourceExt>(runs: &Store<Guarded>, child: &K) -> Option<ObjectRef<Guarded>> {
    let uid = child.labels().get(labels::RUN_UID)?;
    runs.find(|run| run.meta().uid.as_ref() == Some(uid)).map(|run| ObjectRef::from_obj(&*run))
}

fn those(runs: &Store<Guarded>, wanted: impl Fn(&TestRun) -> bool) -> Vec<ObjectRef<Guarded>> {
    runs.state().iter().filter(|run| run.0.as_ref().is_ok_and(&wanted)).map(|run| ObjectRef::from_obj(&**run)).collect()
}

fn has_ended(run: &TestRun) -> bool {
    run.status.as_ref().and_then(|status| status.phase).is_some_and(Phase::is_terminal)
}
