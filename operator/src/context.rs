//! What every step of the operator is handed: the few abilities that reach outside, and what is remembered between passes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crucible_crds::{Phase, TestRun};
use crucible_lifecycle::{
    contract::FrozenPlan,
    run::observed::{JobView, Settings},
};
use crucible_store::{Ledger, Vault};
use jiff::Timestamp;
use kube::{Api, Client, Resource, ResourceExt, core::NamespaceResourceScope};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::{
    collect::Collections,
    loaders::Loaders,
    prometheus::Observatory,
    retry::Attempts,
    telemetry::Metrics,
    token::Token,
    workers::{Fleets, Means, WorkerClient},
};

/// Where every write of ours says that it comes from.
pub const FIELD_MANAGER: &str = "crucible-operator";

/// How long a deleted run is held for a ledger that cannot be told of its end, where nothing else is said.
const MIRROR_ESCAPE: Duration = Duration::from_hours(1);

/// The operator's clock. One of the few things that a test replaces.
pub trait Clock: Send + Sync + 'static {
    /// What time it is.
    fn now(&self) -> Timestamp;
}

/// Where tokens come from. One of the few things that a test replaces.
pub trait Entropy: Send + Sync + 'static {
    /// 64 fresh random hex digits.
    fn hex64(&self) -> String;
}

/// Which run is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl RunKey {
    /// The key of a run.
    #[must_use]
    pub fn of(run: &TestRun) -> Self {
        Self { namespace: run.namespace().unwrap_or_default(), name: run.name_any(), uid: run.uid().unwrap_or_default() }
    }
}

/// The abilities that reach outside, as a test or the process hands them in.
pub struct Abilities {
    /// The Kubernetes API.
    pub client: Client,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where tokens come from.
    pub entropy: Arc<dyn Entropy>,
    /// Object storage.
    pub vault: Arc<dyn Vault>,
    /// The workers' control API.
    pub workers: Arc<dyn WorkerClient>,
    /// Every run that ever was, where that is kept.
    pub ledger: Option<Arc<dyn Ledger>>,
    /// The Prometheus servers that plans may name.
    pub observatory: Observatory,
}

/// What every step of the operator is handed.
pub struct Context {
    /// The Kubernetes API.
    pub client: Client,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where tokens come from.
    pub entropy: Arc<dyn Entropy>,
    /// Object storage.
    pub vault: Arc<dyn Vault>,
    /// What decisions depend on.
    pub settings: Settings,
    /// The one namespace that is looked at, where it is one.
    pub watch_namespace: Option<String>,
    /// Every run that ever was, where that is kept.
    pub ledger: Option<Arc<dyn Ledger>>,
    /// How long a deleted run is held for a ledger that cannot be told of its end.
    pub mirror_escape: Duration,
    /// The workers of every live run.
    pub fleets: Fleets,
    /// The loaders of the fixtures of live runs.
    pub loaders: Loaders,
    /// The merging of every run's results.
    pub collections: Collections,
    /// Where a run is named that has to be looked at again.
    pub wake: UnboundedSender<RunKey>,
    /// What is remembered of runs between passes.
    pub memory: Memory,
    /// How often each object has failed in a row.
    pub attempts: Attempts,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl Context {
    /// Puts the parts together. The receiver names the runs that have to be looked at again.
    #[must_use]
    pub fn new(abilities: Abilities, settings: Settings, watch_namespace: Option<String>, metrics: Arc<Metrics>) -> (Self, UnboundedReceiver<RunKey>) {
        let Abilities { client, clock, entropy, vault, workers, ledger, observatory } = abilities;
        let (wake, woken) = tokio::sync::mpsc::unbounded_channel();
        let means = Means { clock: Arc::clone(&clock), client: workers, vault: Arc::clone(&vault), wake: wake.clone(), metrics: Arc::clone(&metrics) };
        let context = Self {
            client,
            entropy,
            settings,
            watch_namespace,
            ledger,
            mirror_escape: MIRROR_ESCAPE,
            fleets: Fleets::new(means),
            collections: Collections::new(Arc::clone(&vault), observatory, Arc::clone(&clock), wake.clone()),
            loaders: Loaders::default(),
            wake,
            clock,
            vault,
            memory: Memory::default(),
            attempts: Attempts::default(),
            metrics,
        };
        (context, woken)
    }

    /// Objects of a kind, wherever this operator looks.
    pub fn watched<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match &self.watch_namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// Forgets what is needed only while a run lives.
    pub fn forget(&self, uid: &str) {
        self.fleets.forget(uid);
        self.loaders.forget(uid);
        self.collections.forget(uid);
        self.memory.forget(uid);
        self.attempts.succeeded(uid);
    }
}

/// What is remembered of runs between passes. Only what cannot change, or is older than what it is compared with: losing it costs requests, never correctness.
#[derive(Default)]
pub struct Memory {
    runs: Mutex<HashMap<String, Remembered>>,
}

#[derive(Clone, Default)]
struct Remembered {
    frozen: Option<Arc<FrozenPlan>>,
    token: Option<Token>,
    job: Option<JobView>,
    written: Option<TestRun>,
    /// By the object's name, why a fault was refused.
    refusals: HashMap<String, String>,
    /// The version of the last write; it outlives the object, which is large.
    version: Option<u64>,
}

impl Memory {
    /// The frozen plan of a run. It cannot change, so it is read once.
    pub fn frozen(&self, uid: &str) -> Option<Arc<FrozenPlan>> {
        self.runs().get(uid)?.frozen.clone()
    }

    /// Remembers a run's frozen plan.
    pub fn keep_frozen(&self, uid: &str, plan: FrozenPlan) {
        self.runs().entry(uid.to_owned()).or_default().frozen = Some(Arc::new(plan));
    }

    /// The token of a run. It cannot change, so it is read once.
    pub fn token(&self, uid: &str) -> Option<Token> {
        self.runs().get(uid)?.token.clone()
    }

    /// Remembers a run's token.
    pub fn keep_token(&self, uid: &str, token: Token) {
        self.runs().entry(uid.to_owned()).or_default().token = Some(token);
    }

    /// The Job of a run's workers as it was last read: good enough while every worker is heard of.
    pub fn job(&self, uid: &str) -> Option<JobView> {
        self.runs().get(uid)?.job.clone()
    }

    /// Remembers the Job of a run's workers.
    pub fn keep_job(&self, uid: &str, job: JobView) {
        self.runs().entry(uid.to_owned()).or_default().job = Some(job);
    }

    /// Why the Chaos Mesh object of a fault was refused, where it was.
    pub fn refusal(&self, uid: &str, object: &str) -> Option<String> {
        self.runs().get(uid)?.refusals.get(object).cloned()
    }

    /// Remembers why the Chaos Mesh object of a fault was refused.
    pub fn keep_refusal(&self, uid: &str, object: &str, why: String) {
        self.runs().entry(uid.to_owned()).or_default().refusals.insert(object.to_owned(), why);
    }

    /// Remembers a run as the API server answered our last write.
    pub fn keep_written(&self, run: &TestRun) {
        let mut runs = self.runs();
        let remembered = runs.entry(run.uid().unwrap_or_default()).or_default();
        remembered.version = version(run);
        remembered.written = Some(run.clone());
    }

    /// The newer of a watched run and what we wrote last, since a watch may lag behind our own writes. Nothing where the
    /// watched one is known to be old and the newer one is forgotten: the watch will bring it.
    pub fn newest(&self, watched: TestRun) -> Option<TestRun> {
        let runs = self.runs();
        let Some(remembered) = watched.metadata.uid.as_ref().and_then(|uid| runs.get(uid)) else { return Some(watched) };
        if version(&watched).is_some() && version(&watched) < remembered.version { remembered.written.clone() } else { Some(watched) }
    }

    /// Whether a watched run shows nothing but our own last write, or something older.
    pub fn is_echo(&self, watched: &TestRun) -> bool {
        let runs = self.runs();
        let version_written = watched.metadata.uid.as_ref().and_then(|uid| runs.get(uid)?.version);
        version(watched).is_some() && version(watched) <= version_written
    }

    /// How many live runs are in each phase, as far as this process has written them.
    pub fn phases(&self) -> HashMap<Phase, i64> {
        let mut phases = HashMap::new();
        for phase in self.runs().values().filter_map(|run| run.written.as_ref()?.status.as_ref()?.phase) {
            *phases.entry(phase).or_insert(0) += 1;
        }
        phases
    }

    /// Forgets everything about a run that no longer exists.
    pub fn bury(&self, uid: &str) {
        self.runs().remove(uid);
    }

    /// Forgets everything about a run that is over but the version of its last write.
    fn forget(&self, uid: &str) {
        if let Some(remembered) = self.runs().get_mut(uid) {
            *remembered = Remembered { version: remembered.version, ..Remembered::default() };
        }
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, Remembered>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A resource version as the number that it is; nothing where a server uses something else, which then is never compared.
fn version(run: &TestRun) -> Option<u64> {
    run.metadata.resource_version.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_crds::{TestRunSpec, test_run::PlanRef};

    fn run(version: &str) -> TestRun {
        let spec = TestRunSpec {
            plan_ref: PlanRef { name: "checkout".into() },
            label: None,
            run_id: None,
            cluster_spec: None,
            cluster_settings: None,
            stop: false,
            ttl_after_finished: None,
        };
        let mut run = TestRun::new("nightly", spec);
        run.metadata.uid = Some("uid-a".to_owned());
        run.metadata.resource_version = Some(version.to_owned());
        run
    }

    #[test]
    fn a_watch_that_lags_behind_our_own_write_is_not_believed() {
        let memory = Memory::default();
        memory.keep_written(&run("100"));
        for (watched, newest, echo) in [("99", "100", true), ("100", "100", true), ("101", "101", false)] {
            assert_eq!(memory.newest(run(watched)).and_then(|run| run.resource_version()).as_deref(), Some(newest));
            assert_eq!(memory.is_echo(&run(watched)), echo, "{watched}");
        }
    }

    #[test]
    fn versions_that_are_not_numbers_are_never_compared() {
        let memory = Memory::default();
        memory.keep_written(&run("b"));
        assert_eq!(memory.newest(run("a")).and_then(|run| run.resource_version()).as_deref(), Some("a"));
        assert!(!memory.is_echo(&run("a")));
    }

    #[test]
    fn an_old_copy_of_a_run_that_is_over_is_not_acted_on() {
        let memory = Memory::default();
        memory.keep_written(&run("100"));
        memory.forget("uid-a");
        assert_eq!(memory.newest(run("99")), None);
        assert!(memory.newest(run("100")).is_some());
        memory.bury("uid-a");
        assert!(memory.newest(run("99")).is_some(), "a uid that was never seen");
    }
}
