//! How well the system took each fault: when it failed, for how long nobody was answered, and when it was itself again.
//!
//! The numbers come from the merged load, second by second; so a second is the finest that they can be.

use std::collections::BTreeMap;

use super::{FaultFact, Point, Summary};
use crate::{class::Class, contract::FrozenPlan};

/// Over how many seconds the load is compared with what it was before the fault.
const WINDOW: u64 = 5;
/// How many seconds before a fault make the baseline, at most.
const BASELINE: u64 = 30;
/// How near to the baseline is near enough: 10 %.
const SLACK: f64 = 0.1;

/// How well the system took one fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Resilience {
    /// The fault's name in the plan.
    pub fault: String,
    /// What the load was before the fault; nothing where it had not lasted long enough.
    pub baseline: Option<Baseline>,
    /// Seconds from the injection to the first query that failed; nothing where none did.
    pub time_to_first_error: Option<f64>,
    /// The most seconds in a row in which no query was answered.
    pub longest_gap: f64,
    /// Queries that failed from the injection on, by class; only classes that occurred.
    pub errors: BTreeMap<Class, u64>,
    /// How often virtual users got new connections from the injection on.
    pub reconnects: u64,
    /// When throughput was back, counted from the healing.
    pub throughput: Recovery,
    /// When the 99th percentile was back, counted from the healing.
    pub p99: Recovery,
    /// When both were back at once, counted from the healing.
    pub recovery: Recovery,
}

/// What the load was before a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Baseline {
    /// Queries answered without error per second.
    pub throughput: f64,
    /// The median of the seconds' 99th percentiles, in microseconds; nothing where nothing was answered.
    pub p99_micros: Option<u64>,
}

/// When something was back within a tenth of the baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Recovery {
    /// After so many seconds.
    After(f64),
    /// Not within so many seconds, which is how long it could be watched.
    NotWithin(f64),
    /// It cannot be said: there is no baseline, or nothing was left to watch.
    Unknown,
}

/// How well the system took each fault that was on, in the order of the plan.
#[must_use]
pub fn resilience(plan: &FrozenPlan, summary: &Summary, faults: &[FaultFact]) -> Vec<Resilience> {
    faults.iter().filter_map(|fact| Watch::new(plan, summary, faults, fact).map(|watch| watch.judge(&fact.name))).collect()
}

/// The part of the load that says something about one fault. Positions are those of points, not of seconds.
struct Watch<'a> {
    points: &'a [Point],
    width: u64,
    injected: f64,
    healed: f64,
    /// The points of the baseline.
    before: Vec<&'a Point>,
    /// One after the last point that counts.
    end: u64,
}

impl<'a> Watch<'a> {
    fn new(plan: &FrozenPlan, summary: &'a Summary, faults: &[FaultFact], fact: &FaultFact) -> Option<Self> {
        let (from, to) = fact.seconds()?;
        let (injected, healed) = (fact.from?, fact.to.or(fact.from)?);
        let timeline = &summary.timeline;
        let width = timeline.seconds_per_point.max(1);
        let (stage_begins, stage_ends) = stage_around(plan, from);
        let last = timeline.points.last().map_or(0, |point| point.second + width);
        let load_ends = if summary.ended_early { last } else { stage_ends };
        let next = faults.iter().filter_map(FaultFact::seconds).map(|(next, _)| next).filter(|next| *next >= to.max(from + 1)).min();
        let quiet = |second: u64| !faults.iter().filter_map(FaultFact::seconds).any(|(from, to)| (from..=to).contains(&second));
        let begins = stage_begins.max(from.saturating_sub(BASELINE));
        let before = timeline.points.iter().filter(|point| point.second >= begins && point.second + width <= from && quiet(point.second)).collect();
        let end = next.unwrap_or(stage_ends).min(stage_ends).min(load_ends) / width;
        Some(Self { points: &timeline.points, width, injected, healed, before, end })
    }

    fn judge(&self, fault: &str) -> Resilience {
        let baseline = self.baseline();
        let first = position(self.injected.floor(), self.width);
        let watched = || (first..self.end).map(|index| self.point(index));
        let mut errors: BTreeMap<Class, u64> = BTreeMap::new();
        for (class, count) in watched().flatten().flat_map(|point| &point.errors) {
            *errors.entry(*class).or_default() += count;
        }
        let failed = (first..self.end).find(|index| self.point(*index).is_some_and(|point| !point.errors.is_empty()));
        let gaps = watched().map(|point| point.is_none_or(|point| point.ok == 0)).collect::<Vec<_>>();
        let longest = gaps.split(|gap| !gap).map(<[bool]>::len).max().unwrap_or(0) as u64;
        let back = |throughput: bool, p99: bool| self.back(baseline, throughput, p99);
        Resilience {
            fault: fault.to_owned(),
            baseline,
            time_to_first_error: failed.map(|index| (seconds(index * self.width) - self.injected).max(0.0)),
            longest_gap: seconds(longest * self.width),
            errors,
            reconnects: watched().flatten().map(|point| point.reconnects).sum(),
            throughput: back(true, false),
            p99: back(false, true),
            recovery: back(true, true),
        }
    }

    fn baseline(&self) -> Option<Baseline> {
        let covered = self.before.len() as u64 * self.width;
        let ok: u64 = self.before.iter().map(|point| point.ok).sum();
        (covered >= WINDOW && ok > 0).then(|| Baseline { throughput: seconds(ok) / seconds(covered), p99_micros: median_p99(self.before.iter().copied()) })
    }

    /// When the load was like the baseline again.
    fn back(&self, baseline: Option<Baseline>, throughput: bool, p99: bool) -> Recovery {
        let first = position(self.healed.ceil(), self.width);
        let length = WINDOW.div_ceil(self.width);
        let Some(baseline) = baseline.filter(|_| first + length <= self.end) else { return Recovery::Unknown };
        let like = |start: &u64| {
            let window: Vec<&Point> = (*start..start + length).filter_map(|index| self.point(index)).collect();
            let rate = seconds(window.iter().map(|point| point.ok).sum()) / seconds(length * self.width);
            let fast = match (median_p99(window.into_iter()), baseline.p99_micros) {
                (Some(now), Some(then)) => seconds(now) <= seconds(then) * (1.0 + SLACK),
                (None, _) => false,
                (Some(_), None) => true,
            };
            (!throughput || rate >= baseline.throughput * (1.0 - SLACK)) && (!p99 || fast)
        };
        match (first..=self.end - length).find(like) {
            Some(start) => Recovery::After((seconds(start * self.width) - self.healed).max(0.0)),
            None => Recovery::NotWithin((seconds(self.end * self.width) - self.healed).max(0.0)),
        }
    }

    /// Points have no gaps, so the position is the index; beyond the last one no query ended.
    fn point(&self, index: u64) -> Option<&'a Point> {
        self.points.get(usize::try_from(index).unwrap_or(usize::MAX))
    }
}

/// When the stage that is on at a second begins and ends.
fn stage_around(plan: &FrozenPlan, second: u64) -> (u64, u64) {
    let mut begins = std::time::Duration::ZERO;
    for stage in &plan.spec.load.stages {
        let ends = begins + stage.duration.span();
        if second < ends.as_secs() {
            return (begins.as_secs() + u64::from(begins.subsec_nanos() > 0), ends.as_secs());
        }
        begins = ends;
    }
    (begins.as_secs(), begins.as_secs())
}

fn median_p99<'a>(points: impl Iterator<Item = &'a Point>) -> Option<u64> {
    let mut all: Vec<u64> = points.filter_map(|point| point.latency.map(|latency| latency.p99)).collect();
    all.sort_unstable();
    all.get(all.len().saturating_sub(1) / 2).copied()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a load, at most a day")]
fn position(second: f64, width: u64) -> u64 {
    second.max(0.0) as u64 / width
}

#[expect(clippy::cast_precision_loss, reason = "seconds and counts stay exact up to 2^53")]
fn seconds(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
