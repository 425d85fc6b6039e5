use crucible_crds::test_run::EndedEarly;
use serde_json::{Value, json};

use super::*;
use crate::{
    contract::InvariantAnswer,
    results::{
        FaultFact, InvariantFact,
        sample::{arrivals, line, merge, open_plan, plan},
    },
};

fn facts() -> Facts {
    Facts { expected_workers: 2, merged_workers: 2, start_skew_micros: Some(-1_200), worker_cpu_share: Some(0.42), ..Facts::default() }
}

/// 100 answers of `PointLookup` in the stage steady, 90 of them in 1 ms and 10 in 50 ms; 5 time-outs of `CountAll`.
fn measured(plan: &FrozenPlan) -> Summary {
    let latencies: Vec<u64> = [[1_000; 90].as_slice(), &[50_000; 10]].concat();
    merge(plan, &[vec![line("PointLookup|steady|ok", 2, &latencies), line("CountAll|steady|timeout", 3, &[30_000_000; 5])]], false)
}

fn judged(fields: Value, facts: &Facts) -> Verdict {
    let plan = plan(fields);
    judge(&plan, &measured(&plan), facts, &[], None)
}

/// The check of the only limit, as `limit | observed | held | decided`.
#[expect(clippy::needless_pass_by_value, reason = "tests hand in a literal")]
fn limit(slo: Value) -> String {
    let verdict = judged(json!({"slos": [slo], "validity": {"minQueries": 10}}), &facts());
    let Check { name, limit, observed, held, decided, .. } = verdict.checks.last().unwrap();
    format!("{name} | {limit} | {observed} | {held} | {decided}")
}

#[test]
fn each_kind_of_limit_is_judged_on_its_row() {
    let cases = [
        (json!({"metric": "p50", "below": "20ms"}), "p50 | < 20ms | 1.00ms | true | true"),
        (json!({"metric": "p95", "query": "PointLookup", "stage": "steady", "below": "20ms"}), "p95 of PointLookup in steady | < 20ms | 50.0ms | false | true"),
        (json!({"metric": "max", "below": "50ms"}), "max | < 50ms | 50.015ms | false | true"),
        (json!({"metric": "mean", "query": "PointLookup", "below": "6ms"}), "mean of PointLookup | < 6ms | 5.90ms | true | true"),
        (json!({"metric": "errorRate", "atMost": 0.05}), "errorRate | <= 0.05 | 0.047619 | true | true"),
        (json!({"metric": "errorRate", "atMost": 0.0}), "errorRate | <= 0 | 0.047619 | false | true"),
        (json!({"metric": "errorRate", "query": "CountAll", "atMost": 0.5}), "errorRate of CountAll | <= 0.5 | no data | false | false"),
        (json!({"metric": "throughput", "atLeast": 12.5}), "throughput | >= 12.5/s | 12.5/s | true | true"),
        (json!({"metric": "throughput", "stage": "peak", "atLeast": 1}), "throughput in peak | >= 1/s | 0.0/s | false | true"),
        (json!({"metric": "p99", "stage": "peak", "below": "1s"}), "p99 in peak | < 1s | no data | false | false"),
        (json!({"metric": "p99", "query": "CountAll", "below": "1s"}), "p99 of CountAll | < 1s | none of 5 answered | false | true"),
    ];
    for (slo, expected) in cases {
        assert_eq!(limit(slo.clone()), expected, "{slo}");
    }
}

#[test]
fn a_limit_on_a_stage_is_about_all_rounds_of_it() {
    let mut plan = plan(
        json!({"slos": [{"metric": "max", "stage": "steady", "below": "20ms"}, {"metric": "throughput", "query": "PointLookup", "stage": "steady", "atLeast": 2}]}),
    );
    plan.spec.load.repeat = 2;
    plan.spec = crate::load::rounds::carried_out(&plan.spec);
    let log = vec![line("PointLookup|steady#1|ok", 2, &[1000; 6]), line("PointLookup|steady#2|ok", 12, &[50_000; 6])];
    let verdict = judge(&plan, &merge(&plan, &[log, vec![]], false), &facts(), &[], None);
    let told: Vec<_> = verdict.checks.iter().rev().take(2).map(|check| format!("{} {} {}", check.name, check.observed, check.held)).collect();
    assert_eq!(told, ["throughput of PointLookup in steady 2.0/s true", "max in steady 50.0ms false"]);
}

/// The checks of the open model, and the verdict's first reason: 100 arrivals are due.
fn open(validity: &Value, arrivals_of_steady: [u64; 5], ended_early: bool) -> (Vec<String>, Outcome, String) {
    let plan = open_plan(json!({"validity": validity}));
    let lines = vec![line("PointLookup|steady|ok", 2, &[1000; 100]), arrivals("steady", 2, arrivals_of_steady)];
    let summary = merge(&plan, &[lines, vec![]], ended_early);
    let ended = ended_early.then(|| EndedEarly { reason: "StopRequested".into(), message: "Stopped".into() });
    let verdict = judge(&plan, &summary, &Facts { ended_early: ended, ..facts() }, &[], None);
    let of_arrivals = verdict.checks.iter().filter(|check| check.name.contains("rate") || check.name.contains("arrivals"));
    (of_arrivals.map(|check| format!("{}: {} {}", check.name, check.observed, check.limit)).collect(), verdict.outcome, verdict.reasons[0].clone())
}

#[test]
fn the_open_model_is_judged_against_its_schedule_even_where_the_plan_says_nothing() {
    let (checks, outcome, _) = open(&json!({}), [100, 99, 40, 0, 96], false);
    assert_eq!(
        (checks, outcome),
        (
            vec![
                "achieved rate: 0.96 >= 0.95".to_owned(),
                "dropped arrivals: 0.01 <= 0.01".to_owned(),
                "arrivals that the load generator began late: 0 <= 0.01".to_owned()
            ],
            Outcome::Passed
        )
    );
    let cases = [
        ([100, 99, 0, 0, 94], "RateNotAchieved: achieved rate was 0.94, the limit is >= 0.95"),
        ([100, 98, 0, 0, 98], "ArrivalsDropped: dropped arrivals was 0.02, the limit is <= 0.01"),
        ([100, 100, 0, 2, 100], "LoadGeneratorLate: arrivals that the load generator began late was 0.02, the limit is <= 0.01"),
    ];
    for (counts, expected) in cases {
        let (_, outcome, reason) = open(&json!({}), counts, false);
        assert_eq!((outcome, reason.as_str()), (Outcome::Invalid, expected));
    }
}

#[test]
fn the_plan_sets_its_own_limits_of_the_open_model() {
    let asked = json!({"minAchievedRate": 0.5, "maxDropped": 0.4, "maxBehind": 0.5});
    assert_eq!(open(&asked, [100, 60, 0, 30, 50], false).1, Outcome::Passed);
    assert_eq!(open(&asked, [100, 59, 0, 0, 50], false).2, "ArrivalsDropped: dropped arrivals was 0.41, the limit is <= 0.4");
}

#[test]
fn a_load_that_was_ended_early_broke_its_own_schedule_off() {
    let (checks, outcome, _) = open(&json!({}), [100, 20, 0, 0, 20], true);
    assert_eq!((checks.len(), outcome), (0, Outcome::Aborted));
}

#[test]
fn a_run_whose_every_check_holds_has_passed() {
    let verdict =
        judged(json!({"slos": [{"metric": "p50", "below": "20ms"}], "validity": {"minQueries": 30, "maxStartSkew": "20ms", "maxWorkerCpu": 0.9}}), &facts());
    assert_eq!(verdict.outcome, Outcome::Passed);
    assert_eq!(verdict.reasons, ["AllChecksHeld: all 5 checks held"]);
    let checks: Vec<_> = verdict.checks.iter().map(|check| format!("{}: {} {}", check.name, check.observed, check.limit)).collect();
    assert_eq!(
        checks,
        [
            "workers with results: 2 2",
            "start skew: 1.20ms <= 20ms",
            "worker processor share: 0.42 <= 0.9",
            "queries answered: 100 of 105 >= 1 of at least 30",
            "p50: 1.00ms < 20ms"
        ]
    );
}

#[test]
fn a_broken_limit_fails_the_run_and_is_named_first() {
    let verdict = judged(json!({"slos": [{"metric": "p99", "stage": "peak", "below": "1s"}, {"metric": "p95", "below": "20ms"}]}), &facts());
    assert_eq!(verdict.outcome, Outcome::Failed);
    assert_eq!(verdict.reasons, ["LimitBroken: p95 was 50.0ms, the limit is < 20ms", "TooLittleData: p99 in peak was no data, the limit is < 1s"]);
    assert_eq!(verdict.checks[2].owner, Owner::Sut);
}

#[test]
fn a_limit_without_enough_queries_leaves_the_run_inconclusive() {
    let verdict = judged(json!({"slos": [{"metric": "p50", "below": "20ms"}], "validity": {"minQueries": 101}}), &facts());
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert_eq!(verdict.reasons, ["TooLittleData: p50 was no data, the limit is < 20ms"]);
}

#[test]
fn a_lost_worker_makes_the_run_invalid_whatever_the_limits_say() {
    let ended = EndedEarly { reason: "StopRequested".into(), message: "The run was stopped by its user".into() };
    let verdict = judged(json!({"slos": [{"metric": "p95", "below": "20ms"}]}), &Facts { merged_workers: 1, ended_early: Some(ended), ..facts() });
    assert_eq!(verdict.outcome, Outcome::Invalid);
    assert_eq!(
        verdict.reasons,
        [
            "WorkersMissing: workers with results was 1, the limit is 2",
            "StopRequested: The run was stopped by its user",
            "LimitBroken: p95 was 50.0ms, the limit is < 20ms",
        ]
    );
}

#[test]
fn a_saturated_or_scattered_load_generator_makes_the_run_invalid() {
    let fields = json!({"validity": {"maxWorkerCpu": 0.4, "maxStartSkew": "1ms", "minQueries": 10}});
    let verdict = judged(fields.clone(), &facts());
    assert_eq!(verdict.outcome, Outcome::Invalid);
    assert_eq!(
        verdict.reasons,
        ["StartSkewTooLarge: start skew was 1.20ms, the limit is <= 1ms", "LoadGeneratorSaturated: worker processor share was 0.42, the limit is <= 0.4"]
    );
    let unknown = judged(fields, &Facts { start_skew_micros: None, worker_cpu_share: None, ..facts() });
    assert_eq!((unknown.outcome, unknown.reasons.len()), (Outcome::Inconclusive, 2));
}

#[test]
fn workers_that_did_not_do_their_part_make_the_run_invalid() {
    let plan = plan(json!({"validity": {"maxImbalance": 0.1, "maxSilence": 0.25, "minQueries": 10}}));
    let of = |one: Vec<String>, other: Vec<String>| judge(&plan, &merge(&plan, &[one, other], false), &facts(), &[], None);
    let each =
        |seconds: std::ops::Range<u64>, count: usize| seconds.map(|second| line("PointLookup|steady|ok", second, &vec![1_000; count])).collect::<Vec<_>>();
    let even = of(each(2..6, 50), each(2..5, 60));
    assert_eq!(even.outcome, Outcome::Passed, "{even:?}");
    let uneven = of(each(2..6, 50), each(2..4, 60));
    assert_eq!(uneven.reasons, ["WorkersUneven: worker imbalance was 0.25, the limit is <= 0.1", "WorkerSilent: worker silence was 0.5, the limit is <= 0.25"]);
    assert_eq!(of(vec![], vec![]).outcome, Outcome::Inconclusive);
}

#[test]
fn a_load_that_was_ended_early_is_aborted_with_its_reason_first() {
    let ended = EndedEarly { reason: "AbortRuleFired".into(), message: "The error rate was 61 % over 10s".into() };
    let verdict = judged(json!({"slos": [{"metric": "p95", "below": "20ms"}]}), &Facts { ended_early: Some(ended), ..facts() });
    assert_eq!(verdict.outcome, Outcome::Aborted);
    assert_eq!(verdict.reasons, ["AbortRuleFired: The error rate was 61 % over 10s", "LimitBroken: p95 was 50.0ms, the limit is < 20ms"]);
}

#[test]
fn a_run_in_which_nothing_was_answered_never_passes() {
    let plan = plan(json!({}));
    let dead = merge(&plan, &[vec![line("PointLookup|steady|connection", 2, &[50; 3])]], false);
    let verdict = judge(&plan, &dead, &facts(), &[], None);
    assert_eq!(verdict.outcome, Outcome::Failed);
    assert_eq!(verdict.reasons, ["NothingAnswered: queries answered was 0 of 3, the limit is >= 1 of at least 10"]);
    let silent = judge(&plan, &merge(&plan, &[vec![]], false), &facts(), &[], None);
    assert_eq!(silent.outcome, Outcome::Inconclusive);
    assert_eq!(silent.reasons, ["TooLittleData: queries answered was no data, the limit is >= 1 of at least 10"]);
}

#[test]
fn a_verdict_always_fits_into_status() {
    let stage = "s".repeat(63);
    let slo = json!({"metric": "throughput", "query": "Q".repeat(64), "stage": stage, "atLeast": 1e9});
    let verdict = judged(
        json!({"slos": vec![slo; 64]}),
        &Facts { ended_early: Some(EndedEarly { reason: "StopRequested".into(), message: "x".repeat(1024) }), ..facts() },
    );
    assert_eq!((verdict.checks.len(), verdict.reasons.len()), (66, 2), "reasons that say the same are said once");
    assert!(verdict.reasons.iter().all(|reason| reason.chars().count() <= 300));
    assert!(verdict.checks.iter().all(|check| check.name.len() <= 200 && check.limit.len() <= 64 && check.observed.len() <= 64));
}

#[test]
fn what_crucible_itself_could_not_do_says_nothing_about_the_system() {
    let verdict = harness_error(Reason::ResultsCorrupt, "The log of worker 1 is not what it handed in");
    assert_eq!(verdict.outcome, Outcome::HarnessError);
    assert_eq!(verdict.reasons, ["ResultsCorrupt: The log of worker 1 is not what it handed in"]);
}

/// A load of 60 s with 10 answers in 1 ms in each second, but none from 30 s to 34 s, where a connection failed instead.
fn outage(plan: &FrozenPlan) -> Summary {
    let log = (0..60).map(|second| match second {
        30..=34 => line("PointLookup|steady|connection", second, &[1_000]),
        _ => line("PointLookup|steady|ok", second, &[1_000; 10]),
    });
    merge(plan, &[log.collect()], false)
}

fn kill(confirmed: bool) -> FaultFact {
    let message = (!confirmed).then(|| "Chaos Mesh never confirmed fault kill".to_owned());
    FaultFact { name: "kill".into(), kind: "PodChaos".into(), confirmed, targets: 1, from: Some(30.0), to: Some(30.0), message }
}

#[test]
fn limits_about_a_fault_are_judged_on_the_second_by_second_record() {
    let load = json!({"workers": 2, "stages": [{"name": "steady", "duration": "60s", "vus": 8}]});
    let cases = [
        ("recoveryTime", "6s", "recoveryTime of kill | < 6s | 5.0s | true | true"),
        ("recoveryTime", "5s", "recoveryTime of kill | < 5s | 5.0s | false | true"),
        ("timeToFirstError", "1s", "timeToFirstError of kill | < 1s | 0.0s | true | true"),
        ("longestGap", "5s", "longestGap of kill | < 5s | 5.0s | false | true"),
    ];
    for (metric, below, expected) in cases {
        let plan = plan(json!({"load": load, "slos": [{"metric": metric, "fault": "kill", "below": below}]}));
        let facts = Facts { faults: vec![kill(true)], ..facts() };
        let verdict = judge(&plan, &outage(&plan), &facts, &[], None);
        let Check { name, limit, observed, held, decided, .. } = verdict.checks.last().unwrap();
        assert_eq!(format!("{name} | {limit} | {observed} | {held} | {decided}"), expected);
        assert_eq!(verdict.outcome, if *held { Outcome::Passed } else { Outcome::Failed }, "{metric} {below}");
    }
}

#[test]
fn limits_may_be_about_the_time_of_a_fault_or_of_the_recovery_from_it() {
    use crate::results::{Merger, sample::drain, windows};
    let load = json!({"workers": 2, "stages": [{"name": "steady", "duration": "60s", "vus": 8}]});
    let cases = [
        (json!({"metric": "errorRate", "during": "fault", "atMost": 0.5}), "errorRate during kill | <= 0.5 | 1 | false | true"),
        (json!({"metric": "errorRate", "during": "recovery", "atMost": 0.1}), "errorRate in the recovery from kill | <= 0.1 | 0.015748 | true | true"),
        (json!({"metric": "p99", "during": "recovery", "below": "2ms"}), "p99 in the recovery from kill | < 2ms | 1.00ms | true | true"),
        (json!({"metric": "throughput", "during": "recovery", "atLeast": 10}), "throughput in the recovery from kill | >= 10/s | 8.6/s | false | true"),
    ];
    for (mut slo, expected) in cases {
        slo["fault"] = json!("kill");
        for confirmed in [true, false] {
            let plan = plan(json!({"load": load, "slos": [slo], "validity": {"minQueries": 1}}));
            let facts = Facts { faults: vec![kill(confirmed)], ..facts() };
            let log = (0..60).map(|second| match second {
                30..=34 => line("PointLookup|steady|connection", second, &[1_000]),
                _ => line("PointLookup|steady|ok", second, &[1_000; 10]),
            });
            let summary = drain(Merger::new(&plan, 1).with_windows(windows(&facts.faults, 60)), &[log.collect()], false);
            let verdict = judge(&plan, &summary, &facts, &[], None);
            let Check { name, limit, observed, held, decided, .. } = verdict.checks.last().unwrap();
            let told = format!("{name} | {limit} | {observed} | {held} | {decided}");
            if confirmed {
                assert_eq!(told, expected);
            } else {
                assert!(told.ends_with("| no data | false | false"), "{told}");
            }
        }
    }
}

fn reading(values: &[&str], problems: &[&str]) -> SourceReading {
    use crate::results::observability::Series;
    let values = values.iter().map(|value| (1.into(), (*value).to_owned())).collect();
    let series = Series { metric: "cpu".into(), query: "x".into(), labels: [].into(), values };
    let problems = problems.iter().map(|problem| (*problem).to_owned()).collect();
    SourceReading { name: "engine".into(), url: String::new(), series: vec![series], problems }
}

#[test]
fn the_worst_value_of_prometheus_decides() {
    let cases = [
        (json!({"atMost": 0.9}), &["0.5", "0.9", "NaN"][..], "cpu of engine | <= 0.9 | 0.9 | true | true"),
        (json!({"atMost": 0.9}), &["0.5", "0.91", "0.1"][..], "cpu of engine | <= 0.9 | 0.91 | false | true"),
        (json!({"atMost": 0.9}), &["+Inf"][..], "cpu of engine | <= 0.9 | inf | false | true"),
        (json!({"atLeast": 2}), &["3", "2"][..], "cpu of engine | >= 2 | 2 | true | true"),
        (json!({"atLeast": 2}), &["3", "1.5"][..], "cpu of engine | >= 2 | 1.5 | false | true"),
        (json!({"atLeast": 2}), &["NaN"][..], "cpu of engine | >= 2 | no data | false | false"),
        (json!({"atLeast": 2}), &[][..], "cpu of engine | >= 2 | no data | false | false"),
    ];
    for (mut slo, values, expected) in cases {
        slo["metric"] = json!("promql");
        slo["source"] = json!("engine");
        slo["series"] = json!("cpu");
        let plan = plan(json!({"slos": [slo]}));
        let verdict = judge(&plan, &measured(&plan), &facts(), &[reading(values, &[])], None);
        let Check { name, limit, observed, held, decided, .. } = verdict.checks.last().unwrap();
        assert_eq!(format!("{name} | {limit} | {observed} | {held} | {decided}"), expected);
    }
}

#[test]
fn how_the_workers_were_is_checked_where_the_plan_asks_for_it() {
    let fields = json!({"validity": {
        "maxThrottled": 0.05, "maxGarbageCollection": 0.1, "maxLateStart": "50ms", "maxClockOffset": "1s", "completeMetrics": true, "minQueries": 10
    }});
    let plan = plan(fields);
    let judged = |facts: Facts, sources: &[SourceReading]| {
        let verdict = judge(&plan, &measured(&plan), &facts, sources, None);
        (verdict.outcome, verdict.reasons)
    };
    let well = || Facts {
        throttled_share: Some(0.05),
        garbage_collection_share: Some(0.1),
        late_start_micros: Some(50_000),
        clock_offset_millis: Some(-1000),
        ..facts()
    };
    assert_eq!(judged(well(), &[reading(&["1"], &[])]).0, Outcome::Passed);
    let cases = [
        (Facts { throttled_share: Some(0.06), ..well() }, "WorkersThrottled: throttled share of the load was 0.06, the limit is <= 0.05"),
        (Facts { garbage_collection_share: Some(0.2), ..well() }, "LoadGeneratorCollecting: garbage collection's share was 0.2, the limit is <= 0.1"),
        (Facts { late_start_micros: Some(50_001), ..well() }, "StartedLate: late start was 50.0ms, the limit is <= 50ms"),
        (Facts { clock_offset_millis: Some(-1001), ..well() }, "ClocksDiffer: clock offset was 1.00s, the limit is <= 1s"),
    ];
    for (facts, expected) in cases {
        assert_eq!(judged(facts, &[]), (Outcome::Invalid, vec![expected.to_owned()]));
    }
    let missing = judged(well(), &[reading(&["1"], &["Metric \"x\" was answered with status 422."])]);
    assert_eq!(missing, (Outcome::Invalid, vec!["MetricsMissing: metrics answered was 1 not as asked, the limit is all".to_owned()]));
    let unknown = judged(facts(), &[]);
    assert_eq!((unknown.0, unknown.1.len()), (Outcome::Inconclusive, 4));
}

#[test]
fn a_restart_without_a_fault_makes_a_run_invalid() {
    let start = jiff::Timestamp::from_second(1_000).unwrap();
    let restarted = |after: i64, faults: Vec<FaultFact>| Facts {
        started_at: Some(start),
        server_started_at: jiff::Timestamp::from_second(1_000 + after).ok(),
        faults,
        ..facts()
    };
    let judged_with = |validity: serde_json::Value, facts: &Facts| {
        let plan = plan(json!({"validity": validity}));
        let verdict = judge(&plan, &measured(&plan), facts, &[], None);
        (verdict.outcome, verdict.reasons.first().cloned().unwrap_or_default())
    };
    let judged = |facts: &Facts| judged_with(json!({"minQueries": 10}), facts);
    let said = "SutRestarted: restart of the system under test was 30 s after the start of the load, the limit is none without a fault";
    let invalid = (Outcome::Invalid, said.to_owned());
    assert_eq!(judged(&restarted(-5, vec![])).0, Outcome::Passed);
    assert_eq!(judged(&restarted(30, vec![])), invalid);
    assert_eq!(judged_with(json!({"minQueries": 10, "allowRestarts": true}), &restarted(30, vec![])).0, Outcome::Passed);
    // A fault from its beginning to a minute after its end explains it; one that never was on does not.
    let fault = |from, to| FaultFact { name: "kill".into(), confirmed: true, targets: 1, from, to, ..FaultFact::default() };
    let cases =
        [(Some(31.0), Some(31.0), true), (Some(32.0), Some(40.0), false), (Some(0.0), None, true), (Some(-40.0), Some(-30.5), false), (None, None, false)];
    for (from, to, explained) in cases {
        let judged = judged(&restarted(30, vec![fault(from, to)]));
        assert_eq!(judged.1 != said, explained, "{from:?} {to:?}: {judged:?}");
    }
}

#[test]
fn a_fault_that_was_not_confirmed_decides_nothing() {
    let load = json!({"workers": 2, "stages": [{"name": "steady", "duration": "60s", "vus": 8}]});
    let plan = plan(json!({"load": load, "slos": [{"metric": "recoveryTime", "fault": "kill", "below": "6s"}]}));
    let facts = Facts { faults: vec![kill(false)], ..facts() };
    let verdict = judge(&plan, &outage(&plan), &facts, &[], None);
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    let expected = [
        "FaultNotConfirmed: fault kill was not confirmed: Chaos Mesh never confirmed fault kill, the limit is confirmed by Chaos Mesh",
        "TooLittleData: recoveryTime of kill was no data, the limit is < 6s",
    ];
    assert_eq!(verdict.reasons, expected);
}

#[test]
fn an_invariant_that_does_not_hold_fails_the_run_and_one_that_was_not_answered_leaves_it_open() {
    let answer = |held, said: &str| Some(InvariantAnswer { name: "rows".to_owned(), held, said: said.to_owned() });
    let with = |answer| Facts { invariants: vec![InvariantFact { name: "rows".to_owned(), expected: "100000".to_owned(), answer }], ..facts() };
    let said = |answer| {
        let verdict = judged(json!({}), &with(answer));
        (verdict.outcome, verdict.reasons.first().cloned().unwrap_or_default())
    };
    assert_eq!(said(answer(Some(true), "100000")).0, Outcome::Passed);
    assert_eq!(said(answer(Some(false), "99998")), (Outcome::Failed, "InvariantBroken: invariant rows was 99998, the limit is = 100000".to_owned()));
    assert_eq!(
        said(answer(None, "no such table")),
        (Outcome::Inconclusive, "InvariantNotAnswered: invariant rows was not answered: no such table, the limit is = 100000".to_owned())
    );
    assert_eq!(said(None), (Outcome::Inconclusive, "InvariantNotAnswered: invariant rows was not asked, the limit is = 100000".to_owned()));
}
