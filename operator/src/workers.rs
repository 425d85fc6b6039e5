//! The workers of every live run: what they say is heard here, what they are to be told is carried from here.
//!
//! Talking to workers never happens inside a reconcile. Each worker has a loop of its own ([`poll`]) that asks, takes
//! in the answer and repeats the run's current order until the answer shows that it was heard. A change that a decision
//! may depend on triggers a reconcile; everything else waits until somebody looks.

use std::{
    collections::{BTreeMap, HashMap, btree_map},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crucible_lifecycle::run::{Order, observed::Fleet};
use crucible_store::Vault;
use jiff::Timestamp;
use tokio::{
    sync::{Notify, mpsc::UnboundedSender, watch},
    task::JoinSet,
};

use crate::{
    context::{Clock, RunKey},
    telemetry::Metrics,
    token::Token,
};

pub mod client;
pub mod fleet;
pub mod live;
mod poll;

pub use client::{CallError, HttpWorkers, Peer, WorkerClient};
use fleet::FleetState;

/// What the workers of a run are to be told, and when their load is expected to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mission {
    /// What they are to be told.
    pub order: Order,
    /// When the last stage ends, once that is known.
    pub ends_at: Option<Timestamp>,
}

/// What every loop needs.
#[derive(Clone)]
pub struct Means {
    /// The operator's clock.
    pub clock: Arc<dyn Clock>,
    /// How workers are asked and told.
    pub client: Arc<dyn WorkerClient>,
    /// Where results go; here, only signed requests are made of it.
    pub vault: Arc<dyn Vault>,
    /// Where a run is named that has to be looked at again.
    pub wake: UnboundedSender<RunKey>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// The workers of every live run.
pub struct Fleets {
    means: Means,
    runs: Mutex<HashMap<String, Entry>>,
    /// Addresses of workers whose run is not followed yet.
    early: Mutex<HashMap<String, BTreeMap<u32, String>>>,
}

/// One run's workers. Dropping it ends their loops.
struct Entry {
    crew: Arc<Crew>,
    /// By worker that has a loop, what makes it ask at once.
    attended: BTreeMap<u32, Arc<Notify>>,
    loops: JoinSet<()>,
}

/// What the loops of one run share.
struct Crew {
    run: RunKey,
    expected: u32,
    token: Token,
    state: Mutex<FleetState>,
    mission: watch::Sender<Mission>,
}

impl Fleets {
    /// No runs yet.
    #[must_use]
    pub fn new(means: Means) -> Self {
        Self { means, runs: Mutex::default(), early: Mutex::default() }
    }

    /// From now on a run's workers are listened to and told what `mission` says.
    pub fn follow(&self, run: &RunKey, expected: u32, token: &Token, mission: Mission) {
        let mut runs = self.runs();
        let entry = runs.entry(run.uid.clone()).or_insert_with(|| Entry::new(run, expected, token, mission.clone()));
        entry.crew.mission.send_if_modified(|current| {
            let news = *current != mission;
            *current = mission;
            news
        });
        for (index, address) in self.early().remove(&run.uid).unwrap_or_default() {
            entry.learn(index, &address);
        }
        entry.attend(&self.means);
    }

    /// A run's workers are not listened to any more.
    pub fn forget(&self, uid: &str) {
        self.runs().remove(uid);
        self.early().remove(uid);
    }

    /// Learns where a worker can be reached, and that it has something to say: it is asked at once. Where its run is not
    /// followed yet, the address is kept until it is.
    pub fn learn(&self, uid: &str, index: u32, address: &str) {
        if let Some(entry) = self.runs().get_mut(uid) {
            entry.learn(index, address);
            if let Some(nudge) = entry.attended.get(&index) {
                nudge.notify_one();
            }
            entry.attend(&self.means);
        } else {
            self.early().entry(uid.to_owned()).or_default().insert(index, address.to_owned());
        }
    }

    /// Learns where a worker can be reached, unless the worker itself has said so.
    pub fn learn_if_unknown(&self, uid: &str, index: u32, address: &str) {
        let known = self.runs().get(uid).is_some_and(|entry| entry.crew.state().address(index).is_some());
        if !known {
            self.learn(uid, index, address);
        }
    }

    /// What decisions see of a run's workers.
    pub fn view(&self, uid: &str) -> Fleet {
        self.runs().get(uid).map(|entry| entry.crew.state().view()).unwrap_or_default()
    }

    /// Whether every one of the expected workers was heard of lately.
    pub fn all_heard(&self, uid: &str, expected: u32) -> bool {
        let now = self.means.clock.now();
        self.runs().get(uid).is_some_and(|entry| entry.crew.state().all_heard(expected, now))
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn early(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<u32, String>>> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(run: &RunKey, expected: u32, token: &Token, mission: Mission) -> Self {
        let crew = Crew { run: run.clone(), expected, token: token.clone(), state: Mutex::new(FleetState::of(expected)), mission: watch::Sender::new(mission) };
        Self { crew: Arc::new(crew), attended: BTreeMap::new(), loops: JoinSet::new() }
    }

    /// Learns where a worker can be reached. An index that the plan does not have is left out.
    fn learn(&self, index: u32, address: &str) {
        if index < self.crew.expected && self.crew.state().learn(index, address) {
            tracing::debug!(run_uid = self.crew.run.uid, index, address, "learnt where a worker is");
        }
    }

    /// Starts a loop for each worker that is known and has none.
    fn attend(&mut self, means: &Means) {
        let known: Vec<u32> = self.crew.state().known().collect();
        for index in known {
            if let btree_map::Entry::Vacant(place) = self.attended.entry(index) {
                let nudge = Arc::clone(place.insert(Arc::default()));
                self.loops.spawn(poll::attend(means.clone(), Arc::clone(&self.crew), index, nudge));
            }
        }
    }
}

impl Crew {
    fn state(&self) -> MutexGuard<'_, FleetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
