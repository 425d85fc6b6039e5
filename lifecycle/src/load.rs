//! The load that a plan asks for, as numbers and in words: virtual users in the closed model, arrivals per second in
//! the open one.

pub mod rounds;

use crucible_crds::{
    TestPlanSpec,
    test_plan::{FindMax, Load, LoadModel, Stage},
};

/// Whether queries arrive at a given rate, whether or not earlier ones were answered.
#[must_use]
pub const fn is_open(load: &Load) -> bool {
    match load.model {
        LoadModel::Open => true,
        LoadModel::Closed => false,
    }
}

/// A plan with the steps of its search as stages behind its own; any other plan as it is.
#[must_use]
pub fn with_steps(spec: &TestPlanSpec) -> TestPlanSpec {
    let mut spec = spec.clone();
    if let Some(search) = &spec.load.find_max {
        spec.load.stages.extend(steps(search));
    }
    spec
}

/// The steps of a search: each rate is the same factor above the one before.
fn steps(search: &FindMax) -> Vec<Stage> {
    let FindMax { from, to, steps, each } = search;
    let last = f64::from(steps.saturating_sub(1).max(1));
    let step = |number: u32| {
        let rate = from * (to / from).powf(f64::from(number) / last);
        Stage {
            name: format!("step-{}", number + 1).as_str().into(),
            duration: each.clone(),
            vus: None,
            rate: Some(three_digits(rate)),
            ramp: false,
            measured: true,
        }
    };
    (0..*steps).map(step).collect()
}

/// A rate that people can read: three digits of it, all of a whole number, and no more than three decimals.
fn three_digits(rate: f64) -> f64 {
    let unit = 10_f64.powf((rate.abs().log10().floor() - 2.0).clamp(-3.0, 0.0));
    let whole = (rate / unit).round();
    if unit < 1.0 { whole / unit.recip().round() } else { whole }
}

/// Whether a stage is a step of the search, in a plan that has one.
#[must_use]
pub const fn is_step(stage: &Stage) -> bool {
    stage.measured
}

/// What a stage comes up or down to: virtual users, or arrivals per second.
#[must_use]
pub fn level(stage: &Stage) -> f64 {
    stage.rate.unwrap_or_else(|| f64::from(users(stage)))
}

/// The virtual users of a stage of the closed model.
#[must_use]
pub fn users(stage: &Stage) -> u32 {
    stage.vus.unwrap_or(0)
}

/// The rate of a stage of the open model in thousandths of an arrival per second, which is what counts of it.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts from floating point saturate; a plan's rate is at most a million")]
pub fn rate_millis(stage: &Stage) -> u64 {
    (stage.rate.unwrap_or(0.0) * 1000.0).round() as u64
}

/// The level of the load so many seconds after its start: virtual users, or arrivals per second. Nothing after its end.
#[must_use]
pub fn level_at(stages: &[Stage], seconds: f64) -> Option<f64> {
    let (mut begin, mut before) = (0.0, 0.0);
    for stage in stages {
        let (length, to) = (stage.duration.span().as_secs_f64(), level(stage));
        if seconds < begin + length {
            return Some(if stage.ramp { before + (to - before) * (seconds - begin) / length } else { to });
        }
        (begin, before) = (begin + length, to);
    }
    None
}

/// A stage in words: `steady 60s 32 users`, `peak 60s to 2000/s`.
#[must_use]
pub fn stage_in_words(stage: &Stage) -> String {
    let level = match stage.rate {
        Some(rate) => format!("{rate}/s"),
        None => format!("{} users", users(stage)),
    };
    format!("{} {} {}{level}", stage.name, stage.duration, if stage.ramp { "to " } else { "" })
}

/// The stages of a frozen plan in words, those of one round: `warmup 10s 8 users, steady 60s 32 users, 3 times`.
#[must_use]
pub fn stages_in_words(spec: &TestPlanSpec) -> String {
    let once: Vec<String> =
        rounds::stages_once(spec).iter().map(|stage| stage_in_words(&Stage { name: rounds::name_in_plan(&stage.name).into(), ..stage.clone() })).collect();
    let times = match rounds::count(spec) {
        1 => String::new(),
        count => format!(", {count} times"),
    };
    format!("{}{times}", once.join(", "))
}

/// What the open model has besides its stages, in words; nothing for the closed one.
#[must_use]
pub fn arrivals_in_words(load: &Load) -> String {
    if is_open(load) {
        format!(", {} arrivals, at most {} users", load.arrivals.unwrap_or_default().as_str(), load.max_vus.unwrap_or(0))
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn load(fields: serde_json::Value) -> Load {
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn a_stage_is_told_by_its_users_or_by_its_rate() {
        let closed = load(json!({"stages": [{"name": "steady", "duration": "60s", "vus": 32}, {"name": "peak", "duration": "1m", "vus": 64, "ramp": true}]}));
        let words: Vec<_> = closed.stages.iter().map(stage_in_words).collect();
        assert_eq!((words.join(", "), arrivals_in_words(&closed)), ("steady 60s 32 users, peak 1m to 64 users".to_owned(), String::new()));
        let open = load(json!({"model": "open", "maxVus": 16, "stages": [
            {"name": "steady", "duration": "60s", "rate": 2000}, {"name": "peak", "duration": "1m", "rate": 0.125, "ramp": true},
        ]}));
        let words: Vec<_> = open.stages.iter().map(stage_in_words).collect();
        assert_eq!(
            (words.join(", "), arrivals_in_words(&open)),
            ("steady 60s 2000/s, peak 1m to 0.125/s".to_owned(), ", regular arrivals, at most 16 users".to_owned())
        );
        assert_eq!(open.stages.iter().map(rate_millis).collect::<Vec<_>>(), [2_000_000, 125]);
    }

    #[test]
    fn the_steps_of_a_search_go_up_by_one_factor() {
        let search = |from: f64, to: f64, steps: u32| {
            let search = serde_json::from_value(json!({"from": from, "to": to, "steps": steps, "each": "20s"})).unwrap();
            super::steps(&search).iter().map(|stage| (stage.name.to_string(), level(stage))).collect::<Vec<_>>()
        };
        let told = |steps: &[(&str, f64)]| steps.iter().map(|(name, rate)| ((*name).to_owned(), *rate)).collect::<Vec<_>>();
        assert_eq!(search(100.0, 1600.0, 5), told(&[("step-1", 100.0), ("step-2", 200.0), ("step-3", 400.0), ("step-4", 800.0), ("step-5", 1600.0)]));
        assert_eq!(search(0.5, 7.0, 3), told(&[("step-1", 0.5), ("step-2", 1.87), ("step-3", 7.0)]));
        assert_eq!(search(10.0, 20.0, 3), told(&[("step-1", 10.0), ("step-2", 14.1), ("step-3", 20.0)]));
        assert_eq!(search(123_456.7, 200_000.0, 2), told(&[("step-1", 123_457.0), ("step-2", 200_000.0)]));
    }

    #[test]
    fn the_level_follows_stages_and_ramps() {
        let open = load(json!({"model": "open", "maxVus": 16, "stages": [
            {"name": "up", "duration": "10s", "rate": 100, "ramp": true}, {"name": "steady", "duration": "10s", "rate": 50}, {"name": "down", "duration": "10s", "rate": 0.5, "ramp": true},
        ]}));
        let told: Vec<_> = [0.0, 5.0, 10.0, 19.9, 20.0, 25.0, 30.0].into_iter().map(|at| level_at(&open.stages, at)).collect();
        assert_eq!(told, [Some(0.0), Some(50.0), Some(50.0), Some(50.0), Some(50.0), Some(25.25), None]);
    }
}
