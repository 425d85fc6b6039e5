use std::time::Duration;

use crucible_crds::{Outcome, Phase, TestRun};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Duty, MirroredRun, Outline, Standing, Terms, Word, duty, legacy_status, record};
use crate::wake::Wake;

const UID: &str = "6f2c9a52-0d7e-4a53-9a37-d2a4b0f6c1aa";

/// A run that has come to its end, as the API server has it.
fn ended() -> Value {
    json!({
        "apiVersion": "crucible.dev/v1alpha1", "kind": "TestRun",
        "metadata": {
            "name": "run-a", "namespace": "shop", "uid": UID, "resourceVersion": "1007", "creationTimestamp": "2026-03-07T23:59:58Z",
            "finalizers": ["crucible.dev/run", "crucible.dev/mirror"],
        },
        "spec": {"planRef": {"name": "checkout"}},
        "status": {
            "runId": "checkout_20260307-2359_5b54ae4d", "phase": "Completed", "reason": "VerdictPassed", "message": "Passed: all checks held",
            "sut": "mysql/db.sut.svc:9030",
            "plan": {"name": "checkout", "generation": 3, "digest": "5eed", "configMap": "run-a-plan", "engine": "doris"},
            "workers": {"expected": 2, "ready": 2, "succeeded": 2, "lost": 0, "summary": "2/2", "startSkewMicros": 900},
            "startAt": "2026-03-08T00:00:05.000000Z", "completedAt": "2026-03-08T00:01:15.000000Z",
            "firstQueryAt": "2026-03-08T00:00:05.001000Z", "lastQueryAt": "2026-03-08T00:01:14.000000Z",
            "live": {"queriesPerSecond": "1200", "p95": "12.4ms", "errorRate": "0.25%"},
            "verdict": {"outcome": "Passed", "reasons": ["all checks held"], "checks": []},
            "results": {
                "bucket": "reports", "prefix": "results/x/", "sha256": "ab", "queries": 80000, "errors": 200, "queriesPerSecond": "1200.125",
                "p95Micros": 12350, "workers": 2, "partial": false,
            },
            "transitions": [
                {"phase": "Pending", "at": "2026-03-07T23:59:59.000000Z", "reason": "AsExpected"},
                {"phase": "Queued", "at": "2026-03-07T23:59:59.000000Z", "reason": "PlanFrozen"},
                {"phase": "Loading", "at": "2026-03-07T23:59:59.000000Z", "reason": "SutLeased"},
                {"phase": "WaitingRoom", "at": "2026-03-08T00:00:00.000000Z", "reason": "WorkersStarting"},
                {"phase": "Executing", "at": "2026-03-08T00:00:04.500000Z", "reason": "LoadStarted"},
                {"phase": "Collecting", "at": "2026-03-08T00:01:14.500000Z", "reason": "LoadEnded"},
                {"phase": "Completed", "at": "2026-03-08T00:01:15.000000Z", "reason": "VerdictPassed"},
            ],
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "RunCompleted", "message": "", "lastTransitionTime": "2026-03-08T00:01:15Z"},
                {"type": "Mirrored", "status": "Unknown", "reason": "Mirroring", "message": "", "lastTransitionTime": "2026-03-07T23:59:59Z"},
            ],
        },
    })
}

/// The run with something changed in it.
fn changed(change: impl FnOnce(&mut Value)) -> TestRun {
    let mut run = ended();
    change(&mut run);
    serde_json::from_value(run).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn every_phase_has_the_word_that_clients_of_the_earlier_system_know() {
    let words = Phase::ALL.map(legacy_status);
    assert_eq!(words, ["PENDING", "QUEUED", "QUEUED", "WAITING_ROOM", "EXECUTING", "COLLECTING", "STOPPING", "COMPLETED", "FAILED"]);
}

#[test]
fn an_ended_run_is_told_whole() {
    let MirroredRun { summary, transitions, figures, room, .. } = record(&changed(|_| ())).unwrap();
    let told = record(&changed(|_| ())).unwrap();
    assert_eq!((told.uid.as_str(), told.namespace.as_str(), told.name.as_str()), (UID, "shop", "run-a"));
    assert_eq!((told.run_id.as_str(), told.plan_name.as_str(), told.run_label.as_str()), ("checkout_20260307-2359_5b54ae4d", "checkout", "checkout"));
    assert_eq!((told.sut_type.as_deref(), told.scaling_mode.as_deref(), told.plan_key), (Some("doris"), Some("inter_node"), None));
    assert_eq!((told.status, told.phase, told.verdict, told.error_detail), ("COMPLETED", Phase::Completed, Some(Outcome::Passed), None));
    assert_eq!(told.submitted_at, at("2026-03-07T23:59:58Z"));
    assert_eq!((told.started_at, told.completed_at), (Some(at("2026-03-08T00:00:05Z")), Some(at("2026-03-08T00:01:15Z"))));
    assert_eq!((summary["measured"]["p95"].as_str(), summary["verdict"]["outcome"].as_str()), (Some("12.4ms"), Some("Passed")));
    assert_eq!(transitions.len(), 7);
    let room = room.unwrap();
    assert_eq!((room.ready, room.completed, room.target, room.word, room.since), (2, 2, 2, Word::Start, at("2026-03-08T00:00:00Z")));
    let figures = figures.unwrap();
    assert_eq!((figures.queries, figures.queries_per_second, figures.error_rate, figures.p95_micros), (80_000, Some(1200.125), Some(0.0025), Some(12_350)));
    assert_eq!((figures.plan_digest.as_str(), figures.verdict), ("5eed", Outcome::Passed));
}

#[test]
fn what_the_client_calls_things_comes_before_what_they_are_called_here() {
    let run = changed(|run| {
        run["spec"]["label"] = json!("nightly");
        run["metadata"]["annotations"] =
            json!({"crucible.dev/plan-name": "Checkout plan", "crucible.dev/plan-key": "plans/Checkout plan", "crucible.dev/scaling-mode": "intra_node"});
    });
    let told = record(&run).unwrap();
    assert_eq!((told.plan_name.as_str(), told.run_label.as_str()), ("Checkout plan", "nightly"));
    assert_eq!((told.plan_key.as_deref(), told.scaling_mode.as_deref()), (Some("plans/Checkout plan"), Some("intra_node")));
}

#[test]
fn a_run_that_nobody_has_looked_at_has_the_id_that_it_will_have() {
    let told = record(&changed(|run| run["status"] = Value::Null)).unwrap();
    assert_eq!((told.run_id.as_str(), told.status, told.transitions.len()), ("checkout_20260307-2359_5b54ae4d", "PENDING", 0));
    assert_eq!((told.sut_type, told.scaling_mode, told.room, told.figures), (None, None, None, None));
}

#[test]
fn a_run_that_failed_says_why_and_one_that_was_stopped_with_results_does_not() {
    let failed = record(&changed(|run| {
        run["status"]["phase"] = json!("Failed");
        run["status"]["message"] = json!("nothing answers at db.sut.svc:9030");
    }));
    let failed = failed.unwrap();
    assert_eq!((failed.status, failed.error_detail.as_deref()), ("FAILED", Some("nothing answers at db.sut.svc:9030")));
    assert_eq!(failed.room.unwrap().word, Word::Abort);
    let stopped = record(&changed(|run| run["status"]["endedEarly"] = json!({"reason": "StopRequested", "message": "The run was stopped"}))).unwrap();
    assert_eq!((stopped.status, stopped.error_detail, stopped.room.unwrap().word), ("COMPLETED", None, Word::Abort));
}

#[test]
fn numbers_that_move_while_the_load_is_on_are_not_told() {
    let live = |queries: &str, progress: &str| {
        let run = changed(|run| {
            run["status"]["phase"] = json!("Executing");
            run["status"]["live"]["queriesPerSecond"] = json!(queries);
            run["status"]["progress"] = json!(progress);
            run["status"]["workers"]["cpuShare"] = json!(queries);
        });
        record(&run).unwrap()
    };
    assert_eq!(live("1200", "10%"), live("1900", "90%"));
}

#[test]
fn a_run_that_is_deleted_before_its_end_ends_in_the_ledger_once_the_run_controller_has_let_go() {
    let deleted = |finalizers: Value| {
        record(&changed(|run| {
            run["metadata"]["deletionTimestamp"] = json!("2026-03-08T00:00:20Z");
            run["metadata"]["finalizers"] = finalizers;
            run["status"]["phase"] = json!("Stopping");
            run["status"]["verdict"] = Value::Null;
            run["status"]["completedAt"] = Value::Null;
            run["status"]["transitions"][5] = json!({"phase": "Stopping", "at": "2026-03-08T00:00:20.500000Z", "reason": "Deleted"});
            run["status"]["transitions"].as_array_mut().unwrap().truncate(6);
        }))
        .unwrap()
    };
    let going = deleted(json!(["crucible.dev/run", "crucible.dev/mirror"]));
    assert_eq!((going.status, going.phase, going.transitions.len()), ("STOPPING", Phase::Stopping, 6));
    let gone = deleted(json!(["crucible.dev/mirror"]));
    assert_eq!((gone.status, gone.phase, gone.verdict), ("FAILED", Phase::Failed, Some(Outcome::Aborted)));
    assert_eq!(gone.error_detail.as_deref(), Some("The run was deleted before it had ended"));
    assert_eq!(gone.completed_at, Some(at("2026-03-08T00:00:20.5Z")), "not before it was stopping");
    let last = gone.transitions.last().unwrap();
    assert_eq!((gone.transitions.len(), last.phase, last.reason.as_str()), (7, Phase::Failed, "Deleted"));
}

#[test]
fn a_version_that_is_no_number_is_not_told() {
    assert_eq!(record(&changed(|run| run["metadata"]["resourceVersion"] = json!("b"))), None);
}

const TERMS: Terms = Terms { ledger: true, escape: Duration::from_hours(1) };
const NO_LEDGER: Terms = Terms { ledger: false, escape: Duration::from_hours(1) };
const NOW: &str = "2026-03-08T01:00:00Z";

fn behind(seconds: i64) -> Standing {
    Standing::Behind { since: at(NOW) - SignedDuration::from_secs(seconds) }
}

/// A duty in short.
fn owed(run: &TestRun, standing: &Standing, terms: Terms) -> (String, Wake) {
    let (duty, wake) = duty(&Outline::of(run).unwrap(), standing, at(NOW), terms);
    let text = match duty {
        Duty::Nothing => String::new(),
        Duty::Hold => "hold".to_owned(),
        Duty::Say { position, condition } => format!("say {} {} at {position}", condition.status, condition.reason),
        Duty::Release { escaped } => if escaped { "release, escaped" } else { "release" }.to_owned(),
    };
    (text, wake)
}

fn mirrored(run: &mut Value) {
    run["status"]["conditions"][1]["status"] = json!("True");
    run["status"]["conditions"][1]["reason"] = json!("Mirrored");
    run["status"]["conditions"][1]["message"] = json!("The ledger holds the run's last status");
}

#[test]
fn an_ended_run_is_told_of_once() {
    let run = changed(|_| ());
    let (say, late) = ("say True Mirrored at 1".to_owned(), "say False LedgerUnavailable at 1".to_owned());
    assert_eq!(owed(&run, &Standing::Held, TERMS), (say, Wake::OnChange));
    assert_eq!(owed(&run, &behind(1), TERMS), (String::new(), Wake::After(Duration::from_secs(2))));
    assert_eq!(owed(&run, &behind(4), TERMS), (late, Wake::OnChange));
    assert_eq!(owed(&run, &Standing::Refused("no".to_owned()), TERMS).0, "say False LedgerRefused at 1");
    let said = changed(mirrored);
    for standing in [Standing::Held, behind(100), Standing::Refused("no".to_owned())] {
        assert_eq!(owed(&said, &standing, TERMS), (String::new(), Wake::OnChange), "what was said is not taken back");
    }
}

#[test]
fn the_time_of_a_condition_is_that_of_its_last_change() {
    let run = changed(|_| ());
    let outline = Outline::of(&run).unwrap();
    let said = |run: &Outline, standing: &Standing| match duty(run, standing, at(NOW), TERMS).0 {
        Duty::Say { condition, .. } => *condition,
        other => panic!("{other:?}"),
    };
    let late = said(&outline, &behind(4));
    assert_eq!(
        (late.last_transition_time.0, late.message.as_str()),
        (at(NOW), "The ledger has not been told the run's last status; it is told as soon as it answers")
    );
    let mut again = outline;
    again.said.as_mut().unwrap().condition = late.clone();
    assert_eq!(duty(&again, &behind(400), at(NOW), TERMS).0, Duty::Nothing, "it is said once");
    again.said.as_mut().unwrap().condition.last_transition_time.0 = at("2026-03-08T00:30:00Z");
    let refused = said(&again, &Standing::Refused("no".to_owned()));
    assert_eq!((refused.last_transition_time.0, refused.message.as_str()), (at("2026-03-08T00:30:00Z"), "no"));
}

#[test]
fn a_live_run_is_not_written_to_but_to_be_held() {
    for phase in ["Pending", "Queued", "Loading", "WaitingRoom", "Executing", "Collecting", "Stopping"] {
        for standing in [Standing::Held, behind(100), Standing::Refused("no".to_owned())] {
            let run = |finalizers: Value| {
                changed(|run| {
                    run["status"]["phase"] = json!(phase);
                    run["metadata"]["finalizers"] = finalizers;
                })
            };
            assert_eq!(owed(&run(json!(["crucible.dev/run", "crucible.dev/mirror"])), &standing, TERMS).0, "", "{phase}");
            let unheld = if phase == "Pending" { "" } else { "hold" };
            assert_eq!(owed(&run(json!(["crucible.dev/run"])), &standing, TERMS).0, unheld, "{phase}");
            assert_eq!(owed(&run(json!([])), &standing, NO_LEDGER).0, "", "{phase}");
        }
    }
}

#[test]
fn an_ended_run_without_the_finalizer_gets_it_only_where_the_ledger_is_late() {
    let run = changed(|run| run["metadata"]["finalizers"] = json!([]));
    assert_eq!(owed(&run, &Standing::Held, TERMS).0, "say True Mirrored at 1");
    assert_eq!(owed(&run, &behind(1), TERMS).0, "");
    assert_eq!(owed(&run, &behind(4), TERMS).0, "hold");
    let mirrored = changed(|run| {
        run["metadata"]["finalizers"] = json!([]);
        mirrored(run);
    });
    assert_eq!(owed(&mirrored, &behind(4), TERMS).0, "", "whoever took the finalizer off is not fought");
}

#[test]
fn a_deleted_run_is_held_until_the_ledger_holds_its_last_status_or_the_time_is_up() {
    let deleted = |phase: &str, finalizers: &[&str], since: &str| {
        changed(|run| {
            run["status"]["phase"] = json!(phase);
            run["metadata"]["finalizers"] = json!(finalizers);
            run["metadata"]["deletionTimestamp"] = json!(since);
        })
    };
    let (both, ours) = (["crucible.dev/run", "crucible.dev/mirror"].as_slice(), ["crucible.dev/mirror"].as_slice());
    let (now, long_ago) = ("2026-03-08T00:59:00Z", "2026-03-08T00:00:00Z");
    let wait = Wake::After(Duration::from_mins(59));
    let table = [
        ("Stopping", both, now, Standing::Held, "", wait),
        ("Stopping", ours, now, Standing::Held, "release", Wake::OnChange),
        ("Stopping", ours, now, behind(50), "", wait),
        ("Stopping", ours, now, Standing::Refused("no".to_owned()), "", wait),
        ("Stopping", ours, long_ago, behind(50), "release, escaped", Wake::OnChange),
        ("Stopping", both, long_ago, behind(50), "", Wake::OnChange),
        ("Completed", both, now, Standing::Held, "release", Wake::OnChange),
        ("Completed", ours, now, behind(50), "", wait),
        ("Completed", &["crucible.dev/run"], now, behind(50), "", Wake::OnChange),
    ];
    for (phase, finalizers, since, standing, expected, wake) in table {
        let run = deleted(phase, finalizers, since);
        assert_eq!(owed(&run, &standing, TERMS), (expected.to_owned(), wake), "{phase} {finalizers:?} {since} {standing:?}");
    }
    assert_eq!(owed(&deleted("Stopping", ours, now), &behind(50), NO_LEDGER).0, "release", "without a ledger nothing is held for it");
    let mut said = deleted("Completed", ours, now);
    said.status.as_mut().unwrap().conditions[1].status = "True".to_owned();
    assert_eq!(owed(&said, &behind(50), TERMS).0, "release", "the ledger was told before it went away");
}

#[test]
fn without_a_ledger_the_condition_says_so() {
    assert_eq!(owed(&changed(|_| ()), &behind(0), NO_LEDGER).0, "say Unknown LedgerNotConfigured at 1");
    let said = changed(|run| run["status"]["conditions"][1]["reason"] = json!("LedgerNotConfigured"));
    assert_eq!(owed(&said, &behind(0), NO_LEDGER).0, "");
    assert_eq!(owed(&changed(|run| run["status"]["conditions"] = json!([])), &Standing::Held, TERMS).0, "", "there is no place for it yet");
}
