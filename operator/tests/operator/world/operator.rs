//! An operator in this world: real context, pollers, collector and passes; only the watches are played.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use crucible_crds::{Phase, TestRun};
use crucible_lifecycle::{run::observed::Settings, wake::Wake};
use crucible_operator::{
    Context,
    context::{Abilities, RunKey},
    mirror,
    run::{self, pods},
    telemetry::Metrics,
};
use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{OWN, SHOP, SimEntropy, World, prometheus, watch, worker::SimWorkers};
use crate::fake_api::{Line, labels, store::Change};

/// How long nothing may happen for the world to count as settled.
const QUIET: Duration = Duration::from_secs(3);
/// No life lasts longer.
const LONGEST: f64 = 60.0;

/// Everything that an operator holds in its process.
pub fn context(world: &World, line: &Arc<Line>) -> (Context, tokio::sync::mpsc::UnboundedReceiver<RunKey>) {
    let abilities = Abilities {
        client: world.api.client(Arc::clone(line)),
        clock: Arc::new(world.clock),
        entropy: Arc::new(SimEntropy),
        vault: Arc::clone(&world.vault) as Arc<_>,
        workers: Arc::new(SimWorkers { world: world.clone(), line: Arc::clone(line) }),
        ledger: world.ledger.clone().map(|ledger| ledger as Arc<_>),
        observatory: prometheus::observatory(),
    };
    let settings = Settings {
        namespace: OWN.to_owned(),
        worker_image: "worker:1".to_owned(),
        image_pull_policy: "IfNotPresent".to_owned(),
        check_in_url: "http://operator:9090".to_owned(),
        bucket: "memory".to_owned(),
        ledger: world.ledger.is_some(),
        most_targets: 25,
    };
    Context::new(abilities, settings, None, Arc::new(Metrics::default()))
}

/// Operates until the world has settled, or for ever if the operator dies before.
pub async fn operate(world: &World, line: &Arc<Line>) {
    operate_behind(world, line, Duration::ZERO).await;
}

/// The same, with a watch that lags behind: every run is seen as it was some time ago.
pub async fn operate_behind(world: &World, line: &Arc<Line>, lag: Duration) {
    let (ctx, woken) = context(world, line);
    let ctx = Arc::new(ctx);
    let mirror = mirror::follow(Arc::clone(&ctx), || watch(world.clone(), lag), CancellationToken::new());
    tokio::select! {
        () = control(world, &ctx, woken, lag) => {}
        () = mirror, if world.ledger.is_some() => unreachable!("a watch has no end"),
    }
}

/// The controller of runs.
async fn control(world: &World, ctx: &Context, mut woken: tokio::sync::mpsc::UnboundedReceiver<RunKey>, lag: Duration) {
    let mut past = VecDeque::new();
    let mut due: BTreeMap<String, Instant> = world.runs().iter().map(|run| (uid_of(run), Instant::now())).collect();
    world.api.store.lock().unwrap().take_changes();
    let mut quiet_since = Instant::now();
    let mut checked_in: BTreeMap<String, Instant> = BTreeMap::new();
    while !(world.is_over() && quiet_since.elapsed() >= QUIET) {
        assert!(world.clock.seconds() < LONGEST, "the world did not settle: {}", super::describe_end(world));
        let changes = world.api.store.lock().unwrap().take_changes();
        if !changes.is_empty() {
            quiet_since = Instant::now();
        }
        for uid in changes.iter().flat_map(|change| concerned(world, ctx, change)) {
            due.insert(uid, Instant::now());
        }
        while let Ok(key) = woken.try_recv() {
            due.insert(key.uid, Instant::now());
        }
        check_in(world, ctx, &mut checked_in);
        super::loader::speak(world, ctx).await;
        past.push_back((Instant::now(), world.runs()));
        while past.get(1).is_some_and(|(at, _): &(Instant, Vec<TestRun>)| at.elapsed() >= lag) {
            past.pop_front();
        }
        for run in past.front().map(|(_, runs)| runs.clone()).unwrap_or_default() {
            let uid = uid_of(&run);
            if due.get(&uid).is_some_and(|at| *at <= Instant::now()) {
                due.remove(&uid);
                if let Some(again) = pass(ctx, run).await {
                    due.insert(uid, Instant::now() + again);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// One pass as the controller makes it. Returns when to look again.
async fn pass(ctx: &Context, run: TestRun) -> Option<Duration> {
    let run = ctx.memory.newest(run)?;
    let uid = uid_of(&run);
    match run::pass(run, ctx).await {
        Ok(wake) => {
            ctx.attempts.succeeded(&uid);
            match wake {
                Wake::OnChange => None,
                Wake::After(span) => Some(span),
            }
        }
        Err(_) => Some(ctx.attempts.failed(&uid)),
    }
}

/// The runs that have to be looked at after a change: what `run::triggers` says of real watches.
fn concerned(world: &World, ctx: &Context, change: &Change) -> Vec<String> {
    let of_child = || labels(&change.object).get("crucible.dev/run-uid").cloned().into_iter().collect();
    match change.key.resource.as_str() {
        "testruns" if change.deleted => {
            let uid = change.object["metadata"]["uid"].as_str().unwrap_or_default();
            ctx.forget(uid);
            ctx.memory.bury(uid);
            Vec::new()
        }
        "testruns" => {
            let run: TestRun = serde_json::from_value(change.object.clone()).unwrap();
            if ctx.memory.is_echo(&run) { Vec::new() } else { vec![uid_of(&run)] }
        }
        "jobs" if change.deleted => of_child(),
        "pods" => {
            let pod: Pod = serde_json::from_value(change.object.clone()).unwrap();
            if change.deleted || pods::is_trouble(&pods::state(&pod)) { of_child() } else { Vec::new() }
        }
        "leases" if change.deleted => {
            let live = |run: &TestRun| !run.status.as_ref().and_then(|status| status.phase).is_some_and(Phase::is_terminal);
            world.runs().iter().filter(|run| live(run)).map(uid_of).collect()
        }
        _ => Vec::new(),
    }
}

/// Workers check in each second until they are polled.
fn check_in(world: &World, ctx: &Context, checked_in: &mut BTreeMap<String, Instant>) {
    let addresses: BTreeSet<String> = world.workers.lock().unwrap().keys().cloned().collect();
    for address in addresses {
        let mut workers = world.workers.lock().unwrap();
        let Some(worker) = workers.get_mut(&address).filter(|worker| !worker.polled && !worker.gone) else { continue };
        if checked_in.get(&address).is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
            checked_in.insert(address.clone(), Instant::now());
            ctx.fleets.learn(&worker.run_uid, worker.index, &address);
        }
    }
}

fn uid_of(run: &TestRun) -> String {
    assert_eq!(run.metadata.namespace.as_deref(), Some(SHOP));
    run.metadata.uid.clone().unwrap()
}
