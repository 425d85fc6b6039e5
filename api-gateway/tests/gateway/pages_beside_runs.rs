//! Pages of plans, of datasets, and of two runs side by side.

use crucible_store::ledger::memory::foreign_row;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    harness::{NAMESPACE, World},
    pages::{HOSTILE, page, put, shows},
};

const STORED: &str = "test_environment:\n  env_type: long-lived\n  target_db: shop\n  component_spec:\n    type: mysql\n    cluster_info: {host: \"db:3306\", username: u, password: \"hunter2 # <b>\"}\n\
    execution: {executor: k6, scaling_mode: intra_node, concurrency: 10, ramp_up: 30s, hold_for: 5m, workload: [{workload_id: shop}]}\n";

fn plan(name: &str) -> Value {
    json!({
        "apiVersion": "crucible.dev/v1alpha1", "kind": "TestPlan", "metadata": {"name": name},
        "spec": {
            "target": {"engine": "mysql", "endpoint": "db:3306", "database": "shop", "credentialsRef": {"name": "shop"}},
            "workload": {"source": {"inline": "-- @name: A\nSELECT '</pre><script>';"}},
            "load": {"workers": 2, "stages": [{"name": "warmup", "duration": "10s", "vus": 4, "measured": false}, {"name": "steady", "duration": "1m", "vus": 8, "ramp": true}]},
            "slos": [{"metric": "p99", "query": "A", "below": "20ms"}, {"metric": "errorRate", "atMost": 0.001}],
            "faults": [{"name": "kill", "start": {"stage": "steady", "after": "15s"}, "duration": "10s", "chaos": {"podChaos": {"action": "pod-kill"}}}]
        },
        "status": {"queries": 1, "conditions": [{"type": "Accepted", "status": "False", "reason": "x", "message": "the workload <is> missing"}]}
    })
}

#[tokio::test]
async fn plans_of_both_kinds_are_listed_and_copies_of_runs_are_not() {
    let world = World::open().await;
    shows(&page(&world, "/ui/plans", 200).await, &["There is no TestPlan here", "No plan is stored."]);
    world.cluster.put("testplans", NAMESPACE, &plan("checkout"));
    let mut copy = plan("checkout-0123456789abcdef");
    copy["metadata"]["labels"] = json!({"crucible.dev/plan-content": "0123456789abcdef"});
    world.cluster.put("testplans", NAMESPACE, &copy);
    for key in ["plans/Check_out.v2", "plans/made by <hand>"] {
        put(&world, key, STORED).await;
    }
    let list = page(&world, "/ui/plans", 200).await;
    shows(
        &list,
        &[
            "<a href=\"/ui/plans/checkout\">checkout</a>",
            "<span class=\"mark bad\">✗ refused</span><br><span class=\"soft\">the workload &lt;is&gt; missing</span>",
            "1 that stand for stored plans",
            "<a href=\"/ui/plans/stored/Check_out.v2\">Check_out.v2</a>",
            "made by &lt;hand&gt;",
            "<a href=\"/ui/?plan=made+by+%3Chand%3E\">runs</a>",
        ],
    );
    assert!(!list.contains("checkout-0123456789abcdef"));
    world.vault.set_down(true);
    shows(&page(&world, "/ui/plans", 200).await, &["Object storage cannot be reached right now", "/ui/plans/checkout"]);
    world.vault.set_down(false);
    world.cluster.set_down(true);
    shows(&page(&world, "/ui/plans", 200).await, &["The cluster cannot be reached right now", "Check_out.v2"]);
}

#[tokio::test]
async fn many_stored_plans_are_read_page_by_page() {
    let world = World::open().await;
    for number in 0..130 {
        put(&world, &format!("plans/plan-{number:03}"), "x").await;
    }
    let first = page(&world, "/ui/plans", 200).await;
    shows(&first, &["plan-099</a>", "<a rel=\"next\" href=\"/ui/plans?stored=plan-099\">"]);
    assert!(!first.contains("plan-100</a>"));
    let second = page(&world, "/ui/plans?stored=plan-099", 200).await;
    shows(&second, &["plan-100</a>", "plan-129</a>"]);
    assert!(!second.contains("rel=\"next\"") && !second.contains("plan-099</a>"));
    page(&world, "/ui/plans?stored=%00", 422).await;
}

#[tokio::test]
async fn a_plan_is_shown_with_its_load_its_limits_and_its_faults() {
    let world = World::open().await;
    world.cluster.put("testplans", NAMESPACE, &plan("checkout"));
    let shown = page(&world, "/ui/plans/checkout", 200).await;
    shows(
        &shown,
        &[
            "TestPlan against db:3306: the workload &lt;is&gt; missing",
            "<th scope=\"row\">steady</th><td class=\"n\">1m</td><td class=\"n\">8 users</td><td>by a ramp</td><td>yes</td>",
            "<th scope=\"row\">p99</th><td>query A</td><td class=\"n\">&lt; 20ms</td>",
            "<th scope=\"row\">errorRate</th><td>everything measured</td><td class=\"n\">≤ 0.001</td>",
            "<th scope=\"row\">kill</th><td>podChaos</td><td>15s into steady</td><td class=\"n\">10s</td>",
            "&lt;/pre&gt;&lt;script&gt;",
            "<a class=\"button\" href=\"/ui/?plan=checkout\">",
        ],
    );
    for path in ["/ui/plans/nobody", "/ui/plans/..%2Fx", "/ui/plans/A", "/ui/plans/stored/nobody", "/ui/plans/stored/..%2Fx", "/ui/plans/stored/%ff"] {
        page(&world, path, 404).await;
    }
    world.cluster.set_down(true);
    page(&world, "/ui/plans/checkout", 503).await;
}

#[tokio::test]
async fn a_stored_plan_is_shown_without_its_password_or_not_at_all() {
    let world = World::open().await;
    put(&world, "plans/good", STORED).await;
    let good = page(&world, "/ui/plans/stored/good", 200).await;
    shows(&good, &["<dt>users</dt><dd>10</dd>", "<dt>hold</dt><dd>5m</dd>", "Against db:3306", "password: &quot;********&quot;"]);
    assert!(!good.contains("hunter2"));
    put(&world, "plans/wrong", &STORED.replace("concurrency: 10", "concurrency: none")).await;
    let wrong = page(&world, "/ui/plans/stored/wrong", 200).await;
    shows(&wrong, &["This plan cannot be run.", "<code>execution.concurrency</code>"]);
    assert!(!wrong.contains("hunter2"));
    put(&world, "plans/broken", "password: hunter2\n\t- [").await;
    let broken = page(&world, "/ui/plans/stored/broken", 200).await;
    shows(&broken, &["The text cannot be read, so it is not shown"]);
    assert!(!broken.contains("hunter2"));
}

#[tokio::test]
async fn datasets_are_listed_with_their_files_and_sizes() {
    let world = World::open().await;
    shows(&page(&world, "/ui/fixtures", 200).await, &["No dataset was uploaded.", "There is no Fixture object"]);
    for (key, content) in [("fixtures/shop/orders-1.csv", "1,2,3"), ("fixtures/shop/orders-2.csv", "4"), ("fixtures/made by <hand>/a.csv", "x")] {
        put(&world, key, content).await;
    }
    let fixture = json!({"metadata": {"name": "orders"}, "spec": {"source": {"prefix": "fixtures/orders/"}, "format": "parquet"}, "status": {"rows": 1_234_567, "bytes": 2048}});
    world.cluster.put("fixtures", NAMESPACE, &fixture);
    shows(
        &page(&world, "/ui/fixtures", 200).await,
        &[
            "<a href=\"/ui/fixtures/shop\">shop</a></th><td class=\"n\">2</td><td class=\"n\">6 B</td>",
            "<th scope=\"row\">made by &lt;hand&gt;</th>",
            "<td class=\"n\">1,234,567</td><td class=\"n\">2.0 KiB</td>",
        ],
    );
    shows(&page(&world, "/ui/fixtures/shop", 200).await, &["fixtures/shop/", "orders-1.csv</span></th><td class=\"n\">5 B</td>"]);
    for number in 0..210 {
        put(&world, &format!("fixtures/long/part-{number:03}"), "x").await;
    }
    let first = page(&world, "/ui/fixtures/long", 200).await;
    shows(&first, &["part-199<", "<a rel=\"next\" href=\"/ui/fixtures/long?after=part-199\">"]);
    let rest = page(&world, "/ui/fixtures/long?after=part-199", 200).await;
    assert!(rest.contains("part-209<") && !rest.contains("part-199<") && !rest.contains("rel=\"next\""));
    page(&world, "/ui/fixtures/nothing", 404).await;
    page(&world, "/ui/fixtures/a%2F..%2Fb", 422).await;
    page(&world, "/ui/fixtures?after=%00", 422).await;
    world.cluster.set_down(true);
    shows(&page(&world, "/ui/fixtures", 200).await, &["The cluster cannot be reached right now", "/ui/fixtures/shop"]);
    world.vault.set_down(true);
    page(&world, "/ui/fixtures", 503).await;
}

/// What a run measured whose latencies are so large.
fn results(version: &str, p95: u64) -> Value {
    let latency = json!({"p50": 1000, "p95": p95, "p99": 9000});
    json!({"crucible": {
        "plan": {"name": "checkout", "digest": "9f9f9f", "target": {"engine": "mysql", "endpoint": "db:3306"}}, "serverVersion": version,
        "headline": {"throughput": 1000.0, "errorRate": 0.0, "latencyMicros": latency},
        "queries": [{"query": "Lookup", "throughput": 1000.0, "errorRate": 0.0, "latencyMicros": latency}],
        "timeline": {"secondsPerPoint": 1, "points": [{"second": 0, "ok": 990, "latencyMicros": {"p95": p95}}, {"second": 1, "ok": 1010, "latencyMicros": {"p95": p95}}]}
    }})
}

#[tokio::test]
async fn two_runs_are_shown_side_by_side_with_what_differs() {
    let world = World::open().await;
    for name in ["one", "other", "third"] {
        world.ledger.insert(foreign_row(&format!("{name}_1"), "COMPLETED", Timestamp::UNIX_EPOCH));
    }
    shows(&page(&world, "/ui/compare", 200).await, &["Name two runs that have ended.", "<option value=\"one_1\">"]);
    shows(&page(&world, "/ui/compare?one=one_1", 200).await, &["Name the other run as well."]);
    let both = "/ui/compare?one=one_1&other=other_1";
    shows(&page(&world, both, 200).await, &["has left no results"]);
    put(&world, "results/one_1/results.json", &results("11.4", 5000).to_string()).await;
    let mut later = results("11.8", 6000);
    put(&world, "results/other_1/results.json", &later.to_string()).await;
    shows(
        &page(&world, both, 200).await,
        &[
            "A difference here may be chance.",
            "<tr class=\"open\"><th scope=\"row\">version</th><td>11.4</td><td>11.8</td><td><span class=\"mark open\">differs</span></td>",
            "<th scope=\"row\">Lookup</th>",
            "5.00ms → 6.00ms<br><span class=\"soft\">+20.0 %</span>",
            "1,000 → 1,000<br><span class=\"soft\">0.0 %</span>",
            "role=\"img\"",
        ],
    );
    later["crucible"]["comparison"] = json!({"change": "Slower", "baseline": {"runId": "one_1"}});
    put(&world, "results/other_1/results.json", &later.to_string()).await;
    shows(&page(&world, both, 200).await, &["<span class=\"mark bad\">✗ Slower</span>", "/ui/runs/other_1/report#comparison"]);
    let k6 = json!({"k6": {"metrics": [{"name": format!("sql_duration_{HOSTILE}"), "stats": {"rate": 4.0, "med": 1.0, "p95": 2.0, "p99": 3.0}}]}});
    put(&world, "results/third_1/results.json", &k6.to_string()).await;
    let odd = page(&world, "/ui/compare?one=one_1&other=third_1", 200).await;
    assert!(odd.contains("&lt;img src=x") && odd.contains("– → 2.00ms") && !odd.contains("<img"), "{odd}");
    put(&world, "results/third_1/results.json", "{").await;
    shows(&page(&world, "/ui/compare?one=third_1&other=one_1", 200).await, &["has left results that cannot be read"]);
    for (query, status) in [("one=nobody_1&other=one_1", 404), ("one=..%2Fx&other=one_1", 422), ("one=one_1&one=one_1", 422)] {
        page(&world, &format!("/ui/compare?{query}"), status).await;
    }
    world.vault.set_down(true);
    page(&world, both, 503).await;
}
