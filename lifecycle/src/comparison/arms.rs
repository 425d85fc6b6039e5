//! The two arms of one run against each other. They were asked in turns, so nothing but what the plan says of them differs, and no
//! earlier run is needed.

use crucible_crds::{
    name::QueryName,
    test_plan::{Compare, Stage},
};

use super::{Across, Comparison, answer, measure, of_rounds, rows};
use crate::{
    contract::FrozenPlan,
    load::rounds::{arm_of_stage, arms},
    results::{RoundRows, Series},
    statistics::{Change, bootstrap::Sample, generator::Generator},
};

/// The first arm, which the second is compared with.
pub(super) const FIRST: usize = 0;
/// The second arm.
pub(super) const SECOND: usize = 1;

/// Compares the second arm of a run with its first; nothing where the plan has no arms.
#[must_use]
pub fn compare_arms(asked: &Compare, plan: &FrozenPlan, series: &Series, rounds: &[RoundRows]) -> Option<Comparison> {
    let [first, second] = arms(&plan.spec) else { return None };
    let (measure, limit) = (measure(asked.metric), asked.max_slowdown);
    let (of_first, of_second) = (stages_of(plan, FIRST), stages_of(plan, SECOND));
    let sample = |query: Option<&QueryName>| -> [Sample; 2] { [series.sample(&of_first, query), series.sample(&of_second, query)] };
    let across = |query: Option<&QueryName>| {
        let of = |arm: usize| of_rounds(rounds.iter().filter(|round| round.arm == Some(arm)), query, measure);
        Across::of(&of(FIRST), &of(SECOND))
    };
    let queries: Vec<&QueryName> = plan.queries.iter().map(|query| &query.name).collect();
    let rows = rows(&queries, sample, measure, limit, across, &mut Generator::seeded(&format!("arms {}", plan.run.id)));
    Some(Comparison {
        asked: format!("arm {}", first.name),
        arms: Some([first.name.clone(), second.name.clone()]),
        required: true,
        measure,
        limit,
        baseline: None,
        differences: Vec::new(),
        obstacle: None,
        change: if rows.is_empty() { Change::NotEnoughData } else { answer(&rows, measure) },
        rows,
        earlier: Vec::new(),
    })
}

/// The stages of a plan, of which those of the other arm are not measured.
fn stages_of(plan: &FrozenPlan, arm: usize) -> Vec<Stage> {
    let stages = plan.spec.load.stages.iter().enumerate();
    stages.map(|(position, stage)| Stage { measured: stage.measured && arm_of_stage(&plan.spec, position) == Some(arm), ..stage.clone() }).collect()
}

#[cfg(test)]
mod tests;
