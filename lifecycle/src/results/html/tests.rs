use crucible_crds::test_run::EndedEarly;
use serde_json::json;

use super::*;
use crate::{
    contract::FrozenPlan,
    results::{
        Facts, FaultFact, Merger, SampleGroup,
        observability::{Series, SourceReading},
        sample::{arrivals, drain, line, merge, open_plan, plan},
        windows,
    },
    verdict::judge,
};

/// The page of a run with these logs.
fn page_of(plan: &FrozenPlan, log: Vec<String>, facts: &Facts, samples: &[SampleGroup]) -> String {
    let planned = plan.spec.load.stages.iter().map(|stage| stage.duration.span().as_secs()).sum();
    let summary = drain(Merger::new(plan, 2).with_windows(windows(&facts.faults, planned)), &[log, vec![]], facts.ended_early.is_some());
    let verdict = judge(plan, &summary, facts, &[], None);
    let collected_at = "2026-03-08T00:01:30Z".parse().unwrap();
    Report { plan, summary: &summary, verdict: &verdict, facts, samples, sources: &[], comparison: None, trend: None, collected_at }.to_html()
}

fn facts() -> Facts {
    Facts { expected_workers: 2, merged_workers: 2, ..Facts::default() }
}

fn position(page: &str, of: &str) -> usize {
    page.find(of).unwrap_or_else(|| panic!("{of} is missing"))
}

#[test]
fn the_verdict_its_reason_and_where_to_look_next_come_before_anything_else() {
    let plan = plan(json!({"slos": [{"metric": "p95", "query": "PointLookup", "below": "1ms"}]}));
    let page = page_of(&plan, vec![line("PointLookup|steady|ok", 2, &[1_250; 80])], &facts(), &[]);
    let places = [
        "<span class=\"word\">✗ Failed</span>",
        "p95 of PointLookup was 1.25ms, the limit is &lt; 1ms",
        "Look at <a href=\"#latency\">",
        "<dl class=\"figures\">",
        "<nav",
    ];
    let places = places.map(|place| position(&page, place));
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn the_open_model_shows_what_became_of_arrivals_and_what_waiting_added() {
    let log = || {
        vec![
            line("PointLookup|steady|ok", 2, &[90_000; 80]),
            line("PointLookup|steady|ok|service", 2, &[250; 80]),
            arrivals("steady", 2, [100, 90, 30, 0, 80]),
            arrivals("steady", 4, [100, 60, 40, 2, 60]),
        ]
    };
    let page = page_of(&open_plan(json!({})), log(), &facts(), &[]);
    for part in [
        "The load that was asked for was not reached",
        "The open model: queries arrive as planned",
        "arrivals per second, as planned",
        "late arrivals per second",
        "<th scope=\"row\">steady</th><td class=\"n\">200</td><td class=\"n\">140</td><td class=\"n\">70.00 %</td><td class=\"n\">70</td><td class=\"n\">50</td><td class=\"n\">2</td>",
        "Response times begin when the arrival was due",
        "<td class=\"n\">90.0ms</td><td class=\"n\">250us</td>",
        "class=\"trace s1 service\"",
        "steady 3s 100/s, peak 5s to 200/s, regular arrivals, at most 16 users",
    ] {
        position(&page, part);
    }
    let closed = page_of(&plan(json!({})), vec![line("PointLookup|steady|ok", 2, &[1_250; 80])], &facts(), &[]);
    for part in ["open model", "rrivals", "service time"] {
        assert!(!closed.contains(part), "the closed model has no {part}");
    }
}

#[test]
fn whoever_looks_for_errors_is_told_when_they_came() {
    let plan = plan(json!({"slos": [{"metric": "errorRate", "atMost": 0.001}]}));
    let log =
        vec![line("PointLookup|steady|ok", 2, &[1_250; 80]), line("PointLookup|steady|connection", 3, &[9; 20]), line("CountAll|peak|timeout", 6, &[20; 4])];
    let page = page_of(&plan, log, &facts(), &[]);
    assert!(page.contains("<a href=\"#load\">when they came</a>, all of them between 3 s and 7 s after the start."));
}

#[test]
fn a_fault_is_marked_in_the_charts_and_its_recovery_is_told() {
    let plan = plan(json!({"load": {"workers": 2, "stages": [{"name": "steady", "duration": "60s", "vus": 8}]},
        "slos": [{"metric": "recoveryTime", "fault": "kill", "below": "2s"}]}));
    let log = (0..60).map(|second| {
        if (20..25).contains(&second) { line("PointLookup|steady|connection", second, &[9; 10]) } else { line("PointLookup|steady|ok", second, &[1_250; 80]) }
    });
    let fault = FaultFact { name: "kill".into(), kind: "PodChaos".into(), confirmed: true, targets: 1, from: Some(20.4), to: Some(20.4), message: None };
    let page = page_of(&plan, log.collect(), &Facts { faults: vec![fault], ..facts() }, &[]);
    for said in [
        "Look at <a href=\"#faults\">what was broken and what came of it</a> next.",
        "<a href=\"#faults\">Faults</a>",
        // The 21st of 60 seconds, on a line from 62 to 988.
        "<rect class=\"fault\" x=\"376.8\"",
        "<tr><th scope=\"row\">kill<br><span class=\"soft\">PodChaos</span></th><td><span class=\"mark good\">✓ 1 target</span></td><td class=\"n\">20 s</td><td class=\"n\">20 s</td><td class=\"n\">0.0 s</td><td class=\"n\">5.0 s</td><td class=\"n\">50</td><td class=\"n\">0</td>",
        "after kill, 21 s to 1:00",
    ] {
        assert!(page.contains(said), "{said}");
    }
    let open = FaultFact { name: "kill".into(), message: Some("never confirmed".into()), ..FaultFact::default() };
    let page = page_of(&plan, vec![line("PointLookup|steady|ok", 2, &[1_250; 80])], &Facts { faults: vec![open], ..facts() }, &[]);
    assert!(page.contains("A fault was not confirmed") && page.contains("? not confirmed</span><br><span class=\"soft\">never confirmed</span>"));
}

#[test]
fn what_prometheus_said_is_drawn_and_what_it_did_not_say_is_told() {
    let plan = plan(json!({}));
    let summary = merge(&plan, &[vec![line("PointLookup|steady|ok", 2, &[1_250; 80])], vec![]], false);
    let facts = Facts { started_at: Some("2026-03-08T00:00:00Z".parse().unwrap()), ..facts() };
    let verdict = judge(&plan, &summary, &facts, &[], None);
    let series = Series {
        metric: "<qps>".into(),
        query: "rate(queries[30s]) > 0".into(),
        labels: [("pod".to_owned(), "a&b".to_owned())].into(),
        values: vec![(1_772_928_000.into(), "0".into()), (1_772_928_005.into(), "40".into()), (1_772_928_010.into(), "20".into())],
    };
    let problems = vec!["Metric \"lag\" of Prometheus source \"engine\" was answered with status 422.".to_owned()];
    let sources = [SourceReading { name: "engine".into(), url: "http://prometheus:9090".into(), series: vec![series], problems }];
    let collected_at = "2026-03-08T00:01:30Z".parse().unwrap();
    let page = Report {
        plan: &plan,
        summary: &summary,
        verdict: &verdict,
        facts: &facts,
        samples: &[],
        sources: &sources,
        comparison: None,
        trend: None,
        collected_at,
    }
    .to_html();
    for said in [
        "<h4>&lt;qps&gt; <code class=\"soft\">rate(queries[30s]) &gt; 0</code></h4>",
        "was answered with status 422.",
        "<td class=\"n\">3</td><td class=\"n\">0</td><td class=\"n\">20</td><td class=\"n\">40</td><td class=\"n\">20</td>",
        "stroke-linecap=\"round\" d=\"M62.0 122.0L62.0 122.0L525.0 14.5L988.0 68.2\"",
        "<a href=\"#metrics\">",
    ] {
        assert!(page.contains(said), "{said}");
    }
}

#[test]
fn the_sections_stand_in_the_order_in_which_people_ask() {
    let page = page_of(&plan(json!({})), vec![line("PointLookup|steady|ok", 2, &[1_250; 80])], &facts(), &[]);
    let order = ["checks", "validity", "identity", "latency", "load", "spectrum", "queries", "stages", "workers", "samples"];
    let places: Vec<usize> = order.iter().map(|id| position(&page, &format!("<section id=\"{id}\""))).collect();
    assert!(places.is_sorted(), "{places:?}");
    for id in order {
        assert!(page.contains(&format!("<a href=\"#{id}\">")), "no link to {id}");
    }
    assert!(!page.contains("id=\"comparison\""), "nothing was compared");
}

#[test]
fn nothing_from_outside_can_become_markup() {
    let hostile = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u{202e}";
    let mut plan = plan(json!({}));
    hostile.clone_into(&mut plan.plan_name);
    hostile.clone_into(&mut plan.run.id);
    hostile.clone_into(&mut plan.run.name);
    hostile.clone_into(&mut plan.digest);
    plan.run.label = Some(hostile.to_owned());
    hostile.clone_into(&mut plan.queries[0].sql);
    let mut group =
        SampleGroup { query: hostile.into(), class: hostile.into(), code: hostile.into(), message: hostile.into(), count: 3, first_second: 1, first_worker: 0 };
    group.message.push_str("<!--");
    let ended_early = Some(EndedEarly { reason: "AbortRuleFired".into(), message: hostile.into() });
    let facts = Facts { server_version: Some(hostile.into()), ended_early, ..facts() };
    let page = page_of(&plan, vec![line("PointLookup|steady|ok", 2, &[1_250; 80])], &facts, &[group]);
    for forbidden in ["<script", "<img", "\u{202e}", "<!--", "onerror=alert(1)>\u{202e}"] {
        assert!(!page.contains(forbidden), "{forbidden:?}");
    }
    let quoted = page.matches("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&gt;&lt;img src=x").count();
    assert!(quoted >= 8, "it is shown, as text: {quoted}");
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_runs_nothing() {
    let page = page_of(&plan(json!({})), vec![line("PointLookup|steady|ok", 2, &[1_250; 80])], &facts(), &[]);
    for forbidden in ["http://", "https://", "src=", "<link", "@import", "url(", "javascript:"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn every_tag_that_is_opened_is_closed() {
    let plan = plan(json!({"slos": [{"metric": "p95", "below": "1ms"}]}));
    let log =
        vec![line("PointLookup|warmup|ok", 0, &[900; 8]), line("PointLookup|steady|ok", 2, &[1_250; 80]), line("CountAll|peak|timeout", 6, &[30_000_000; 20])];
    let page = page_of(&plan, log, &facts(), &[]);
    for tag in [
        "html", "head", "body", "main", "header", "section", "table", "thead", "tbody", "tr", "td", "figure", "svg", "details", "ul", "li", "dl", "p", "h2",
        "text", "div", "span", "a",
    ] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf"), "no drawing has a place that is no number");
}

#[test]
fn a_run_in_which_nothing_was_answered_still_has_a_page() {
    let dead = page_of(&plan(json!({})), vec![line("PointLookup|steady|connection", 2, &[50; 30])], &facts(), &[]);
    assert!(dead.contains("No query was answered, so there are no latencies."));
    let silent = page_of(&plan(json!({})), vec![], &facts(), &[]);
    assert!(silent.contains("? Inconclusive") && !silent.contains("NaN"));
}

#[test]
fn a_day_of_load_gives_no_larger_a_page_than_four_minutes() {
    let stages = |duration: &str| json!({"load": {"workers": 2, "stages": [{"name": "steady", "duration": duration, "vus": 8}]}});
    let size = |duration: &str, seconds: u64, step: usize| {
        let plan = plan(stages(duration));
        let latencies: Vec<u64> = (0..60).map(|number| 900 * (number + 1)).collect();
        let log = (0..seconds).step_by(step).map(|second| line("PointLookup|steady|ok", second, &latencies)).collect();
        page_of(&plan, log, &facts(), &[]).len()
    };
    let (short, long) = (size("240s", 240, 1), size("24h", 86_400, 60));
    assert!(long < short * 5 / 4 && short < 600_000, "{short} and {long} bytes");
}
