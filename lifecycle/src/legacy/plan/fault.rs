//! The parameters of an experiment, which are fields of a Chaos Mesh spec in its author's hand, as the typed fault that a
//! TestPlan has. What is typed cannot widen the target; what has no type with us is refused by its name.

use crucible_crds::{chaos::Chaos, fault};
use serde_json::{Map, Value};

use super::chaos::{FaultKind, FaultTarget};

/// What is done to the target, or why that cannot be told from the parameters.
pub(super) fn chaos(kind: FaultKind, target: &FaultTarget, parameters: &Map<String, Value>) -> Result<Chaos, String> {
    let (field, spec) = match (kind, target) {
        (FaultKind::PhysicalMachine, FaultTarget::Pods { .. }) => return Err("physicalmachinechaos needs a target of env_type ec2".to_owned()),
        (FaultKind::Network, FaultTarget::Pods { .. }) => ("networkChaos", with_peer(parameters)?),
        (kind, FaultTarget::Pods { .. }) => (field(kind), parameters.clone()),
        (kind, FaultTarget::Machine { .. }) => ("physicalMachineChaos", on_machine(kind, parameters)?),
    };
    serde_json::from_value(Value::Object(Map::from_iter([(field.to_owned(), Value::Object(spec))]))).map_err(|error| error.to_string())
}

/// What is hit. Chaos Mesh hits everything that these plans select, and every machine that they name.
pub(super) fn target(target: &FaultTarget) -> fault::FaultTarget {
    let (pods, machines) = match target {
        FaultTarget::Pods { namespace, selector } => {
            let label_selectors = selector.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
            (Some(fault::PodSelector { namespaces: vec![namespace.as_str().into()], label_selectors, expression_selectors: Vec::new() }), None)
        }
        FaultTarget::Machine { address } => (None, Some(fault::Machines { addresses: vec![address.as_str().into()] })),
    };
    fault::FaultTarget { pods, machines, mode: fault::Mode::All, value: None }
}

const fn field(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Pod => "podChaos",
        FaultKind::Network => "networkChaos",
        FaultKind::Stress => "stressChaos",
        FaultKind::Io => "ioChaos",
        FaultKind::Time => "timeChaos",
        FaultKind::Dns => "dnsChaos",
        FaultKind::Http => "httpChaos",
        FaultKind::PhysicalMachine => "physicalMachineChaos",
    }
}

/// The other end of a network fault is `target` to Chaos Mesh and `peer` to us.
fn with_peer(parameters: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let mut spec = parameters.clone();
    let Some(target) = spec.remove("target") else { return Ok(spec) };
    let Value::Object(mut target) = target else { return Err("target: a mapping with selector and mode is needed here".to_owned()) };
    let selector = target.remove("selector").ok_or("target.selector: the field is missing")?;
    target.insert("pods".to_owned(), selector);
    if let Some(Value::String(value)) = target.get("value") {
        let number = value.parse::<u32>().map_err(|_| "target.value: a whole number is needed here")?;
        target.insert("value".to_owned(), number.into());
    }
    spec.insert("peer".to_owned(), Value::Object(target));
    Ok(spec)
}

/// What chaosd does is named by `action`, for example `network-delay`, and described by the field of that name or by fields
/// beside it; a fault of a kind that pods know, too, may leave the first part of the name out.
fn on_machine(kind: FaultKind, parameters: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let mut fields = parameters.clone();
    let Some(Value::String(named)) = fields.remove("action") else { return Err("action: a text such as network-delay is needed here".to_owned()) };
    let prefix = match kind {
        FaultKind::Network => "network-",
        FaultKind::Stress => "stress-",
        FaultKind::Io => "disk-",
        FaultKind::Time | FaultKind::PhysicalMachine => "",
        FaultKind::Pod | FaultKind::Dns | FaultKind::Http => return Err(format!("{} cannot be injected into a machine", kind.as_str())),
    };
    let action = if named.starts_with(prefix) { named.clone() } else { format!("{prefix}{named}") };
    // `uid` names an experiment of chaosd's own, which Chaos Mesh makes up.
    fields.remove("uid");
    match fields.remove(&action).or_else(|| fields.remove(&named)) {
        Some(Value::Object(own)) => fields.extend(own),
        // `loss: "50"` is short for what chaosd calls `percent`.
        Some(text) => drop(fields.insert("percent".to_owned(), text)),
        None => {}
    }
    let fields = fields.into_iter().map(|(name, value)| (camel(if name == "clock-ids-slice" { "clock-ids" } else { &name }), value)).collect();
    Ok(Map::from_iter([(camel(&action), Value::Object(fields))]))
}

/// `ip-address` as `ipAddress`.
fn camel(name: &str) -> String {
    let mut upper = false;
    let mut camel = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter == '-' {
            upper = true;
        } else {
            camel.push(if std::mem::take(&mut upper) { letter.to_ascii_uppercase() } else { letter });
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn pods() -> FaultTarget {
        FaultTarget::Pods { namespace: "sut".to_owned(), selector: BTreeMap::from([("app".to_owned(), "be".to_owned())]) }
    }

    fn machine() -> FaultTarget {
        FaultTarget::Machine { address: "10.0.1.5".to_owned() }
    }

    fn made(kind: FaultKind, target: &FaultTarget, parameters: &Value) -> Result<Value, String> {
        chaos(kind, target, parameters.as_object().unwrap()).map(|chaos| serde_json::to_value(chaos).unwrap())
    }

    #[test]
    fn parameters_become_a_typed_fault() {
        let cases = [
            (FaultKind::Pod, pods(), json!({"action": "pod-kill"}), json!({"podChaos": {"action": "pod-kill"}})),
            (
                FaultKind::Network,
                pods(),
                json!({"action": "delay", "direction": "both", "delay": {"latency": "10ms"},
                    "target": {"mode": "fixed", "value": "2", "selector": {"namespaces": ["sut"], "labelSelectors": {"app": "fe"}}}}),
                json!({"networkChaos": {"action": "delay", "direction": "both", "delay": {"latency": "10ms"},
                    "peer": {"pods": {"namespaces": ["sut"], "labelSelectors": {"app": "fe"}}, "mode": "fixed", "value": 2}}}),
            ),
            (FaultKind::Stress, pods(), json!({"stressors": {"cpu": {"workers": 2}}}), json!({"stressChaos": {"stressors": {"cpu": {"workers": 2}}}})),
            (
                FaultKind::PhysicalMachine,
                machine(),
                json!({"action": "network-delay", "uid": "x", "network-delay": {"device": "eth0", "latency": "10ms", "ip-address": "10.0.1.6"}}),
                json!({"physicalMachineChaos": {"networkDelay": {"device": "eth0", "latency": "10ms", "ipAddress": "10.0.1.6"}}}),
            ),
            (
                FaultKind::Network,
                machine(),
                json!({"action": "loss", "device": "eth0", "loss": "50"}),
                json!({"physicalMachineChaos": {"networkLoss": {"device": "eth0", "percent": "50"}}}),
            ),
            (
                FaultKind::PhysicalMachine,
                machine(),
                json!({"action": "process", "process": {"process": "mysqld", "signal": 9}}),
                json!({"physicalMachineChaos": {"process": {"process": "mysqld", "signal": 9}}}),
            ),
        ];
        for (kind, target, parameters, expected) in cases {
            assert_eq!(made(kind, &target, &parameters), Ok(expected), "{parameters}");
        }
    }

    #[test]
    fn what_has_no_type_is_refused_by_its_name() {
        let cases = [
            (FaultKind::Pod, pods(), json!({"action": "pod-kil"}), "unknown variant `pod-kil`, expected one of `pod-kill`, `pod-failure`, `container-kill`"),
            (FaultKind::Pod, pods(), json!({}), "missing field `action`"),
            (FaultKind::Network, pods(), json!({"action": "delay", "remoteCluster": "x"}), "unknown field `remoteCluster`"),
            (FaultKind::Network, pods(), json!({"action": "delay", "target": {}}), "target.selector: the field is missing"),
            (FaultKind::PhysicalMachine, pods(), json!({"action": "process"}), "physicalmachinechaos needs a target of env_type ec2"),
            (FaultKind::PhysicalMachine, machine(), json!({}), "action: a text such as network-delay is needed here"),
            (FaultKind::PhysicalMachine, machine(), json!({"action": "user_defined", "user_defined": {"attackCmd": "rm"}}), "unknown field `user_defined`"),
            (FaultKind::Dns, machine(), json!({"action": "error"}), "dnschaos cannot be injected into a machine"),
        ];
        for (kind, target, parameters, message) in cases {
            let told = made(kind, &target, &parameters).unwrap_err();
            assert!(told.starts_with(message), "{told}");
        }
    }

    #[test]
    fn everything_that_is_selected_is_hit() {
        let hit = |of: &FaultTarget| serde_json::to_value(target(of)).unwrap();
        assert_eq!(hit(&pods()), json!({"pods": {"namespaces": ["sut"], "labelSelectors": {"app": "be"}}, "mode": "all"}));
        assert_eq!(hit(&machine()), json!({"machines": {"addresses": ["10.0.1.5"]}, "mode": "all"}));
    }
}
