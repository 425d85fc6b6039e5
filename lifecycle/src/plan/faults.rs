//! Faults that cannot be injected as they are written: windows that no load fills, names that are not there. What the
//! schema refuses is refused here again where a mistake would hit the wrong thing.

use std::{ops::Range, time::Duration};

use crucible_crds::{
    Fault, TestPlanSpec,
    chaos::Chaos,
    fault::{FaultTarget, PodSelector},
};

use super::map_keys;
use crate::{
    load::rounds,
    problem::{Problems, name_some},
};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

/// Everything about faults and limits on them.
pub(super) fn check(spec: &TestPlanSpec, problems: &mut Problems) {
    for (index, fault) in spec.faults.iter().enumerate() {
        let path = format!("spec.faults[{index}]");
        if spec.faults.iter().take(index).any(|earlier| earlier.name == fault.name) {
            problems.add(format!("{path}.name"), format!("the fault {} exists already", fault.name));
        }
        check_window(spec, fault, &path, problems);
        check_target(fault, &path, problems);
        map_keys::check(fault, &path, problems);
    }
    for (index, slo) in spec.slos.iter().enumerate() {
        if let Some(fault) = slo.fault.as_ref().filter(|fault| !spec.faults.iter().any(|known| known.name == **fault)) {
            let known = name_some(spec.faults.iter().map(|fault| &*fault.name));
            problems.add(format!("spec.slos[{index}].fault"), format!("there is no fault {fault}; there are {known}"));
        }
    }
}

/// Pairs of faults that may hit the same target at the same time: two causes for whatever is measured then.
pub fn overlaps(spec: &TestPlanSpec) -> Vec<String> {
    let mut said = Vec::new();
    for (index, later) in spec.faults.iter().enumerate() {
        for earlier in &spec.faults[..index] {
            let both = window(spec, earlier).zip(window(spec, later));
            if both.is_some_and(|(one, other)| one.start < other.end && other.start < one.end) && may_share(&earlier.target, &later.target) {
                said.push(format!("{} and {}", earlier.name, later.name));
            }
        }
    }
    said
}

/// From when to when a fault is on, after the start of the load; nothing where only the load itself tells.
fn window(spec: &TestPlanSpec, fault: &Fault) -> Option<Range<Duration>> {
    let position = spec.load.stages.iter().position(|stage| fault.start.stage.as_ref() == Some(&stage.name))?;
    let before: Duration = spec.load.stages.iter().take(position).map(|stage| stage.duration.span()).sum();
    let begins = before.saturating_add(fault.start.after.span());
    Some(begins..begins.saturating_add(fault.duration.span()))
}

/// Whether something could be a target of both.
fn may_share(one: &FaultTarget, other: &FaultTarget) -> bool {
    let machines = |target: &FaultTarget| target.machines.as_ref().map(|machines| machines.addresses.clone()).unwrap_or_default();
    let others = machines(other);
    if machines(one).iter().any(|address| others.contains(address)) {
        return true;
    }
    one.pods.as_ref().zip(other.pods.as_ref()).is_some_and(|(one, other)| {
        let contradict = |(key, value)| other.label_selectors.get(key).is_some_and(|theirs| theirs != value);
        one.namespaces.iter().any(|namespace| other.namespaces.contains(namespace)) && !one.label_selectors.iter().any(contradict)
    })
}

/// The fault begins in a stage that there is, and is over when the load is.
fn check_window(spec: &TestPlanSpec, fault: &Fault, path: &str, problems: &mut Problems) {
    let (after, lasts) = (fault.start.after.span(), fault.duration.span());
    if !(SECOND..=DAY).contains(&lasts) {
        problems.add(format!("{path}.duration"), format!("{} is not from 1s to 24h", fault.duration));
    }
    let stages = &spec.load.stages;
    let total = rounds::length(spec);
    let begins = match (&fault.start.stage, fault.start.steady) {
        (Some(stage), false) => {
            let Some(position) = stages.iter().position(|known| known.name == *stage) else {
                let known = name_some(stages.iter().map(|stage| &*stage.name));
                return problems.add(format!("{path}.start.stage"), format!("there is no stage {stage}; there are {known}"));
            };
            stages.iter().take(position).fold(Duration::ZERO, |begins, stage| begins.saturating_add(stage.duration.span()))
        }
        (None, true) => {
            if !stages.iter().any(|stage| stage.measured && !stage.ramp) {
                problems.add(format!("{path}.start.steady"), "no load can be steady without a measured stage that has no ramp");
            }
            Duration::ZERO
        }
        (Some(_), true) | (None, false) => return problems.add(format!("{path}.start"), "exactly one of stage and steady must be set"),
    };
    let ends = begins.saturating_add(after).saturating_add(lasts);
    if ends > total {
        let (ends, total) = (ends.as_secs_f64(), total.as_secs_f64());
        problems.add(path, format!("the fault would end {ends}s after the start of the load, which lasts only {total}s"));
    }
}

/// The fault hits something, and only that.
fn check_target(fault: &Fault, path: &str, problems: &mut Problems) {
    let FaultTarget { pods, machines, mode: _, value: _ } = &fault.target;
    if pods.is_some() == machines.is_some() {
        problems.add(format!("{path}.target"), "exactly one of pods and machines must be set");
    }
    let Chaos { pod_chaos, network_chaos, stress_chaos, io_chaos, time_chaos, dns_chaos, http_chaos, physical_machine_chaos } = &fault.chaos;
    let kinds = [
        pod_chaos.is_some(),
        network_chaos.is_some(),
        stress_chaos.is_some(),
        io_chaos.is_some(),
        time_chaos.is_some(),
        dns_chaos.is_some(),
        http_chaos.is_some(),
        physical_machine_chaos.is_some(),
    ];
    if kinds.iter().filter(|given| **given).count() != 1 {
        problems.add(format!("{path}.chaos"), "exactly one kind of chaos must be set");
    }
    if physical_machine_chaos.is_some() != machines.is_some() {
        problems.add(path, "physicalMachineChaos needs target.machines, every other kind target.pods");
    }
    let peer = network_chaos.as_ref().and_then(|chaos| chaos.peer.as_ref()).and_then(|peer| peer.pods.as_ref());
    for selector in pods.iter().chain(peer) {
        let PodSelector { namespaces, label_selectors, expression_selectors } = selector;
        if namespaces.is_empty() || label_selectors.is_empty() && expression_selectors.is_empty() {
            problems.add(format!("{path}.target"), "a selector of pods must have namespaces, and labelSelectors or expressionSelectors");
        }
    }
}
