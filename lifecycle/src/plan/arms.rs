//! The arms of a plan: what the schema cannot check of them, and what each comes to.

use crucible_crds::{
    Arm, TestPlanSpec,
    test_plan::{Compare, Parameter, Target, WorkloadSpec},
};

use super::HostPort;
use crate::{
    contract::{Binding, FrozenArm, Query},
    load::rounds,
    problem::{Problem, Problems, name_some},
    workload::{self, Placed},
};

const ARMS: usize = 2;

/// Where the queries of an arm go.
#[must_use]
pub fn target(of_plan: &Target, arm: &Arm) -> Target {
    let Arm { name: _, endpoint, database, parameters: _ } = arm;
    Target {
        endpoint: endpoint.as_ref().unwrap_or(&of_plan.endpoint).clone(),
        database: database.as_ref().unwrap_or(&of_plan.database).clone(),
        ..of_plan.clone()
    }
}

/// What does not depend on the workload.
pub(super) fn check(spec: &TestPlanSpec, problems: &mut Problems) {
    let Some(Compare { arms: Some(arms), baseline, may_differ, metric: _, max_slowdown: _ }) = &spec.compare else { return };
    let path = "spec.compare.arms";
    if arms.len() != ARMS {
        problems.add(path, format!("there must be exactly {ARMS} arms, not {}", arms.len()));
    }
    if let [first, second] = arms.as_slice()
        && first.name == second.name
    {
        problems.add(format!("{path}[1].name"), format!("both arms are called {}; they must have different names", first.name));
    }
    for (name, given) in [("baseline", baseline.is_some()), ("mayDiffer", !may_differ.is_empty())] {
        if given {
            problems.add(format!("spec.compare.{name}"), format!("arms are compared with each other: they go without {name}"));
        }
    }
    if spec.load.find_max.is_some() {
        problems.add("spec.load.findMax", "arms go without findMax: a search is not repeated");
    }
    if !spec.faults.is_empty() {
        problems.add("spec.faults", "arms go without faults: a fault would hit one of them alone");
    }
    if arms.iter().any(Arm::is_elsewhere) {
        if !spec.fixtures.is_empty() {
            problems.add("spec.fixtures", "fixtures are loaded into target alone: arms with another endpoint or database go without them");
        }
        if !spec.workload.invariants.is_empty() {
            problems.add("spec.workload.invariants", "invariants are asked of target alone: arms with another endpoint or database go without them");
        }
    }
    for (index, arm) in arms.iter().enumerate() {
        // The plan's own endpoint is looked at with the plan's own target.
        if let (true, Err(error)) = (arm.endpoint.is_some(), HostPort::of(&target(&spec.target, arm))) {
            problems.add(format!("{path}[{index}].endpoint"), error.to_string());
        }
    }
}

/// The arms with what is bound to the queries of each.
pub(super) fn freeze(spec: &TestPlanSpec, files: &[Placed], queries: &[Query], problems: &mut Problems) -> Vec<FrozenArm> {
    let mut frozen = Vec::new();
    for (index, arm) in rounds::arms(spec).iter().enumerate() {
        let path = format!("spec.compare.arms[{index}].parameters");
        for (number, parameter) in arm.parameters.iter().enumerate() {
            let names = || queries.iter().flat_map(|query| &query.bindings).map(name_of);
            if !names().any(|name| name == &*parameter.name.0) {
                let known: std::collections::BTreeSet<&str> = names().collect();
                problems.add(format!("{path}[{number}].name"), format!("no query has a placeholder :{}; they have {}", parameter.name, name_some(known)));
            }
        }
        match workload::compile(files, &with_parameters(&spec.workload, &arm.parameters), spec.target.engine) {
            Ok(own) => {
                let bindings = own.into_iter().map(|query| query.bindings).collect();
                frozen.push(FrozenArm { name: arm.name.clone(), target: target(&spec.target, arm), bindings });
            }
            // The plan's own parameters are right, so that what is wrong is the arm's, and those come first.
            Err(found) => {
                problems
                    .extend(found.into_iter().map(|problem| Problem { path: problem.path.replace("spec.workload.parameters", &path), ..problem }).collect());
            }
        }
    }
    frozen
}

/// The workload with an arm's parameters in place of those of the same names.
fn with_parameters(workload: &WorkloadSpec, own: &[Parameter]) -> WorkloadSpec {
    let rest = workload.parameters.iter().filter(|parameter| !own.iter().any(|other| other.name == parameter.name));
    WorkloadSpec { parameters: own.iter().chain(rest).cloned().collect(), ..workload.clone() }
}

fn name_of(binding: &Binding) -> &str {
    match binding {
        Binding::IntRange { name, .. } | Binding::Choice { name, .. } => name,
    }
}

#[cfg(test)]
mod tests;
