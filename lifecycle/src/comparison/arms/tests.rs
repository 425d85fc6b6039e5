use serde_json::json;

use super::*;
use crate::{
    contract::FrozenArm,
    load::rounds::carried_out,
    results::sample::{line, merge, plan},
};

/// A plan of so many pairs of rounds, each a warm-up of 2 seconds and 10 measured ones, whose second arm is at another database.
fn plan_of(repeat: u32, limit: f64) -> FrozenPlan {
    let mut plan = plan(json!({
        "compare": {"maxSlowdown": limit, "arms": [{"name": "now"}, {"name": "next", "database": "shop2"}]},
        "load": {"workers": 1, "repeat": repeat, "stages": [{"name": "warmup", "duration": "2s", "vus": 4, "measured": false}, {"name": "steady", "duration": "10s", "vus": 8}]},
    }));
    plan.queries.truncate(1);
    plan.arms = arms(&plan.spec)
        .iter()
        .map(|arm| FrozenArm { name: arm.name.clone(), target: crate::plan::target_of_arm(&plan.spec.target, arm), bindings: vec![vec![]] })
        .collect();
    plan.spec = carried_out(&plan.spec);
    plan
}

/// A run in which rounds differ by 2 % by chance and each is 1 % slower than the one before, as of a system that fills up. The second arm takes `factor` times as
/// long as the first, a warm-up ten times as long as what is measured.
fn run(plan: &FrozenPlan, seed: &str, factor: f64) -> Comparison {
    let mut generator = Generator::seeded(seed);
    let mut log = Vec::new();
    for (round, arm) in (1..).zip(plan.spec.load.stages.iter().enumerate().step_by(2).map(|(position, _)| arm_of_stage(&plan.spec, position).unwrap())) {
        let drift = 0.01 * f64::from(round);
        let level = 4000.0 * (0.02 * generator.normal() + drift).exp() * if arm == SECOND { factor } else { 1.0 };
        for at in 0..12 {
            let (stage, level) = if at < 2 { ("warmup", level * 10.0) } else { ("steady", level * (0.03 * generator.normal()).exp()) };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a latency above zero")]
            let latencies: Vec<u64> = (0..50).map(|_| (level * (0.2 * generator.normal()).exp()) as u64).collect();
            log.push(line(&format!("PointLookup|{stage}#{round}|ok"), (u64::try_from(round).unwrap() - 1) * 12 + at, &latencies));
        }
    }
    let summary = merge(plan, &[log], false);
    compare_arms(plan.spec.compare.as_ref().unwrap(), plan, &summary.series, &summary.rounds).unwrap()
}

#[test]
fn the_second_arm_is_compared_with_the_first_over_the_measured_stages_of_its_own_rounds() {
    let plan = plan_of(4, 0.05);
    let comparison = run(&plan, "once", 1.5);
    let row = &comparison.rows[1];
    assert_eq!((comparison.change, row.change, row.query.as_deref()), (Change::Slower, Change::Slower, Some("PointLookup")));
    assert_eq!(comparison.arms, Some(["now".into(), "next".into()]));
    let [p50, .., throughput] = row.shifts;
    assert!((0.4..0.6).contains(&p50.interval.unwrap().estimate), "{p50:?}");
    assert!((3500.0..5000.0).contains(&p50.baseline.unwrap()), "warm-ups and the other arm are left out: {p50:?}");
    assert_eq!((throughput.baseline, throughput.candidate), (Some(50.0), Some(50.0)), "an arm is measured for half of the time");
    let across = row.across.unwrap();
    assert_eq!((across.baseline, across.candidate), (4, 4));
    assert!(across.answer.p < 0.05 && (0.4..0.6).contains(&across.answer.change), "{across:?}");
    assert_eq!(run(&plan, "once", 1.5), comparison, "the same results always give the same answer");
    assert_eq!(run(&plan, "once", 0.6).change, Change::Faster);
}

#[test]
fn two_rounds_of_each_arm_are_compared_by_their_seconds_alone() {
    let comparison = run(&plan_of(1, 0.05), "short", 1.5);
    assert_eq!((comparison.rows[1].across, comparison.change), (None, Change::Slower));
}

#[test]
fn a_plan_without_arms_has_nothing_to_compare_here() {
    let plan = plan(json!({"compare": {}}));
    assert_eq!(compare_arms(plan.spec.compare.as_ref().unwrap(), &plan, &Series::default(), &[]), None);
}

/// With the smallest limit that a plan can have, and two answers that would be wrong.
#[test]
fn unchanged_arms_raise_at_most_5_false_alarms_in_100_runs() {
    let plan = plan_of(4, 0.01);
    let alarm = |number: &usize| matches!(run(&plan, &format!("unchanged {number}"), 1.0).change, Change::Slower | Change::Faster);
    let alarms = (0..100).filter(alarm).count();
    assert!(alarms <= 5, "{alarms} of 100");
}

#[test]
fn a_second_arm_that_is_10_per_cent_slower_is_found_in_9_of_10_runs_and_never_called_unchanged() {
    let plan = plan_of(8, 0.05);
    let changes: Vec<Change> = (0..50).map(|number| run(&plan, &format!("slower {number}"), 1.1).change).collect();
    let slower = changes.iter().filter(|change| **change == Change::Slower).count();
    assert!(slower >= 45, "{slower} of 50");
    assert!(!changes.contains(&Change::NoChange) && !changes.contains(&Change::Faster), "{changes:?}");
}
