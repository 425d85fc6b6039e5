//! Whatever dies when, the end is the same.
//!
//! Each story is first played undisturbed, and its effects are counted: every write to the API server and every order to a
//! worker. Then it is played again once for each effect, and the operator dies right after that one: all that it knew is
//! lost, and a new one begins a second later. At last it is played with every write made twice, as when an answer got lost.

use std::{sync::atomic::Ordering, time::Duration};

use crucible_crds::Phase;

use crate::world::{
    World, describe_end, operate, operate_behind,
    scenario::{Act, PLAN_WITHOUT_QUERY, RUN_A, RUN_B, SECRET, Scenario, When},
    worker::Habits,
};

/// How a story ended, and how many effects it took.
pub struct Life {
    pub end: String,
    pub effects: usize,
}

/// Plays a story from start to end on a clock of its own.
pub fn live(scenario: &Scenario, cut_after: Option<usize>, twice: bool) -> Life {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::of(scenario);
        let turning = world.turn();
        let line = world.line(cut_after, twice);
        tokio::select! {
            () = operate(&world, &line) => {}
            () = line.died() => {}
        }
        if line.is_dead() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            operate(&world, &world.line(None, false)).await;
        }
        let effects = world.effects.load(Ordering::SeqCst);
        let end = describe_end(&world);
        // A stable world stays as it is: a new operator that looks at everything once changes nothing.
        operate(&world, &world.line(None, false)).await;
        assert_eq!(world.effects.load(Ordering::SeqCst), effects, "a stable world was written to:\n{}", world.api.log.lock().unwrap().join("\n"));
        turning.abort();
        Life { end, effects }
    })
}

/// Plays a story in which the operator dies after an effect, and somebody does something before the next one begins.
fn live_unattended(scenario: &Scenario, cut_after: usize, act: &Act) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::of(scenario);
        let turning = world.turn();
        let line = world.line(Some(cut_after), false);
        tokio::select! {
            () = operate(&world, &line) => {}
            () = line.died() => {}
        }
        world.act(act);
        operate(&world, &world.line(None, false)).await;
        turning.abort();
        describe_end(&world)
    })
}

/// Plays a story undisturbed, cut after each effect, and with every write made twice.
fn sweep(scenario: &Scenario, expected: &[&str]) {
    let undisturbed = live(scenario, None, false);
    for line in expected {
        assert!(undisturbed.end.contains(line), "{line} is missing in\n{}", undisturbed.end);
    }
    assert!(!undisturbed.end.contains("chaos/"), "something of a fault is left:\n{}", undisturbed.end);
    for effect in 1..=undisturbed.effects {
        let cut = live(scenario, Some(effect), false);
        assert_eq!(cut.end, undisturbed.end, "the operator died after effect {effect} of {}", undisturbed.effects);
    }
    assert_eq!(live(scenario, None, true).end, undisturbed.end, "every write was made twice");
}

#[test]
fn a_run_completes_whenever_its_operator_dies() {
    sweep(&Scenario::happy(), &["Completed(VerdictPassed)", "2 workers, 800 queries, partial false"]);
}

#[test]
fn a_run_with_raw_samples_and_prometheus_completes_whenever_its_operator_dies() {
    let stored = "results/My.Plan_20260105-0800_0a1b2c3d";
    let expected = [
        "Completed(VerdictPassed)".to_owned(),
        "2 workers, 800 queries, partial false".to_owned(),
        format!("{stored}/k6_raw_0_0.csv {stored}/k6_raw_1_0.csv {stored}/report.html {stored}/results.json"),
        format!("{stored}/results.json: \"engine\" \"qps\"=3 \"wrong\"=0"),
        format!("{stored}/results.json: \"late\" \"one\"=0 \"two\"=0"),
        format!("{stored}/results.json: \"elsewhere\" \n"),
        format!(
            "{stored}/results.json: Metric \"wrong\" of Prometheus source \"engine\" was refused with status 400. \
             Metric \"one\" of Prometheus source \"late\" was not answered in time. Metric \"two\" of Prometheus source \"late\" was not answered in time. \
             Prometheus source \"elsewhere\" is not on the operator's list."
        ),
    ];
    sweep(&Scenario::of_a_client(), &expected.each_ref().map(String::as_str));
}

#[test]
fn a_stopped_run_keeps_what_it_measured_whenever_its_operator_dies() {
    let scenario = Scenario::with(&[(When::Loading { run: "run-a", seconds: 3.0 }, Act::Stop("run-a"))]);
    sweep(&scenario, &["Stopping(StopRequested)", "Completed(VerdictAborted)"]);
}

#[test]
fn a_run_stopped_while_nobody_looks_gives_its_system_under_test_back_whenever_that_is() {
    for effect in 1..=live(&Scenario::happy(), None, false).effects {
        let end = live_unattended(&Scenario::happy(), effect, &Act::Stop("run-a"));
        assert!(end.contains("Failed(") || end.contains("Completed("), "stopped after effect {effect}:\n{end}");
        let left = end.lines().find(|line| line.starts_with("left: ")).unwrap();
        assert!(!left.contains("leases/") && (end.contains("Completed(") || !left.contains("jobs/")), "stopped after effect {effect}:\n{end}");
    }
}

#[test]
fn a_run_deleted_while_nobody_looks_leaves_nothing_whenever_that_is() {
    for effect in 1..=live(&Scenario::happy(), None, false).effects {
        let end = live_unattended(&Scenario::happy(), effect, &Act::Delete("run-a"));
        assert!(end.contains("left: secrets/shop-login testplans/checkout\n"), "deleted after effect {effect}:\n{end}");
    }
}

#[test]
fn an_abort_rule_ends_the_load_whenever_its_operator_dies() {
    let scenario = Scenario { habits: Habits { errors: 80, ..Habits::default() }, ..Scenario::happy() };
    sweep(&scenario, &["Stopping(AbortRuleFired)", "Completed(VerdictAborted)"]);
}

#[test]
fn a_lost_worker_fails_its_run_whenever_its_operator_dies() {
    let scenario = Scenario::with(&[(When::Loading { run: "run-a", seconds: 2.0 }, Act::Kill("run-a", 1))]);
    sweep(&scenario, &["Failed(WorkerLost)"]);
}

#[test]
fn a_system_under_test_that_refuses_fails_the_run_whenever_its_operator_dies() {
    let habits = Habits { preflight: Some(("SutAuthenticationFailed", "Access denied for user loader")), ..Habits::default() };
    sweep(&Scenario { habits, ..Scenario::happy() }, &["Failed(SutAuthenticationFailed)"]);
}

#[test]
fn a_queued_run_follows_the_one_before_whenever_the_operator_dies() {
    let scenario = Scenario::with(&[(When::At(2.0), Act::Create(RUN_B))]);
    sweep(&scenario, &["run-a: Pending", "run-b: Pending", "run-b:WaitingForSut"]);
}

#[test]
fn a_run_deleted_under_load_leaves_nothing_whenever_its_operator_dies() {
    let scenario = Scenario::with(&[(When::Loading { run: "run-a", seconds: 2.0 }, Act::Delete("run-a"))]);
    sweep(&scenario, &["left: secrets/shop-login testplans/checkout"]);
}

#[test]
fn a_plan_that_cannot_be_run_fails_its_run_whenever_its_operator_dies() {
    let scenario = Scenario { objects: vec![("secrets", SECRET), ("testplans", PLAN_WITHOUT_QUERY), ("testruns", RUN_A)], ..Scenario::happy() };
    sweep(&scenario, &["Failed(WorkloadInvalid)"]);
}

#[test]
fn results_that_differ_from_what_was_handed_in_fail_the_run_whenever_its_operator_dies() {
    let scenario = Scenario { habits: Habits { corrupt: true, ..Habits::default() }, ..Scenario::happy() };
    sweep(&scenario, &["Failed(ResultsCorrupt)"]);
}

#[test]
fn a_bucket_that_is_away_for_a_while_holds_a_run_up_but_not_back() {
    let scenario = Scenario::with(&[(When::Is("run-a", Phase::Executing), Act::VaultDown(true)), (When::At(20.0), Act::VaultDown(false))]);
    sweep(&scenario, &["Completed(VerdictPassed)"]);
}

#[test]
fn a_mirrored_run_is_told_whole_whenever_its_operator_dies() {
    let scenario = Scenario::mirrored(&[(When::Loading { run: "run-a", seconds: 2.0 }, Act::LedgerWiped)]);
    let row = "row of run-a: COMPLETED Passed \n  Pending(AsExpected) Queued(PlanFrozen) Loading(SutLeased) WaitingRoom";
    sweep(&scenario, &["Completed(VerdictPassed)", "ResultsCollected Mirrored Complete", "finalizers crucible.dev/run crucible.dev/mirror", row]);
}

#[test]
fn a_mirrored_run_that_is_deleted_is_told_to_its_end_whenever_its_operator_dies() {
    let scenario = Scenario::mirrored(&[(When::Loading { run: "run-a", seconds: 2.0 }, Act::Delete("run-a"))]);
    sweep(&scenario, &["left: secrets/shop-login testplans/checkout", "row of run-a: FAILED Aborted", "Stopping(Deleted) Failed(Deleted)"]);
}

#[test]
fn a_mirrored_run_that_cannot_be_admitted_is_told_all_the_same() {
    let objects = vec![("secrets", SECRET), ("testplans", PLAN_WITHOUT_QUERY), ("testruns", RUN_A)];
    sweep(&Scenario { objects, ..Scenario::mirrored(&[]) }, &["Failed(WorkloadInvalid)", "row of run-a: FAILED Inconclusive TestPlan checkout cannot be run"]);
}

#[test]
fn faults_are_injected_and_healed_whenever_the_operator_dies() {
    let expected = ["Completed(VerdictPassed)", "run-a:FaultInjected", "run-a:FaultHealed", "stored: history/", "chaos_events.json"];
    sweep(&Scenario::faults(&[]), &expected);
}

#[test]
fn a_run_stopped_under_a_fault_heals_it_whenever_its_operator_dies() {
    let scenario = Scenario::faults(&[(When::Loading { run: "run-a", seconds: 4.5 }, Act::Stop("run-a"))]);
    sweep(&scenario, &["Stopping(StopRequested)", "Completed(VerdictAborted)", "run-a:FaultHealed"]);
}

#[test]
fn a_run_deleted_under_a_fault_leaves_nothing_of_it_whenever_its_operator_dies() {
    let scenario = Scenario::faults(&[(When::Loading { run: "run-a", seconds: 4.5 }, Act::Delete("run-a"))]);
    sweep(&scenario, &["left: namespaces/sut pods/db-0 secrets/shop-login testplans/checkout"]);
}

#[test]
fn a_run_that_fails_under_a_fault_heals_it_first_whenever_its_operator_dies() {
    let scenario = Scenario::faults(&[(When::Loading { run: "run-a", seconds: 4.5 }, Act::Kill("run-a", 1))]);
    sweep(&scenario, &["Stopping(WorkerLost) Failed(WorkerLost)", "run-a:FaultHealed"]);
}

#[test]
fn a_fault_that_nobody_serves_fails_the_run_before_any_load() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let end = runtime.block_on(async {
        let world = World::of(&Scenario::faults(&[]));
        world.api.undefined.lock().unwrap().insert("networkchaos".to_owned());
        let turning = world.turn();
        operate(&world, &world.line(None, false)).await;
        turning.abort();
        describe_end(&world)
    });
    assert!(end.contains("run-a: Pending(AsExpected) Failed(ChaosUnavailable)"), "{end}");
}

#[test]
fn fixtures_are_loaded_whenever_the_operator_dies() {
    let expected =
        ["Completed(VerdictPassed)", "orders Loaded with 4 rows, items Loaded with 13 rows", "run-a:FixturesLoaded", "holds Ready Accepted FixturesReady"];
    sweep(&Scenario::fixtures(&[]), &expected);
}

#[test]
fn a_second_run_loads_nothing_whenever_the_operator_dies() {
    let scenario = Scenario::fixtures(&[(When::Loading { run: "run-a", seconds: 1.5 }, Act::Create(RUN_B))]);
    sweep(&scenario, &["orders Loaded with 4 rows, items Loaded with 13 rows", "orders Found with 4 rows, items Found with 13 rows", "run-b: Pending"]);
}

#[test]
fn a_loader_that_is_killed_is_followed_by_another_whenever_the_operator_dies() {
    let scenario = Scenario::fixtures(&[(When::Filling { run: "run-a", seconds: 0.3 }, Act::KillLoader("run-a"))]);
    sweep(&scenario, &["Completed(VerdictPassed)", "orders Loaded with 4 rows, items Loaded with 13 rows"]);
}

#[test]
fn files_that_cannot_be_loaded_fail_the_run_whenever_its_operator_dies() {
    let habits =
        Habits { files: Some(("FixtureInvalid", "File a.csv.gz of fixture Shop_items: row 3: a quote is opened and never closed")), ..Habits::default() };
    sweep(&Scenario { habits, ..Scenario::fixtures(&[]) }, &["Loading(SutLeased) Failed(FixtureInvalid)", "run-a:FixtureInvalid"]);
}

#[test]
fn a_run_stopped_while_loading_leaves_no_loader_whenever_its_operator_dies() {
    let scenario = Scenario::fixtures(&[(When::Filling { run: "run-a", seconds: 0.3 }, Act::Stop("run-a"))]);
    sweep(&scenario, &["Loading(SutLeased) Failed(StopRequested)", "left: configmaps/", "testplans/checkout"]);
}

#[test]
fn a_run_deleted_while_loading_leaves_nothing_whenever_its_operator_dies() {
    let scenario = Scenario::fixtures(&[(When::Filling { run: "run-a", seconds: 0.3 }, Act::Delete("run-a"))]);
    sweep(&scenario, &["left: secrets/shop-login testplans/checkout"]);
}

#[test]
fn files_that_change_before_they_are_read_fail_the_run() {
    let scenario = Scenario::fixtures(&[(When::Is("run-a", Phase::Loading), Act::Rewrite("fixtures/Shop_items/b.csv"))]);
    let end = live(&scenario, None, false).end;
    assert!(end.contains("Failed(FixtureChanged)") || end.contains("items Loaded with 14 rows"), "{end}");
}

#[test]
fn two_operators_at_once_bring_a_run_to_the_same_end() {
    let scenario = Scenario::with(&[(When::At(2.0), Act::Create(RUN_B))]);
    let alone = live(&scenario, None, false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let together = runtime.block_on(async {
        let world = World::of(&scenario);
        let turning = world.turn();
        let lines = [world.line(None, false), world.line(None, false)];
        tokio::join!(operate(&world, &lines[0]), operate(&world, &lines[1]));
        turning.abort();
        describe_end(&world)
    });
    assert_eq!(together, alone.end);
}

#[test]
fn an_operator_whose_watch_lags_behind_does_no_harm_beside_one_that_sees() {
    let scenario = Scenario::with(&[(When::Loading { run: "run-a", seconds: 2.0 }, Act::Kill("run-a", 1)), (When::At(12.0), Act::Create(RUN_B))]);
    let alone = live(&scenario, None, false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let together = runtime.block_on(async {
        let world = World::of(&scenario);
        let turning = world.turn();
        let lines = [world.line(None, false), world.line(None, false)];
        tokio::join!(operate(&world, &lines[0]), operate_behind(&world, &lines[1], Duration::from_secs(2)));
        turning.abort();
        describe_end(&world)
    });
    assert_eq!(together, alone.end);
}

#[test]
fn an_api_server_that_is_away_for_a_while_holds_a_run_up_but_not_back() {
    let scenario = Scenario::with(&[(When::Loading { run: "run-a", seconds: 2.0 }, Act::ApiDown(true)), (When::At(25.0), Act::ApiDown(false))]);
    assert!(live(&scenario, None, false).end.contains("Completed(VerdictPassed)"));
}

#[test]
fn an_operator_that_dies_again_and_again_still_brings_a_run_to_its_end() {
    let scenario = Scenario::happy();
    let undisturbed = live(&scenario, None, false);
    for every in [2, 3, 5] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let end = runtime.block_on(async {
            let world = World::of(&scenario);
            let turning = world.turn();
            loop {
                let line = world.line(Some(world.effects.load(Ordering::SeqCst) + every), false);
                tokio::select! {
                    () = operate(&world, &line) => break,
                    () = line.died() => tokio::time::sleep(Duration::from_millis(500)).await,
                }
            }
            turning.abort();
            describe_end(&world)
        });
        assert_eq!(end, undisturbed.end, "the operator died after every {every} effects");
    }
}
