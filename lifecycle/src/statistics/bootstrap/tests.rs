use super::*;
use crate::{histogram::Histogram, statistics::Change};

/// A run of one stage: `seconds` seconds with `rate` answers each, whose latency is log-normal around `median` and drifts
/// from second to second like a real system's: each second remembers half of the last one's deviation.
fn run(seed: &str, seconds: usize, rate: usize, median: f64) -> Sample {
    let mut generator = Generator::seeded(seed);
    let mut drift = 0.0;
    let slots = (0..seconds).map(|_| {
        drift = 0.5 * drift + 0.04 * generator.normal();
        let level = median * f64::exp(drift);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a latency above zero")]
        let histogram: Histogram = (0..rate).map(|_| (level * (0.35 * generator.normal()).exp()) as u64).collect();
        Steps::of(&histogram)
    });
    Sample { seconds: f64::from(u32::try_from(seconds).unwrap()), stages: vec![slots.collect()] }
}

fn p95(baseline: &Sample, candidate: &Sample) -> Shift {
    compare(baseline, candidate, 1, &mut Generator::seeded("pair"))[1]
}

#[test]
fn a_run_compared_with_itself_has_not_changed() {
    let sample = run("same", 60, 100, 4000.0);
    for shift in compare(&sample, &sample, 1, &mut Generator::seeded("pair")) {
        let Interval { estimate, low, high } = shift.interval.unwrap();
        assert!(estimate == 0.0 && low <= 0.0 && high >= 0.0, "{shift:?}");
        assert_eq!(shift.baseline, shift.candidate);
    }
}

#[test]
fn twice_the_latency_is_a_change_of_one_whole_and_more_queries_are_more_throughput() {
    let [p50, p95, p99, throughput] = compare(&run("a", 60, 100, 4000.0), &run("b", 60, 150, 8000.0), 1, &mut Generator::seeded("pair"));
    for shift in [p50, p95, p99] {
        let interval = shift.interval.unwrap();
        assert!((interval.estimate - 1.0).abs() < 0.1 && interval.low < 1.0 && interval.high > 1.0, "{shift:?}");
        assert_eq!(Change::of(Some(interval), 0.05), Change::Slower);
    }
    assert_eq!((throughput.baseline, throughput.candidate), (Some(100.0), Some(150.0)));
    assert!((throughput.interval.unwrap().estimate - 0.5).abs() < 1e-9, "{throughput:?}");
}

#[test]
fn stages_are_resampled_apart_so_that_their_difference_is_no_noise() {
    let mut two = run("slow", 30, 100, 9000.0);
    two.stages.extend(run("fast", 30, 100, 1000.0).stages);
    two.seconds = 60.0;
    let shift = p95(&two, &two).interval.unwrap();
    assert!(shift.high < 0.1, "{shift:?}");
}

#[test]
fn too_few_seconds_or_too_few_queries_give_no_interval() {
    assert_eq!(p95(&run("a", 9, 100, 4000.0), &run("b", 60, 100, 4000.0)).interval, None);
    let thin = compare(&run("a", 60, 10, 4000.0), &run("b", 60, 10, 4000.0), 1, &mut Generator::seeded("pair"));
    assert_eq!(thin.map(|shift| shift.interval.is_some()), [true, true, false, true], "600 queries have 6 above the 99th percentile");
    let nothing = compare(&Sample::default(), &Sample::default(), 1, &mut Generator::seeded("pair"));
    assert!(nothing.iter().all(|shift| shift.interval.is_none() && shift.baseline.is_none()), "{nothing:?}");
}

#[test]
fn the_more_queries_are_compared_together_the_wider_is_each_interval() {
    let (a, b) = (run("a", 60, 50, 4000.0), run("b", 60, 50, 4000.0));
    let width = |together| {
        let interval = compare(&a, &b, together, &mut Generator::seeded("pair"))[1].interval.unwrap();
        interval.high - interval.low
    };
    assert!(width(20) > 1.3 * width(1));
}

/// With no room at all between slower and not, which asks more than any plan can: a plan's limit is at least 1 %.
#[test]
fn unchanged_systems_raise_at_most_5_false_alarms_in_100_pairs() {
    let alarm = |number: &usize| {
        let pair = p95(&run(&format!("before {number}"), 60, 20, 4000.0), &run(&format!("after {number}"), 60, 20, 4000.0));
        let interval = pair.interval.unwrap();
        interval.low > 0.0 || interval.high < 0.0
    };
    let alarms = (0..500).filter(alarm).count();
    assert!(alarms <= 25, "{alarms} of 500");
}

#[test]
fn a_slowdown_of_10_per_cent_is_found_in_9_of_10_pairs_and_never_called_unchanged() {
    let change = |number| {
        let (before, after) = (run(&format!("before {number}"), 120, 200, 4000.0), run(&format!("after {number}"), 120, 200, 4400.0));
        Change::of(p95(&before, &after).interval, 0.05)
    };
    let changes: Vec<Change> = (0..100).map(change).collect();
    let slower = changes.iter().filter(|change| **change == Change::Slower).count();
    assert!(slower >= 90, "{slower} of 100");
    assert!(!changes.contains(&Change::NoChange) && !changes.contains(&Change::Faster), "{changes:?}");
}
