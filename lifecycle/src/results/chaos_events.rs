//! `chaos_events.json`: what became of each fault in the shape that existing clients rely on.

use crucible_crds::{Fault, fault::FaultStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde_json::{Value, json};

use crate::{
    chaos::{ChaosObject, Operation, Record},
    contract::FrozenPlan,
};

/// A fault with what Chaos Mesh itself says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultRecord {
    /// What became of it.
    pub status: FaultStatus,
    /// Its Chaos Mesh object, where it is still there.
    pub object: Option<ChaosObject>,
}

/// The file: one event for each fault of the plan, in its order.
#[must_use]
pub fn chaos_events(plan: &FrozenPlan, records: &[FaultRecord]) -> Value {
    let events = records.iter().filter_map(|record| {
        let fault = plan.spec.faults.iter().find(|fault| *fault.name == *record.status.name)?;
        Some(event(fault, record))
    });
    json!({"events": events.collect::<Vec<_>>()})
}

fn event(fault: &Fault, record: &FaultRecord) -> Value {
    let FaultRecord { status, object } = record;
    let (injected, recovered) = (&status.injected_at, injected_then(status));
    let lasted = injected.as_ref().zip(recovered).map(|(from, to)| to.0.duration_since(from.0).as_secs_f64());
    let last = object.iter().flat_map(|object| &object.records).flat_map(|record| &record.events).map(|event| event.at).max();
    let word = match (status.confirmed, recovered) {
        (false, _) => "error",
        (true, None) => "injected",
        (true, Some(_)) => "recovered",
    };
    json!({
        "experiment": status.name,
        "fault_type": status.kind.to_lowercase(),
        "target": target(fault),
        "injected_at": injected.as_ref().map(|at| at.0.to_string()),
        "recovered_at": recovered.map(|at| at.0.to_string()),
        "duration_seconds": lasted,
        "engine": if fault.target.machines.is_some() { "ec2" } else { "k8s" },
        "engine_status": {
            "status": word,
            "message": status.message,
            "created_at": object.as_ref().map(|object| object.created.to_string()),
            "updated_at": last.map(|at| at.to_string()),
            "targets": object.iter().flat_map(|object| &object.records).map(target_times).collect::<Vec<_>>(),
        },
        "raw_engine_status": object.as_ref().map(|object| &object.raw),
    })
}

/// When it was healed, if it was ever on.
fn injected_then(status: &FaultStatus) -> Option<&MicroTime> {
    status.recovered_at.as_ref().filter(|_| status.injected_at.is_some())
}

fn target(fault: &Fault) -> Value {
    match (&fault.target.pods, &fault.target.machines) {
        (Some(pods), _) => json!({
            "env_type": "k8s", "namespace": pods.namespaces.first(), "namespaces": pods.namespaces,
            "selector": pods.label_selectors, "expressions": pods.expression_selectors,
        }),
        (None, machines) => {
            let addresses = machines.as_ref().map(|machines| machines.addresses.as_slice()).unwrap_or_default();
            json!({"env_type": "ec2", "address": addresses.first(), "addresses": addresses})
        }
    }
}

fn target_times(record: &Record) -> Value {
    let at = |operation| {
        let done = record.events.iter().filter(move |event| event.succeeded && event.operation == operation).map(|event| event.at);
        done.max().map(|at| at.to_string())
    };
    json!({"id": record.id, "inject_time": at(Operation::Apply), "recover_time": at(Operation::Recover)})
}

#[cfg(test)]
mod tests {
    use crucible_crds::fault::FaultPhase;

    use super::*;
    use crate::results::sample::plan;

    fn at(text: &str) -> MicroTime {
        MicroTime(text.parse().unwrap())
    }

    #[test]
    fn an_event_has_the_fields_that_existing_clients_read() {
        let plan = plan(json!({"faults": [{"name": "cut", "start": {"stage": "steady"}, "duration": "10s",
            "target": {"mode": "all", "pods": {"namespaces": ["sut"], "labelSelectors": {"app": "db"}}},
            "chaos": {"networkChaos": {"action": "partition", "peer": {"workers": true}}}}]}));
        let raw = json!({"experiment": {"desiredPhase": "Stop", "containerRecords": [{"id": "sut/db-0", "phase": "Not Injected", "injectedCount": 1, "events": [
            {"type": "Succeeded", "operation": "Apply", "timestamp": "2026-03-07T12:00:21Z"},
            {"type": "Succeeded", "operation": "Recover", "timestamp": "2026-03-07T12:00:31Z"}]}]}});
        let object = ChaosObject::read(&json!({"metadata": {"creationTimestamp": "2026-03-07T12:00:20Z"}, "status": raw}));
        let status = FaultStatus {
            name: "cut".to_owned(),
            kind: "NetworkChaos".to_owned(),
            namespace: "sut".to_owned(),
            object: "x".to_owned(),
            phase: FaultPhase::Healed,
            phase_since: at("2026-03-07T12:00:31Z"),
            confirmed: true,
            targets: 1,
            due_at: None,
            injected_at: Some(at("2026-03-07T12:00:21Z")),
            recovered_at: Some(at("2026-03-07T12:00:31Z")),
            moves: 0,
            over_at: None,
            message: None,
        };
        let expected = json!({"events": [{
            "experiment": "cut",
            "fault_type": "networkchaos",
            "target": {"env_type": "k8s", "namespace": "sut", "namespaces": ["sut"], "selector": {"app": "db"}, "expressions": []},
            "injected_at": "2026-03-07T12:00:21Z",
            "recovered_at": "2026-03-07T12:00:31Z",
            "duration_seconds": 10.0,
            "engine": "k8s",
            "engine_status": {
                "status": "recovered",
                "message": null,
                "created_at": "2026-03-07T12:00:20Z",
                "updated_at": "2026-03-07T12:00:31Z",
                "targets": [{"id": "sut/db-0", "inject_time": "2026-03-07T12:00:21Z", "recover_time": "2026-03-07T12:00:31Z"}],
            },
            "raw_engine_status": raw,
        }]});
        assert_eq!(chaos_events(&plan, &[FaultRecord { status: status.clone(), object }]), expected);

        let never = FaultStatus { confirmed: false, injected_at: None, recovered_at: Some(at("2026-03-07T12:01:31Z")), ..status };
        let event = chaos_events(&plan, &[FaultRecord { status: never, object: None }])["events"][0].clone();
        assert_eq!((&event["engine_status"]["status"], &event["recovered_at"], &event["raw_engine_status"]), (&json!("error"), &Value::Null, &Value::Null));
    }
}
