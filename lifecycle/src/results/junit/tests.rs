use expect_test::expect;
use serde_json::{Value, json};

use super::*;
use crate::{
    results::{
        Facts,
        sample::{line, merge, plan},
    },
    verdict::judge,
};

fn suite_of(fields: Value) -> String {
    let plan = plan(fields);
    let summary = merge(&plan, &[vec![line("PointLookup|steady|ok", 2, &[1_250; 80])], vec![]], false);
    let facts = Facts { expected_workers: 2, merged_workers: 2, ..Facts::default() };
    let verdict = judge(&plan, &summary, &facts, &[], None);
    let collected_at = "2026-03-08T00:01:30Z".parse().unwrap();
    Report { plan: &plan, summary: &summary, verdict: &verdict, facts: &facts, samples: &[], sources: &[], comparison: None, trend: None, collected_at }
        .to_junit()
}

#[test]
fn each_check_is_a_case_and_what_is_open_is_an_error() {
    expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuite name="checkout_20260307-2359_5b54ae4d" tests="5" failures="2" errors="1" time="10.000">
          <testcase classname="checkout" name="verdict"><failure type="Failed" message="LimitBroken: p95 was 1.25ms, the limit is &lt; 1ms&#10;TooLittleData: p99 in peak was no data, the limit is &lt; 1s"/></testcase>
          <testcase classname="harness" name="workers with results"/>
          <testcase classname="system under test" name="queries answered"/>
          <testcase classname="system under test" name="p95"><failure type="broken" message="observed 1.25ms, the limit is &lt; 1ms"/></testcase>
          <testcase classname="system under test" name="p99 in peak"><error type="undecided" message="observed no data, the limit is &lt; 1s"/></testcase>
        </testsuite>
    "#]]
    .assert_eq(&suite_of(json!({"slos": [{"metric": "p95", "below": "1ms"}, {"metric": "p99", "stage": "peak", "below": "1s"}]})));
}

#[test]
fn a_run_that_has_passed_is_green() {
    let suite = suite_of(json!({}));
    assert!(suite.contains("failures=\"0\" errors=\"0\"") && !suite.contains("<failure") && !suite.contains("<error"), "{suite}");
}

#[test]
fn text_that_xml_cannot_hold_is_replaced() {
    assert_eq!(text("<a & \"b\">\u{0}\u{1b}"), "&lt;a &amp; &quot;b&quot;&gt;\u{fffd}\u{fffd}");
}
