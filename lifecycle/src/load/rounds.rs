//! Rounds: the stages of a plan carried out several times in one load, so that its results tell how much the same system
//! varies by itself. A frozen plan has the stages of all rounds, one after another, each with the number of its round in
//! its name; which round is which follows from their order alone. Where a plan has two arms the rounds are carried out against
//! each in turn, A B B A and again: what grows or falls evenly over time is then the same in the middle of both.

use std::{ops::Range, time::Duration};

use crucible_crds::{
    Arm, TestPlanSpec,
    test_plan::{Load, Stage},
};

use super::with_steps;

/// The most stages of a load, those of all rounds together: a worker keeps counts of each.
pub const MOST_STAGES: usize = 128;
/// The most rounds of a load, whatever a plan says that nobody has checked.
const MOST_ROUNDS: usize = 40;
/// The arms of one block of rounds, by position.
const BLOCK: [usize; 4] = [0, 1, 1, 0];
/// Between the name of a stage and the number of its round. No stage of a plan has it in its name.
const MARK: char = '#';

/// One round of a load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// Its number, from 1.
    pub number: usize,
    /// Whom it asks, by position among the plan's arms; nothing where there are none.
    pub arm: Option<usize>,
    /// Its stages by their positions in the frozen plan.
    pub stages: Range<usize>,
}

/// The arms of a plan; none where it has none.
#[must_use]
pub fn arms(spec: &TestPlanSpec) -> &[Arm] {
    spec.compare.as_ref().and_then(|compare| compare.arms.as_deref()).unwrap_or_default()
}

/// How many rounds a load has. With arms `repeat` counts pairs of them, which are rounded up to whole blocks.
#[must_use]
pub fn count(spec: &TestPlanSpec) -> usize {
    let repeat = usize::try_from(spec.load.repeat).unwrap_or(usize::MAX).clamp(1, MOST_ROUNDS);
    let rounds = if arms(spec).is_empty() { repeat } else { (2 * repeat).next_multiple_of(BLOCK.len()) };
    rounds.min(MOST_ROUNDS)
}

/// Whom the stage at this position of a frozen plan asks, by position among its arms; nothing where there are none.
#[must_use]
pub fn arm_of_stage(spec: &TestPlanSpec, stage: usize) -> Option<usize> {
    rounds(spec).into_iter().find(|round| round.stages.contains(&stage))?.arm
}

/// A plan whose stages are the load as it is carried out: with the steps of its search, and with the stages of every round. A fault that
/// begins in a stage does so in the first round of it. To be asked of a plan as its user wrote it, once.
#[must_use]
pub fn carried_out(spec: &TestPlanSpec) -> TestPlanSpec {
    let mut spec = with_steps(spec);
    let rounds = count(&spec);
    if rounds > 1 {
        let once = std::mem::take(&mut spec.load.stages);
        let of_round = |round: usize| once.iter().map(move |stage| Stage { name: name(&stage.name, round).as_str().into(), ..stage.clone() });
        spec.load.stages = (1..=rounds).flat_map(of_round).collect();
        for fault in &mut spec.faults {
            fault.start.stage = fault.start.stage.take().map(|stage| name(&stage, 1).as_str().into());
        }
    }
    spec
}

/// The rounds of a frozen plan; none where its stages are carried out once.
#[must_use]
pub fn rounds(spec: &TestPlanSpec) -> Vec<Round> {
    let (count, stages) = (count(spec), spec.load.stages.len());
    if count < 2 {
        return Vec::new();
    }
    let each = stages / count;
    let arm = |index: usize| (!arms(spec).is_empty()).then(|| BLOCK[index % BLOCK.len()]);
    (0..count).map(|index| Round { number: index + 1, arm: arm(index), stages: index * each..(index + 1) * each }).collect()
}

/// What a stage is called in a round.
fn name(stage: &str, round: usize) -> String {
    format!("{stage}{MARK}{round}")
}

/// The name that a stage of any round has in the plan.
#[must_use]
pub fn name_in_plan(stage: &str) -> &str {
    stage.split_once(MARK).map_or(stage, |(name, _)| name)
}

/// The stages of one round of a frozen plan; all stages where there are no rounds.
#[must_use]
pub fn stages_once(spec: &TestPlanSpec) -> &[Stage] {
    let each = spec.load.stages.len() / count(spec);
    spec.load.stages.get(..each).unwrap_or_default()
}

/// How long the load of a plan lasts, all rounds of it; of a plan that is not frozen.
#[must_use]
pub fn length(spec: &TestPlanSpec) -> Duration {
    let Load { stages, .. } = &spec.load;
    let once = stages.iter().fold(Duration::ZERO, |total, stage| total.saturating_add(stage.duration.span()));
    once.saturating_mul(u32::try_from(count(spec)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(load: &serde_json::Value) -> TestPlanSpec {
        let mut spec = json!({
            "target": {"engine": "mysql", "endpoint": "mariadb.sut.svc", "database": "shop", "credentialsRef": {"name": "shop"}},
            "workload": {"source": {"inline": "-- @name: A\nSELECT 1"}},
            "load": {"stages": [{"name": "warmup", "duration": "10s", "vus": 4, "measured": false}, {"name": "steady", "duration": "20s", "vus": 8, "ramp": true}]},
            "faults": [{"name": "kill", "start": {"stage": "steady", "after": "1s"}, "duration": "2s",
                "target": {"pods": {"namespaces": ["sut"], "labelSelectors": {"app": "db"}}}, "chaos": {"podChaos": {"action": "pod-kill"}}}],
        });
        spec["load"].as_object_mut().unwrap().extend(load.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    fn names(spec: &TestPlanSpec) -> Vec<&str> {
        spec.load.stages.iter().map(|stage| &*stage.name.0).collect()
    }

    #[test]
    fn a_load_that_is_carried_out_once_is_as_the_plan_says() {
        for once in [json!({}), json!({"repeat": 1})] {
            let spec = spec(&once);
            assert_eq!(carried_out(&spec), spec);
            assert_eq!((rounds(&spec), stages_once(&spec).len(), length(&spec)), (vec![], 2, Duration::from_secs(30)));
        }
    }

    #[test]
    fn rounds_are_the_stages_again_with_the_number_of_the_round() {
        let plan = spec(&json!({"repeat": 3}));
        let frozen = carried_out(&plan);
        assert_eq!(names(&frozen), ["warmup#1", "steady#1", "warmup#2", "steady#2", "warmup#3", "steady#3"]);
        let same = |number: usize| Stage { name: plan.load.stages[number % 2].name.clone(), ..frozen.load.stages[number].clone() };
        assert!((0..6).all(|number| same(number) == plan.load.stages[number % 2]), "nothing but the name is another");
        let numbered: Vec<_> = rounds(&frozen).into_iter().map(|round| (round.number, round.stages)).collect();
        assert_eq!(numbered, [(1, 0..2), (2, 2..4), (3, 4..6)]);
        assert_eq!(stages_once(&frozen).iter().map(|stage| name_in_plan(&stage.name)).collect::<Vec<_>>(), ["warmup", "steady"]);
        assert_eq!(length(&plan), Duration::from_secs(90));
    }

    #[test]
    fn arms_take_turns_in_whole_blocks() {
        let turns = |repeat: u32| {
            let mut spec = spec(&json!({"repeat": repeat}));
            spec.compare = serde_json::from_value(json!({"arms": [{"name": "a"}, {"name": "b", "database": "other"}]})).unwrap();
            let frozen = carried_out(&spec);
            let rounds = rounds(&frozen);
            assert!((0..frozen.load.stages.len()).all(|stage| arm_of_stage(&frozen, stage) == rounds[stage / 2].arm));
            rounds.iter().map(|round| ["A", "B"][round.arm.unwrap()]).collect::<String>()
        };
        let blocks = [1, 2, 3, 4, 20].map(turns);
        assert_eq!(blocks, ["ABBA".to_owned(), "ABBA".to_owned(), "ABBAABBA".to_owned(), "ABBAABBA".to_owned(), "ABBA".repeat(10)]);
        assert_eq!(arm_of_stage(&carried_out(&spec(&json!({"repeat": 2}))), 0), None);
    }

    #[test]
    fn a_fault_begins_in_the_first_round() {
        assert_eq!(carried_out(&spec(&json!({"repeat": 2}))).faults[0].start.stage.as_deref(), Some("steady#1"));
        assert_eq!(carried_out(&spec(&json!({}))).faults[0].start.stage.as_deref(), Some("steady"));
    }

    #[test]
    fn the_longest_name_of_a_stage_still_fits_into_the_status() {
        let longest = name(&"a".repeat(63), 40);
        assert_eq!((longest.len(), name_in_plan(&longest).len()), (66, 63));
    }
}
