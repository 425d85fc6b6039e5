use proptest::prelude::*;
use serde_json::json;

use super::*;

const PLAN: &str = r#"
test_metadata: {run_label: nightly}
test_environment:
  env_type: long-lived
  target_db: shop
  component_spec:
    type: doris
    cluster_info: {host: "doris-fe:9030", username: root, password: "hunter2", http_port: 8030}
  fixtures: [{fixture_id: shop-orders, table: orders}]
  observability:
    prometheus_sources:
      - {name: engine, url: "http://prometheus:9090", metrics: [{name: qps, query: "sum(rate(q[1m]))"}], resolution: 30, max_data_points: 100}
execution:
  executor: k6
  scaling_mode: inter_node
  concurrency: 10
  ramp_up: 30s
  hold_for: 5m
  workload: [{workload_id: shop-queries}, {workload_id: more}]
  failure_detection: {enabled: true, error_rate_threshold: 0.25, abort_delay: 20s}
k6_prometheus_rw_server_url: "http://prometheus:9090/api/v1/write"
"#;

const LEAST: &str = "
test_environment: {env_type: long-lived, target_db: shop, component_spec: {type: mysql, cluster_info: {host: db, username: root}}}
execution: {concurrency: 1, hold_for: 3s, workload: [{workload_id: a}]}
";

/// The least plan with one value set or taken away, as JSON text.
fn changed(path: &str, value: Option<Value>) -> String {
    let mut plan = shown(LEAST).unwrap();
    let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
    let parent = parents.split('.').filter(|step| !step.is_empty()).fold(&mut plan, |place, step| &mut place[step]);
    match value {
        Some(value) => parent[last] = value,
        None => drop(parent.as_object_mut().unwrap().remove(last)),
    }
    text_of(&plan)
}

fn told(text: &str) -> Vec<String> {
    parse(text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_whole_plan_is_read() {
    let plan = parse(PLAN).unwrap();
    assert_eq!((plan.run_label.as_deref(), plan.engine, &*plan.target_db), (Some("nightly"), Engine::Doris, "shop"));
    assert_eq!((&*plan.host, &*plan.username, &plan.password), ("doris-fe:9030", "root", &Password::Given("hunter2".to_owned())));
    assert_eq!(plan.fixtures, [FixtureUse { fixture_id: "shop-orders".to_owned(), table: "orders".to_owned() }]);
    let source = &plan.sources[0];
    assert_eq!((&*source.name, &*source.url, source.resolution.to_string(), source.max_points), ("engine", "http://prometheus:9090", "30s".to_owned(), 100));
    assert_eq!((plan.scaling_mode, plan.concurrency), (ScalingMode::InterNode, 10));
    assert_eq!((plan.ramp_up.to_string(), plan.hold_for.to_string()), ("30s".to_owned(), "5m".to_owned()));
    assert_eq!(plan.workloads, ["shop-queries", "more"]);
    assert_eq!((plan.failure_detection.enabled, plan.failure_detection.abort_delay.to_string()), (true, "20s".to_owned()));
    assert_eq!(plan.remote_write.as_deref(), Some("http://prometheus:9090/api/v1/write"));
}

#[test]
fn what_is_left_out_is_as_it_always_was() {
    let plan = parse(LEAST).unwrap();
    assert_eq!((plan.password, plan.tls), (Password::Given(String::new()), crucible_crds::test_plan::TlsMode::Disable));
    assert_eq!((plan.scaling_mode, plan.ramp_up.span().as_secs()), (ScalingMode::IntraNode, 0));
    let FailureDetection { enabled, error_rate_threshold, abort_delay } = plan.failure_detection;
    assert_eq!((enabled, error_rate_threshold.to_string(), abort_delay.to_string()), (true, "0.5".to_owned(), "10s".to_owned()));
}

#[test]
fn the_same_plan_as_json_is_the_same_plan() {
    let value = json!({
        "test_environment": {"env_type": "long-lived", "target_db": "shop", "component_spec": {"type": "mysql", "cluster_info": {"host": "db", "username": "root", "password": null}}},
        "execution": {"concurrency": 1, "hold_for": "3s", "workload": [{"workload_id": "a"}], "failure_detection": null}, "chaos_spec": null,
    });
    assert_eq!(parse(&text_of(&value)), parse(LEAST));
}

#[test]
fn the_mask_means_the_password_that_is_kept() {
    assert_eq!(parse(&masked(PLAN).unwrap()).unwrap().password, Password::Kept);
    assert!(!format!("{:?}", parse(PLAN).unwrap()).contains("hunter2"));
}

#[test]
fn every_wrong_value_is_refused_with_its_place() {
    const INFO: &str = "test_environment.component_spec.cluster_info";
    let source = |more: Value| {
        let mut source = json!({"name": "a", "url": "http://p:9090", "metrics": [{"name": "q", "query": "up"}]});
        source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Some(json!({"prometheus_sources": [source]}))
    };
    let duration = "write a number with its unit, such as 500ms, 90s, 1.5h or 1h30m, at most 240h";
    let whole = "a whole number is needed here, in decimal digits and without quotes";
    let cases = [
        ("execution.concurrency", Some(json!(0)), "execution.concurrency: the number must be at least 1".to_owned()),
        ("execution.concurrency", Some(json!(-1)), "execution.concurrency: the number must be at least 1".to_owned()),
        ("execution.concurrency", Some(json!(1.5)), format!("execution.concurrency: {whole}")),
        ("execution.concurrency", Some(json!("50")), format!("execution.concurrency: {whole}")),
        ("execution.concurrency", Some(json!(2_147_483_648_u32)), "execution.concurrency: the number must be at most 100000".to_owned()),
        ("execution.concurrency", None, "execution.concurrency: the field is missing".to_owned()),
        ("execution.hold_for", Some(json!("")), format!("execution.hold_for: \"\" is not a duration: {duration}")),
        ("execution.hold_for", Some(json!(10)), format!("execution.hold_for: \"10\" is not a duration: {duration}")),
        ("execution.hold_for", Some(json!("0s")), "execution.hold_for: the load must last longer than 0s".to_owned()),
        ("execution.hold_for", Some(json!("25h")), "execution.hold_for: 25h is longer than 24h".to_owned()),
        ("execution.hold_for", Some(json!([])), "execution.hold_for: a duration is needed here, such as 500ms, 90s, 1.5h or 1h30m".to_owned()),
        ("execution.ramp_up", Some(json!("24h")), "execution.hold_for: ramp_up and hold_for must not be longer than 24h together".to_owned()),
        ("execution.ramp_up", Some(json!("-5m")), format!("execution.ramp_up: \"-5m\" is not a duration: {duration}")),
        ("execution.executor", Some(json!("jmeter")), "execution.executor: \"jmeter\" is not known here; known are k6, locust".to_owned()),
        ("execution.executor", Some(json!("locust")), "execution.executor: executor 'locust' is not available; use k6".to_owned()),
        ("execution.scaling_mode", Some(json!("outer")), "execution.scaling_mode: \"outer\" is not known here; known are intra_node, inter_node".to_owned()),
        ("execution.workload", Some(json!([])), "execution.workload: there must be at least one entry".to_owned()),
        (
            "execution.workload",
            Some(json!([{"workload_id": "a"}, {"workload_id": "a"}])),
            "execution.workload[1]: this workload stands before it already".to_owned(),
        ),
        (
            "execution.workload",
            Some(json!([{"workload_id": "../a"}])),
            "execution.workload[0].workload_id: the id of a workload begins with a letter or digit and has letters, digits, _ and -".to_owned(),
        ),
        ("execution.workload", Some(json!([{}])), "execution.workload[0].workload_id: the field is missing".to_owned()),
        (
            "execution.failure_detection",
            Some(json!({"error_rate_threshold": 0})),
            "execution.failure_detection.error_rate_threshold: the share must be above 0".to_owned(),
        ),
        (
            "execution.failure_detection",
            Some(json!({"error_rate_threshold": 1.1})),
            "execution.failure_detection.error_rate_threshold: the share must be at most 1".to_owned(),
        ),
        ("execution.failure_detection", Some(json!({"enabled": "yes"})), "execution.failure_detection.enabled: write true or false".to_owned()),
        ("execution.holdfor", Some(json!("3s")), "execution.holdfor: the field \"holdfor\" is not known; did you mean hold_for?".to_owned()),
        (
            "colour",
            Some(json!(1)),
            "colour: the field \"colour\" is not known here; known are chaos_spec, execution, k6_prometheus_rw_server_url, test_environment, test_metadata"
                .to_owned(),
        ),
        (
            "test_metadata",
            Some(json!({"run_label": 2026})),
            "test_metadata.run_label: 2026 without quotes is not a text to every reader of YAML; write \"2026\"".to_owned(),
        ),
        (
            "test_environment.env_type",
            Some(json!("disposable")),
            "test_environment.env_type: env_type 'disposable' is not available yet; use long-lived, with a database that is there already".to_owned(),
        ),
        (
            "test_environment.component_spec.type",
            Some(json!("oracle8")),
            "test_environment.component_spec.type: \"oracle8\" is not a known engine; known are mysql, doris, postgres, trino, cassandra".to_owned(),
        ),
        (INFO, None, format!("{INFO}: the field is missing")),
        (
            "test_environment.component_spec.cluster_info.host",
            Some(json!(false)),
            format!("{INFO}.host: false without quotes is not a text to every reader of YAML; write \"false\""),
        ),
        ("test_environment.component_spec.cluster_info.host", Some(json!("db:99999")), format!("{INFO}.host: the port must be a whole number from 1 to 65535")),
        (
            "test_environment.component_spec.cluster_info.host",
            Some(json!("db:3306?a=b")),
            format!("{INFO}.host: the port must be a whole number from 1 to 65535"),
        ),
        (
            "test_environment.component_spec.cluster_info.host",
            Some(json!("a_b")),
            format!("{INFO}.host: the host must be a DNS name of letters, digits, - and ., or an IP address"),
        ),
        (
            "test_environment.component_spec.cluster_info.password",
            Some(json!(7)),
            format!("{INFO}.password: without quotes this is not a text to every reader of YAML; write the password in quotes"),
        ),
        (
            "test_environment.component_spec.cluster_info.tls",
            Some(json!("maybe")),
            format!("{INFO}.tls: \"maybe\" is not known here; known are verify, insecureSkipVerify, disable"),
        ),
        (
            "test_environment.target_db",
            Some(json!("x`; DROP TABLE y;--")),
            "test_environment.target_db: the name of a database begins with a letter or _ and has letters, digits, _, $ and -".to_owned(),
        ),
        (
            "test_environment.fixtures",
            Some(json!([{"fixture_id": "a", "table": "a b"}])),
            "test_environment.fixtures[0].table: the name of a database begins with a letter or _ and has letters, digits, _, $ and -".to_owned(),
        ),
        (
            "test_environment.fixtures",
            Some(json!([{"fixture_id": "a/../b", "table": "a"}])),
            "test_environment.fixtures[0].fixture_id: the id of a fixture begins with a letter or digit and has letters, digits, ., _ and -".to_owned(),
        ),
        (
            "test_environment.observability",
            source(json!({"max_data_points": 0})),
            "test_environment.observability.prometheus_sources[0].max_data_points: the number must be at least 1".to_owned(),
        ),
        (
            "test_environment.observability",
            source(json!({"resolution": 0})),
            "test_environment.observability.prometheus_sources[0].resolution: the number must be at least 1".to_owned(),
        ),
        (
            "test_environment.observability",
            source(json!({"url": "file:///etc/passwd"})),
            "test_environment.observability.prometheus_sources[0].url: an address such as http://prometheus:9090 is needed here, without user and password"
                .to_owned(),
        ),
        (
            "k6_prometheus_rw_server_url",
            Some(json!("http://u:p@h/")),
            "k6_prometheus_rw_server_url: an address such as http://prometheus:9090 is needed here, without user and password".to_owned(),
        ),
    ];
    for (path, value, message) in cases {
        assert_eq!(told(&changed(path, value)), [message], "{path}");
    }
}

#[test]
fn numbers_that_only_some_readers_read_are_refused() {
    for number in ["0o17", "1_000", ".inf", "0x10", "017", "1e2", "'5'", "+5", "5.0"] {
        assert_eq!(
            told(&LEAST.replace("concurrency: 1", &format!("concurrency: {number}"))),
            ["execution.concurrency: a whole number is needed here, in decimal digits and without quotes"],
            "{number}"
        );
    }
    assert_eq!(
        told(&LEAST.replace("host: db", "host: no")),
        ["test_environment.component_spec.cluster_info.host: no without quotes is not a text to every reader of YAML; write \"no\""]
    );
    assert!(told(&LEAST.replace("hold_for: 3s", "hold_for: 3s, failure_detection: {error_rate_threshold: .nan}"))[0].ends_with("a number is needed here"));
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let text = "test_environment: {env_type: long-lived, component_spec: {type: mysql}}\nexecution: {concurrency: 0, holdfor: 3s, workload: a}\n";
    assert_eq!(
        told(text),
        [
            "test_environment.target_db: the field is missing",
            "test_environment.component_spec.cluster_info: the field is missing",
            "execution.concurrency: the number must be at least 1",
            "execution.hold_for: the field is missing",
            "execution.workload: a list is needed here",
            "execution.holdfor: the field \"holdfor\" is not known; did you mean hold_for?",
        ]
    );
    assert_eq!(told("hello\n"), ["a mapping is needed here"]);
    assert_eq!(told("{}\n"), ["test_environment: the field is missing", "execution: the field is missing"]);
}

#[test]
fn a_password_in_a_wrong_plan_is_not_repeated() {
    for info in ["{host: db, username: u, password: 4711}", "{host: &p 4711abc, username: u, password: *p}"] {
        let text = LEAST.replace("{host: db, username: root}", info);
        assert!(!told(&text).concat().contains("4711"), "{:?}", told(&text));
    }
}

proptest! {
    #[test]
    fn no_text_brings_the_reader_down(text in "\\PC{0,300}", cut in 0_usize..900, put in "[-\\[\\]{}:,&*!|>'\"#%@`a0 \n~]{0,6}") {
        let _ = parse(&text);
        let at = PLAN.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(PLAN.len());
        let (before, after) = PLAN.split_at(at);
        let text = format!("{before}{put}{after}");
        if let Err(details) = parse(&text) {
            prop_assert!(!details.is_empty());
        }
        if let (Ok(plan), Ok(masked)) = (parse(&text), masked(&text)) {
            prop_assert!(plan.password != Password::Given("hunter2".to_owned()) || !masked.contains("hunter2"), "{}", masked);
        }
    }
}
