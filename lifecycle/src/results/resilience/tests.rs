use serde_json::json;

use super::*;
use crate::results::{Latency, Timeline, sample};

/// A load of 60 s after a warm-up of 10 s: `ok` answered and `errors` failed in each second, with this p99 in microseconds.
fn load(seconds: impl Fn(u64) -> (u64, u64, u64)) -> Summary {
    let point = |second: u64| {
        let (ok, errors, p99) = seconds(second);
        let latency = Latency { count: ok, min: 1, mean: 1.0, p50: 1, p90: 1, p95: 1, p99, p999: p99, max: p99 };
        let errors = if errors > 0 { BTreeMap::from([(Class::Connection, errors)]) } else { BTreeMap::new() };
        Point { second, ok, errors, latency: (ok > 0).then_some(latency), reconnects: 0, ..Point::default() }
    };
    let mut summary = sample::merge(&plan(), &[], false);
    summary.timeline = Timeline { seconds_per_point: 1, points: (0..70).map(point).collect() };
    summary
}

fn kill(from: f64, to: f64) -> FaultFact {
    FaultFact { name: "kill".to_owned(), confirmed: true, from: Some(from), to: Some(to), ..FaultFact::default() }
}

fn plan() -> FrozenPlan {
    let stages = json!([{"name": "warmup", "duration": "10s", "vus": 4, "measured": false}, {"name": "steady", "duration": "60s", "vus": 8}]);
    sample::plan(json!({"load": {"workers": 2, "stages": stages}}))
}

fn one(summary: &Summary, faults: &[FaultFact]) -> Resilience {
    resilience(&plan(), summary, faults).remove(0)
}

#[test]
fn an_outage_is_measured_from_the_injection_and_the_recovery_from_the_healing() {
    // Killed at 30 s; errors from the next second on, nothing answered for 4 s, half speed for 3 s, then as before.
    let mut summary = load(|second| match second {
        31..=34 => (0, 50, 0),
        35..=37 => (50, 0, 1000),
        _ => (100, 0, 1000),
    });
    summary.timeline.add_reconnects(&BTreeMap::from([(3, 1), (35, 6), (36, 2), (99, 5)]));
    let found = one(&summary, &[kill(30.4, 30.4)]);
    assert_eq!(found.baseline, Some(Baseline { throughput: 100.0, p99_micros: Some(1000) }));
    assert_eq!(found.errors, BTreeMap::from([(Class::Connection, 200)]));
    assert_eq!(found.reconnects, 8, "those before the fault are not its own, and those beyond the load are nobody's");
    assert!((found.time_to_first_error.unwrap() - 0.6).abs() < 1e-9);
    assert!((found.longest_gap - 4.0).abs() < 1e-9);
    // The 5 seconds from 37 on are the first to have nine tenths of the baseline.
    let Recovery::After(recovered) = found.recovery else { panic!("{:?}", found.recovery) };
    assert!((recovered - 6.6).abs() < 1e-9, "{recovered}");
}

#[test]
fn throughput_may_be_back_before_latency_is() {
    let summary = load(|second| match second {
        30..=39 => (20, 0, 9000),
        40..=49 => (100, 0, 5000),
        _ => (100, 0, 1000),
    });
    let found = one(&summary, &[kill(30.0, 40.0)]);
    assert_eq!((found.throughput, found.p99, found.recovery), (Recovery::After(0.0), Recovery::After(8.0), Recovery::After(8.0)));
    assert_eq!((found.time_to_first_error, found.errors.len()), (None, 0));
}

#[test]
fn a_system_that_does_not_come_back_is_said_not_to_have_recovered() {
    let summary = load(|second| if second >= 30 { (10, 5, 1000) } else { (100, 0, 1000) });
    assert_eq!(one(&summary, &[kill(30.0, 40.0)]).recovery, Recovery::NotWithin(30.0));
}

#[test]
fn a_load_in_which_nothing_ends_any_more_is_a_gap_up_to_its_planned_end() {
    let mut summary = load(|_| (100, 0, 1000));
    summary.timeline.points.truncate(30);
    let found = one(&summary, &[kill(30.0, 30.0)]);
    assert!((found.longest_gap - 40.0).abs() < 1e-9, "{}", found.longest_gap);
    assert_eq!(found.recovery, Recovery::NotWithin(40.0));
}

#[test]
fn a_fault_right_after_the_warm_up_has_no_baseline() {
    let summary = load(|_| (100, 0, 1000));
    let found = one(&summary, &[kill(14.0, 14.0)]);
    assert_eq!((found.baseline, found.recovery), (None, Recovery::Unknown));
}

#[test]
fn the_time_of_another_fault_is_no_baseline_and_ends_the_watch() {
    let summary = load(|second| if (20..25).contains(&second) { (1, 0, 1000) } else { (100, 0, 1000) });
    let faults = [kill(30.0, 30.0), FaultFact { name: "first".to_owned(), from: Some(20.0), to: Some(24.0), ..FaultFact::default() }];
    let all = resilience(&plan(), &summary, &faults);
    assert_eq!(all[0].baseline.map(|baseline| baseline.throughput), Some(100.0));
    assert_eq!(all[1].recovery, Recovery::After(1.0), "watched up to second 30 only");
}

#[test]
fn a_fault_that_was_never_on_has_no_numbers() {
    assert_eq!(resilience(&plan(), &load(|_| (1, 0, 1)), &[FaultFact::default()]), []);
}
