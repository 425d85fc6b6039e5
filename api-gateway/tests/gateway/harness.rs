//! A gateway with everything that it needs in memory, and a client that asks it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request},
    response::Response,
};
use bytes::Bytes;
use crucible_api_gateway::{
    Gateway,
    args::Settings,
    auth::Gate,
    router, runs,
    state::{Abilities, Clock, Entropy},
};
use crucible_store::{Ledger, MemoryLedger, vault::MemoryVault};
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::Api;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::cluster::Cluster;

/// The namespace of the earlier system's routes.
pub const NAMESPACE: &str = "crucible";

/// A gateway with its world.
pub struct World {
    pub cluster: Cluster,
    pub ledger: Arc<MemoryLedger>,
    pub vault: Arc<MemoryVault>,
    pub gateway: Gateway,
    routes: Router,
    stop: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The body, where the status is this one.
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        if self.body.is_empty() { Value::Null } else { self.json() }
    }
}

/// 2026-01-05 08:00:00 UTC.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_767_600_000).unwrap()
    }
}

/// Bytes that are another one each time.
#[derive(Default)]
struct Counting(AtomicU8);

impl Entropy for Counting {
    fn bytes(&self) -> [u8; 32] {
        [self.0.fetch_add(1, Ordering::SeqCst); 32]
    }
}

impl World {
    /// A gateway that asks nobody who they are.
    pub async fn open() -> Self {
        Self::new(Gate::open(), Settings { namespace: NAMESPACE.to_owned(), require_cluster_spec: false }).await
    }

    /// A gateway with its runs listed.
    pub async fn new(gate: Gate, settings: Settings) -> Self {
        let world = Self::unlisted(gate, settings, Cluster::default());
        let watched = Api::namespaced(world.cluster.client(), NAMESPACE);
        tokio::spawn(runs::follow(watched, Arc::clone(&world.gateway.runs), world.stop.clone()));
        world.until("the runs are listed", |world| world.gateway.runs.is_synced()).await;
        world
    }

    /// A gateway that has heard of no run yet.
    pub fn unlisted(gate: Gate, settings: Settings, cluster: Cluster) -> Self {
        let (ledger, vault) = (Arc::new(MemoryLedger::new(NAMESPACE)), Arc::new(MemoryVault::default()));
        let abilities = Abilities {
            client: cluster.client(),
            ledger: Some(Arc::clone(&ledger) as Arc<dyn Ledger>),
            vault: Arc::clone(&vault) as _,
            gate,
            clock: Arc::new(Still),
            entropy: Arc::new(Counting::default()),
        };
        let gateway = Gateway::new(abilities, settings);
        Self { cluster, ledger, vault, routes: router::routes(gateway.clone()), gateway, stop: CancellationToken::new() }
    }

    /// Waits for something that the watch brings.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..500 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not within five seconds: {what}");
    }

    /// A run of this cluster, once the gateway has heard of it.
    pub async fn add_run(&self, name: &str, spec: Value, status: Value) {
        let spec = if spec.is_null() { json!({"planRef": {"name": "checkout"}}) } else { spec };
        let run = json!({"apiVersion": "crucible.dev/v1alpha1", "kind": "TestRun", "metadata": {"name": name}, "spec": spec, "status": status});
        self.cluster.put("testruns", NAMESPACE, &run);
        let version: u64 = self.cluster.find("testruns", name).unwrap()["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        self.until("the run is known", |world| world.gateway.runs.by_name(NAMESPACE, name).is_some_and(|run| run.version() >= version)).await;
    }

    /// One look at plans that no run names.
    pub async fn sweep_plans(&self) {
        crucible_api_gateway::legacy::sweep_plans(&self.gateway).await.unwrap();
    }

    /// The routes, for whoever serves them on a port.
    pub fn routes(&self) -> Router {
        self.routes.clone()
    }

    /// An answer that is still being given.
    pub async fn stream(&self, request: Request<Body>) -> Response {
        self.routes.clone().oneshot(request).await.unwrap()
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        Answer { status: head.status.as_u16(), headers: head.headers, body: body.collect().await.unwrap().to_bytes() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[("content-type", "application/json")], &body.to_string()).await
    }

    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}
