use crucible_crds::TestRun;
use crucible_lifecycle::mirror::record;
use serde_json::json;

use super::*;

fn now() -> Timestamp {
    Timestamp::from_second(1_767_600_000).unwrap()
}

/// A run in a phase, at a version.
fn run(uid: &str, version: u64, phase: &str) -> TestRun {
    let steps = ["Pending", "Queued", "Executing", "Completed"]
        .into_iter()
        .map(|step| json!({"phase": step, "at": "2026-01-05T08:00:00.000000Z", "reason": "AsExpected"}));
    let length = ["Pending", "Queued", "Executing", "Completed"].iter().position(|one| *one == phase).unwrap() + 1;
    let run = json!({
        "apiVersion": "crucible.dev/v1alpha1", "kind": "TestRun",
        "metadata": {"name": uid, "namespace": "shop", "uid": uid, "resourceVersion": version.to_string()},
        "spec": {"planRef": {"name": "checkout"}},
        "status": {"phase": phase, "transitions": steps.take(length).collect::<Vec<_>>()},
    });
    serde_json::from_value(run).unwrap()
}

fn see(book: &mut Book, uid: &str, version: u64, phase: &str) {
    let run = run(uid, version, phase);
    book.see(Outline::of(&run).unwrap(), record(&run), now());
}

fn taken(book: &mut Book) -> Vec<(String, u64, usize)> {
    let batch = book.take(100);
    let short = batch.iter().map(|news| (news.run.uid.clone(), news.version, news.run.transitions.len())).collect();
    book.put_back(&batch);
    short
}

fn tell(book: &mut Book, outcome: RecordOutcome) {
    let batch = book.take(100);
    let outcomes: Vec<Recorded> = batch.iter().map(|news| Recorded { uid: news.run.uid.clone(), outcome }).collect();
    book.told(batch, &outcomes);
}

#[test]
fn of_many_statuses_the_newest_is_told_with_every_phase_in_it() {
    let mut book = Book::default();
    for (version, phase) in [(1, "Pending"), (5, "Executing"), (3, "Queued")] {
        see(&mut book, "run-a", version, phase);
    }
    see(&mut book, "run-b", 9, "Queued");
    assert_eq!(taken(&mut book), [("run-b".to_owned(), 9, 2), ("run-a".to_owned(), 5, 3)]);
    assert_eq!(book.take(1).len(), 1);
}

#[test]
fn what_is_told_already_is_not_told_again() {
    let mut book = Book::default();
    see(&mut book, "run-a", 1, "Executing");
    tell(&mut book, RecordOutcome::Written);
    see(&mut book, "run-a", 2, "Executing");
    assert!(!book.has_news());
    assert_eq!(book.standing("run-a", now()).unwrap().1, Standing::Held);
    see(&mut book, "run-a", 3, "Completed");
    assert_eq!(book.standing("run-a", now()).unwrap().1, Standing::Behind { since: now() });
    tell(&mut book, RecordOutcome::Superseded);
    see(&mut book, "run-a", 4, "Completed");
    assert!(!book.has_news() && book.behind_since().is_none());
}

#[test]
fn news_that_comes_while_older_news_is_being_told_is_told_next() {
    let mut book = Book::default();
    see(&mut book, "run-a", 1, "Queued");
    let batch = book.take(100);
    see(&mut book, "run-a", 2, "Completed");
    let outcomes = [Recorded { uid: "run-a".to_owned(), outcome: RecordOutcome::Written }];
    book.told(batch, &outcomes);
    assert_eq!(taken(&mut book), [("run-a".to_owned(), 2, 4)]);
    assert_eq!(book.standing("run-a", now()).unwrap().1, Standing::Behind { since: now() });
}

#[test]
fn a_run_that_is_gone_is_remembered_until_its_end_is_told() {
    let mut book = Book::default();
    see(&mut book, "run-a", 1, "Executing");
    tell(&mut book, RecordOutcome::Written);
    let mut gone = run("run-a", 7, "Executing");
    gone.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()));
    book.bury(Outline::of(&gone).unwrap(), record(&gone), now());
    assert!(!book.knows("run-a") && book.existing().is_empty());
    let batch = book.take(100);
    assert_eq!((batch[0].run.status, batch[0].version), ("FAILED", 7));
    let outcomes = [Recorded { uid: "run-a".to_owned(), outcome: RecordOutcome::Written }];
    book.told(batch, &outcomes);
    assert!(book.runs.is_empty());
}

#[test]
fn a_run_that_is_not_in_the_next_list_is_gone() {
    let mut book = Book::default();
    see(&mut book, "run-a", 1, "Executing");
    see(&mut book, "run-b", 2, "Executing");
    tell(&mut book, RecordOutcome::Written);
    book.begin_list();
    see(&mut book, "run-b", 2, "Executing");
    book.end_list();
    assert_eq!((book.knows("run-a"), book.knows("run-b")), (false, true));
}

#[test]
fn a_ledger_that_may_have_lost_everything_is_told_everything_again() {
    let mut book = Book::default();
    see(&mut book, "run-a", 1, "Completed");
    see(&mut book, "run-b", 2, "Executing");
    tell(&mut book, RecordOutcome::Written);
    assert_eq!(book.canaries(), ["run-b", "run-a"]);
    book.forget_told();
    assert_eq!(book.standing("run-a", now()).unwrap().1, Standing::Behind { since: now() });
    see(&mut book, "run-a", 1, "Completed");
    see(&mut book, "run-b", 2, "Executing");
    assert_eq!(taken(&mut book).len(), 2);
}

#[test]
fn what_the_ledger_refuses_is_told_again_once_it_is_another_status() {
    let mut book = Book::default();
    see(&mut book, "run-a", 1, "Executing");
    tell(&mut book, RecordOutcome::Taken);
    let why = "The ledger has a row of another run with the id checkout_19700101-0000_".to_owned();
    let Standing::Refused(said) = book.standing("run-a", now()).unwrap().1 else { panic!("it was refused") };
    assert!(said.starts_with(&why), "{said}");
    see(&mut book, "run-a", 2, "Executing");
    assert!(!book.has_news());
    see(&mut book, "run-a", 3, "Completed");
    assert!(book.has_news());
}
