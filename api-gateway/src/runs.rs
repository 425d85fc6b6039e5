//! Every run that the cluster knows, as compact rows that are ready to be sent: fed by a watch, asked by the routes.
//!
//! A row holds the bytes of its own answer, made when the run changed and not when somebody asks. What the gateway wrote itself is
//! in here before its answer goes out, so that a client reads what it has just written.

mod ask;
mod list;
mod run;
mod told;
mod watch;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Bound,
    sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crucible_crds::TestRun;
use crucible_store::ledger::Cursor;
use tokio::sync::broadcast;

pub use ask::Ask;
pub use list::{Listed, Merged, Row};
pub use run::{Run, RunBody, RunStatusBody, WaitingRoomBody, remembered_body};
pub use watch::follow;

/// How many changes a slow listener may be behind.
const BACKLOG: usize = 1024;
/// How many deletions are remembered, against an answer to a write that arrives after the news of the deletion.
const GONE: usize = 256;

/// The runs of every namespace that is watched.
pub struct Runs {
    /// The one namespace that is watched, where it is one.
    only: OnceLock<Box<str>>,
    state: RwLock<State>,
    changes: broadcast::Sender<Arc<Run>>,
}

#[derive(Default)]
struct State {
    spaces: HashMap<Arc<str>, Space>,
    gone: VecDeque<Box<str>>,
    synced: bool,
    /// A new listing while it arrives.
    arriving: Option<HashMap<Arc<str>, Space>>,
}

/// The runs of one namespace.
#[derive(Default)]
struct Space {
    by_name: HashMap<Box<str>, Arc<Run>>,
    by_id: HashMap<Box<str>, Arc<Run>>,
    newest: BTreeMap<Reverse<Cursor>, Arc<Run>>,
}

impl Default for Runs {
    fn default() -> Self {
        Self { only: OnceLock::new(), state: RwLock::default(), changes: broadcast::Sender::new(BACKLOG) }
    }
}

impl Runs {
    /// From now on only this namespace counts as watched.
    pub fn follow_only(&self, namespace: &str) {
        let _ = self.only.set(namespace.into());
    }

    /// Whether runs of this namespace are watched: of another one nothing is known.
    pub fn follows(&self, namespace: &str) -> bool {
        self.only.get().is_none_or(|only| **only == *namespace)
    }

    /// Whether every run has been listed once.
    pub fn is_synced(&self) -> bool {
        self.read().synced
    }

    /// How many runs there are.
    pub fn len(&self) -> usize {
        self.read().spaces.values().map(|space| space.by_name.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The run that clients know by this id.
    pub fn by_id(&self, namespace: &str, run_id: &str) -> Option<Arc<Run>> {
        self.read().spaces.get(namespace)?.by_id.get(run_id).cloned()
    }

    /// Whether every one of these runs is known by its id.
    pub fn knows_all<'a>(&self, namespace: &str, mut runs: impl Iterator<Item = &'a Cursor>) -> bool {
        let state = self.read();
        let space = state.spaces.get(namespace);
        runs.all(|run| space.is_some_and(|space| space.by_id.contains_key(run.run_id.as_str())))
    }

    /// The run whose object has this name.
    pub fn by_name(&self, namespace: &str, name: &str) -> Option<Arc<Run>> {
        self.read().spaces.get(namespace)?.by_name.get(name).cloned()
    }

    /// Every run of a namespace that a condition holds of, newest first.
    pub fn every(&self, namespace: &str, wanted: impl Fn(&Run) -> bool) -> Vec<Arc<Run>> {
        let state = self.read();
        let Some(space) = state.spaces.get(namespace) else { return Vec::new() };
        space.newest.values().filter(|run| wanted(run)).cloned().collect()
    }

    /// The newest runs after a place, at most so many.
    pub fn page(&self, namespace: &str, label: Option<&str>, after: Option<&Cursor>, most: usize) -> Vec<Arc<Run>> {
        let state = self.read();
        let Some(space) = state.spaces.get(namespace) else { return Vec::new() };
        let begin = after.map_or(Bound::Unbounded, |cursor| Bound::Excluded(Reverse(cursor.clone())));
        let runs = space.newest.range((begin, Bound::Unbounded)).map(|(_, run)| run);
        runs.filter(|run| label.is_none_or(|label| run.label() == label)).take(most).cloned().collect()
    }

    /// Every change from now on. A listener that falls behind is told so, and looks the run up again.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Run>> {
        self.changes.subscribe()
    }

    /// Takes a run in as the API server answered one of our own writes.
    pub fn written(&self, run: &TestRun) -> Option<Arc<Run>> {
        self.apply(run)
    }

    /// Takes a run in, unless something newer of it is known or it is known to be gone.
    fn apply(&self, run: &TestRun) -> Option<Arc<Run>> {
        let run = Arc::new(Run::of(run)?);
        let mut state = self.write();
        if state.gone.iter().any(|uid| **uid == *run.uid()) {
            return None;
        }
        if let Some(arriving) = &mut state.arriving {
            arriving.entry(run.namespace_shared()).or_default().put(&run);
        }
        let changed = state.spaces.entry(run.namespace_shared()).or_default().put(&run);
        drop(state);
        if changed {
            // Nobody may be listening.
            let _ = self.changes.send(Arc::clone(&run));
        }
        Some(run)
    }

    fn delete(&self, namespace: &str, name: &str, uid: &str) {
        let mut state = self.write();
        let state = &mut *state;
        if state.gone.len() == GONE {
            state.gone.pop_front();
        }
        state.gone.push_back(uid.into());
        for spaces in std::iter::once(&mut state.spaces).chain(state.arriving.as_mut()) {
            if let Some(space) = spaces.get_mut(namespace) {
                space.remove(name, uid);
            }
        }
    }

    fn begin_listing(&self) {
        self.write().arriving = Some(HashMap::new());
    }

    /// What was not in the listing is gone.
    fn end_listing(&self) {
        let mut state = self.write();
        if let Some(listed) = state.arriving.take() {
            state.spaces = listed;
        }
        state.synced = true;
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Space {
    /// Takes a run in where it is newer than what is known. Returns whether it was.
    fn put(&mut self, run: &Arc<Run>) -> bool {
        if let Some(known) = self.by_name.get(run.name()) {
            if known.uid() == run.uid() && known.version() >= run.version() {
                return false;
            }
            let known = Arc::clone(known);
            self.forget(&known);
        }
        self.by_name.insert(run.name().into(), Arc::clone(run));
        // An id that another run has already stays with it: the older one was told to a client first.
        if !self.by_id.contains_key(run.run_id()) {
            self.by_id.insert(run.run_id().into(), Arc::clone(run));
        }
        self.newest.insert(Reverse(run.cursor()), Arc::clone(run));
        true
    }

    fn remove(&mut self, name: &str, uid: &str) {
        if let Some(known) = self.by_name.get(name).filter(|known| known.uid() == uid).cloned() {
            self.forget(&known);
        }
    }

    fn forget(&mut self, run: &Run) {
        self.by_name.remove(run.name());
        if self.by_id.get(run.run_id()).is_some_and(|known| known.uid() == run.uid()) {
            self.by_id.remove(run.run_id());
        }
        if self.newest.get(&Reverse(run.cursor())).is_some_and(|known| known.uid() == run.uid()) {
            self.newest.remove(&Reverse(run.cursor()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{run::tests::run, *};

    fn ids(runs: &[Arc<Run>]) -> Vec<&str> {
        runs.iter().map(|run| run.run_id()).collect()
    }

    #[test]
    fn runs_are_found_by_name_and_by_id_and_listed_newest_first() {
        let runs = Runs::default();
        for (name, second) in [("a", 10), ("c", 30), ("b", 20)] {
            runs.apply(&run(name, name, "1", second));
        }
        assert_eq!(runs.by_name("shop", "b").unwrap().run_id(), "b_20260105-0800_00000000");
        assert_eq!(runs.by_id("shop", "c_20260105-0800_00000000").unwrap().name(), "c");
        assert!(runs.by_id("other", "c_20260105-0800_00000000").is_none());
        assert_eq!(ids(&runs.page("shop", None, None, 2)), ["c_20260105-0800_00000000", "b_20260105-0800_00000000"]);
        let after = runs.by_name("shop", "b").unwrap().cursor();
        assert_eq!(ids(&runs.page("shop", None, Some(&after), 2)), ["a_20260105-0800_00000000"]);
        assert_eq!(ids(&runs.page("shop", Some("nobody"), None, 9)), Vec::<&str>::new());
    }

    #[test]
    fn an_older_word_of_a_run_is_not_believed() {
        let runs = Runs::default();
        assert!(runs.apply(&run("a", "uid-a", "9", 10)).is_some());
        let mut listener = runs.subscribe();
        runs.apply(&run("a", "uid-a", "8", 10));
        assert!(listener.try_recv().is_err());
        runs.apply(&run("a", "uid-a", "10", 10));
        assert_eq!(listener.try_recv().unwrap().version(), 10);
    }

    #[test]
    fn a_run_of_the_same_name_that_was_made_anew_replaces_the_old_one() {
        let runs = Runs::default();
        runs.apply(&run("a", "uid-1", "9", 10));
        runs.apply(&run("a", "uid-2", "12", 40));
        assert_eq!(runs.len(), 1);
        assert_eq!(runs.page("shop", None, None, 9).len(), 1);
        runs.delete("shop", "a", "uid-1");
        assert_eq!(runs.len(), 1, "the old one's end is no news of the new one");
        runs.delete("shop", "a", "uid-2");
        assert!(runs.is_empty());
        assert!(runs.apply(&run("a", "uid-2", "13", 40)).is_none(), "an answer that comes after the end");
    }

    #[test]
    fn a_new_listing_takes_away_what_is_not_in_it_but_not_what_was_written_meanwhile() {
        let runs = Runs::default();
        assert!(!runs.is_synced());
        runs.apply(&run("old", "uid-old", "3", 10));
        runs.begin_listing();
        runs.apply(&run("kept", "uid-kept", "4", 20));
        assert_eq!(runs.len(), 2, "the old listing stands until the new one is whole");
        runs.end_listing();
        assert!(runs.is_synced());
        assert!(runs.by_name("shop", "old").is_none());
        assert!(runs.by_name("shop", "kept").is_some());
    }
}
