//! The mirror's side: rows that only go up, phases that are never missed.

use crucible_store::{
    Ledger,
    ledger::{HistoryRow, RecordOutcome, RunRecord, Signal, StopOutcome, Unfinished},
};
use proptest::{
    prelude::{Just, Strategy},
    strategy::ValueTree,
    test_runner::TestRunner,
};

use crate::database::{LEGACY, LIFE, at, record, submitted, with_database};

async fn outcomes(ledger: &impl Ledger, records: &[RunRecord]) -> Vec<RecordOutcome> {
    ledger.record(records).await.unwrap().into_iter().map(|recorded| recorded.outcome).collect()
}

/// Every state of one run, in any order, in any grouping into flushes, some of them twice.
#[test]
fn a_row_never_goes_backwards_whatever_the_order() {
    with_database(|database| async move {
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        // The runner of proptest is not async: it draws the cases, and they are played here.
        let mut runner = TestRunner::deterministic();
        let strategy = (Just((1..=LIFE.len()).chain([3, 5]).collect::<Vec<usize>>()).prop_shuffle(), 1_usize..4);
        let cases: Vec<(Vec<usize>, usize)> = (0..60).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
        for (number, (order, group)) in cases.into_iter().enumerate() {
            let run = format!("run-{number}");
            let mut highest = 0;
            for flush in order.chunks(group) {
                let records: Vec<RunRecord> = flush.iter().map(|phases| record(&run, *phases as u64, *phases)).collect();
                ledger.record(&records).await.unwrap();
                highest = flush.iter().copied().fold(highest, usize::max);
                let row = ledger.find("shop", &run).await.unwrap().unwrap();
                assert_eq!(row.phase.as_deref(), Some(LIFE[highest - 1]), "{order:?} in groups of {group}");
            }
            let seen: Vec<String> = ledger.transitions("shop", &run).await.unwrap().into_iter().map(|step| step.phase).collect();
            assert_eq!(seen, LIFE, "{order:?} in groups of {group}");
            assert_eq!(ledger.find("shop", &run).await.unwrap().unwrap(), record(&run, 7, 7).row);
        }
    });
}

#[test]
fn versions_are_compared_as_numbers() {
    with_database(|database| async move {
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        assert_eq!(outcomes(&ledger, &[record("run-a", 9, 1)]).await, [RecordOutcome::Written]);
        assert_eq!(outcomes(&ledger, &[record("run-a", 10, 2)]).await, [RecordOutcome::Written]);
        assert_eq!(outcomes(&ledger, &[record("run-a", 9, 7)]).await, [RecordOutcome::Superseded]);
        assert_eq!(ledger.find("shop", "run-a").await.unwrap().unwrap().status, "QUEUED");
    });
}

#[test]
fn a_record_that_comes_again_changes_nothing() {
    with_database(|mut database| async move {
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        let records = [record("run-a", 5, 5), record("run-b", 6, 7)];
        assert_eq!(outcomes(&ledger, &records).await, [RecordOutcome::Written; 2]);
        let versions = "select sum(hashtext(test_runs::text)) from test_runs";
        let before = database.count(versions).await;
        assert_eq!(outcomes(&ledger, &records).await, [RecordOutcome::Superseded; 2]);
        assert_eq!(database.count(versions).await, before);
        assert_eq!(database.count("select count(*) from test_run_transitions").await, 12);
    });
}

#[test]
fn what_only_a_submit_knows_survives_the_mirror() {
    with_database(|database| async move {
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        ledger.submit(&submitted("run-a")).await.unwrap();
        let row = ledger.find("shop", "run-a").await.unwrap().unwrap();
        assert_eq!((row.status.as_str(), row.phase.as_deref(), row.task_id.as_deref()), ("PENDING", Some("Pending"), Some("uid-run-a")));
        ledger.record(&[record("run-a", 5, 5)]).await.unwrap();
        let row = ledger.find("shop", "run-a").await.unwrap().unwrap();
        assert_eq!((row.status.as_str(), row.plan_key.as_deref()), ("EXECUTING", Some("plans/checkout")));
        assert_eq!(row.cluster_spec.unwrap()["backend_node"]["replica"], 2);
        ledger.submit(&submitted("run-a")).await.unwrap();
        assert_eq!(ledger.find("shop", "run-a").await.unwrap().unwrap().status, "EXECUTING", "a submit that comes late does nothing");
    });
}

#[test]
fn a_stop_is_not_undone_by_a_mirror_that_is_behind() {
    with_database(|database| async move {
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        ledger.record(&[record("run-a", 4, 4), record("run-b", 9, 7)]).await.unwrap();
        assert_eq!(ledger.stop("shop", "run-a").await.unwrap(), StopOutcome::Stopping);
        assert_eq!(ledger.stop("shop", "run-a").await.unwrap(), StopOutcome::AlreadyStopped);
        assert_eq!(ledger.stop("shop", "run-b").await.unwrap(), StopOutcome::AlreadyStopped);
        assert_eq!(ledger.stop("elsewhere", "run-a").await.unwrap(), StopOutcome::NotFound);
        assert_eq!(ledger.stop("shop", "run-z").await.unwrap(), StopOutcome::NotFound);
        ledger.record(&[record("run-a", 5, 5)]).await.unwrap();
        let row = ledger.find("shop", "run-a").await.unwrap().unwrap();
        assert_eq!((row.status.as_str(), row.phase.as_deref()), ("STOPPING", Some("Executing")));
        ledger.record(&[record("run-a", 6, 7)]).await.unwrap();
        assert_eq!(ledger.find("shop", "run-a").await.unwrap().unwrap().status, "COMPLETED");
    });
}

#[test]
fn of_many_stops_at_once_one_is_the_first() {
    with_database(|mut database| async move {
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        database.run("insert into test_runs (run_id, status) values ('imported_1', 'EXECUTING')").await;
        let stops = futures::future::join_all((0..8).map(|_| ledger.stop(LEGACY, "imported_1"))).await;
        let first = stops.iter().filter(|stop| **stop == Ok(StopOutcome::Stopping)).count();
        let later = stops.iter().filter(|stop| **stop == Ok(StopOutcome::AlreadyStopped)).count();
        assert_eq!((first, later), (1, 7), "{stops:?}");
    });
}

#[test]
fn a_row_of_another_run_is_left_alone_and_one_without_an_owner_is_taken_back() {
    with_database(|mut database| async move {
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        ledger.record(&[record("run-a", 5, 5)]).await.unwrap();
        let mut thief = record("run-a", 99, 7);
        thief.uid = "uid-thief".to_owned();
        assert_eq!(outcomes(&ledger, &[thief.clone()]).await, [RecordOutcome::Taken]);
        assert_eq!(outcomes(&ledger, &[record("run-a", 100, 6), thief]).await, [RecordOutcome::Written, RecordOutcome::Taken]);
        assert_eq!(ledger.find("shop", "run-a").await.unwrap().unwrap().uid.as_deref(), Some("uid-run-a"));
        database.run("insert into test_runs (run_id, plan_key, status) values ('run-b', 'plans/b', 'COMPLETED')").await;
        assert_eq!(outcomes(&ledger, &[record("run-b", 1, 7)]).await, [RecordOutcome::Written]);
        let row = ledger.find("shop", "run-b").await.unwrap().unwrap();
        assert_eq!((row.uid.as_deref(), row.plan_key.as_deref()), (Some("uid-run-b"), Some("plans/b")));
    });
}

#[test]
fn two_mirrors_that_flush_the_same_runs_never_wait_in_a_circle() {
    with_database(|database| async move {
        let (one, other) = (database.ledger(), database.ledger());
        one.migrate().await.unwrap();
        for version in 1..=20 {
            let forwards: Vec<RunRecord> = (0..50).map(|run| record(&format!("run-{run}"), version, 4)).collect();
            let backwards: Vec<RunRecord> = forwards.iter().rev().cloned().collect();
            let (first, second) = tokio::join!(one.record(&forwards), other.record(&backwards));
            assert!(first.is_ok() && second.is_ok(), "{:?} {:?}", first.err(), second.err());
        }
    });
}

#[test]
fn the_waiting_room_and_the_figures_follow_the_run() {
    with_database(|database| async move {
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        ledger.record(&[record("run-a", 1, 3)]).await.unwrap();
        assert_eq!(ledger.waiting_room("shop", "run-a").await.unwrap(), None);
        for (version, phases, ready, signal) in [(2, 4, 0, Signal::Wait), (3, 5, 2, Signal::Start)] {
            ledger.record(&[record("run-a", version, phases)]).await.unwrap();
            let room = ledger.waiting_room("shop", "run-a").await.unwrap().unwrap();
            assert_eq!((room.ready_count, room.target_count, room.signal, room.created_at), (ready, 2, signal, at(3)));
        }
        assert_eq!(ledger.waiting_room("elsewhere", "run-a").await.unwrap(), None);
        let figures = HistoryRow {
            run_id: "run-a".to_owned(),
            completed_at: at(6),
            plan_digest: "5eed".to_owned(),
            verdict: "Passed".to_owned(),
            queries: 60_000,
            queries_per_second: Some(1234.5),
            error_rate: Some(0.0025),
            p95_micros: Some(12_400),
        };
        ledger.record(&[RunRecord { history: Some(figures.clone()), ..record("run-a", 4, 7) }]).await.unwrap();
        assert_eq!(ledger.history("shop", "checkout", 10).await.unwrap(), [figures]);
        assert_eq!(ledger.history("elsewhere", "checkout", 10).await.unwrap(), []);
    });
}

#[test]
fn runs_that_are_gone_end_once_and_those_that_had_ended_stay_as_they_are() {
    with_database(|database| async move {
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        ledger.record(&[record("run-a", 1, 5), record("run-b", 1, 7)]).await.unwrap();
        let gone = ["uid-run-a", "uid-run-b", "uid-never-seen"].map(str::to_owned);
        assert_eq!(ledger.end_vanished(&gone).await.unwrap(), 1);
        assert_eq!(ledger.end_vanished(&gone).await.unwrap(), 0);
        let row = ledger.find("shop", "run-a").await.unwrap().unwrap();
        assert_eq!((row.status.as_str(), row.error_detail.as_deref()), ("FAILED", Some("The run was deleted before it had ended")));
        assert!(row.completed_at.is_some());
        let steps: Vec<_> = ledger.transitions("shop", "run-a").await.unwrap().into_iter().map(|step| (step.phase, step.reason)).collect();
        assert_eq!((steps.len(), steps[5].0.as_str(), steps[5].1.as_str()), (6, "Failed", "Deleted"));
        assert_eq!(ledger.find("shop", "run-b").await.unwrap().unwrap(), record("run-b", 1, 7).row);
    });
}

#[test]
fn rows_that_have_not_ended_are_found_by_namespace_and_so_are_those_that_are_not_there() {
    with_database(|mut database| async move {
        let ledger = database.ledger();
        let uids = ["uid-run-a", "uid-run-c"].map(str::to_owned);
        assert!(ledger.absent(&uids).await.unwrap_err().is_transient(), "without its tables the ledger is not what it was");
        ledger.migrate().await.unwrap();
        ledger.record(&[record("run-a", 1, 5), record("run-b", 1, 7)]).await.unwrap();
        database.run("insert into test_runs (run_id, status) values ('theirs_1', 'EXECUTING')").await;
        let of_ours = Unfinished { uid: "uid-run-a".to_owned(), namespace: "shop".to_owned(), name: "run-a".to_owned() };
        assert_eq!(ledger.unfinished(None).await.unwrap(), [of_ours.clone()]);
        assert_eq!(ledger.unfinished(Some("shop")).await.unwrap(), [of_ours]);
        assert_eq!(ledger.unfinished(Some("elsewhere")).await.unwrap(), []);
        assert_eq!(ledger.absent(&uids).await.unwrap(), ["uid-run-c"]);
        assert_eq!(ledger.absent(&[]).await.unwrap(), [] as [&str; 0]);
    });
}

#[test]
fn zero_bytes_do_not_stop_a_flush() {
    with_database(|database| async move {
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        let mut odd = record("run-a", 1, 1);
        odd.row.run_label = Some("night\0ly".to_owned());
        odd.row.summary = Some(serde_json::json!({"message": "\0"}));
        assert_eq!(outcomes(&ledger, &[odd, record("run-b", 1, 1)]).await, [RecordOutcome::Written; 2]);
        assert_eq!(ledger.find("shop", "run-a").await.unwrap().unwrap().run_label.as_deref(), Some("night\u{fffd}ly"));
    });
}
