use crucible_crds::test_run::EndedEarly;
use serde_json::json;

use super::*;
use crate::{
    contract::FrozenPlan,
    results::{
        Facts, group_samples,
        sample::{arrivals, line, merge, open_plan, plan},
    },
    verdict::judge,
};

fn document(facts: &Facts) -> Value {
    document_with(facts, &[])
}

fn document_with(facts: &Facts, sources: &[SourceReading]) -> Value {
    let plan: FrozenPlan = plan(json!({"slos": [{"metric": "p95", "below": "20ms"}]}));
    let log = vec![line("PointLookup|warmup|ok", 0, &[5_000; 7]), line("PointLookup|steady|ok", 2, &[250; 80]), line("CountAll|peak|timeout", 6, &[20; 20])];
    let summary = merge(&plan, &[log, vec![]], false);
    let samples = group_samples([&br#"{"worker":0,"samples":[{"second":6,"query":"CountAll","class":"timeout","count":20}]}"#[..]]).unwrap();
    let verdict = judge(&plan, &summary, facts, &[], None);
    Report {
        plan: &plan,
        summary: &summary,
        verdict: &verdict,
        facts,
        samples: &samples,
        sources,
        comparison: None,
        trend: None,
        collected_at: "2026-03-08T00:01:30Z".parse().unwrap(),
    }
    .to_json()
}

fn facts() -> Facts {
    Facts { expected_workers: 2, merged_workers: 2, ..Facts::default() }
}

#[test]
fn existing_clients_find_what_they_read() {
    let document = document(&facts());
    let keys: Vec<_> = document.as_object().unwrap().keys().map(String::as_str).collect();
    for key in ["run_id", "collected_at", "collection_error", "abort_reason", "k6", "observability"] {
        assert!(keys.contains(&key), "{key}");
    }
    assert_eq!(document["run_id"], "checkout_20260307-2359_5b54ae4d");
    assert_eq!(document["collected_at"], "2026-03-08T00:01:30Z");
    assert_eq!((&document["collection_error"], &document["abort_reason"]), (&Value::Null, &Value::Null));
    assert_eq!(document["observability"], json!({"sources": []}));
}

#[test]
fn the_open_model_tells_what_became_of_its_arrivals_and_the_closed_one_knows_of_none() {
    let plan = open_plan(json!({}));
    let log = vec![
        line("PointLookup|steady|ok", 2, &[90_000; 80]),
        line("PointLookup|steady|ok|service", 2, &[250; 80]),
        arrivals("steady", 2, [100, 90, 30, 0, 80]),
        arrivals("steady", 4, [100, 60, 40, 2, 60]),
    ];
    let summary = merge(&plan, &[log, vec![]], false);
    let verdict = judge(&plan, &summary, &facts(), &[], None);
    let collected_at = "2026-03-08T00:01:30Z".parse().unwrap();
    let report =
        Report { plan: &plan, summary: &summary, verdict: &verdict, facts: &facts(), samples: &[], sources: &[], comparison: None, trend: None, collected_at };
    let open = report.to_json();
    let ours = &open["crucible"];
    assert_eq!(
        ours["arrivals"]["measured"],
        json!({"due": 200, "sent": 150, "late": 70, "behind": 2, "begun": 140, "dropped": 50, "achievedRate": 0.7, "droppedShare": 0.25})
    );
    assert_eq!((&ours["arrivals"]["stages"][1]["stage"], &ours["arrivals"]["stages"][0]["achievedRate"]), (&json!("steady"), &Value::Null));
    assert_eq!((&ours["queries"][0]["latencyMicros"]["p50"], &ours["queries"][0]["serviceMicros"]["p50"]), (&json!(90_047), &json!(250)));
    assert_eq!(ours["timeline"]["points"][2]["arrivals"], json!({"due": 100, "sent": 90, "late": 30, "behind": 0}));
    let vus = open["k6"]["metrics"].as_array().unwrap().iter().find(|metric| metric["name"] == "vus").unwrap();
    assert_eq!((&vus["stats"]["min"], &vus["stats"]["max"]), (&json!(16.0), &json!(16.0)));
    let closed = document(&facts());
    let closed = &closed["crucible"];
    assert!([&closed["arrivals"], &closed["queries"][0]["serviceMicros"], &closed["timeline"]["points"][2]["arrivals"]].iter().all(|value| value.is_null()));
}

#[test]
fn k6s_metrics_are_those_of_the_measured_stages_in_milliseconds() {
    let document = document(&facts());
    let metrics: Vec<_> = document["k6"]["metrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|metric| (metric["name"].as_str().unwrap(), metric["type"].as_str().unwrap(), metric["stats"].clone()))
        .collect();
    let expected = [
        (
            "sql_duration_PointLookup",
            "trend",
            json!({"count": 80, "min": 0.25, "max": 0.25, "avg": 0.25, "med": 0.25, "p90": 0.25, "p95": 0.25, "p99": 0.25, "rate": 10.0}),
        ),
        (
            "sql_duration_CountAll",
            "trend",
            json!({"count": 20, "min": 0.02, "max": 0.02, "avg": 0.02, "med": 0.02, "p90": 0.02, "p95": 0.02, "p99": 0.02, "rate": 2.5}),
        ),
        ("query_errors", "rate", json!({"count": 100, "min": 0.0, "max": 1.0, "avg": 0.2, "med": 0.0, "p90": 1.0, "p95": 1.0, "p99": 1.0, "rate": 0.2})),
        ("iterations", "counter", json!({"count": 100, "min": 1.0, "max": 1.0, "avg": 1.0, "med": 1.0, "p90": 1.0, "p95": 1.0, "p99": 1.0, "rate": 12.5})),
        (
            "iteration_duration",
            "trend",
            json!({"count": 100, "min": 0.02, "max": 0.25, "avg": 0.204, "med": 0.25, "p90": 0.25, "p95": 0.25, "p99": 0.25, "rate": 12.5}),
        ),
        ("vus", "gauge", json!({"count": 8, "min": 8.0, "max": 14.0, "avg": 9.75, "med": 8.0, "p90": 14.0, "p95": 14.0, "p99": 14.0, "rate": 0.0})),
        ("checks", "rate", json!({"count": 100, "min": 0.0, "max": 1.0, "avg": 0.8, "med": 1.0, "p90": 1.0, "p95": 1.0, "p99": 1.0, "rate": 0.8})),
    ];
    assert_eq!(metrics, expected);
}

#[test]
fn an_abort_and_missing_workers_are_said_where_clients_look() {
    let ended = |reason: &str| Some(EndedEarly { reason: reason.into(), message: "The error rate was 61 % over 10s".into() });
    let aborted = document(&Facts { ended_early: ended("AbortRuleFired"), ..facts() });
    assert_eq!(aborted["abort_reason"], "The error rate was 61 % over 10s");
    assert_eq!(aborted["crucible"]["verdict"]["outcome"], "Aborted");
    assert_eq!(document(&Facts { ended_early: ended("StopRequested"), ..facts() })["abort_reason"], Value::Null);
    let partial = document(&Facts { merged_workers: 1, ..facts() });
    assert_eq!(partial["collection_error"], "Results of 1 of 2 workers are missing.");
    let without = document(&Facts { without_raw_samples: vec![0, 1], ..facts() });
    assert_eq!(without["collection_error"], "Raw samples of worker 0 are missing. Raw samples of worker 1 are missing.");
    assert_eq!(partial["crucible"]["partial"], true);
}

#[test]
fn what_prometheus_said_stands_beside_and_what_went_wrong_is_one_sentence_more() {
    let source = serde_json::from_value(json!({"name": "engine", "url": "http://elsewhere:9090", "metrics": [{"name": "qps", "query": "up"}]})).unwrap();
    let refused = SourceReading::of(&source, None);
    let document = document_with(&Facts { merged_workers: 1, ..facts() }, &[refused]);
    assert_eq!(document["observability"], json!({"sources": [{"name": "engine", "url": "http://elsewhere:9090", "metrics": []}]}));
    assert_eq!(document["collection_error"], "Results of 1 of 2 workers are missing. Prometheus source \"engine\" is not on the operator's list.");
}

#[test]
fn our_own_sections_hold_rows_timeline_and_verdict() {
    let crucible = document(&facts())["crucible"].take();
    assert_eq!(crucible["plan"]["digest"], "d1".repeat(32));
    assert_eq!(crucible["plan"]["target"], json!({"engine": "mysql", "endpoint": "mariadb.sut.svc:3306", "database": "shop", "tls": "verify"}));
    assert_eq!(
        crucible["headline"],
        json!({
            "query": null, "stage": null, "measured": true, "seconds": 8.0, "ok": 80, "errors": 20, "errorsByClass": {"timeout": 20}, "throughput": 10.0, "errorRate": 0.2,
            "latencyMicros": {"count": 80, "min": 250, "mean": 250.0, "p50": 250, "p90": 250, "p95": 250, "p99": 250, "p999": 250, "max": 250},
            "failedLatencyMicros": {"timeout": {"count": 20, "min": 20, "mean": 20.0, "p50": 20, "p90": 20, "p95": 20, "p99": 20, "p999": 20, "max": 20}},
        })
    );
    let rows = |key: &str| {
        crucible[key].as_array().unwrap().iter().map(|row| (row["query"].as_str(), row["stage"].as_str(), row["ok"].as_u64().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(rows("stages"), [(None, Some("warmup"), 7), (None, Some("steady"), 80), (None, Some("peak"), 0)]);
    assert_eq!(rows("queries"), [(Some("PointLookup"), None, 80), (Some("CountAll"), None, 0)]);
    assert_eq!(
        rows("queriesByStage"),
        [(Some("PointLookup"), Some("warmup"), 7), (Some("PointLookup"), Some("steady"), 80), (Some("CountAll"), Some("peak"), 0)]
    );
    assert_eq!(crucible["timeline"]["points"].as_array().unwrap().len(), 7);
    assert_eq!(
        crucible["timeline"]["points"][2],
        json!({"second": 2, "ok": 80, "errors": 0, "errorsByClass": {}, "latencyMicros": {"p50": 250, "p95": 250, "p99": 250, "max": 250}, "reconnects": 0})
    );
    assert_eq!(
        crucible["workers"]["logs"],
        json!([{"ok": 87, "errors": 20, "lastSecond": 6, "activeSeconds": 3}, {"ok": 0, "errors": 0, "lastSecond": null, "activeSeconds": 0}])
    );
    assert_eq!(crucible["errorSamples"][0]["query"], "CountAll");
    assert_eq!(crucible["verdict"]["outcome"], "Passed");
}

#[test]
fn rounds_have_their_figures_and_their_spread() {
    let mut plan: FrozenPlan = plan(json!({}));
    plan.spec.load.repeat = 2;
    plan.spec = crate::load::rounds::carried_out(&plan.spec);
    let log = vec![line("PointLookup|steady#1|ok", 2, &[250; 80]), line("PointLookup|steady#2|ok", 12, &[350; 160])];
    let summary = merge(&plan, &[log, vec![]], false);
    let facts = facts();
    let verdict = judge(&plan, &summary, &facts, &[], None);
    let report = Report {
        plan: &plan,
        summary: &summary,
        verdict: &verdict,
        facts: &facts,
        samples: &[],
        sources: &[],
        comparison: None,
        trend: None,
        collected_at: "2026-03-08T00:01:30Z".parse().unwrap(),
    };
    let document = report.to_json();
    let rounds = &document["crucible"]["rounds"];
    assert_eq!(rounds["count"], 2);
    assert_eq!(
        rounds["rounds"][1]["rows"][0],
        json!({"query": null, "seconds": 8.0, "ok": 160, "errors": 0, "throughput": 20.0, "errorRate": 0.0, "p50Micros": 350, "p95Micros": 350, "p99Micros": 350})
    );
    assert_eq!(rounds["spread"][1]["query"], "PointLookup");
    assert_eq!(
        rounds["spread"][1]["throughput"],
        json!({"rounds": 2, "min": 10.0, "median": 15.0, "max": 20.0, "coefficientOfVariation": f64::sqrt(50.0) / 15.0})
    );
    assert_eq!(document["crucible"]["stagesOverRounds"][1]["stage"], "steady");
    assert_eq!(document["crucible"]["stagesOverRounds"][1]["ok"], 240);
    let text = report.to_markdown();
    assert!(text.contains("| 2 | 160 | 0 | 20.0 | 350us |"), "{text}");
    assert!(text.contains("| PointLookup | 10.0, 15.0, 20.0; 47.1 % |"), "{text}");
    assert!(text.contains("warmup 2s 4 users, steady 3s 8 users, peak 5s to 16 users, 2 times"), "{text}");
    let page = report.to_html();
    assert!(page.contains("<a href=\"#rounds\">Rounds</a>") && page.contains("round 2") && page.contains("± 47.1 %"));
}
