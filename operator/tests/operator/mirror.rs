//! The mirror beside the whole operator, and alone: a ledger that is away, late, wiped or unwilling never costs a run anything.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use crucible_operator::{Context, mirror};
use crucible_store::{Ledger, MemoryLedger, ledger::RunRow};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    fake_api::Key,
    world::{
        SHOP, World, context, is_mirrored, operate,
        scenario::{Act, Scenario, When},
        watch,
    },
};

/// Plays on a clock that passes only when nobody has anything to do.
fn play<Told>(story: impl FnOnce() -> Told)
where
    Told: Future<Output = ()>,
{
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(story());
}

fn key(name: &str) -> Key {
    Key { resource: "testruns".to_owned(), namespace: SHOP.to_owned(), name: name.to_owned() }
}

/// A world with a mirror and nothing else: the runs in it are what the test says.
struct Alone {
    world: World,
    ledger: Arc<MemoryLedger>,
    ctx: Arc<Context>,
}

impl Alone {
    fn new() -> Self {
        let world = World::of(&Scenario { objects: Vec::new(), ..Scenario::mirrored(&[]) });
        let (ctx, _) = context(&world, &world.line(None, false));
        let ledger = world.ledger.clone().unwrap();
        Self { world, ledger, ctx: Arc::new(Context { mirror_escape: Duration::from_mins(10), ..ctx }) }
    }

    /// Starts a mirror whose watch lags behind.
    fn mirror_behind(&self, lag: Duration) -> CancellationToken {
        let stop = CancellationToken::new();
        let (world, told) = (self.world.clone(), stop.clone());
        let ctx = Arc::clone(&self.ctx);
        tokio::spawn(async move { mirror::follow(ctx, move || watch(world.clone(), lag), told).await });
        stop
    }

    fn mirror(&self) -> CancellationToken {
        self.mirror_behind(Duration::ZERO)
    }

    /// Makes a run in a phase, as the run controller would leave it.
    fn make(&self, name: &str, phase: &str) {
        let run = json!({
            "apiVersion": "crucible.dev/v1alpha1", "kind": "TestRun",
            "metadata": {"name": name, "finalizers": ["crucible.dev/run", "crucible.dev/mirror"]}, "spec": {"planRef": {"name": "checkout"}, "stop": false},
        });
        self.world.api.store.lock().unwrap().create("testruns", SHOP, run).unwrap();
        self.set(name, phase);
    }

    /// Moves a run to a phase.
    fn set(&self, name: &str, phase: &str) {
        let mut store = self.world.api.store.lock().unwrap();
        let old = store.get(&key(name)).unwrap();
        let mut steps = old["status"]["transitions"].as_array().cloned().unwrap_or_default();
        if steps.is_empty() {
            steps.push(step("Pending"));
        }
        let order = ["Pending", "Queued", "Loading", "WaitingRoom", "Executing", "Collecting", "Completed"];
        let wanted = order.iter().position(|one| *one == phase).unwrap();
        steps.extend(order[steps.len()..=wanted].iter().map(|phase| step(phase)));
        let mut status = json!({"phase": phase, "transitions": steps, "reason": "AsExpected", "message": phase});
        if phase == "Completed" {
            status["verdict"] = json!({"outcome": "Passed", "reasons": [], "checks": []});
            status["results"] = json!({"bucket": "b", "prefix": "p", "sha256": "5".repeat(64), "queries": 7, "workers": 2, "partial": false});
        }
        let said = old["status"]["conditions"].as_array().cloned();
        let pending = json!([{"type": "Mirrored", "status": "Unknown", "reason": "Mirroring", "message": "", "lastTransitionTime": "2026-01-05T08:00:00Z"}]);
        status["conditions"] = said.map_or(pending, Value::Array);
        store.apply_status(&key(name), &json!({"status": status})).unwrap();
    }

    /// A user deletes a run; the run controller, which is not there, has let it go at once.
    fn delete(&self, name: &str) {
        let mut store = self.world.api.store.lock().unwrap();
        store.delete(&key(name), &Value::Null).unwrap();
        let finalizers: Vec<Value> =
            store.get(&key(name)).unwrap()["metadata"]["finalizers"].as_array().unwrap().iter().filter(|one| *one != "crucible.dev/run").cloned().collect();
        store.merge(&key(name), &json!({"metadata": {"finalizers": finalizers}})).unwrap();
    }

    fn exists(&self, name: &str) -> bool {
        self.world.api.store.lock().unwrap().get(&key(name)).is_ok()
    }

    fn row(&self, name: &str) -> Option<RunRow> {
        self.ledger.rows().into_iter().find(|row| row.name.as_deref() == Some(name))
    }

    fn steps(&self, name: &str) -> Vec<String> {
        self.row(name).map(|row| self.ledger.steps(&row)).unwrap_or_default().into_iter().map(|step| step.phase).collect()
    }

    fn said(&self, name: &str) -> (String, String) {
        let run = self.world.api.store.lock().unwrap().get(&key(name)).unwrap();
        let text = |field: &str| run["status"]["conditions"][0][field].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"))
    }

    fn status(&self, name: &str) -> String {
        self.row(name).map(|row| row.status).unwrap_or_default()
    }

    fn writes(&self) -> usize {
        self.world.effects.load(Ordering::SeqCst)
    }
}

fn step(phase: &str) -> Value {
    json!({"phase": phase, "at": "2026-01-05T08:00:00.000000Z", "reason": "AsExpected"})
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[test]
fn many_changes_are_told_in_few_flushes_and_no_phase_is_missed() {
    play(|| async {
        let alone = Alone::new();
        alone.mirror();
        for name in ["run-a", "run-b", "run-c"] {
            alone.make(name, "Pending");
        }
        for phase in ["Queued", "Loading", "WaitingRoom", "Executing", "Collecting", "Completed"] {
            for name in ["run-a", "run-b", "run-c"] {
                alone.set(name, phase);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        seconds(2).await;
        assert!(alone.ledger.flushes() <= 3, "{} flushes for 21 changes", alone.ledger.flushes());
        let life = ["Pending", "Queued", "Loading", "WaitingRoom", "Executing", "Collecting", "Completed"];
        for name in ["run-a", "run-b", "run-c"] {
            assert_eq!((alone.status(name), alone.steps(name)), ("COMPLETED".to_owned(), life.map(str::to_owned).to_vec()));
            assert_eq!(alone.said(name), ("True".to_owned(), "Mirrored".to_owned()));
        }
        assert_eq!(alone.writes(), 3, "one word for each run");
    });
}

#[test]
fn nothing_is_asked_or_written_once_everything_is_told() {
    play(|| async {
        let alone = Alone::new();
        alone.mirror();
        alone.make("run-a", "Completed");
        alone.make("run-b", "Executing");
        seconds(5).await;
        let (requests, flushes) = (alone.world.api.log.lock().unwrap().len(), alone.ledger.flushes());
        seconds(120).await;
        assert_eq!((alone.world.api.log.lock().unwrap().len(), alone.ledger.flushes()), (requests, flushes));
    });
}

#[test]
fn a_mirror_whose_watch_lags_never_sets_a_row_back() {
    play(|| async {
        let alone = Alone::new();
        alone.mirror();
        alone.mirror_behind(Duration::from_secs(4));
        for phase in ["Pending", "WaitingRoom", "Executing", "Completed"] {
            if phase == "Pending" {
                alone.make("run-a", phase);
            } else {
                alone.set("run-a", phase);
            }
            seconds(1).await;
            let seen = alone.status("run-a");
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                assert_eq!(alone.status("run-a"), seen, "in {phase}");
            }
        }
        seconds(10).await;
        assert_eq!((alone.status("run-a").as_str(), alone.steps("run-a").len()), ("COMPLETED", 7));
    });
}

#[test]
fn after_any_time_without_the_ledger_rows_are_right_within_five_seconds() {
    for (away, wiped) in [(1, false), (7, true), (600, false), (900, true)] {
        play(|| async move {
            let alone = Alone::new();
            alone.mirror();
            alone.make("run-a", "Completed");
            alone.make("run-b", "Executing");
            seconds(3).await;
            alone.ledger.set_down(true);
            alone.set("run-b", "Completed");
            alone.make("run-c", "Queued");
            seconds(away).await;
            assert_eq!(alone.status("run-b"), "EXECUTING");
            if away > 5 {
                assert_eq!(alone.said("run-b"), ("False".to_owned(), "LedgerUnavailable".to_owned()));
                assert_eq!(alone.said("run-a"), ("True".to_owned(), "Mirrored".to_owned()));
            }
            if wiped {
                alone.ledger.wipe();
            }
            alone.ledger.set_down(false);
            seconds(5).await;
            let rows = ["run-a", "run-b", "run-c"].map(|name| (alone.status(name), alone.steps(name).len()));
            assert_eq!(rows, [("COMPLETED".to_owned(), 7), ("COMPLETED".to_owned(), 7), ("QUEUED".to_owned(), 2)], "after {away} s");
            assert_eq!(alone.said("run-b"), ("True".to_owned(), "Mirrored".to_owned()));
        });
    }
}

#[test]
fn rows_that_are_lost_without_a_word_come_back_within_five_seconds() {
    play(|| async {
        let alone = Alone::new();
        alone.mirror();
        alone.make("run-a", "Completed");
        alone.make("run-b", "Executing");
        seconds(60).await;
        alone.ledger.wipe();
        seconds(5).await;
        assert_eq!([alone.status("run-a"), alone.status("run-b")], ["COMPLETED", "EXECUTING"]);
        assert_eq!(alone.steps("run-a").len(), 7);
    });
}

#[test]
fn a_ledger_that_is_away_from_the_start_is_told_everything_when_it_comes() {
    play(|| async {
        let alone = Alone::new();
        alone.ledger.set_down(true);
        alone.mirror();
        alone.make("run-a", "Completed");
        seconds(100).await;
        assert_eq!(alone.said("run-a"), ("False".to_owned(), "LedgerUnavailable".to_owned()));
        alone.ledger.set_down(false);
        seconds(5).await;
        assert_eq!((alone.status("run-a"), alone.said("run-a").0), ("COMPLETED".to_owned(), "True".to_owned()));
    });
}

#[test]
fn a_deleted_run_is_held_until_the_ledger_knows_its_end() {
    play(|| async {
        let alone = Alone::new();
        alone.mirror();
        alone.make("run-a", "Executing");
        seconds(2).await;
        alone.ledger.set_down(true);
        alone.delete("run-a");
        seconds(60).await;
        assert!(alone.exists("run-a") && alone.status("run-a") == "EXECUTING");
        alone.ledger.set_down(false);
        seconds(5).await;
        assert!(!alone.exists("run-a"));
        let row = alone.row("run-a").unwrap();
        assert_eq!((row.status.as_str(), row.error_detail.as_deref()), ("FAILED", Some("The run was deleted before it had ended")));
        assert_eq!(alone.steps("run-a"), ["Pending", "Queued", "Loading", "WaitingRoom", "Executing", "Failed"]);
    });
}

#[test]
fn a_mirrored_run_is_let_go_at_once_even_while_the_ledger_is_away() {
    play(|| async {
        let alone = Alone::new();
        alone.mirror();
        alone.make("run-a", "Completed");
        seconds(2).await;
        alone.ledger.set_down(true);
        seconds(30).await;
        alone.delete("run-a");
        seconds(1).await;
        assert!(!alone.exists("run-a") && alone.status("run-a") == "COMPLETED");
    });
}

#[test]
fn a_run_is_let_go_when_the_time_is_up_and_people_are_told() {
    play(|| async {
        let alone = Alone::new();
        alone.ledger.set_down(true);
        alone.mirror();
        alone.make("run-a", "Executing");
        seconds(1).await;
        alone.delete("run-a");
        seconds(9 * 60).await;
        assert!(alone.exists("run-a"));
        seconds(61).await;
        assert!(!alone.exists("run-a"));
        let told: Vec<Value> = alone.world.api.store.lock().unwrap().all("events");
        assert_eq!((told.len(), told[0]["reason"].as_str(), told[0]["type"].as_str()), (1, Some("MirrorEscaped"), Some("Warning")));
        // What is remembered of it is told all the same.
        alone.ledger.set_down(false);
        seconds(5).await;
        assert_eq!(alone.status("run-a"), "FAILED");
    });
}

#[test]
fn rows_of_runs_that_went_while_nobody_looked_are_ended_and_others_left_alone() {
    play(|| async {
        let alone = Alone::new();
        let stop = alone.mirror();
        alone.make("run-a", "Executing");
        alone.make("run-b", "Executing");
        alone.make("run-c", "Completed");
        alone.ledger.insert(crucible_store::ledger::memory::foreign_row("imported_1", "EXECUTING", alone.ctx.clock.now()));
        seconds(3).await;
        stop.cancel();
        seconds(1).await;
        for name in ["run-a", "run-c"] {
            alone.world.api.store.lock().unwrap().remove(&key(name));
        }
        seconds(1).await;
        alone.mirror();
        seconds(5).await;
        let rows: Vec<(String, String)> = alone.ledger.rows().into_iter().map(|row| (row.name.unwrap_or(row.run_id), row.status)).collect();
        for (name, status) in [("run-a", "FAILED"), ("run-b", "EXECUTING"), ("run-c", "COMPLETED"), ("imported_1", "EXECUTING")] {
            assert!(rows.contains(&(name.to_owned(), status.to_owned())), "{name}: {rows:?}");
        }
        assert_eq!(alone.steps("run-a").last().map(String::as_str), Some("Failed"));
    });
}

#[test]
fn one_status_that_the_ledger_refuses_holds_no_other_up() {
    play(|| async {
        let alone = Alone::new();
        for number in 0..40 {
            alone.make(&format!("run-{number}"), "Completed");
        }
        let uid = alone.world.api.store.lock().unwrap().get(&key("run-17")).unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
        alone.ledger.refuse(uid);
        alone.mirror();
        seconds(5).await;
        assert_eq!(alone.ledger.rows().len(), 39);
        assert_eq!(alone.said("run-17"), ("False".to_owned(), "LedgerRefused".to_owned()));
        let writes = alone.writes();
        seconds(60).await;
        assert_eq!(alone.writes(), writes, "it is said once");
    });
}

#[test]
fn an_api_server_that_is_away_costs_the_mirror_nothing_but_time() {
    play(|| async {
        let alone = Alone::new();
        alone.mirror();
        alone.make("run-a", "Executing");
        seconds(2).await;
        alone.set("run-a", "Completed");
        tokio::time::sleep(Duration::from_millis(50)).await;
        alone.world.api.down.store(true, Ordering::SeqCst);
        seconds(30).await;
        assert_eq!((alone.status("run-a"), alone.said("run-a").0), ("COMPLETED".to_owned(), "Unknown".to_owned()));
        alone.world.api.down.store(false, Ordering::SeqCst);
        seconds(31).await;
        assert_eq!(alone.said("run-a").0, "True");
    });
}

#[test]
fn a_run_of_an_installation_without_a_ledger_is_held_by_nothing_and_says_so() {
    play(|| async {
        let world = World::of(&Scenario::happy());
        let turning = world.turn();
        operate(&world, &world.line(None, false)).await;
        turning.abort();
        let run = world.runs().remove(0);
        assert_eq!(run.metadata.finalizers.clone().unwrap(), ["crucible.dev/run"]);
        let said = run.status.clone().unwrap().conditions.into_iter().find(|condition| condition.type_ == "Mirrored").unwrap();
        assert_eq!((said.status.as_str(), said.reason.as_str()), ("Unknown", "LedgerNotConfigured"));
        // Where the ledger was taken out of an installation, what it held is let go.
        let alone = Alone::new();
        alone.make("run-a", "Completed");
        let without = Arc::new(Context { ledger: None, ..context(&alone.world, &alone.world.line(None, false)).0 });
        let watched = alone.world.clone();
        tokio::spawn(mirror::follow(without, move || watch(watched.clone(), Duration::ZERO), CancellationToken::new()));
        seconds(1).await;
        assert_eq!(alone.said("run-a"), ("Unknown".to_owned(), "LedgerNotConfigured".to_owned()));
        alone.delete("run-a");
        seconds(1).await;
        assert!(!alone.exists("run-a"));
    });
}

#[test]
fn a_whole_run_beside_a_ledger_that_is_away_goes_as_if_there_were_none() {
    play(|| async {
        let script = [(When::At(0.0), Act::LedgerDown(true)), (When::At(40.0), Act::LedgerDown(false))];
        let world = World::of(&Scenario::mirrored(&script));
        let turning = world.turn();
        operate(&world, &world.line(None, false)).await;
        turning.abort();
        let run = world.runs().remove(0);
        let status = run.status.clone().unwrap();
        let ended = status.completed_at.unwrap().0.duration_since(run.metadata.creation_timestamp.clone().unwrap().0);
        assert!(ended.as_secs() < 15, "the run took {ended}");
        assert!(is_mirrored(&run));
        let row = world.ledger.as_ref().unwrap().rows().remove(0);
        assert_eq!((row.status.as_str(), row.verdict.as_deref(), row.sut_type.as_deref()), ("COMPLETED", Some("Passed"), Some("mysql")));
        let history = world.ledger.as_ref().unwrap().history(SHOP, "checkout", 5).await.unwrap();
        assert_eq!((history.len(), history[0].queries), (1, 800));
    });
}
