use crucible_crds::{Outcome, Verdict};
use serde_json::{Value, json};

use super::*;
use crate::{
    load::with_steps,
    results::{
        Facts, Report,
        sample::{arrivals, line, merge, plan},
    },
    verdict::judge,
};

/// A search over 100, 200 and 400 arrivals per second, 6 s each, after a warm-up of 2 s.
fn searching(validity: &Value) -> FrozenPlan {
    let mut plan = plan(json!({
        "load": {"workers": 1, "model": "open", "maxVus": 16, "stages": [{"name": "warmup", "duration": "2s", "rate": 10, "measured": false}],
            "findMax": {"from": 100, "to": 400, "steps": 3, "each": "6s"}},
        "slos": [{"metric": "p99", "below": "20ms"}, {"metric": "errorRate", "atMost": 0.01}],
        "validity": validity,
    }));
    plan.spec = with_steps(&plan.spec);
    plan
}

/// What one step measures: latency by second in microseconds, the share of arrivals that began, that began late by the generator.
struct Measured {
    micros: [u64; 6],
    begun: f64,
    behind: f64,
}

const WELL: Measured = Measured { micros: [1_000; 6], begun: 1.0, behind: 0.0 };

fn told(validity: &Value, steps: [&Measured; 3]) -> (Search, Verdict) {
    let plan = searching(validity);
    let summary = measured(&plan, steps);
    (search(&plan, &summary).unwrap(), judge(&plan, &summary, &facts(), &[], None))
}

fn facts() -> Facts {
    Facts { expected_workers: 1, merged_workers: 1, ..Facts::default() }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small counts")]
fn measured(plan: &FrozenPlan, steps: [&Measured; 3]) -> Summary {
    let mut log = Vec::new();
    for (index, (measured, rate)) in steps.into_iter().zip([100_u64, 200, 400]).enumerate() {
        for (second, micros) in (2 + 6 * index as u64..).zip(measured.micros) {
            let stage = format!("step-{}", index + 1);
            log.push(line(&format!("PointLookup|{stage}|ok"), second, &vec![micros; rate as usize]));
            let of = |share: f64| (rate as f64 * share).round() as u64;
            log.push(arrivals(&stage, second, [rate, rate, 0, of(measured.behind), of(measured.begun)]));
        }
    }
    merge(plan, &[log], false)
}

fn what(search: &Search) -> Vec<String> {
    search.steps.iter().map(|step| step.limiting.as_ref().map_or_else(|| "held".to_owned(), |limiting| limiting.what.clone())).collect()
}

#[test]
fn the_highest_rate_is_that_of_the_last_step_before_the_first_broken_one() {
    let (second, third) = (Measured { micros: [1_500; 6], ..WELL }, Measured { micros: [50_000; 6], ..WELL });
    let (found, verdict) = told(&json!({}), [&WELL, &second, &third]);
    assert_eq!(what(&found), ["held", "held", "p99 was 50.0ms, the limit is < 20ms"]);
    assert_eq!((found.best, found.knee), (Some(1), Some(1)));
    assert_eq!(verdict.outcome, Outcome::Passed);
    let checks: Vec<_> = verdict.checks.iter().map(|check| format!("{}: {} {}", check.name, check.observed, check.limit)).collect();
    assert_eq!(
        checks,
        [
            "workers with results: 1 1",
            "what ended the search: the system under test the system under test",
            "queries answered: 4200 of 4200 >= 1 of at least 30",
            "highest rate within the limits: 200/s >= 100/s",
        ]
    );
}

#[test]
fn what_comes_after_a_broken_step_does_not_count_any_more() {
    let broken = Measured { micros: [50_000; 6], ..WELL };
    let (found, verdict) = told(&json!({}), [&WELL, &broken, &WELL]);
    assert_eq!((found.best, found.knee, found.stopped_at().map(|step| step.rate)), (Some(0), Some(0), Some(200.0)));
    assert_eq!(verdict.outcome, Outcome::Passed);
}

#[test]
fn a_step_whose_response_times_still_grow_is_not_stable() {
    let growing = Measured { micros: [1_000, 2_000, 4_000, 6_000, 9_000, 12_000], ..WELL };
    let (found, _) = told(&json!({}), [&WELL, &WELL, &growing]);
    assert_eq!(what(&found)[2], "the median response time grew by 100 % from the second to the last third");
    let noisy = Measured { micros: [400, 400, 400, 400, 900, 900], ..WELL };
    assert_eq!(told(&json!({}), [&WELL, &WELL, &noisy]).0.best, Some(2), "less than a millisecond is no growth");
}

#[test]
fn a_rate_that_was_not_reached_ends_the_search() {
    let lagging = Measured { begun: 0.9, ..WELL };
    let (found, verdict) = told(&json!({}), [&WELL, &WELL, &lagging]);
    assert_eq!(what(&found)[2], "achieved rate was 0.9, the limit is >= 0.95");
    assert_eq!((found.best, verdict.outcome), (Some(1), Outcome::Passed));
    assert_eq!(told(&json!({"minAchievedRate": 0.9}), [&WELL, &WELL, &lagging]).0.best, Some(2));
}

#[test]
fn a_search_that_the_load_generator_ended_says_nothing_about_the_system() {
    let busy = Measured { behind: 0.05, micros: [50_000; 6], ..WELL };
    let (found, verdict) = told(&json!({}), [&WELL, &busy, &busy]);
    assert!(found.steps[1].limiting.as_ref().unwrap().by_generator);
    assert_eq!(
        (verdict.outcome, verdict.reasons[0].as_str()),
        (Outcome::Invalid, "LoadGeneratorLate: what ended the search was the load generator, the limit is the system under test")
    );
}

#[test]
fn a_system_that_holds_at_no_rate_has_failed_and_one_that_nothing_is_known_of_is_open() {
    let broken = Measured { micros: [50_000; 6], ..WELL };
    let (found, verdict) = told(&json!({}), [&broken, &broken, &broken]);
    assert_eq!((found.best, verdict.outcome), (None, Outcome::Failed));
    assert_eq!(verdict.reasons, ["NoRateHolds: highest rate within the limits was none, the limit is >= 100/s"]);
    let (found, verdict) = told(&json!({"minQueries": 1000}), [&WELL, &WELL, &WELL]);
    assert_eq!((found.best, verdict.outcome), (None, Outcome::Inconclusive));
}

#[test]
fn every_report_says_the_highest_rate_the_knee_and_what_ended_the_search() {
    let plan = searching(&json!({}));
    let summary = measured(&plan, [&WELL, &WELL, &Measured { micros: [50_000; 6], ..WELL }]);
    let (facts, verdict) = (facts(), judge(&plan, &summary, &facts(), &[], None));
    let collected_at = "2026-03-08T00:01:30Z".parse().unwrap();
    let report =
        Report { plan: &plan, summary: &summary, verdict: &verdict, facts: &facts, samples: &[], sources: &[], comparison: None, trend: None, collected_at };
    let ours = &report.to_json()["crucible"]["search"];
    assert_eq!(
        json!([ours["highestRate"], ours["kneeRate"], ours["limitingCheck"], ours["limitedBy"], ours["steps"][2]["held"]]),
        json!([200.0, 200.0, "p99 was 50.0ms, the limit is < 20ms", "system under test", false])
    );
    let text = report.to_markdown();
    assert!(text.contains("Highest rate within the limits: **200/s**. The knee is at 200/s."), "{text}");
    assert!(text.contains("| step-3 | 400 | 400.0 | p99 was 50.0ms, the limit is &lt; 20ms |"), "{text}");
    let page = report.to_html();
    for part in [
        "The highest rate that kept every limit is <strong>200 arrivals per second</strong>. At 400 per second: p99 was 50.0ms",
        "<a href=\"#search\">Search</a>",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_plan_without_a_search_has_none() {
    let plan = plan(json!({}));
    assert_eq!(search(&plan, &merge(&plan, &[vec![]], false)), None);
}
