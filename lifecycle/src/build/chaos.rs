//! The Chaos Mesh object of a fault: what the plan says in our words, said in its words. It always has a duration, and it
//! never selects a pod of Crucible.

use crucible_crds::{
    Duration, Fault,
    chaos::{Chaos, HttpChaos, NetworkChaos, PhysicalMachineChaos},
    fault::{FaultStatus, FaultTarget, Mode, PodSelector},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::labels;
use crate::{
    chaos::{FAULT, GROUP, Kind, VERSION},
    contract::RunIdentity,
};

/// The port of chaosd.
const CHAOSD_PORT: u16 = 31767;

/// The Chaos Mesh object that injects a fault for as long as it `lasts`. `workers` are the addresses of the run's workers, for a
/// partition from them.
#[must_use]
pub fn chaos(run: &RunIdentity, fault: &Fault, status: &FaultStatus, lasts: &Duration, workers: &[String]) -> Value {
    let mut of_child = labels::of_child(&run.uid, "fault");
    of_child.insert(FAULT.to_owned(), fault.name.to_string());
    let mut spec = parameters(&fault.chaos, workers);
    spec.insert("duration".to_owned(), json!(lasts.to_string()));
    aim(&fault.target, &mut spec);
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": Kind::of(fault).as_str(),
        "metadata": {
            "name": status.object,
            "namespace": status.namespace,
            "labels": of_child,
            "annotations": {labels::HOLDER: format!("{}/{}", run.namespace, run.name)},
        },
        "spec": spec,
    })
}

/// Whom a fault hits.
fn aim(target: &FaultTarget, spec: &mut Map<String, Value>) {
    let FaultTarget { pods, machines, mode, value } = target;
    spec.insert("mode".to_owned(), json!(mode.as_str()));
    if let Some(value) = value {
        spec.insert("value".to_owned(), json!(value.to_string()));
    }
    if let Some(pods) = pods {
        spec.insert("selector".to_owned(), selector(pods));
    }
    if let Some(machines) = machines {
        let addresses: Vec<String> = machines.addresses.iter().map(|address| with_port(address)).collect();
        spec.insert("address".to_owned(), json!(addresses));
    }
}

fn with_port(address: &str) -> String {
    if address.contains(':') { address.to_owned() } else { format!("{address}:{CHAOSD_PORT}") }
}

/// A selector that leaves pods of Crucible out: every one of them carries the uid of its run.
fn selector(pods: &PodSelector) -> Value {
    let PodSelector { namespaces, label_selectors, expression_selectors } = pods;
    let mut expressions: Vec<Value> = expression_selectors.iter().map(|expression| json!(expression)).collect();
    expressions.push(json!({"key": labels::RUN_UID, "operator": "DoesNotExist"}));
    let mut selector = json!({"namespaces": namespaces, "expressionSelectors": expressions});
    if !label_selectors.is_empty() {
        selector["labelSelectors"] = json!(label_selectors);
    }
    selector
}

/// What is done, without where, whom and how long.
fn parameters(chaos: &Chaos, workers: &[String]) -> Map<String, Value> {
    let Chaos { pod_chaos, network_chaos, stress_chaos, io_chaos, time_chaos, dns_chaos, http_chaos, physical_machine_chaos } = chaos;
    let mut spec = Map::new();
    spec.extend(pod_chaos.as_ref().map(fields).unwrap_or_default());
    spec.extend(network_chaos.as_ref().map(|chaos| network(chaos, workers)).unwrap_or_default());
    spec.extend(stress_chaos.as_ref().map(fields).unwrap_or_default());
    spec.extend(io_chaos.as_ref().map(fields).unwrap_or_default());
    spec.extend(time_chaos.as_ref().map(fields).unwrap_or_default());
    spec.extend(dns_chaos.as_ref().map(fields).unwrap_or_default());
    spec.extend(http_chaos.as_ref().map(http).unwrap_or_default());
    spec.extend(physical_machine_chaos.as_ref().map(machine).unwrap_or_default());
    spec
}

/// The fields of a structure whose words are those of Chaos Mesh.
fn fields<T: Serialize>(of: &T) -> Map<String, Value> {
    match serde_json::to_value(of) {
        Ok(Value::Object(fields)) => fields,
        // A structure with named fields and texts as keys is always an object.
        _ => Map::new(),
    }
}

/// The other end of a network fault is a selector of its own, or addresses: workers are never selected, only named.
fn network(chaos: &NetworkChaos, workers: &[String]) -> Map<String, Value> {
    let mut spec = fields(chaos);
    spec.remove("peer");
    let mut outside: Vec<String> = chaos.external_targets.iter().map(ToString::to_string).collect();
    if let Some(peer) = &chaos.peer {
        if peer.workers {
            outside.extend(workers.iter().cloned());
        }
        if let Some(pods) = &peer.pods {
            let mut target = Map::new();
            aim(&FaultTarget { pods: Some(pods.clone()), machines: None, mode: peer.mode, value: peer.value }, &mut target);
            spec.insert("target".to_owned(), Value::Object(target));
        }
    }
    if !outside.is_empty() {
        spec.insert("externalTargets".to_owned(), json!(outside));
    }
    spec.entry("direction").or_insert_with(|| json!("to"));
    spec
}

fn http(chaos: &HttpChaos) -> Map<String, Value> {
    let mut spec = fields(chaos);
    for (ours, theirs) in [("requestHeaders", "request_headers"), ("responseHeaders", "response_headers")] {
        if let Some(value) = spec.remove(ours) {
            spec.insert(theirs.to_owned(), value);
        }
    }
    if let Some(Value::Object(patch)) = spec.get_mut("patch") {
        for name in ["queries", "headers"] {
            if let Some(Value::Object(pairs)) = patch.remove(name) {
                patch.insert(name.to_owned(), pairs.into_iter().map(|(key, value)| json!([key, value])).collect());
            }
        }
        if let Some(body) = patch.get_mut("body") {
            *body = json!({"type": "JSON", "value": body["json"]});
        }
    }
    spec
}

/// Machines have one field for each action, in words with dashes, and that word as the action.
fn machine(chaos: &PhysicalMachineChaos) -> Map<String, Value> {
    let mut spec = Map::new();
    for (action, parameters) in fields(chaos) {
        let mut parameters: Map<String, Value> = match parameters {
            Value::Object(parameters) => parameters.into_iter().map(|(name, value)| (dashed(&name), value)).collect(),
            _ => Map::new(),
        };
        if let Some(Value::Array(clocks)) = parameters.remove("clock-ids") {
            let clocks: Vec<&str> = clocks.iter().filter_map(Value::as_str).collect();
            parameters.insert("clock-ids-slice".to_owned(), json!(clocks.join(",")));
        }
        let action = dashed(&action);
        spec.insert(action.clone(), Value::Object(parameters));
        spec.insert("action".to_owned(), json!(action));
    }
    spec
}

/// `networkDelay` as `network-delay`.
fn dashed(word: &str) -> String {
    let mut text = String::with_capacity(word.len() + 4);
    for character in word.chars() {
        if character.is_ascii_uppercase() {
            text.push('-');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

/// How many of so many a mode hits; the most for a random share.
#[must_use]
pub fn hits(target: &FaultTarget, matching: u32) -> u32 {
    let value = target.value.unwrap_or(0);
    match target.mode {
        Mode::One => matching.min(1),
        Mode::All => matching,
        Mode::Fixed => matching.min(value),
        Mode::FixedPercent | Mode::RandomMaxPercent => u32::try_from(u64::from(matching) * u64::from(value) / 100).unwrap_or(matching),
    }
}

#[cfg(test)]
mod tests;
