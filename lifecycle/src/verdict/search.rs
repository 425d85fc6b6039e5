//! The search for the highest rate: which of its steps kept every limit, which check the first other one broke, and where
//! the knee lies. Pure, and told from one load, whose steps only go up: what a step leaves behind can spoil only those
//! after it, and none of those counts any more.

use crucible_crds::Owner;

use super::{
    Judged, number, slo,
    validity::{ACHIEVED_RATE, BEHIND},
};
use crate::{
    contract::FrozenPlan,
    histogram::arrivals::ArrivalCounts,
    load::{is_step, level},
    results::{Row, Summary},
};

/// By how much the median response time of the last third of a step may be above that of its second third. Where more
/// arrives than is answered, it grows by two thirds.
const STABLE: f64 = 1.5;
/// Differences below this are no growth, in microseconds.
const NOISE: f64 = 1_000.0;

/// What the search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// The steps in their order.
    pub steps: Vec<Step>,
    /// The last step before the first one that did not hold, by its place.
    pub best: Option<usize>,
    /// The step with the most power, by its place: answered queries per second over their mean response time. Up to there a higher
    /// rate buys more than it costs.
    pub knee: Option<usize>,
}

/// One step of the search.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The stage's name.
    pub stage: String,
    /// Arrivals per second.
    pub rate: f64,
    /// Queries answered without error per second.
    pub throughput: f64,
    /// The first check that did not hold; nothing where all did.
    pub limiting: Option<Limiting>,
}

/// Why a step does not count.
#[derive(Clone, Debug, PartialEq)]
pub struct Limiting {
    /// What was not as it has to be, with value and limit.
    pub what: String,
    /// Whether the load generator is to blame, not the system under test.
    pub by_generator: bool,
    /// Whether it is only not known whether the check holds.
    pub open: bool,
}

impl Search {
    /// The step at which the search ended before its end.
    #[must_use]
    pub fn stopped_at(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.limiting.is_some())
    }
}

/// That some rate keeps every limit; nothing where the plan searches for none.
pub(super) fn check(plan: &FrozenPlan, summary: &Summary) -> Option<Judged> {
    let search = search(plan, summary)?;
    let first = search.steps.first()?;
    let best = search.best.and_then(|at| search.steps.get(at));
    let observed = best.map_or_else(|| "none".to_owned(), |step| format!("{}/s", step.rate));
    let open = best.is_none() && first.limiting.as_ref().is_some_and(|limiting| limiting.open);
    let limit = format!(">= {}/s", first.rate);
    Some(Judged {
        check: super::check("highest rate within the limits", &limit, &observed, best.is_some(), !open, Owner::Sut),
        broken: "NoRateHolds",
        undecided: "TooLittleData",
    })
}

/// What a search found; nothing where the plan asks for none.
#[must_use]
pub fn search(plan: &FrozenPlan, summary: &Summary) -> Option<Search> {
    plan.spec.load.find_max.as_ref()?;
    let stages = plan.spec.load.stages.iter().zip(&summary.stages).zip(&summary.arrivals).enumerate();
    let of_search = stages.filter(|(_, ((stage, _), _))| is_step(stage));
    let mut powers = Vec::new();
    let steps: Vec<Step> = of_search
        .map(|(index, ((stage, row), counts))| {
            powers.push(power(row));
            let limiting = generator(plan, counts)
                .or_else(|| limit_broken(plan, summary, row))
                .or_else(|| too_few(plan, counts))
                .or_else(|| unstable(plan, summary, index));
            Step { stage: stage.name.to_string(), rate: level(stage), throughput: row.throughput(), limiting }
        })
        .collect();
    let held = steps.iter().take_while(|step| step.limiting.is_none()).count();
    // What came after the end of the search is spoilt by it.
    let knee = (0..steps.len().min(held + 1)).filter(|at| powers[*at] > 0.0).max_by(|one, other| powers[*one].total_cmp(&powers[*other]));
    Some(Search { best: held.checked_sub(1), knee, steps })
}

fn power(row: &Row) -> f64 {
    row.latency.map_or(0.0, |latency| row.throughput() / latency.mean.max(1.0))
}

/// The first limit of the plan that does not hold of a step.
fn limit_broken(plan: &FrozenPlan, summary: &Summary, row: &Row) -> Option<Limiting> {
    slo::of_stage(plan, summary, row).into_iter().find(|check| !(check.decided && check.held)).map(|check| Limiting {
        what: format!("{} was {}, the limit is {}", check.name, check.observed, check.limit),
        by_generator: false,
        open: !check.decided,
    })
}

fn generator(plan: &FrozenPlan, counts: &ArrivalCounts) -> Option<Limiting> {
    let most = plan.spec.validity.max_behind.unwrap_or(BEHIND);
    let share = counts.behind_share().filter(|share| *share > most)?;
    let what = format!("arrivals that the load generator began late was {}, the limit is <= {}", number(share), number(most));
    Some(Limiting { what, by_generator: true, open: false })
}

fn too_few(plan: &FrozenPlan, counts: &ArrivalCounts) -> Option<Limiting> {
    let least = plan.spec.validity.min_achieved_rate.unwrap_or(ACHIEVED_RATE);
    let achieved = counts.achieved();
    if achieved.is_some_and(|share| share >= least) {
        return None;
    }
    let observed = achieved.map_or_else(|| "no data".to_owned(), number);
    Some(Limiting { what: format!("achieved rate was {observed}, the limit is >= {}", number(least)), by_generator: false, open: achieved.is_none() })
}

/// The stability gate: a step whose response times still grow at its end only has not broken its limits yet.
fn unstable(plan: &FrozenPlan, summary: &Summary, index: usize) -> Option<Limiting> {
    let mut ends = plan.spec.load.stages.iter().scan(std::time::Duration::ZERO, |end, stage| {
        *end += stage.duration.span();
        Some(*end)
    });
    let end = ends.nth(index)?.as_secs_f64();
    let third = plan.spec.load.stages.get(index)?.duration.span().as_secs_f64() / 3.0;
    let (before, after) = (median(summary, end - 2.0 * third, end - third)?, median(summary, end - third, end)?);
    (after > before * STABLE && after - before > NOISE).then(|| Limiting {
        what: format!("the median response time grew by {} % from the second to the last third", number(((after / before - 1.0) * 100.0).round())),
        by_generator: false,
        open: false,
    })
}

/// The median of the seconds' median response times in a stretch of the load, in microseconds.
#[expect(clippy::cast_precision_loss, reason = "seconds of a day and microseconds of an hour")]
fn median(summary: &Summary, from: f64, to: f64) -> Option<f64> {
    let within = |second: u64| (from..to).contains(&(second as f64 + 0.5));
    let mut medians: Vec<u64> = summary.timeline.points.iter().filter(|point| within(point.second)).filter_map(|point| Some(point.latency?.p50)).collect();
    medians.sort_unstable();
    medians.get(medians.len() / 2).map(|micros| *micros as f64)
}

#[cfg(test)]
mod tests;
