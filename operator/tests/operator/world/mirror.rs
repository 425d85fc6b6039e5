//! The watch that a mirror follows: every run at first, then what changes, as it was some time ago.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::atomic::Ordering,
    time::Duration,
};

use crucible_crds::TestRun;
use futures::{Stream, stream};
use kube::{
    core::DeserializeGuard,
    runtime::watcher::{self, Event},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::World;

/// How often the world is looked at.
const LOOK: Duration = Duration::from_millis(10);

type Guarded = DeserializeGuard<TestRun>;

/// A watch of all runs.
struct Watch {
    world: World,
    lag: Duration,
    past: VecDeque<(Instant, u64, Vec<Value>)>,
    known: BTreeMap<String, Value>,
    events: VecDeque<Event<Guarded>>,
    begun: bool,
}

/// Watches all runs of a world, as they were some time ago.
pub fn watch(world: World, lag: Duration) -> impl Stream<Item = watcher::Result<Event<Guarded>>> + Send {
    let watch = Watch { world, lag, past: VecDeque::new(), known: BTreeMap::new(), events: VecDeque::new(), begun: false };
    stream::unfold(watch, |mut watch| async move {
        loop {
            if let Some(event) = watch.events.pop_front() {
                return Some((Ok(event), watch));
            }
            tokio::time::sleep(LOOK).await;
            watch.look();
        }
    })
}

impl Watch {
    fn look(&mut self) {
        if self.world.api.down.load(Ordering::SeqCst) {
            return;
        }
        let (version, runs) = {
            let store = self.world.api.store.lock().unwrap();
            // Copying every run is what takes time; most looks find nothing new.
            if self.begun && self.past.len() == 1 && self.past[0].1 == store.version() {
                return;
            }
            (store.version(), store.all("testruns"))
        };
        self.past.push_back((Instant::now(), version, runs));
        while self.past.get(1).is_some_and(|(at, ..)| at.elapsed() >= self.lag) {
            self.past.pop_front();
        }
        let Some((_, version, runs)) = self.past.front().cloned() else { return };
        if self.begun {
            let changed = runs.iter().filter(|run| self.known.get(&uid(run)) != Some(run));
            self.events.extend(changed.map(|run| Event::Apply(read(run))));
            for (gone, mut run) in std::mem::take(&mut self.known) {
                if !runs.iter().any(|there| uid(there) == gone) {
                    run["metadata"]["resourceVersion"] = json!(version.to_string());
                    self.events.push_back(Event::Delete(read(&run)));
                }
            }
        } else {
            self.begun = true;
            self.events.push_back(Event::Init);
            self.events.extend(runs.iter().map(|run| Event::InitApply(read(run))));
            self.events.push_back(Event::InitDone);
        }
        self.known = runs.into_iter().map(|run| (uid(&run), run)).collect();
    }
}

fn read(run: &Value) -> Guarded {
    serde_json::from_value(run.clone()).unwrap()
}

fn uid(run: &Value) -> String {
    run["metadata"]["uid"].as_str().unwrap().to_owned()
}
