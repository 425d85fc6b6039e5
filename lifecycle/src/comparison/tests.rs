use crucible_crds::{
    Outcome,
    test_plan::{Baseline, Factor},
};
use serde_json::{Value, json};

use super::*;
use crate::results::{
    Facts, Summary,
    sample::{line, merge, plan},
};

/// A plan of 40 measured seconds with what it wants to be compared with.
fn asking(compare: &Value) -> FrozenPlan {
    plan(json!({"compare": compare, "load": {"workers": 2, "stages": [{"name": "steady", "duration": "40s", "vus": 8}]}}))
}

/// 40 seconds in which `PointLookup` takes about `micros` and `CountAll` ten times as long.
fn measured(plan: &FrozenPlan, seed: &str, point_lookup: f64, count_all: f64) -> Summary {
    let mut generator = Generator::seeded(seed);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a latency above zero")]
    let mut second = |query: &str, second: u64, micros: f64| {
        let latencies: Vec<u64> = (0..60).map(|_| (micros * (0.3 * generator.normal()).exp()) as u64).collect();
        line(&format!("{query}|steady|ok"), second, &latencies)
    };
    let log = (0..40).flat_map(|at| [second("PointLookup", at, point_lookup), second("CountAll", at, count_all)]).collect();
    merge(plan, &[log, vec![]], false)
}

fn facts(started_at: &str, version: &str) -> Facts {
    Facts { started_at: Some(started_at.parse().unwrap()), server_version: Some(version.to_owned()), ..Facts::default() }
}

fn of_version(version: &str) -> Facts {
    Facts { server_version: Some(version.to_owned()), ..Facts::default() }
}

fn past(run_id: &str, started_at: &str, version: &str, summary: &Summary) -> Past {
    let mut plan = asking(&json!({}));
    run_id.clone_into(&mut plan.run.id);
    Past::of(&plan, summary, &facts(started_at, version), Outcome::Passed).unwrap()
}

/// Compares a run of version 2 with one of version 1.
fn compared(ask: &Value, baseline: (f64, f64), candidate: (f64, f64)) -> Comparison {
    let plan = asking(ask);
    let earlier = measured(&plan, "earlier", baseline.0, baseline.1);
    let later = measured(&plan, "later", candidate.0, candidate.1);
    let found = Found::Run(Box::new(past("checkout_1", "2026-03-07T00:00:00Z", "1", &earlier)), earlier.series);
    let fingerprint = Fingerprint::of(&plan, &of_version("2"));
    compare(plan.spec.compare.as_ref().unwrap(), Candidate { plan: &plan, fingerprint: &fingerprint, series: &later.series, rounds: &later.rounds }, found)
}

fn rows(comparison: &Comparison) -> Vec<(&str, Change)> {
    comparison.rows.iter().map(|row| (row.query.as_deref().unwrap_or("all"), row.change)).collect()
}

#[test]
fn one_query_that_became_slower_makes_the_run_slower_and_is_named() {
    let comparison = compared(&json!({"maxSlowdown": 0.1}), (1000.0, 10_000.0), (1500.0, 10_000.0));
    assert_eq!(comparison.change, Change::Slower);
    assert_eq!(comparison.rows[1].query.as_deref(), Some("PointLookup"));
    assert_eq!((comparison.rows[1].change, comparison.rows[2].change), (Change::Slower, Change::NoChange));
    assert_eq!(comparison.deciding_row().unwrap().query.as_deref(), Some("PointLookup"));
    let interval = comparison.deciding_row().unwrap().deciding(Measure::P95).unwrap().interval.unwrap();
    assert!((0.4..0.6).contains(&interval.estimate), "{interval:?}");
    assert_eq!(comparison.differences, [Difference { piece: "version".into(), baseline: "1".into(), candidate: "2".into(), expected: true }]);
}

#[test]
fn the_same_load_on_the_same_system_has_not_changed() {
    let comparison = compared(&json!({"maxSlowdown": 0.1}), (1000.0, 10_000.0), (1000.0, 10_000.0));
    assert_eq!(comparison.change, Change::NoChange, "{:?}", rows(&comparison));
    assert_eq!(rows(&comparison).len(), 3);
}

#[test]
fn a_limit_within_the_interval_is_not_decided() {
    let comparison = compared(&json!({"maxSlowdown": 0.1}), (1000.0, 10_000.0), (1100.0, 11_000.0));
    assert_eq!(comparison.change, Change::NotEnoughData, "{:?}", rows(&comparison));
}

#[test]
fn a_faster_system_is_called_faster() {
    assert_eq!(compared(&json!({"metric": "p50"}), (1000.0, 10_000.0), (700.0, 7000.0)).change, Change::Faster);
}

#[test]
fn the_same_runs_always_compare_alike() {
    let once = compared(&json!({}), (1000.0, 10_000.0), (1010.0, 10_000.0));
    assert_eq!(compared(&json!({}), (1000.0, 10_000.0), (1010.0, 10_000.0)), once);
}

#[test]
fn runs_of_different_loads_are_not_compared_and_the_difference_is_named() {
    let plan = asking(&json!({"mayDiffer": ["endpoint"]}));
    let summary = measured(&plan, "x", 1000.0, 10_000.0);
    let mut other = asking(&json!({}));
    other.spec.load.stages[0].vus = Some(9);
    other.spec.target.endpoint = "elsewhere:3306".into();
    let past = Past::of(&other, &summary, &facts("2026-03-07T00:00:00Z", "1"), Outcome::Passed).unwrap();
    let fingerprint = Fingerprint::of(&plan, &of_version("1"));
    let candidate = Candidate { plan: &plan, fingerprint: &fingerprint, series: &summary.series, rounds: &summary.rounds };
    let comparison = compare(plan.spec.compare.as_ref().unwrap(), candidate, Found::Run(Box::new(past), summary.series.clone()));
    assert_eq!((comparison.change, comparison.rows.len()), (Change::NotEnoughData, 0));
    assert_eq!(comparison.obstacle.as_deref(), Some("Run checkout_20260307-2359_5b54ae4d was asked for something else: load differ"));
    assert_eq!(comparison.differences.iter().map(|one| (one.piece.as_str(), one.expected)).collect::<Vec<_>>(), [("endpoint", true), ("load", false)]);
}

#[test]
fn what_is_not_there_is_told_in_the_words_of_the_question() {
    let obstacle = |ask: Value| {
        let plan = asking(&ask);
        let fingerprint = Fingerprint::of(&plan, &Facts::default());
        let candidate = Candidate { plan: &plan, fingerprint: &fingerprint, series: &Series::default(), rounds: &[] };
        let comparison = compare(plan.spec.compare.as_ref().unwrap(), candidate, Found::Nothing);
        (comparison.obstacle.unwrap(), comparison.required)
    };
    assert_eq!(obstacle(json!({})), ("There is no earlier run of plan checkout that has passed with valid results".to_owned(), false));
    assert_eq!(obstacle(json!({"baseline": {"run": "nightly-6"}})), ("There is no run nightly-6 with valid results".to_owned(), true));
    assert_eq!(obstacle(json!({"baseline": {"label": "release"}})), ("There is no earlier run labelled release with valid results".to_owned(), true));
}

/// Two runs of five rounds of 10 seconds, in which the rounds of the second take so many times as long as those of the first.
fn in_rounds(factors: [f64; 5]) -> ComparedRow {
    let mut plan = plan(json!({"compare": {}, "load": {"workers": 2, "repeat": 5, "stages": [{"name": "steady", "duration": "10s", "vus": 8}]}}));
    plan.spec = crate::load::rounds::carried_out(&plan.spec);
    let measured = |seed: &str, factors: [f64; 5]| {
        let mut generator = Generator::seeded(seed);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a latency above zero")]
        let mut second = |at: u64| {
            let round = (at / 10) as usize;
            let latencies: Vec<u64> = (0..60).map(|_| (1000.0 * factors[round] * (0.1 * generator.normal()).exp()) as u64).collect();
            line(&format!("PointLookup|steady#{}|ok", round + 1), at, &latencies)
        };
        let log = (0..50).map(&mut second).collect();
        merge(&plan, &[log, vec![]], false)
    };
    let (earlier, later) = (measured("earlier", [1.0, 1.01, 0.99, 1.0, 1.02]), measured("later", factors));
    let past = Past::of(&plan, &earlier, &facts("2026-03-07T00:00:00Z", "1"), Outcome::Passed).unwrap();
    let past: Past = serde_json::from_value(json!(past)).unwrap();
    let fingerprint = Fingerprint::of(&plan, &of_version("1"));
    let candidate = Candidate { plan: &plan, fingerprint: &fingerprint, series: &later.series, rounds: &later.rounds };
    compare(plan.spec.compare.as_ref().unwrap(), candidate, Found::Run(Box::new(past), earlier.series)).rows[1].clone()
}

#[test]
fn a_change_of_one_round_is_no_change_of_the_system() {
    let all = in_rounds([1.2, 1.19, 1.21, 1.2, 1.22]);
    assert_eq!((all.change, all.across.map(|across| (across.baseline, across.candidate))), (Change::Slower, Some((5, 5))));
    assert!(all.across.unwrap().answer.p < 0.01, "{all:?}");
    let two = in_rounds([1.6, 0.98, 1.01, 1.0, 1.6]);
    assert_eq!(Change::of(two.deciding(Measure::P95).unwrap().interval, 0.05), Change::Slower, "by the seconds alone: {two:?}");
    assert_eq!(two.change, Change::NotEnoughData);
}

/// Runs of one plan with these medians, a day apart; the later ones against version 2.
fn trend(levels: &[(f64, &str)]) -> Trend {
    let plan = asking(&json!({}));
    let mut runs: Vec<Past> = levels
        .iter()
        .enumerate()
        .map(|(index, (micros, version))| {
            let summary = measured(&plan, &format!("run {index}"), *micros, *micros * 10.0);
            past(&format!("checkout_{index:02}"), &format!("2026-02-{:02}T00:00:00Z", index + 1), version, &summary)
        })
        .collect();
    let own = runs.pop().unwrap();
    let baseline = runs[0].clone();
    runs.reverse();
    Trend::of(plan.spec.compare.as_ref().unwrap(), own, runs, Some(&baseline))
}

#[test]
fn a_trend_tells_when_the_level_changed_and_whether_the_versions_differ() {
    let levels: Vec<(f64, &str)> = [(1000.0, "1"); 8].into_iter().chain([(1200.0, "2"); 6]).collect();
    let trend = trend(&levels);
    assert_eq!(trend.runs.iter().map(|past| past.run_id.as_str()).collect::<Vec<_>>()[..3], ["checkout_00", "checkout_01", "checkout_02"]);
    assert_eq!(trend.changes.iter().map(|point| point.at).collect::<Vec<_>>(), [8]);
    assert!((trend.changes[0].after / trend.changes[0].before - 1.2).abs() < 0.05, "{:?}", trend.changes);
    let repeats = trend.repeats.unwrap();
    assert_eq!((repeats.baseline, repeats.candidate), (("1".to_owned(), 8), ("2".to_owned(), 6)));
    assert!(repeats.answer.p < 0.01 && (0.15..0.25).contains(&repeats.answer.change), "{:?}", repeats.answer);
}

#[test]
fn runs_that_were_asked_for_something_else_are_no_part_of_a_trend() {
    let plan = asking(&json!({}));
    let summary = measured(&plan, "x", 1000.0, 10_000.0);
    let own = past("checkout_9", "2026-03-09T00:00:00Z", "1", &summary);
    let mut other = past("checkout_8", "2026-03-08T00:00:00Z", "1", &summary);
    other.fingerprint = Fingerprint::default();
    let trend = Trend::of(plan.spec.compare.as_ref().unwrap(), own.clone(), vec![other, own.clone()], None);
    assert_eq!((trend.runs, trend.repeats), (vec![own], None));
}

#[test]
fn what_may_differ_are_the_factors_that_a_plan_can_name() {
    let ask = Compare {
        arms: None,
        baseline: Some(Baseline { run: None, label: Some("v".into()) }),
        metric: CompareMetric::P95,
        max_slowdown: 0.05,
        may_differ: vec![Factor::Tls],
    };
    assert_eq!(json!(ask), json!({"baseline": {"label": "v"}, "metric": "p95", "maxSlowdown": 0.05, "mayDiffer": ["tls"]}));
}

#[test]
fn changes_are_told_with_their_signs() {
    assert_eq!(interval_in_words(&Interval { estimate: 0.123, low: -0.004, high: 0.25 }), "+12.3 % (-0.4 % to +25.0 %)");
    assert_eq!([-0.0001, 0.0, 0.0001].map(signed_percent), ["0.0 %", "0.0 %", "0.0 %"]);
}
