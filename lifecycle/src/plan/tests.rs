use serde_json::{Value, json};

use super::*;
use crate::contract::{Consistency, CqlOptions};

const WORKLOAD: &str = "-- @type: sql\n-- @name: PointLookup\n-- @param: id int 1 100\nSELECT :id\n-- @name: CountAll\nSELECT COUNT(*) FROM t\n";

pub(super) fn plan() -> Value {
    json!({
        "target": {"engine": "mysql", "endpoint": "mariadb.sut.svc:3306", "database": "shop", "credentialsRef": {"name": "shop-credentials"}},
        "workload": {"source": {"inline": "x"}},
        "load": {"workers": 2, "stages": [{"name": "warmup", "duration": "10s", "vus": 8, "measured": false}, {"name": "steady", "duration": "60s", "vus": 32}]},
        "slos": [{"metric": "p99", "query": "PointLookup", "stage": "steady", "below": "20ms"}, {"metric": "errorRate", "atMost": 0.001}],
    })
}

/// The plan with one field changed, by its JSON pointer.
fn with(pointer: &str, value: Value) -> TestPlanSpec {
    let mut plan = plan();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = if parent.is_empty() { &mut plan } else { plan.pointer_mut(parent).unwrap() };
    match parent {
        Value::Array(items) => items[field.parse::<usize>().unwrap()] = value,
        parent => parent[field] = value,
    }
    serde_json::from_value(plan).unwrap()
}

fn spec() -> TestPlanSpec {
    serde_json::from_value(plan()).unwrap()
}

const POSTGRES: &str = include_str!("../../../dev/samples/engines/postgres.yaml");
const TRINO: &str = include_str!("../../../dev/samples/engines/trino.yaml");
const CASSANDRA: &str = include_str!("../../../dev/samples/engines/cassandra.yaml");
const OPEN: &str = include_str!("../../../dev/samples/open.yaml");
const AB: &str = include_str!("../../../dev/samples/ab.yaml");

const TPCH_FIXTURES: &str = include_str!("../../../dev/samples/tpch/fixtures.yaml");
const TPCH_WORKLOAD: &str = include_str!("../../../dev/samples/tpch/workload.yaml");
const TPCH_PLANS: [&str; 3] = [
    include_str!("../../../dev/samples/tpch/mariadb.yaml"),
    include_str!("../../../dev/samples/tpch/postgres.yaml"),
    include_str!("../../../dev/samples/tpch/trino.yaml"),
];

/// A sample of an engine, with its workload.
fn sample(text: &str) -> (TestPlanSpec, String) {
    let plan: Value = serde_saphyr::from_str(text).unwrap();
    let spec: TestPlanSpec = serde_json::from_value(plan["spec"].clone()).unwrap();
    (spec, plan["spec"]["workload"]["source"]["inline"].as_str().unwrap().to_owned())
}

#[test]
fn the_sample_of_each_engine_resolves_into_that_engines_words() {
    let cases = [
        (POSTGRES, "PointLookup", "SELECT name, city, joined FROM customers WHERE id = $1"),
        (TRINO, "SalesOfADay", "SELECT city, sum(quantity) AS sold FROM orders WHERE placed = ? GROUP BY city ORDER BY sold DESC"),
        (CASSANDRA, "ReadCart", "SELECT product, quantity FROM carts WHERE id = ?"),
    ];
    for (text, name, sql) in cases {
        let (spec, workload) = sample(text);
        let resolved = resolve(&spec, &[workload]).unwrap();
        assert_eq!((&*resolved.queries[0].name.0, resolved.queries[0].sql.as_str()), (name, sql));
    }
    let (spec, workload) = sample(CASSANDRA);
    let cql: Vec<_> = resolve(&spec, &[workload]).unwrap().queries.iter().map(|query| query.cql).collect();
    let none = CqlOptions::default();
    assert_eq!(cql, [CqlOptions { consistency: Some(Consistency::LocalOne), ..none }, none, CqlOptions { page_size: Some(500), ..none }]);
}

#[test]
fn the_sample_of_the_open_model_resolves() {
    let (plan, run) = OPEN.split_once("\n---\n").unwrap();
    let (spec, workload) = sample(plan);
    assert_eq!(resolve(&spec, &[workload]).unwrap().queries.len(), 1);
    assert!(run.contains("planRef: {name: checkout-open}"));
}

#[test]
fn the_sample_of_two_arms_resolves() {
    let (plan, run) = AB.split_once("\n---\n").unwrap();
    let (spec, workload) = sample(plan);
    let arms = resolve(&spec, &[workload]).unwrap().arms;
    assert_eq!(arms.iter().map(|arm| &*arm.name.0).collect::<Vec<_>>(), ["few", "all"]);
    assert_ne!(arms[0].bindings, arms[1].bindings);
    assert_eq!(crate::load::rounds::count(&spec), 8);
    assert!(run.contains("planRef: {name: checkout-ab}"));
}

#[test]
fn a_plan_is_resolved_into_queries_and_a_digest() {
    let resolved = resolve(&spec(), &[WORKLOAD]).unwrap();
    let queries: Vec<_> = resolved.queries.iter().map(|query| (&*query.name.0, query.sql.as_str())).collect();
    assert_eq!(queries, [("PointLookup", "SELECT ?"), ("CountAll", "SELECT COUNT(*) FROM t")]);
    assert_eq!(resolved.digest.len(), 64);
    assert_eq!(resolve(&spec(), &[WORKLOAD.replace('\n', "\r\n")]).unwrap().digest, resolved.digest);
}

#[test]
fn the_digest_changes_with_everything_that_is_asked_for() {
    let digest = |spec: &TestPlanSpec, text: &str| resolve(spec, &[text]).unwrap().digest;
    let original = digest(&spec(), WORKLOAD);
    assert_ne!(digest(&with("/load/workers", json!(3)), WORKLOAD), original);
    assert_ne!(digest(&with("/target/endpoint", json!("other:3306")), WORKLOAD), original);
    assert_ne!(digest(&spec(), &WORKLOAD.replace("100", "101")), original);
    assert_ne!(digest(&spec(), &WORKLOAD.replace("COUNT(*)", "COUNT(1)")), original);
}

#[test]
fn each_limit_refuses_with_the_path_of_its_field() {
    let slo = |slo: Value| ("/slos/0", slo);
    let cases: Vec<((&str, Value), &str)> = vec![
        (("/target/endpoint", json!("mariadb.sut.svc:99999")), "spec.target.endpoint: the port must be a whole number from 1 to 65535"),
        (("/target/endpoint", json!("mariadb.sut.svc:0")), "spec.target.endpoint: the port must be a whole number from 1 to 65535"),
        (
            ("/target/endpoint", json!("a..b:3306")),
            "spec.target.endpoint: the host must be a DNS name, an IPv4 address or an IPv6 address in brackets, without scheme or options",
        ),
        (("/load/workers", json!(33)), "spec.load.workers: 33 workers are more than the 32 virtual users of the largest stage; some would be idle throughout"),
        (("/load/workers", json!(0)), "spec.load.workers: there must be 1 to 1000 workers"),
        (("/load/stages", json!([])), "spec.load.workers: 2 workers are more than the 0 virtual users of the largest stage; some would be idle throughout"),
        (("/load/stages/1/measured", json!(false)), "spec.load.stages: at least one stage must be measured"),
        (("/load/stages/1/name", json!("warmup")), "spec.load.stages[1].name: the stage warmup exists already"),
        (("/load/stages/1/duration", json!("999ms")), "spec.load.stages[1].duration: 999ms is not from 1s to 24h"),
        (("/load/stages/1/duration", json!("0s")), "spec.load.stages[1].duration: 0s is not from 1s to 24h"),
        (("/load/stages/1/duration", json!("24h")), "spec.load.stages: the stages last 86410s together; at most 24h are possible"),
        (("/load/stages/1/vus", json!(20_002)), "spec.load.stages[1].vus: 10001 virtual users for one worker are more than 10000; use at least 3 workers"),
        (("/load/stages/1/vus", json!(0)), "spec.load.stages[1].vus: there must be at least one virtual user"),
        (("/load/queryTimeout", json!("0s")), "spec.load.queryTimeout: 0s is not from 1ms to 1h"),
        (("/load/queryTimeout", json!("1h1ms")), "spec.load.queryTimeout: 1h1ms is not from 1ms to 1h"),
        (("/deadlines", json!({"drain": "11m"})), "spec.deadlines.drain: 11m is not from 1s to 10m"),
        (("/deadlines", json!({"barrier": "0s"})), "spec.deadlines.barrier: 0s is not from 1s to 24h"),
        (("/validity", json!({"maxStartSkew": "0s"})), "spec.validity.maxStartSkew: 0s is not from 1ms to 1h"),
        (("/abort", json!([{"metric": "errorRate", "above": 1.1}])), "spec.abort[0].above: the threshold must be a share from 0 to 1"),
        (("/abort", json!([{"metric": "errorRate", "slowerThan": "1s"}])), "spec.abort[0]: an abort rule on errorRate needs above, and no slowerThan"),
        (("/abort", json!([{"metric": "p99", "above": 0.5}])), "spec.abort[0]: an abort rule on a percentile needs slowerThan, and no above"),
        (("/abort", json!([{"metric": "p99", "slowerThan": "2h"}])), "spec.abort[0].slowerThan: 2h is not from 1us to 1h"),
        (("/abort", json!([{"metric": "errorRate", "above": 0.5, "over": "0s"}])), "spec.abort[0].over: 0s is not from 1s to 1h"),
        (slo(json!({"metric": "p99", "below": "0s"})), "spec.slos[0].below: 0s is not from 1ms to 1h"),
        (slo(json!({"metric": "p99"})), "spec.slos[0]: p99 needs below, a latency, and only that"),
        (slo(json!({"metric": "errorRate", "atMost": 1.5})), "spec.slos[0]: errorRate needs atMost, a share from 0 to 1, and only that"),
        (slo(json!({"metric": "throughput", "below": "1s"})), "spec.slos[0]: throughput needs atLeast, queries per second, and only that"),
        (
            slo(json!({"metric": "p99", "query": "Nowhere", "below": "1s"})),
            "spec.slos[0].query: no query Nowhere runs; those that run are PointLookup, CountAll",
        ),
        (slo(json!({"metric": "p99", "stage": "peak", "below": "1s"})), "spec.slos[0].stage: there is no stage peak; there are warmup, steady"),
        (
            ("/workload/mix", json!([{"query": "Nowhere", "weight": 1}])),
            "spec.workload.mix[0].query: the workload has no query Nowhere; it has PointLookup, CountAll",
        ),
        (("/workload/mix", json!([{"query": "CountAll", "weight": 1}])), "spec.slos[0].query: no query PointLookup runs; those that run are CountAll"),
    ];
    for ((pointer, value), expected) in cases {
        let problems = resolve(&with(pointer, value.clone()), &[WORKLOAD]).unwrap_err();
        assert_eq!(problems[0].to_string(), expected, "{pointer} {value}");
    }
}

#[test]
fn the_open_model_has_limits_of_its_own() {
    let open = |fields: Value| {
        let mut load = json!({"workers": 2, "model": "open", "maxVus": 16, "stages": [{"name": "steady", "duration": "60s", "rate": 2000.5}]});
        load.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let mut plan = plan();
        plan["load"] = load;
        resolve(&serde_json::from_value(plan).unwrap(), &[WORKLOAD]).map_err(|problems| problems[0].to_string())
    };
    let stage = |fields: Value| {
        let mut stage = json!({"name": "steady", "duration": "60s", "rate": 10});
        stage.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"stages": [stage]})
    };
    assert!(open(json!({})).is_ok());
    assert!(open(json!({"arrivals": "poisson", "maxVus": 20_000})).is_ok());
    let cases = [
        (json!({"maxVus": 1}), "spec.load.workers: 2 workers are more than the 1 virtual users of maxVus; some would be idle throughout"),
        (json!({"maxVus": null}), "spec.load.workers: 2 workers are more than the 0 virtual users of maxVus; some would be idle throughout"),
        (json!({"maxVus": 20_001}), "spec.load.maxVus: 10001 virtual users for one worker are more than 10000; use at least 3 workers"),
        (stage(json!({"rate": 0})), "spec.load.stages[0].rate: the rate must be 0.01 to 1000000 arrivals per second"),
        (stage(json!({"rate": null})), "spec.load.stages[0].rate: the rate must be 0.01 to 1000000 arrivals per second"),
        (stage(json!({"rate": 1_000_001})), "spec.load.stages[0].rate: the rate must be 0.01 to 1000000 arrivals per second"),
        (stage(json!({"vus": 8})), "spec.load.stages[0].vus: a stage of the open model has a rate, not vus"),
    ];
    for (fields, expected) in cases {
        assert_eq!(open(fields.clone()).unwrap_err(), expected, "{fields}");
    }
    let closed = [
        (("/load/maxVus", json!(16)), "spec.load.maxVus: only the open model has maxVus"),
        (("/load/arrivals", json!("regular")), "spec.load.arrivals: only the open model has arrivals"),
        (("/load/stages/1/rate", json!(16)), "spec.load.stages[1].rate: a stage of the closed model has vus, not a rate"),
    ];
    for ((pointer, value), expected) in closed {
        assert_eq!(resolve(&with(pointer, value), &[WORKLOAD]).unwrap_err()[0].to_string(), expected);
    }
}

#[test]
fn a_search_is_resolved_with_its_steps_as_stages() {
    let resolved = |search: Value, fields: Value| {
        let mut plan = plan();
        plan["load"] = json!({"workers": 2, "model": "open", "maxVus": 16, "findMax": search, "stages": [{"name": "warmup", "duration": "60s", "rate": 10, "measured": false}]});
        plan["load"].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        plan["slos"] = json!([{"metric": "p99", "below": "20ms"}]);
        resolve(&serde_json::from_value(plan).unwrap(), &[WORKLOAD]).map_err(|problems| problems[0].to_string())
    };
    assert!(resolved(json!({"from": 100, "to": 2000}), json!({})).is_ok(), "the steps are measured");
    let cases = [
        (json!({"from": 100, "to": 100}), "spec.load.findMax: a search goes up: from must be below to"),
        (json!({"from": 100, "to": 200, "steps": 1}), "spec.load.findMax.steps: there must be 2 to 64 steps"),
        (json!({"from": 100, "to": 200, "each": "5s"}), "spec.load.findMax.each: 5s is not from 6s to 1h"),
        (json!({"from": 100, "to": 2_000_000}), "spec.load.stages[10].rate: the rate must be 0.01 to 1000000 arrivals per second"),
        (json!({"from": 100, "to": 200, "steps": 64, "each": "1h"}), "spec.load.stages: the stages last 230460s together; at most 24h are possible"),
    ];
    for (search, expected) in cases {
        assert_eq!(resolved(search.clone(), json!({})).unwrap_err(), expected, "{search}");
    }
    let closed = json!({"model": "closed", "maxVus": null, "stages": [{"name": "warmup", "duration": "60s", "vus": 8}]});
    assert_eq!(resolved(json!({"from": 100, "to": 2000}), closed).unwrap_err(), "spec.load.findMax: only the open model has findMax");
}

#[test]
fn all_rounds_together_are_a_load_within_bounds() {
    let resolved = |load: Value| {
        let mut plan = plan();
        plan["load"].as_object_mut().unwrap().extend(load.as_object().unwrap().clone());
        resolve(&serde_json::from_value(plan).unwrap(), &[WORKLOAD]).map(|resolved| resolved.digest).map_err(|problems| problems[0].to_string())
    };
    assert!(resolved(json!({"repeat": 20})).is_ok());
    assert_eq!(resolved(json!({"repeat": 1})), resolved(json!({})), "once is once");
    assert_ne!(resolved(json!({"repeat": 2})), resolved(json!({})));
    let long = json!([{"name": "steady", "duration": "8h1s", "vus": 8}]);
    let many: Vec<Value> = (0..13).map(|number| json!({"name": format!("s{number}"), "duration": "1s", "vus": 8})).collect();
    let cases = [
        (json!({"repeat": 0}), "spec.load.repeat: there must be 1 to 20 rounds"),
        (json!({"repeat": 21}), "spec.load.repeat: there must be 1 to 20 rounds"),
        (json!({"repeat": 3, "stages": long}), "spec.load.repeat: the stages last 86403s together in 3 rounds; at most 24h are possible"),
        (json!({"repeat": 10, "stages": many}), "spec.load.repeat: there are 130 stages in 10 rounds; at most 128 are possible"),
    ];
    for (load, expected) in cases {
        assert_eq!(resolved(load.clone()).unwrap_err(), expected, "{load}");
    }
    let search = json!({"repeat": 2, "model": "open", "maxVus": 16, "findMax": {"from": 100, "to": 200},
        "stages": [{"name": "warmup", "duration": "60s", "rate": 10, "measured": false}]});
    assert_eq!(resolved(search).unwrap_err(), "spec.load.findMax: a search is not repeated: findMax goes without repeat");
}

#[test]
fn a_limit_by_promql_is_about_something_that_is_asked() {
    let resolved = |slo: Value| {
        let mut plan = plan();
        plan["slos"] = json!([slo]);
        plan["observe"] = json!({"prometheus": [{"name": "engine", "source": "cluster", "metrics": [{"name": "cpu", "query": "up"}]}]});
        resolve(&serde_json::from_value(plan).unwrap(), &[WORKLOAD]).map_err(|problems| problems[0].to_string())
    };
    let slo = |source: &str, series: &str| json!({"metric": "promql", "source": source, "series": series, "atMost": 0.9});
    assert!(resolved(slo("engine", "cpu")).is_ok());
    assert_eq!(resolved(slo("node", "cpu")).unwrap_err(), "spec.slos[0].source: there is no such source in spec.observe.prometheus; there are engine");
    assert_eq!(resolved(slo("engine", "memory")).unwrap_err(), "spec.slos[0].series: the source engine has no such metric; it has cpu");
    let none = json!({"metric": "promql", "source": "engine", "series": "cpu"});
    assert_eq!(resolved(none).unwrap_err(), "spec.slos[0]: promql needs one of atMost and atLeast, and only that");
}

#[test]
fn mistakes_in_the_workload_are_told_by_line_beside_those_of_the_plan() {
    let problems = resolve(&with("/load/queryTimeout", json!("2h")), &["-- @type: sql\n-- @name: A\n\n-- @name: A\nSELECT 1; SELECT 2"]).unwrap_err();
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "spec.load.queryTimeout: 2h is not from 1ms to 1h",
            "spec.workload.source line 2: this block has no statement",
            "spec.workload.source line 4: the name A is taken by A on line 2; upper and lower case make no difference",
            "spec.workload.source line 5: a second statement begins here; write one statement in each block, stored procedures as one CALL",
        ]
    );
}

#[test]
fn the_widest_plan_is_still_accepted() {
    let mut plan = plan();
    plan["load"] = json!({"workers": 1000, "queryTimeout": "1h", "stages": [{"name": "warmup", "duration": "1s", "vus": 1}, {"name": "steady", "duration": "23h59m59s", "vus": 100_000}]});
    assert!(resolve(&serde_json::from_value(plan).unwrap(), &[WORKLOAD]).is_ok());
}

#[test]
fn several_objects_are_one_workload_in_their_order() {
    let spec = with("/workload/source", json!({"objects": [{"key": "workloads/shop"}, {"key": "workloads/old"}]}));
    let resolved = resolve(&spec, &[WORKLOAD, "-- @name: Total\n-- @weight: 2\nSELECT SUM(total) FROM t\n"]).unwrap();
    let queries: Vec<_> = resolved.queries.iter().map(|query| (&*query.name.0, query.weight)).collect();
    assert_eq!(queries, [("PointLookup", 1), ("CountAll", 1), ("Total", 2)]);
}

#[test]
fn a_mistake_in_one_of_several_objects_names_the_object() {
    let spec = with("/workload/source", json!({"objects": [{"key": "workloads/shop"}, {"key": "workloads/more"}]}));
    let problems = |second: &str| resolve(&spec, &[WORKLOAD, second]).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(problems("-- @name: A\n"), ["spec.workload.source.objects[1] (workloads/more) line 1: this block has no statement"]);
    assert_eq!(
        problems("\n-- @name: countall\nSELECT 1"),
        ["spec.workload.source.objects[1] (workloads/more) line 3: the name countall is taken by CountAll in \
             spec.workload.source.objects[0] (workloads/shop); upper and lower case make no difference"]
    );
    assert_eq!(
        problems("-- @type: cql\n-- @name: A\nSELECT 1"),
        ["spec.workload.source.objects[1] (workloads/more) line 1: the workload is of the type cql, which the engine mysql does not speak"]
    );
    assert_eq!(
        problems("-- @name: A\nSELECT ?"),
        ["spec.workload.source.objects[1] (workloads/more) line 2: the query A has a bare ? placeholder; write :name and declare the parameter"]
    );
}

#[test]
fn more_queries_than_a_run_can_keep_are_refused() {
    let text = |file: usize| (0..256).map(|query| format!("-- @name: Q{file}x{query}\nSELECT 1\n")).collect::<Vec<_>>().concat();
    let spec = with("/workload/source", json!({"objects": [{"key": "a"}, {"key": "b"}, {"key": "c"}, {"key": "d"}, {"key": "e"}]}));
    let spec = TestPlanSpec { slos: Vec::new(), ..spec };
    assert_eq!(resolve(&spec, &(0..4).map(text).collect::<Vec<_>>()).unwrap().queries.len(), 1024);
    let problems = resolve(&spec, &(0..5).map(text).collect::<Vec<_>>()).unwrap_err();
    assert_eq!(problems[0].to_string(), "spec.workload.source: the workload has 1280 queries; at most 1024 can be run");
    let long = |bytes: usize| format!("-- @name: A\nSELECT '{}'", "x".repeat(bytes));
    assert!(resolve(&spec, &[long(1_020_000)]).is_ok());
    let problems = resolve(&spec, &[long(1_040_000)]).unwrap_err();
    assert!(problems[0].to_string().ends_with(" bytes with its queries; at most 1032192 can be kept with a run"), "{}", problems[0]);
}

pub(super) const FAULT: &str = r#"{"name": "kill", "start": {"stage": "steady", "after": "20s"}, "duration": "10s",
    "target": {"pods": {"namespaces": ["sut"], "labelSelectors": {"app": "db"}}}, "chaos": {"podChaos": {"action": "pod-kill"}}}"#;

#[test]
fn a_fault_must_fit_into_the_load_and_hit_something_that_is_named() {
    let fault = |pointer: &str, value: Value| {
        let mut fault: Value = serde_json::from_str(FAULT).unwrap();
        if let Some(field) = fault.pointer_mut(pointer) {
            *field = value;
        }
        with("/faults", json!([fault]))
    };
    assert_eq!(resolve(&fault("/duration", json!("40s")), &[WORKLOAD]).map(|_| ()), Ok(()), "it may last to the end of the load");
    let table = [
        ("/duration", json!("41s"), "spec.faults[0]: the fault would end 71s after the start of the load, which lasts only 70s"),
        ("/start", json!({"steady": true, "after": "61s"}), "spec.faults[0]: the fault would end 71s after the start of the load, which lasts only 70s"),
        ("/start/stage", json!("peak"), "spec.faults[0].start.stage: there is no stage peak; there are warmup, steady"),
        ("/start", json!({"after": "1s"}), "spec.faults[0].start: exactly one of stage and steady must be set"),
        ("/duration", json!("500ms"), "spec.faults[0].duration: 500ms is not from 1s to 24h"),
        ("/chaos", json!({}), "spec.faults[0].chaos: exactly one kind of chaos must be set"),
        ("/target", json!({}), "spec.faults[0].target: exactly one of pods and machines must be set"),
        ("/target/pods/labelSelectors", json!({}), "spec.faults[0].target: a selector of pods must have namespaces, and labelSelectors or expressionSelectors"),
    ];
    for (pointer, value, expected) in table {
        let said: Vec<String> = resolve(&fault(pointer, value), &[WORKLOAD]).unwrap_err().iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|line| line == expected), "{expected}\n{said:?}");
    }
}

#[test]
fn a_limit_about_a_fault_names_one_that_there_is() {
    let spec = with("/slos/0", json!({"metric": "recoveryTime", "fault": "kill", "below": "30s"}));
    let said: Vec<String> = resolve(&spec, &[WORKLOAD]).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(said, ["spec.slos[0].fault: there is no fault kill; there are "]);
}

#[test]
fn faults_that_may_hit_the_same_target_at_the_same_time_are_told() {
    let fault = |name: &str, after: &str, namespace: &str, app: &str| {
        json!({"name": name, "start": {"stage": "steady", "after": after}, "duration": "10s", "chaos": {"podChaos": {"action": "pod-kill"}},
            "target": {"mode": "one", "pods": {"namespaces": [namespace], "labelSelectors": {"app": app}}}})
    };
    let first = || fault("first", "5s", "sut", "db");
    let table = [
        (fault("second", "14s", "sut", "db"), vec!["first and second"]),
        (fault("second", "15s", "sut", "db"), vec![]),
        (fault("second", "5s", "other", "db"), vec![]),
        (fault("second", "5s", "sut", "proxy"), vec![]),
    ];
    for (second, said) in table {
        assert_eq!(crate::plan::overlaps(&with("/faults", json!([first(), second]))), said, "{second}");
    }
    let mut tier = first();
    tier["name"] = json!("tier");
    tier["target"]["pods"]["labelSelectors"] = json!({"tier": "data"});
    assert_eq!(crate::plan::overlaps(&with("/faults", json!([first(), tier]))), ["first and tier"], "a pod may carry both labels");
}

#[test]
fn the_sample_of_a_dataset_can_be_loaded_and_asked_on_every_engine_that_it_is_for() {
    use crate::{
        contract::{FrozenPlan, StoredFile},
        fixture::{FixtureView, Listing, prefix, recipe, review},
        seen::Seen,
    };
    let fixtures: Vec<crucible_crds::Fixture> = TPCH_FIXTURES.split("\n---\n").map(|text| serde_saphyr::from_str(text).unwrap()).collect();
    let config_map: Value = serde_saphyr::from_str(TPCH_WORKLOAD).unwrap();
    let workload = config_map["data"]["workload.sql"].as_str().unwrap();
    let listing = |fixture: &crucible_crds::Fixture| {
        let below = prefix(fixture.metadata.name.as_deref().unwrap(), Some(&fixture.spec));
        Listing::Files(vec![StoredFile { key: format!("{below}part-00001.parquet"), bytes: 1000, tag: "t".into() }])
    };
    for fixture in &fixtures {
        let observed = review::Observed {
            now: jiff::Timestamp::UNIX_EPOCH,
            fixture: fixture.clone(),
            listing: listing(fixture),
            uploads: Seen::Found(0),
            runs: Seen::Found(Vec::new()),
        };
        let status = review::decide(&observed).status;
        assert_eq!(status.message.as_deref(), Some("1 files are there"), "{:?}", fixture.metadata.name);
    }
    let mut engines = Vec::new();
    for text in TPCH_PLANS {
        let plan: crucible_crds::TestPlan = serde_saphyr::from_str(text).unwrap();
        let source = plan.spec.workload.source.config_map.as_ref().unwrap();
        assert_eq!((&*source.name.0, source.key.as_str()), (config_map["metadata"]["name"].as_str().unwrap(), "workload.sql"));
        let resolved = resolve(&plan.spec, &[workload]).unwrap();
        let names: Vec<&str> = resolved.queries.iter().map(|query| &*query.name.0).collect();
        assert_eq!(names, ["Q1", "Q3", "Q4", "Q5", "Q6", "Q10", "Q12", "Q14"]);
        engines.push(plan.spec.target.engine.as_str());
        let views: Vec<FixtureView> = plan
            .spec
            .fixtures
            .iter()
            .map(|wanted| fixtures.iter().find(|fixture| fixture.metadata.name.as_deref() == Some(&*wanted.fixture.0)).unwrap())
            .map(|fixture| FixtureView { object: Seen::Found(fixture.clone()), files: listing(fixture) })
            .collect();
        let frozen: FrozenPlan = serde_json::from_value(json!({
            "protocol": 1,
            "run": {"namespace": "shop-tests", "name": "run-a", "uid": "uid-a", "id": "tpch_20260301-1200_12345678"},
            "planName": "tpch",
            "planGeneration": 1,
            "digest": "d",
            "spec": plan.spec,
            "queries": resolved.queries,
        }))
        .unwrap();
        let recipe = recipe(&frozen, &views, "crucible").unwrap();
        assert_eq!((recipe.bucket.as_str(), recipe.tables.len()), ("crucible", 8));
        assert!(recipe.tables.iter().all(|table| !table.writes && !table.primary_key.is_empty() && table.fixture == format!("tpch-{}", table.table)));
    }
    assert_eq!(engines, ["mysql", "postgres", "trino"]);
}

#[test]
fn data_is_loaded_where_it_can_be_and_refused_by_its_name_where_not() {
    let told = |spec: &TestPlanSpec| resolve(spec, &[WORKLOAD]).err().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut spec = with("/fixtures", json!([{"ref": "shop-orders", "table": "orders"}, {"ref": "more", "table": "a.b"}, {"ref": "other", "table": "orders"}]));
    assert_eq!(
        told(&spec),
        [
            "spec.fixtures[1].table: the table a.b must be one of the plan's own database, without a dot",
            "spec.fixtures[2].table: the table orders is loaded from another fixture already"
        ]
    );
    spec.fixtures.truncate(1);
    assert_eq!(told(&spec), [""; 0]);
    spec.target.files = serde_json::from_value(json!({"database": "hive"})).unwrap();
    assert_eq!(
        told(&spec),
        [
            "spec.target.files: only trino reads the files of fixtures itself, mysql does not",
            "spec.target.files.database: hive must be a catalog and a schema, as in hive.default"
        ]
    );
    spec.target.engine = crucible_crds::test_plan::Engine::Trino;
    spec.target.files = serde_json::from_value(json!({"location": "s3://crucible"})).unwrap();
    assert_eq!(told(&spec), ["spec.target.database: shop is a catalog alone; a plan with fixtures needs its schema too, as in shop.default"]);
    spec.target.database = "hive.shop".into();
    assert_eq!(told(&spec), [""; 0]);
    spec.fixtures.push(serde_json::from_value(json!({"ref": "more", "table": "Orders"})).unwrap());
    assert_eq!(told(&spec), ["spec.fixtures[1].table: the table Orders is loaded from another fixture already"], "Trino knows no capitals");
    spec.fixtures.truncate(1);
    spec.target.files = None;
    spec.target.engine = crucible_crds::test_plan::Engine::Doris;
    let plain =
        "spec.fixtures[0]: the fixture shop-orders cannot be loaded into orders: Doris takes rows over plain HTTP, so spec.target.tls.mode has to be disable";
    assert_eq!(told(&spec), [plain], "a password is not sent in plain where the plan asks for more");
    spec.target.tls.mode = crucible_crds::test_plan::TlsMode::Disable;
    assert_eq!(told(&spec), [""; 0]);
}
