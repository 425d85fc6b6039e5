//! What must hold at every step, whatever happens.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use crucible_crds::{Phase, TestRun};
use serde_json::Value;

use super::worker::SimWorker;
use crate::fake_api::{Key, labels};

/// What every change of an object is checked against.
pub fn checks() -> impl Fn(&Key, Option<&Value>, &Value) + Send {
    let had_workers = Mutex::new(BTreeSet::new());
    move |key, before, after| match key.resource.as_str() {
        "testruns" => {
            let read = |value: &Value| serde_json::from_value::<TestRun>(value.clone()).unwrap();
            run_moves_forward(before.map(read).as_ref(), &read(after));
        }
        "jobs" if before.is_none() => {
            let run = labels(after).remove("crucible.dev/run-uid").expect("workers belong to a run");
            let component = labels(after).remove("app.kubernetes.io/component");
            assert!(had_workers.lock().unwrap().insert((run, component)), "the workers and the loader of a run are made once");
        }
        _ => {}
    }
}

/// A run only moves forward, by moves of the table; its record is only added to; what has ended says why.
fn run_moves_forward(before: Option<&TestRun>, after: &TestRun) {
    let Some(status) = &after.status else { return };
    let nothing = Vec::new();
    let old = before.and_then(|run| run.status.as_ref());
    let told = old.map_or(&nothing, |status| &status.transitions);
    assert!(status.transitions.starts_with(told), "transitions are only added to");
    for moves in status.transitions.windows(2) {
        assert!(moves[0].phase.may_become(moves[1].phase), "{} became {}", moves[0].phase, moves[1].phase);
    }
    assert_eq!(status.transitions.last().map(|last| last.phase), status.phase, "the last transition is the phase");
    assert!(status.observed_generation <= after.metadata.generation);
    let phase = status.phase.unwrap_or_default();
    if phase.is_terminal() {
        assert!(status.reason.is_some() && status.message.is_some() && status.verdict.is_some(), "an end has a reason");
    }
    let was_over = old.and_then(|status| status.phase).is_some_and(Phase::is_terminal);
    if phase.is_terminal() && !was_over {
        assert!(status.faults.iter().all(|fault| !fault.phase.is_on()), "a run ends with a fault on: {:?}", status.faults);
    }
    if phase == Phase::Completed {
        let results = status.results.as_ref().expect("a completed run has results");
        assert!(results.sha256.len() == 64 && results.workers > 0);
    }
    if let Some(ended) = old.filter(|status| status.phase.is_some_and(Phase::is_terminal)) {
        assert_eq!(ended.phase, status.phase, "an end is never left");
        assert_eq!(ended.verdict, status.verdict, "a verdict never changes");
    }
}

/// At most one run loads the one system under test of these worlds.
pub fn one_run_loads(workers: &BTreeMap<String, SimWorker>, now: f64) {
    let loading: BTreeSet<&str> = workers.values().filter(|worker| worker.loading_for(now).is_some()).map(|worker| worker.run.as_str()).collect();
    assert!(loading.len() <= 1, "{loading:?} load the same system under test");
    let mut alive = BTreeSet::new();
    for worker in workers.values().filter(|worker| !worker.gone && !worker.killed) {
        assert!(alive.insert((&worker.run_uid, worker.index)), "worker {} of {} runs twice", worker.index, worker.run);
    }
}
