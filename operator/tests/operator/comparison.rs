//! A run is compared with the one before it, by what that one left in the bucket.

use crucible_crds::Phase;
use serde_json::{Value, json};

use crate::{
    fault_sweep::live,
    world::{
        World, operate,
        scenario::{Act, RUN_A, RUN_B, SECRET, Scenario, When, checkout_plan},
        worker::Habits,
    },
};

const PLAN: &str = checkout_plan!(
    "  load:
    workers: 2
    stages: [{name: steady, duration: 16s, vus: 8}]
  compare: {}
"
);

fn two_runs(between: &[(When, Act)]) -> Scenario {
    let script = between.iter().cloned().chain([(When::At(24.0), Act::Create(RUN_B))]).collect();
    Scenario { objects: vec![("secrets", SECRET), ("testplans", PLAN), ("testruns", RUN_A)], habits: Habits::default(), script, ..Scenario::happy() }
}

/// What the `results.json` of each run says, by the run's name, after a story without disturbance.
fn played(scenario: &Scenario) -> Vec<(String, Value)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::of(scenario);
        let turning = world.turn();
        operate(&world, &world.line(None, false)).await;
        turning.abort();
        let results = world.vault.objects().into_iter().filter(|(key, _)| key.ends_with("/results.json"));
        results
            .map(|(_, body)| {
                let document: Value = serde_json::from_slice(&body).unwrap();
                (document["crucible"]["run"]["name"].as_str().unwrap().to_owned(), document)
            })
            .collect()
    })
}

fn comparison_of<'a>(results: &'a [(String, Value)], run: &str) -> &'a Value {
    &results.iter().find(|(name, _)| name == run).unwrap().1["crucible"]["comparison"]
}

#[test]
fn the_second_run_of_a_plan_is_compared_with_the_first() {
    let results = played(&two_runs(&[]));
    let (first, second) = (comparison_of(&results, "run-a"), comparison_of(&results, "run-b"));
    assert_eq!(first["obstacle"], "There is no earlier run of plan checkout that has passed with valid results");
    assert_eq!((&second["change"], &second["obstacle"]), (&"NoChange".into(), &Value::Null), "{second}");
    assert_eq!(second["baseline"]["name"], "run-a");
    assert_eq!(second["rows"].as_array().unwrap().len(), 2, "all queries, and the only one");
    assert_eq!(second["differences"], Value::Array(vec![]));
}

#[test]
fn a_run_that_was_deleted_is_still_compared_with() {
    let results = played(&two_runs(&[(When::Is("run-a", Phase::Completed), Act::Delete("run-a"))]));
    assert_eq!(comparison_of(&results, "run-b")["change"], "NoChange");
}

#[test]
fn a_run_is_compared_alike_whenever_its_operator_dies_while_it_collects() {
    let undisturbed = live(&two_runs(&[]), None, false);
    assert!(undisturbed.end.contains("verdict Passed with 3 checks") && undisturbed.end.contains("verdict Passed with 2 checks"), "{}", undisturbed.end);
    // The last effects are those of the second run's end: its results, its status, its lease.
    for effect in undisturbed.effects - 7..=undisturbed.effects {
        assert_eq!(live(&two_runs(&[]), Some(effect), false).end, undisturbed.end, "the operator died after effect {effect} of {}", undisturbed.effects);
    }
}

/// A plan whose arms are at two systems.
const ARMS: &str = checkout_plan!(
    "  load:
    workers: 2
    stages: [{name: steady, duration: 8s, vus: 8}]
  compare: {arms: [{name: now}, {name: next, endpoint: 'next.sut.svc:3306'}]}
"
);

fn two_arms() -> Scenario {
    Scenario { objects: vec![("secrets", SECRET), ("testplans", ARMS), ("testruns", RUN_A)], habits: Habits::default(), script: vec![], ..Scenario::happy() }
}

#[test]
fn the_two_arms_of_a_run_are_compared_with_each_other() {
    let results = played(&two_arms());
    let comparison = comparison_of(&results, "run-a");
    assert_eq!(
        (&comparison["change"], &comparison["arms"], &comparison["baseline"]),
        (&"NoChange".into(), &json!(["now", "next"]), &Value::Null),
        "{comparison}"
    );
    let rounds = results[0].1["crucible"]["rounds"]["rounds"].as_array().unwrap();
    assert_eq!(rounds.iter().map(|round| round["arm"].as_str().unwrap()).collect::<Vec<_>>(), ["now", "next", "next", "now"]);
    assert_eq!(results[0].1["crucible"]["plan"]["arms"][1], json!({"name": "next", "endpoint": "next.sut.svc:3306", "database": "shop"}));
}

#[test]
fn a_run_of_two_systems_ends_alike_whenever_its_operator_dies() {
    let undisturbed = live(&two_arms(), None, false);
    assert!(undisturbed.end.contains("verdict Passed"), "{}", undisturbed.end);
    assert!(!undisturbed.end.contains("leases/"), "a lease is left:\n{}", undisturbed.end);
    for effect in 1..=undisturbed.effects {
        assert_eq!(live(&two_arms(), Some(effect), false).end, undisturbed.end, "the operator died after effect {effect} of {}", undisturbed.effects);
    }
    assert_eq!(live(&two_arms(), None, true).end, undisturbed.end, "every write was made twice");
}
