use crucible_crds::fault::FaultPhase;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::*;

fn spec_of(target: &str, kind: &str) -> Value {
    let yaml = format!("{{name: hit, start: {{stage: steady}}, duration: 1m30s, target: {target}, chaos: {kind}}}");
    let fault: Fault = serde_saphyr::from_str(&yaml).unwrap();
    let run = RunIdentity { namespace: "shop-tests".to_owned(), name: "run-a".to_owned(), uid: "uid-a".to_owned(), id: "id".to_owned(), label: None };
    let status = FaultStatus {
        name: "hit".to_owned(),
        kind: Kind::of(&fault).as_str().to_owned(),
        namespace: "sut".to_owned(),
        object: "run-a-hit".to_owned(),
        phase: FaultPhase::Waiting,
        phase_since: MicroTime(jiff::Timestamp::UNIX_EPOCH),
        confirmed: false,
        targets: 0,
        due_at: None,
        injected_at: None,
        recovered_at: None,
        moves: 0,
        over_at: None,
        message: None,
    };
    chaos(&run, &fault, &status, &fault.duration, &["10.1.0.7".to_owned(), "10.1.0.8".to_owned()])
}

const PODS: &str = "{mode: all, pods: {namespaces: [sut], labelSelectors: {app: db}}}";
const MACHINE: &str = "{mode: all, machines: {addresses: [10.0.1.5, 'db-2.example:8080']}}";

#[test]
fn a_killed_pod_is_asked_for_with_a_duration_and_without_pods_of_ours() {
    let object = spec_of("{mode: fixed, value: 2, pods: {namespaces: [sut], labelSelectors: {app: db}}}", "{podChaos: {action: pod-kill, gracePeriod: 5}}");
    let expected = json!({
        "apiVersion": "chaos-mesh.org/v1alpha1",
        "kind": "PodChaos",
        "metadata": {
            "name": "run-a-hit",
            "namespace": "sut",
            "labels": {
                "app.kubernetes.io/component": "fault",
                "app.kubernetes.io/managed-by": "crucible",
                "crucible.dev/fault": "hit",
                "crucible.dev/run-uid": "uid-a",
            },
            "annotations": {"crucible.dev/holder": "shop-tests/run-a"},
        },
        "spec": {
            "action": "pod-kill",
            "gracePeriod": 5,
            "mode": "fixed",
            "value": "2",
            "duration": "1m30s",
            "selector": {
                "namespaces": ["sut"],
                "labelSelectors": {"app": "db"},
                "expressionSelectors": [{"key": "crucible.dev/run-uid", "operator": "DoesNotExist"}],
            },
        },
    });
    assert_eq!(object, expected);
}

#[test]
fn every_kind_is_said_in_the_words_of_chaos_mesh() {
    let own =
        json!({"namespaces": ["sut"], "labelSelectors": {"app": "db"}, "expressionSelectors": [{"key": "crucible.dev/run-uid", "operator": "DoesNotExist"}]});
    let table = [
        (
            PODS,
            "{networkChaos: {action: partition, direction: both, peer: {workers: true}}}",
            json!({"action": "partition", "direction": "both", "externalTargets": ["10.1.0.7", "10.1.0.8"], "mode": "all", "selector": own}),
        ),
        (
            PODS,
            "{networkChaos: {action: partition, peer: {pods: {namespaces: [sut], labelSelectors: {app: db}}, mode: fixed-percent, value: 50}}}",
            json!({"action": "partition", "direction": "to", "target": {"mode": "fixed-percent", "value": "50", "selector": own}, "mode": "all", "selector": own}),
        ),
        (
            PODS,
            "{networkChaos: {action: delay, delay: {latency: 100ms, correlation: '25'}}}",
            json!({"action": "delay", "direction": "to", "delay": {"latency": "100ms", "correlation": "25"}, "mode": "all", "selector": own}),
        ),
        (
            PODS,
            "{stressChaos: {stressors: {cpu: {workers: 2, load: 80}, memory: {workers: 1, size: 256MB, oomScoreAdj: -5}}, containerNames: [db]}}",
            json!({"stressors": {"cpu": {"workers": 2, "load": 80}, "memory": {"workers": 1, "size": "256MB", "oomScoreAdj": -5}}, "containerNames": ["db"],
                "mode": "all", "selector": own}),
        ),
        (
            PODS,
            "{ioChaos: {action: fault, errno: 5, volumePath: /var/lib/mysql, methods: [read, write], percent: 50}}",
            json!({"action": "fault", "errno": 5, "volumePath": "/var/lib/mysql", "methods": ["read", "write"], "percent": 50, "mode": "all", "selector": own}),
        ),
        (
            PODS,
            "{timeChaos: {timeOffset: -10m, clockIds: [CLOCK_REALTIME]}}",
            json!({"timeOffset": "-10m", "clockIds": ["CLOCK_REALTIME"], "mode": "all", "selector": own}),
        ),
        (PODS, "{dnsChaos: {action: random, patterns: ['db.*']}}", json!({"action": "random", "patterns": ["db.*"], "mode": "all", "selector": own})),
        (
            PODS,
            "{httpChaos: {target: Response, port: 8030, requestHeaders: {x: a}, patch: {headers: {Set-Cookie: b}, body: {json: '{}'}}}}",
            json!({"target": "Response", "port": 8030, "request_headers": {"x": "a"},
                "patch": {"headers": [["Set-Cookie", "b"]], "body": {"type": "JSON", "value": "{}"}}, "mode": "all", "selector": own}),
        ),
        (
            MACHINE,
            "{physicalMachineChaos: {diskReadPayload: {size: 1GB, payloadProcessNum: 2}}}",
            json!({"action": "disk-read-payload", "disk-read-payload": {"size": "1GB", "payload-process-num": 2}, "mode": "all",
                "address": ["10.0.1.5:31767", "db-2.example:8080"]}),
        ),
        (
            MACHINE,
            "{physicalMachineChaos: {clock: {pid: 7, timeOffset: 1h, clockIds: [CLOCK_REALTIME, CLOCK_BOOTTIME]}}}",
            json!({"action": "clock", "clock": {"pid": 7, "time-offset": "1h", "clock-ids-slice": "CLOCK_REALTIME,CLOCK_BOOTTIME"}, "mode": "all",
                "address": ["10.0.1.5:31767", "db-2.example:8080"]}),
        ),
    ];
    for (target, kind, mut expected) in table {
        expected["duration"] = json!("1m30s");
        assert_eq!(spec_of(target, kind)["spec"], expected, "{kind}");
    }
}

#[test]
fn a_mode_hits_as_many_as_it_says_and_never_more_than_there_are() {
    let of = |mode: &str| serde_saphyr::from_str::<FaultTarget>(mode).unwrap();
    let table =
        [("{mode: one}", 1), ("{mode: all}", 7), ("{mode: fixed, value: 3}", 3), ("{mode: fixed, value: 9}", 7), ("{mode: fixed-percent, value: 50}", 3)];
    for (mode, expected) in table {
        assert_eq!(hits(&of(mode), 7), expected, "{mode}");
    }
    assert_eq!(hits(&of("{mode: one}"), 0), 0);
}
