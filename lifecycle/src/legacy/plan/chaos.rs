//! `chaos_spec`: what is broken while the load is on, one experiment after another.

use std::{collections::BTreeMap, time};

use crucible_crds::{Duration, Fault, chaos::Chaos, fault::FaultStart};
use serde_json::{Map, Value};

use crate::legacy::{
    detail::{Details, shown},
    field::Field,
    ids,
    plan::fault,
};

/// The most experiments of a plan.
const MOST_EXPERIMENTS: usize = 16;
/// Parameters that would widen what is hit, or for how long.
const RESERVED: [&str; 4] = ["selector", "mode", "duration", "namespace"];

/// One fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// What it is called.
    pub name: String,
    /// What kind it is.
    pub kind: FaultKind,
    /// What is hit.
    pub target: FaultTarget,
    /// What is done to it.
    pub chaos: Chaos,
    /// How long after the end of the experiment before it, or after the start of the load.
    pub start_after: Duration,
    /// How long it lasts.
    pub duration: Duration,
}

impl Experiment {
    /// The fault that a TestPlan has for it, begun so long after the start of a stage.
    #[must_use]
    pub fn fault(&self, stage: &str, after: time::Duration) -> Fault {
        let Self { name, kind: _, target, chaos, start_after: _, duration } = self;
        Fault {
            name: ids::object_name(name).as_str().into(),
            start: FaultStart { stage: Some(stage.into()), steady: false, after: Duration::of(after) },
            duration: duration.clone(),
            target: fault::target(target),
            chaos: chaos.clone(),
        }
    }
}

/// What is hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultTarget {
    /// Pods with these labels.
    Pods {
        /// Their namespace.
        namespace: String,
        /// Their labels, at least one.
        selector: BTreeMap<String, String>,
    },
    /// A machine that runs chaosd.
    Machine {
        /// Where that answers.
        address: String,
    },
}

/// What kind a fault is, by the name of its Chaos Mesh object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// Pods or containers are killed.
    Pod,
    /// The network is cut or slow.
    Network,
    /// Processor or memory is used up.
    Stress,
    /// Files are slow or fail.
    Io,
    /// The clock is wrong.
    Time,
    /// Names do not resolve.
    Dns,
    /// HTTP is slow or fails.
    Http,
    /// Something happens to a machine outside Kubernetes.
    PhysicalMachine,
}

impl FaultKind {
    const ALL: [Self; 8] = [Self::Pod, Self::Network, Self::Stress, Self::Io, Self::Time, Self::Dns, Self::Http, Self::PhysicalMachine];

    /// The word as it stands in a plan.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "podchaos",
            Self::Network => "networkchaos",
            Self::Stress => "stresschaos",
            Self::Io => "iochaos",
            Self::Time => "timechaos",
            Self::Dns => "dnschaos",
            Self::Http => "httpchaos",
            Self::PhysicalMachine => "physicalmachinechaos",
        }
    }
}

/// Reads the experiments. `load` is how long the load lasts, where that is known.
pub(super) fn read(field: &Field<'_>, load: Option<time::Duration>, details: &mut Details) -> Option<Vec<Experiment>> {
    let mut fields = field.fields(details)?;
    let engine = fields.optional("engine").map_or(Some(()), |field| field.word(&[("chaos-mesh", ())], details));
    let experiments = fields.required("experiments", details).and_then(|field| {
        let entries = field.some_entries(MOST_EXPERIMENTS, details)?;
        let read: Vec<_> = entries.iter().map(|entry| experiment(entry, details)).collect();
        let experiments: Vec<Experiment> = read.into_iter().collect::<Option<_>>()?;
        check_names(&entries, &experiments, details);
        check_times(&entries, &experiments, load?, details);
        Some(experiments)
    });
    fields.close(details);
    engine?;
    experiments
}

fn check_names(entries: &[Field<'_>], experiments: &[Experiment], details: &mut Details) {
    for (index, (entry, experiment)) in entries.iter().zip(experiments).enumerate() {
        if experiments.iter().take(index).any(|earlier| earlier.name == experiment.name) {
            entry.refuse(details, format!("an experiment {} stands before it", shown(&experiment.name)), "value_error");
        }
    }
}

/// Each begins after the end of the one before, and the last one ends with the load.
fn check_times(entries: &[Field<'_>], experiments: &[Experiment], load: time::Duration, details: &mut Details) {
    let mut end = time::Duration::ZERO;
    for (entry, Experiment { start_after, duration, .. }) in entries.iter().zip(experiments) {
        end = end.saturating_add(start_after.span()).saturating_add(duration.span());
        if end > load {
            let message = format!("the experiment would end {}s after the start of the load, which lasts {}s", end.as_secs_f64(), load.as_secs_f64());
            entry.refuse(details, message, "value_error");
            return;
        }
    }
}

fn experiment(field: &Field<'_>, details: &mut Details) -> Option<Experiment> {
    let mut fields = field.fields(details)?;
    let name = fields.required("name", details).and_then(|field| field.line(128, details)).map(str::to_owned);
    let kind = fields.required("fault_type", details).and_then(|field| kind(&field, details));
    let target = fields.required("target", details).and_then(|field| target(&field, details));
    let place = fields.at("parameters");
    let parameters = fields.optional("parameters").map_or_else(|| Some(Map::new()), |field| parameters(&field, details));
    let schedule = fields.required("schedule", details).and_then(|field| schedule(&field, details));
    fields.close(details);
    let (kind, target) = (kind?, target?);
    let chaos = fault::chaos(kind, &target, &parameters?).map_err(|message| details.add(&place, message, "value_error")).ok();
    let (start_after, duration) = schedule?;
    Some(Experiment { name: name?, kind, target, chaos: chaos?, start_after, duration })
}

fn kind(field: &Field<'_>, details: &mut Details) -> Option<FaultKind> {
    let text = field.text(details)?;
    let found = FaultKind::ALL.into_iter().find(|kind| text.eq_ignore_ascii_case(kind.as_str()));
    if found.is_none() {
        let known = FaultKind::ALL.map(FaultKind::as_str).join(", ");
        field.refuse(details, format!("{} is not a known fault_type; known are {known}", shown(text)), "enum");
    }
    found
}

fn target(field: &Field<'_>, details: &mut Details) -> Option<FaultTarget> {
    let mut fields = field.fields(details)?;
    let in_cluster = fields.required("env_type", details).and_then(|field| field.word(&[("k8s", true), ("ec2", false)], details));
    let target = if in_cluster? {
        let namespace = fields.required("namespace", details).and_then(|field| field.line(63, details)).map(str::to_owned);
        let selector = fields.required("selector", details).and_then(|field| selector(&field, details));
        namespace.zip(selector).map(|(namespace, selector)| FaultTarget::Pods { namespace, selector })
    } else {
        let address = fields.required("address", details).and_then(|field| field.line(253, details));
        address.map(|address| FaultTarget::Machine { address: address.to_owned() })
    };
    fields.close(details);
    target
}

fn selector(field: &Field<'_>, details: &mut Details) -> Option<BTreeMap<String, String>> {
    let mut selector = BTreeMap::new();
    for (key, value) in field.object(details)? {
        let Value::String(value) = value else {
            field.refuse(details, format!("the label {} needs a text; write it in quotes", shown(&key)), "string_type");
            return None;
        };
        selector.insert(key, value);
    }
    if selector.is_empty() {
        field.refuse(details, "there must be at least one label: a fault that hits every pod is refused", "too_short");
        return None;
    }
    Some(selector)
}

fn parameters(field: &Field<'_>, details: &mut Details) -> Option<Map<String, Value>> {
    let parameters = field.object(details)?;
    let reserved: Vec<&str> = RESERVED.into_iter().filter(|name| parameters.keys().any(|key| key.eq_ignore_ascii_case(name))).collect();
    if !reserved.is_empty() {
        field.refuse(details, format!("parameters must not say {}: target and schedule do", reserved.join(", ")), "reserved");
        return None;
    }
    Some(parameters)
}

fn schedule(field: &Field<'_>, details: &mut Details) -> Option<(Duration, Duration)> {
    let mut fields = field.fields(details)?;
    let start_after = fields.optional("start_after").map_or_else(|| Some(Duration::from_secs(0)), |field| field.duration(details));
    let duration = fields.required("duration", details).and_then(|field| {
        let duration = field.duration(details)?;
        let fits = duration.span() >= time::Duration::from_secs(1);
        if !fits {
            field.refuse(details, "a fault must last at least 1s", "greater_than_equal");
        }
        fits.then_some(duration)
    });
    fields.close(details);
    Some((start_after?, duration?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::legacy::plan::{parse, shown, text_of};

    const PLAN: &str = "
test_environment: {env_type: long-lived, target_db: shop, component_spec: {type: mysql, cluster_info: {host: db, username: root}}}
execution: {concurrency: 1, ramp_up: 1m, hold_for: 9m, workload: [{workload_id: a}]}
chaos_spec:
  engine: chaos-mesh
  experiments:
    - name: kill-be
      fault_type: PodChaos
      target: {env_type: k8s, namespace: sut, selector: {app: be}}
      parameters: {action: pod-kill}
      schedule: {start_after: 1m, duration: 3m}
    - name: machine
      fault_type: networkchaos
      target: {env_type: ec2, address: 10.0.1.5}
      parameters: {action: network-delay, device: eth0, latency: 10ms}
      schedule: {duration: 90s}
";

    type Change<'a> = &'a dyn Fn(&mut Value);

    fn told(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut plan = shown(PLAN).unwrap();
        change(&mut plan["chaos_spec"]);
        parse(&text_of(&plan)).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn experiments_are_read_in_their_order() {
        let experiments = parse(PLAN).unwrap().experiments;
        let pods = FaultTarget::Pods { namespace: "sut".to_owned(), selector: BTreeMap::from([("app".to_owned(), "be".to_owned())]) };
        assert_eq!((&*experiments[0].name, experiments[0].kind, &experiments[0].target), ("kill-be", FaultKind::Pod, &pods));
        assert_eq!(serde_json::to_value(&experiments[0].chaos).unwrap(), json!({"podChaos": {"action": "pod-kill"}}));
        assert_eq!((experiments[0].start_after.to_string(), experiments[0].duration.to_string()), ("1m".to_owned(), "3m".to_owned()));
        assert_eq!((experiments[1].kind, &experiments[1].target), (FaultKind::Network, &FaultTarget::Machine { address: "10.0.1.5".to_owned() }));
        assert_eq!(experiments[1].start_after.to_string(), "0s");
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_place() {
        const FIRST: &str = "chaos_spec.experiments[0]";
        let cases: [(Change<'_>, String); 13] = [
            (&|spec| spec["experiments"] = json!([]), "chaos_spec.experiments: there must be at least one entry".to_owned()),
            (&|spec| spec["engine"] = json!("litmus"), "chaos_spec.engine: \"litmus\" is not known here; known are chaos-mesh".to_owned()),
            (&|spec| spec["experiments"][1]["name"] = json!("kill-be"), "chaos_spec.experiments[1]: an experiment \"kill-be\" stands before it".to_owned()),
            (
                &|spec| spec["experiments"][0]["fault_type"] = json!("foo"),
                format!(
                    "{FIRST}.fault_type: \"foo\" is not a known fault_type; known are podchaos, networkchaos, stresschaos, iochaos, timechaos, dnschaos, httpchaos, physicalmachinechaos"
                ),
            ),
            (
                &|spec| spec["experiments"][0]["parameters"] = json!({"Selector": {}, "mode": "all"}),
                format!("{FIRST}.parameters: parameters must not say selector, mode: target and schedule do"),
            ),
            (&|spec| spec["experiments"][0]["parameters"] = json!({}), format!("{FIRST}.parameters: missing field `action`")),
            (
                &|spec| spec["experiments"][0]["target"]["selector"] = json!({}),
                format!("{FIRST}.target.selector: there must be at least one label: a fault that hits every pod is refused"),
            ),
            (
                &|spec| spec["experiments"][0]["target"]["selector"] = json!({"a": true}),
                format!("{FIRST}.target.selector: the label \"a\" needs a text; write it in quotes"),
            ),
            (
                &|spec| spec["experiments"][0]["target"] = json!({"env_type": "k8s", "selector": {"a": "b"}}),
                format!("{FIRST}.target.namespace: the field is missing"),
            ),
            (
                &|spec| spec["experiments"][0]["target"]["address"] = json!("10.0.1.5"),
                format!("{FIRST}.target.address: the field \"address\" is not known here; known are env_type, namespace, selector"),
            ),
            (&|spec| spec["experiments"][0]["schedule"]["duration"] = json!("500ms"), format!("{FIRST}.schedule.duration: a fault must last at least 1s")),
            (
                &|spec| spec["experiments"][1]["schedule"]["start_after"] = json!("5m"),
                "chaos_spec.experiments[1]: the experiment would end 630s after the start of the load, which lasts 600s".to_owned(),
            ),
            (&|spec| *spec = json!({}), "chaos_spec.experiments: the field is missing".to_owned()),
        ];
        for (change, message) in cases {
            assert_eq!(told(change), [message]);
        }
    }
}
