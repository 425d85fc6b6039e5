//! Everything around the operator: cluster controllers, workers, users and time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use crucible_crds::{Phase, TestRun};
use crucible_operator::context::{Clock, Entropy};
use crucible_store::{MemoryLedger, Vault, vault::MemoryVault};
use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::fake_api::{FakeApi, Key, Line, Store, labels};

mod chaos;
mod end;
mod invariants;
pub mod loader;
mod mirror;
mod operator;
mod prometheus;
pub mod scenario;
pub mod worker;

pub use end::describe_end;
use loader::SimLoader;
pub use mirror::watch;
pub use operator::{context, operate, operate_behind};
use scenario::{Act, Scenario, When};
use worker::{Habits, SimWorker};

/// When every simulated life begins.
const EPOCH: Timestamp = Timestamp::constant(1_767_600_000, 0);
/// The namespace of the users.
pub const SHOP: &str = "shop";
/// The operator's own namespace.
pub const OWN: &str = "crucible";

/// Everything around the operator.
#[derive(Clone)]
pub struct World {
    pub api: FakeApi,
    pub vault: Arc<MemoryVault>,
    pub ledger: Option<Arc<MemoryLedger>>,
    pub clock: SimClock,
    pub workers: Arc<Mutex<BTreeMap<String, SimWorker>>>,
    /// By pod.
    pub loaders: Arc<Mutex<BTreeMap<String, SimLoader>>>,
    /// What the tables of the system under test say of themselves: the digest of what is in them, and whether it was changed.
    pub tables: Arc<Mutex<BTreeMap<String, (String, bool)>>>,
    pub effects: Arc<AtomicUsize>,
    habits: Habits,
    script: Arc<Mutex<Vec<(When, Act)>>>,
    seen_jobs: Arc<Mutex<BTreeMap<String, f64>>>,
    born: Arc<Mutex<BTreeSet<String>>>,
    /// The runs as they were when the store was last written to: reading them is what takes time.
    read: Arc<Mutex<(u64, Vec<TestRun>)>>,
}

/// The test's own time: it passes only when nobody has anything to do.
#[derive(Clone, Copy)]
pub struct SimClock(Instant);

impl SimClock {
    /// Seconds since the beginning.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        EPOCH + SignedDuration::try_from(self.0.elapsed()).unwrap()
    }
}

/// Tokens that are different, and the same in each life.
pub struct SimEntropy;

impl Entropy for SimEntropy {
    fn hex64(&self) -> String {
        "5ec2e7".repeat(11).chars().take(64).collect()
    }
}

impl World {
    /// The world of a scenario, before anything has happened.
    pub fn of(scenario: &Scenario) -> Self {
        let clock = SimClock(Instant::now());
        let store = Store::new(Box::new(move || clock.now()), Box::new(invariants::checks()));
        let world = Self {
            api: FakeApi::new(store),
            vault: Arc::default(),
            ledger: scenario.ledger.then(|| Arc::new(MemoryLedger::new(OWN))),
            clock,
            workers: Arc::default(),
            loaders: Arc::default(),
            tables: Arc::default(),
            effects: Arc::default(),
            habits: scenario.habits.clone(),
            script: Arc::new(Mutex::new(scenario.script.clone())),
            seen_jobs: Arc::default(),
            born: Arc::default(),
            read: Arc::default(),
        };
        for (key, text) in &scenario.stored {
            let metadata = BTreeMap::new();
            let put = world.vault.put(key, Bytes::from_static(text.as_bytes()), "text/plain", &metadata);
            put.now_or_never().unwrap().unwrap();
        }
        for (resource, yaml) in &scenario.objects {
            let object: Value = serde_saphyr::from_str(yaml).unwrap();
            let namespace = if *resource == "namespaces" { "" } else { object["metadata"]["namespace"].as_str().unwrap_or(SHOP) };
            let namespace = namespace.to_owned();
            world.api.store.lock().unwrap().create(resource, &namespace, object).unwrap();
        }
        world
    }

    /// A new line from an operator to this world.
    pub fn line(&self, cut_after: Option<usize>, twice: bool) -> Arc<Line> {
        Arc::new(Line::new(Arc::clone(&self.effects), cut_after, twice))
    }

    /// Lets the world go on beside whatever the operator does.
    pub fn turn(&self) -> tokio::task::JoinHandle<()> {
        let world = self.clone();
        tokio::spawn(async move {
            loop {
                world.tick();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    }

    /// Every run as the API server has it.
    pub fn runs(&self) -> Vec<TestRun> {
        let store = self.api.store.lock().unwrap();
        let mut read = self.read.lock().unwrap();
        if read.0 != store.version() {
            *read = (store.version(), store.all("testruns").into_iter().map(|run| serde_json::from_value(run).unwrap()).collect());
        }
        read.1.clone()
    }

    /// Whether every run has come to its end and nothing of the script is left.
    pub fn is_over(&self) -> bool {
        let ended =
            |run: &TestRun| run.status.as_ref().and_then(|status| status.phase).is_some_and(Phase::is_terminal) && run.metadata.deletion_timestamp.is_none();
        let mirrored = |run: &TestRun| self.ledger.is_none() || is_mirrored(run);
        self.script.lock().unwrap().is_empty() && self.runs().iter().all(|run| ended(run) && mirrored(run))
    }

    fn tick(&self) {
        self.follow_script();
        self.make_pods();
        self.follow_workers();
        self.follow_loaders();
        chaos::turn(&mut self.api.store.lock().unwrap(), self.clock.now());
        invariants::one_run_loads(&self.workers.lock().unwrap(), self.clock.seconds());
    }

    fn follow_script(&self) {
        let mut script = self.script.lock().unwrap();
        while let Some((_, act)) = script.first().filter(|(when, _)| self.is_time(when)).cloned() {
            script.remove(0);
            self.act(&act);
        }
    }

    fn is_time(&self, when: &When) -> bool {
        match when {
            When::At(seconds) => self.clock.seconds() >= *seconds,
            When::Loading { run, seconds } => {
                let workers = self.workers.lock().unwrap();
                workers.values().any(|worker| worker.run == *run && worker.loading_for(self.clock.seconds()).is_some_and(|loading| loading >= *seconds))
            }
            When::Filling { run, seconds } => self
                .loaders
                .lock()
                .unwrap()
                .values()
                .any(|loader| loader.run == *run && loader.filling_for(self.clock.seconds()).is_some_and(|filling| filling >= *seconds)),
            When::Is(run, phase) => {
                self.runs().iter().any(|one| one.metadata.name.as_deref() == Some(run) && one.status.as_ref().and_then(|status| status.phase) == Some(*phase))
            }
        }
    }

    pub fn act(&self, act: &Act) {
        let key = |run: &str| Key { resource: "testruns".to_owned(), namespace: SHOP.to_owned(), name: run.to_owned() };
        let mut store = self.api.store.lock().unwrap();
        match act {
            Act::Create(yaml) => store.create("testruns", SHOP, serde_saphyr::from_str(yaml).unwrap()).map(drop).unwrap(),
            Act::Stop(run) => store.merge(&key(run), &json!({"spec": {"stop": true}})).map(drop).unwrap(),
            Act::Delete(run) => store.delete(&key(run), &Value::Null).map(drop).unwrap(),
            Act::Kill(run, index) => {
                for worker in self.workers.lock().unwrap().values_mut().filter(|worker| worker.run == *run && worker.index == *index) {
                    worker.killed = true;
                }
            }
            Act::KillLoader(run) => {
                for loader in self.loaders.lock().unwrap().values_mut().filter(|loader| loader.run == *run) {
                    loader.killed = true;
                }
            }
            Act::Rewrite(key) => drop(self.vault.put(key, Bytes::from_static(b"other rows"), "text/plain", &BTreeMap::new()).now_or_never().unwrap()),
            Act::VaultDown(down) => self.vault.set_down(*down),
            Act::ApiDown(down) => self.api.down.store(*down, Ordering::SeqCst),
            Act::LedgerDown(down) => self.ledger.as_ref().unwrap().set_down(*down),
            Act::LedgerWiped => self.ledger.as_ref().unwrap().wipe(),
        }
    }

    /// What the Job controller, the scheduler and the kubelet do.
    fn make_pods(&self) {
        let now = self.clock.seconds();
        let mut store = self.api.store.lock().unwrap();
        for job in store.all("jobs") {
            let uid = job["metadata"]["uid"].as_str().unwrap().to_owned();
            let age = now - *self.seen_jobs.lock().unwrap().entry(uid.clone()).or_insert(now);
            if age < 0.2 || self.born.lock().unwrap().contains(&format!("{uid}/0")) {
                continue;
            }
            if labels(&job)["app.kubernetes.io/component"] == "loader" {
                self.make_loader(&mut store, &job);
                continue;
            }
            for index in 0..job["spec"]["completions"].as_u64().unwrap() {
                let name = format!("{}-{index}", job["metadata"]["name"].as_str().unwrap());
                if self.born.lock().unwrap().insert(format!("{uid}/{index}")) {
                    let run_uid = labels(&job)["crucible.dev/run-uid"].clone();
                    let run = store.all("testruns").iter().find(|run| run["metadata"]["uid"] == run_uid.as_str()).unwrap()["metadata"]["name"]
                        .as_str()
                        .unwrap()
                        .to_owned();
                    let address = format!("10.0.{}.{index}", self.born.lock().unwrap().len());
                    store.create("pods", SHOP, pod(&name, &job, index, &address)).unwrap();
                    let plan = frozen_plan(&store, &run_uid);
                    let worker = SimWorker::new(&run, &run_uid, u32::try_from(index).unwrap(), &name, now, plan, self.habits.clone());
                    self.workers.lock().unwrap().insert(format!("{address}:7070"), worker);
                }
            }
        }
    }

    /// The pod of a loader, and the next one where the last was lost.
    fn make_loader(&self, store: &mut Store, job: &Value) {
        let name = job["metadata"]["name"].as_str().unwrap();
        let mut loaders = self.loaders.lock().unwrap();
        let of_job: Vec<&SimLoader> = loaders.values().filter(|loader| loader.job == *job["metadata"]["uid"].as_str().unwrap()).collect();
        if of_job.iter().any(|loader| !loader.was_lost()) {
            return;
        }
        let pod_name = format!("{name}-{}", of_job.len());
        let run_uid = labels(job)["crucible.dev/run-uid"].clone();
        let run = store.all("testruns").iter().find(|run| run["metadata"]["uid"] == run_uid.as_str()).unwrap()["metadata"]["name"].as_str().unwrap().to_owned();
        let mut made = pod(&pod_name, job, 0, "10.1.0.1");
        made["metadata"].as_object_mut().unwrap().remove("annotations");
        store.create("pods", SHOP, made).unwrap();
        let job = job["metadata"]["uid"].as_str().unwrap();
        loaders.insert(pod_name.clone(), SimLoader::new(&run, &run_uid, job, &pod_name, self.clock.seconds(), &self.habits));
    }

    /// Loaders end with their pods, and pods with their loaders.
    fn follow_loaders(&self) {
        let mut store = self.api.store.lock().unwrap();
        for loader in self.loaders.lock().unwrap().values_mut().filter(|loader| !loader.gone) {
            let key = Key { resource: "pods".to_owned(), namespace: SHOP.to_owned(), name: loader.pod.clone() };
            if store.get(&key).is_err() {
                loader.gone = true;
                continue;
            }
            if let Some((code, reason, word)) = loader.exit() {
                let terminated = json!({"exitCode": code, "reason": reason, "message": word});
                let container = json!([{"name": "loader", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": terminated}}]);
                let phase = if code == 0 { "Succeeded" } else { "Failed" };
                store.merge(&key, &json!({"status": {"phase": phase, "containerStatuses": container}})).unwrap();
                loader.gone = true;
            }
        }
    }

    /// Workers end with their pods, and pods with their workers.
    fn follow_workers(&self) {
        let now = self.clock.seconds();
        let mut store = self.api.store.lock().unwrap();
        for worker in self.workers.lock().unwrap().values_mut() {
            let key = Key { resource: "pods".to_owned(), namespace: SHOP.to_owned(), name: worker.pod.clone() };
            let Ok(pod) = store.get(&key) else {
                worker.gone = true;
                continue;
            };
            let ended = pod["status"]["phase"] != "Running";
            if let Some((code, reason, word)) = worker.exit(now).filter(|_| !ended) {
                let terminated = json!({"exitCode": code, "reason": reason, "message": word});
                let container = json!([{"name": "worker", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": terminated}}]);
                let phase = if code == 0 { "Succeeded" } else { "Failed" };
                store.merge(&key, &json!({"status": {"phase": phase, "containerStatuses": container}})).unwrap();
                worker.gone = true;
            }
        }
    }
}

/// Whether the mirror says that the ledger holds the run's last status.
pub fn is_mirrored(run: &TestRun) -> bool {
    run.status.as_ref().is_some_and(|status| status.conditions.iter().any(|condition| condition.type_ == "Mirrored" && condition.status == "True"))
}

fn pod(name: &str, job: &Value, index: u64, address: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": job["spec"]["template"]["metadata"]["labels"],
            "annotations": {"batch.kubernetes.io/job-completion-index": index.to_string()},
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}],
        },
        "status": {
            "phase": "Running", "podIP": address,
            "containerStatuses": [{"name": "worker", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}}],
        },
    })
}

/// The plan that the pod of a worker mounts.
fn frozen_plan(store: &Store, run_uid: &str) -> crucible_lifecycle::contract::FrozenPlan {
    let map = store.all("configmaps").into_iter().find(|map| labels(map).get("crucible.dev/run-uid").is_some_and(|uid| uid == run_uid));
    serde_json::from_str(map.expect("a worker starts with its plan")["data"]["plan.json"].as_str().unwrap()).unwrap()
}
