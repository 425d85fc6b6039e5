use expect_test::expect;
use serde_json::json;

use super::*;
use crate::{
    results::{
        Facts, group_samples,
        sample::{arrivals, line, merge, open_plan, plan},
    },
    verdict::judge,
};

#[test]
fn the_open_model_says_what_became_of_its_arrivals() {
    let plan = open_plan(json!({}));
    let log = vec![
        line("PointLookup|steady|ok", 2, &[90_000; 80]),
        line("PointLookup|steady|ok|service", 2, &[250; 80]),
        arrivals("steady", 2, [100, 90, 30, 0, 80]),
        arrivals("steady", 4, [100, 60, 40, 2, 60]),
    ];
    let summary = merge(&plan, &[log, vec![]], false);
    let facts = Facts { expected_workers: 2, merged_workers: 2, ..Facts::default() };
    let verdict = judge(&plan, &summary, &facts, &[], None);
    let collected_at = "2026-03-08T00:01:30Z".parse().unwrap();
    let text =
        Report { plan: &plan, summary: &summary, verdict: &verdict, facts: &facts, samples: &[], sources: &[], comparison: None, trend: None, collected_at }
            .to_markdown();
    for part in [
        "# checkout_20260307-2359_5b54ae4d: Invalid\n\n- RateNotAchieved: achieved rate was 0.7, the limit is >= 0.95",
        "| steady | 200 | 140 | 70 | 50 | 70.00 % |",
        "| warmup (not measured) | 0 | 0 | 0 | 0 | – |",
        "| PointLookup | 90.0ms | 90.0ms | 90.0ms | 250us | 250us | 250us |",
        "warmup 2s 1/s, steady 3s 100/s, peak 5s to 200/s, regular arrivals, at most 16 users",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn the_answer_comes_first_and_the_evidence_after_it() {
    let plan = plan(json!({"slos": [{"metric": "p95", "query": "PointLookup", "below": "1ms"}]}));
    let log = vec![line("PointLookup|steady|ok", 2, &[1_250; 80]), line("CountAll|peak|timeout", 6, &[30_000_000; 20])];
    let summary = merge(&plan, &[log, vec![]], false);
    let samples = group_samples([
        &br#"{"worker":0,"samples":[{"second":6,"query":"CountAll","class":"timeout","code":"3024","message":"a|b\n<script>","count":20}]}"#[..],
    ])
    .unwrap();
    let facts = Facts { expected_workers: 2, merged_workers: 2, ..Facts::default() };
    let verdict = judge(&plan, &summary, &facts, &[], None);
    let report = Report {
        plan: &plan,
        summary: &summary,
        verdict: &verdict,
        facts: &facts,
        samples: &samples,
        sources: &[],
        comparison: None,
        trend: None,
        collected_at: "2026-03-08T00:01:30Z".parse().unwrap(),
    };
    expect![[r"
        # checkout_20260307-2359_5b54ae4d: Failed

        - LimitBroken: p95 of PointLookup was 1.25ms, the limit is &lt; 1ms

        | check | limit | observed | answer | owner |
        |---|---|---|---|---|
        | workers with results | 2 | 2 | held | harness |
        | queries answered | >= 1 of at least 10 | 80 of 100 | held | sut |
        | p95 of PointLookup | &lt; 1ms | 1.25ms | **broken** | sut |

        ## Headline

        80 queries answered in 8.0 s of measured load: 10.0 per second, error rate 20.0000 %.
        Latency: p50 1.25ms, p90 1.25ms, p95 1.25ms, p99 1.25ms, p99.9 1.25ms, mean 1.25ms, from 1.25ms to 1.25ms.

        ## Queries, measured stages

        | query | answered | errors | per second | p50 | p95 | p99 | p99.9 | max |
        |---|---:|---:|---:|---:|---:|---:|---:|---:|
        | PointLookup | 80 | 0 | 10.0 | 1.25ms | 1.25ms | 1.25ms | 1.25ms | 1.25ms |
        | CountAll | 0 | 20 | 0.0 | – | – | – | – | – |

        ## Stages, all queries

        | stage | answered | errors | per second | p50 | p95 | p99 | p99.9 | max |
        |---|---:|---:|---:|---:|---:|---:|---:|---:|
        | warmup (not measured) | 0 | 0 | 0.0 | – | – | – | – | – |
        | steady | 80 | 0 | 26.7 | 1.25ms | 1.25ms | 1.25ms | 1.25ms | 1.25ms |
        | peak | 0 | 20 | 0.0 | – | – | – | – | – |

        ## Errors

        | stage | class | errors | p50 | max |
        |---|---|---:|---:|---:|
        | peak | timeout | 20 | 30.0s | 30.0s |

        | query | class | code | sampled | first in | message |
        |---|---|---|---:|---|---|
        | CountAll | timeout | 3024 | 20 | second 6, worker 0 | a\|b &lt;script> |

        ## What was run

        | | |
        |---|---|
        | run | team-a/nightly-7 (6f2c9a52) |
        | plan | checkout generation 3 |
        | plan digest | d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1 |
        | target | mysql at mariadb.sut.svc:3306, database shop, TLS Verify |
        | load | 2 workers: warmup 2s 4 users, steady 3s 8 users, peak 5s to 16 users |
        | results of | 2 of 2 workers |
        | collected at | 2026-03-08T00:01:30Z |
    "]]
    .assert_eq(&report.to_markdown());
}

#[test]
fn a_text_cannot_leave_its_cell() {
    assert_eq!(cell("a|b\n<img> & `x` [y](z) *w* \\"), "a\\|b &lt;img> &amp; \\`x\\` \\[y\\](z) \\*w\\* \\\\");
}
