use serde_json::{Value, json};

use super::*;
use crate::legacy::{cluster_spec, plan};

const PLAN: &str = r#"
test_metadata: {run_label: nightly}
test_environment:
  env_type: long-lived
  target_db: shop
  component_spec: {type: doris, cluster_info: {host: "doris-fe:9030", username: root, password: hunter2}}
  observability:
    prometheus_sources: [{name: engine, url: "http://prometheus:9090", metrics: [{name: qps, query: up}]}]
execution:
  executor: k6
  scaling_mode: inter_node
  concurrency: 10
  ramp_up: 30s
  hold_for: 5m
  workload: [{workload_id: shop-queries}, {workload_id: more}]
k6_prometheus_rw_server_url: "http://prometheus:9090/api/v1/write"
"#;

const FACTS: Facts<'_> = Facts { plan_name: "checkout", label: None, by_name: false, cluster_spec: None, secret: "checkout-login" };

fn translated(text: &str, facts: &Facts<'_>) -> Translation {
    plan::parse(text).unwrap().translate(facts).unwrap()
}

fn refused(text: &str, facts: &Facts<'_>) -> Vec<String> {
    plan::parse(text).unwrap().translate(facts).unwrap_err().iter().map(ToString::to_string).collect()
}

fn cluster(value: &Value) -> ClusterSpec {
    cluster_spec::parse(value).unwrap()
}

#[test]
fn a_plan_becomes_the_test_plan_that_does_what_it_says() {
    let cluster = cluster(&json!({"type": "doris", "backend_node": {"replica": 3}}));
    let Translation { plan_spec, credentials, run_label, sut_type, scaling_mode, workers, cluster_spec } =
        translated(PLAN, &Facts { cluster_spec: Some(&cluster), ..FACTS });
    let expected = json!({
        "target": {"engine": "doris", "endpoint": "doris-fe:9030", "database": "shop", "credentialsRef": {"name": "checkout-login"}, "tls": {"mode": "disable"}},
        "workload": {"source": {"objects": [{"key": "workloads/shop-queries"}, {"key": "workloads/more"}]}},
        "load": {
            "workers": 3, "model": "closed", "queryTimeout": "600s", "resources": {},
            "stages": [
                {"name": "ramp-up", "duration": "30s", "vus": 10, "ramp": true, "measured": false},
                {"name": "steady", "duration": "5m", "vus": 10, "ramp": false, "measured": true},
            ],
        },
        "validity": {"minQueries": 30},
        "abort": [{"metric": "errorRate", "above": 0.5, "over": "10s", "after": "10s"}],
        "observe": {"prometheus": [{"name": "engine", "url": "http://prometheus:9090", "metrics": [{"name": "qps", "query": "up"}], "resolution": "15s", "maxPoints": 500}]},
        "results": {"rawSamples": true, "remoteWrite": {"url": "http://prometheus:9090/api/v1/write"}},
        "deadlines": {"queue": "86400s", "fixtures": "86400s", "barrier": "600s", "drain": "30s", "collect": "1800s"},
    });
    assert_eq!(serde_json::to_value(&plan_spec).unwrap(), expected);
    assert_eq!(credentials, Credentials { username: "root".to_owned(), password: Some("hunter2".to_owned()) });
    assert_eq!((&*run_label, &*sut_type, scaling_mode.as_str(), workers), ("checkout", "doris", "inter_node", 3));
    assert_eq!(Value::Object(cluster_spec.as_map().clone()), json!({"type": "doris", "backend_node": {"replica": 3}}));
}

#[test]
fn what_becomes_of_a_plan_can_be_run() {
    const MORE: &str = "-- @type: sql\n-- @name: Two\nSELECT 2\n";
    let workload = "-- @type: sql\n-- @name: One\nSELECT 1\n";
    assert!(crate::plan::resolve(&translated(PLAN, &FACTS).plan_spec, &[workload, MORE]).is_ok());
    let wants_data = PLAN.replace("  observability:", "  fixtures: [{fixture_id: shop-orders, table: orders}]\n  observability:");
    assert!(crate::plan::resolve(&translated(&wants_data, &FACTS).plan_spec, &[workload, MORE]).is_ok());
}

#[test]
fn workers_are_one_or_as_many_as_backend_nodes_and_each_has_a_user() {
    let cases = [
        ("inter_node", 1, Some(json!({"type": "doris", "backend_node": {"replica": 2}})), (2, 2)),
        ("inter_node", 10, Some(json!({"type": "doris", "backend_node": {"replica": 3}})), (3, 10)),
        ("inter_node", 10, Some(json!({"type": "doris", "backend_node": {}})), (1, 10)),
        ("inter_node", 10, None, (1, 10)),
        ("intra_node", 10, Some(json!({"type": "doris", "backend_node": {"replica": 3}})), (1, 10)),
    ];
    for (mode, users, spec, expected) in cases {
        let text = PLAN.replace("inter_node", mode).replace("concurrency: 10", &format!("concurrency: {users}"));
        let spec = spec.as_ref().map(cluster);
        let load = translated(&text, &Facts { cluster_spec: spec.as_ref(), ..FACTS }).plan_spec.load;
        assert_eq!((load.workers, load.stages[1].vus.unwrap()), expected, "{mode} {users}");
    }
}

#[test]
fn an_absent_cluster_spec_stands_for_the_type_of_the_plan() {
    assert_eq!(Value::Object(translated(PLAN, &FACTS).cluster_spec.as_map().clone()), json!({"type": "doris"}));
}

#[test]
fn another_type_than_the_plans_does_not_match() {
    let trino = cluster(&json!({"type": "trino"}));
    assert_eq!(
        refused(PLAN, &Facts { cluster_spec: Some(&trino), ..FACTS }),
        ["cluster_spec.type: cluster_spec type 'trino' does not match the plan's component_spec type 'doris'"]
    );
}

#[test]
fn more_users_than_a_worker_can_run_are_refused() {
    let text = PLAN.replace("concurrency: 10", "concurrency: 20001");
    let two = cluster(&json!({"type": "doris", "backend_node": {"replica": 2}}));
    assert_eq!(
        refused(&text, &Facts { cluster_spec: Some(&two), ..FACTS }),
        ["execution.concurrency: 20001 virtual users are too many for 2 workers; one can run 10000: use inter_node and more backend nodes"]
    );
}

#[test]
fn a_run_is_labelled_by_its_request_its_plan_or_the_plans_name() {
    let unlabelled = PLAN.replace("test_metadata: {run_label: nightly}", "");
    let cases = [
        (PLAN, Some("mine"), true, "mine"),
        (PLAN, Some("mine"), false, "mine"),
        (PLAN, Some(""), true, "nightly"),
        (PLAN, None, true, "nightly"),
        (PLAN, None, false, "checkout"),
        (&*unlabelled, None, true, "checkout"),
    ];
    for (text, label, by_name, expected) in cases {
        assert_eq!(translated(text, &Facts { label, by_name, ..FACTS }).run_label, expected);
    }
    for (label, message) in [("a\u{0}b", "label: a label has no control characters"), (&*"x".repeat(257), "label: a label has at most 256 characters")] {
        assert_eq!(refused(PLAN, &Facts { label: Some(label), ..FACTS }), [message]);
    }
}

#[test]
fn the_load_lasts_at_least_a_second_and_ramps_only_where_asked() {
    let stages = |ramp: &str, hold: &str| {
        let text = PLAN.replace("ramp_up: 30s", &format!("ramp_up: {ramp}")).replace("hold_for: 5m", &format!("hold_for: {hold}"));
        translated(&text, &FACTS).plan_spec.load.stages.iter().map(|stage| format!("{} {}", stage.name, stage.duration)).collect::<Vec<_>>()
    };
    assert_eq!(stages("0s", "500ms"), ["steady 1s"]);
    assert_eq!(stages("1ms", "1.5h"), ["ramp-up 1s", "steady 1.5h"]);
}

#[test]
fn failure_detection_becomes_a_rule_or_none() {
    let rule = |detection: &str| {
        let text = PLAN.replace("execution:\n", &format!("execution:\n  failure_detection: {detection}\n"));
        translated(&text, &FACTS)
            .plan_spec
            .abort
            .iter()
            .map(|rule| format!("above {} over {} after {}", rule.above.unwrap(), rule.over, rule.after))
            .collect::<Vec<_>>()
    };
    assert_eq!(rule("{enabled: false}"), Vec::<String>::new());
    assert_eq!(rule("{error_rate_threshold: 0.25, abort_delay: 0s}"), ["above 0.25 over 10s after 0s"]);
    assert_eq!(rule("{error_rate_threshold: 1}"), ["above 0.999999 over 10s after 10s"]);
}

#[test]
fn the_mask_leaves_the_password_as_it_is_kept() {
    let kept = translated(&plan::masked(PLAN).unwrap(), &FACTS).credentials;
    assert_eq!(kept, Credentials { username: "root".to_owned(), password: None });
    assert_eq!(format!("{kept:?}"), r#"Credentials { username: "root", password: "[kept]" }"#);
    assert_eq!(format!("{:?}", translated(PLAN, &FACTS).credentials), r#"Credentials { username: "root", password: "[redacted]" }"#);
}

#[test]
fn experiments_become_faults_one_after_another() {
    let experiment = |name: &str, start: &str| {
        format!(
            "{{name: {name}, fault_type: podchaos, parameters: {{action: pod-kill}}, target: {{env_type: k8s, namespace: sut, selector: {{app: be}}}}, schedule: {{start_after: {start}, duration: 1m}}}}"
        )
    };
    let text = format!("{PLAN}chaos_spec: {{experiments: [{}, {}]}}\n", experiment("kill-be", "10s"), experiment("Kill again", "1.5s"));
    let faults = |text: &str| translated(text, &FACTS).plan_spec.faults;
    let expected = json!([
        {"name": "kill-be", "start": {"stage": "ramp-up", "after": "10s"}, "duration": "1m",
            "target": {"pods": {"namespaces": ["sut"], "labelSelectors": {"app": "be"}}, "mode": "all"}, "chaos": {"podChaos": {"action": "pod-kill"}}},
        {"name": "kill-again-7d3a7718d4", "start": {"stage": "ramp-up", "after": "71s500ms"}, "duration": "1m",
            "target": {"pods": {"namespaces": ["sut"], "labelSelectors": {"app": "be"}}, "mode": "all"}, "chaos": {"podChaos": {"action": "pod-kill"}}},
    ]);
    assert_eq!(serde_json::to_value(faults(&text)).unwrap(), expected);
    assert_eq!(faults(&text.replace("ramp_up: 30s", "ramp_up: 0s"))[0].start.stage.as_deref(), Some("steady"));
}
