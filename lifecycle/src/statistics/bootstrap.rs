//! How much slower one run was than another, with an interval: the seconds of both are resampled in blocks, so that
//! seconds which resemble their neighbours are not taken for independent ones.
//!
//! It is the circular block bootstrap (Politis and Romano 1992) within each stage, of the logarithm of the ratio of two
//! percentiles; the interval is that of Student's distribution with as many degrees of freedom as there are blocks. What
//! it cannot see is the difference between two runs of an unchanged system; that is what the limit leaves room for, and
//! what repeats are for.

use super::{
    Interval, cube_root,
    distributions::student_quantile,
    generator::Generator,
    real,
    steps::{Steps, quantile},
};

/// How often both runs are resampled.
const RESAMPLES: usize = 200;
/// How sure all intervals of a comparison are together.
const CONFIDENCE: f64 = 0.95;
/// Fewer slots or blocks than these say nothing about how a run varies.
const FEWEST_SLOTS: usize = 10;
const FEWEST_BLOCKS: usize = 6;
/// A percentile needs at least so many queries above it.
const FEWEST_ABOVE: f64 = 20.0;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The median latency.
    P50,
    /// The 95th percentile of the latency.
    P95,
    /// The 99th percentile of the latency.
    P99,
    /// Queries answered without error per second.
    Throughput,
}

impl Measure {
    /// Every measure, in the order of the answer of [`compare`].
    pub const ALL: [Self; 4] = [Self::P50, Self::P95, Self::P99, Self::Throughput];

    /// The name in results and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Throughput => "throughput",
        }
    }

    /// The share of queries below the percentile; nothing for what is no percentile.
    const fn share(self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.5),
            Self::P95 => Some(0.95),
            Self::P99 => Some(0.99),
            Self::Throughput => None,
        }
    }
}

/// The measured time of one run: stage by stage, slot by slot, what was answered in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// How long all stages lasted, in seconds. The first and the last slot of a stage may be shared with its neighbours.
    pub seconds: f64,
    /// The slots of each stage, without gaps.
    pub stages: Vec<Vec<Steps>>,
}

impl Sample {
    /// How many slots there are.
    fn slots(&self) -> usize {
        self.stages.iter().map(Vec::len).sum()
    }

    /// How many blocks they are resampled in.
    fn blocks(&self) -> usize {
        self.stages.iter().map(|slots| slots.len().div_ceil(cube_root(slots.len()))).sum()
    }

    fn steps(&self) -> impl Iterator<Item = usize> {
        self.stages.iter().flatten().flat_map(|steps| steps.counts().map(|(step, _)| step))
    }
}

/// One measure of both runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// What is compared.
    pub measure: Measure,
    /// The earlier run: microseconds, or queries per second. Nothing where it answered none.
    pub baseline: Option<f64>,
    /// The run itself.
    pub candidate: Option<f64>,
    /// How much larger the second is than the first, as a share; nothing where there is too little data for bounds.
    pub interval: Option<Interval>,
}

/// Compares two runs of one query. `together` is how many queries are compared at once: the more chances there are for a
/// false alarm, the wider each interval, so that all of them hold together.
#[must_use]
pub fn compare(baseline: &Sample, candidate: &Sample, together: usize, generator: &mut Generator) -> [Shift; 4] {
    let first = baseline.steps().chain(candidate.steps()).min().unwrap_or(0);
    let width = baseline.steps().chain(candidate.steps()).max().map_or(0, |last| last - first + 1);
    let (earlier, later) = (Sums::of(baseline, first, width), Sums::of(candidate, first, width));
    let (before, after) = (earlier.figures(&earlier.all()), later.figures(&later.all()));
    let spreads = spreads(&earlier, &later, generator);
    let blocks = baseline.blocks().min(candidate.blocks());
    let enough_time = baseline.slots().min(candidate.slots()) >= FEWEST_SLOTS && blocks >= FEWEST_BLOCKS;
    let reach = reach(blocks, together);
    let mut shifts = Measure::ALL.into_iter().zip(before).zip(after).zip(spreads).map(|(((measure, before), after), spread)| {
        let enough = enough_time && enough_above(measure, &earlier) && enough_above(measure, &later);
        let interval = before.zip(after).filter(|_| enough).and_then(|(before, after)| around((after / before).ln(), spread? * reach?));
        Shift { measure, baseline: before, candidate: after, interval }
    });
    std::array::from_fn(|_| shifts.next().unwrap_or(Shift { measure: Measure::P50, baseline: None, candidate: None, interval: None }))
}

/// Half the width of an interval, in standard errors.
fn reach(blocks: usize, together: usize) -> Option<f64> {
    let freedom = blocks.checked_sub(1).filter(|freedom| *freedom > 0)?;
    Some(student_quantile((1.0 - CONFIDENCE) / 2.0 / real(together.max(1)), freedom))
}

/// The interval of a share around the logarithm of a ratio.
fn around(middle: f64, half: f64) -> Option<Interval> {
    let interval = Interval { estimate: middle.exp_m1(), low: (middle - half).exp_m1(), high: (middle + half).exp_m1() };
    [interval.estimate, interval.low, interval.high].iter().all(|bound| bound.is_finite()).then_some(interval)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay exact up to 2^53")]
fn enough_above(measure: Measure, sums: &Sums) -> bool {
    let total: u64 = sums.all().iter().sum();
    total as f64 * (1.0 - measure.share().unwrap_or(0.5)) >= FEWEST_ABOVE
}

/// The standard error of the logarithm of each ratio; nothing where some resample had nothing to divide.
fn spreads(earlier: &Sums, later: &Sums, generator: &mut Generator) -> [Option<f64>; 4] {
    // Per measure: how many, their mean and the sum of squares around it (Welford).
    let mut moments = [Some((0.0, 0.0, 0.0)); 4];
    for _ in 0..RESAMPLES {
        let before = earlier.figures(&earlier.resampled(generator));
        let after = later.figures(&later.resampled(generator));
        for ((moment, before), after) in moments.iter_mut().zip(before).zip(after) {
            let ratio = before.zip(after).map(|(before, after)| (after / before).ln()).filter(|ratio| ratio.is_finite());
            *moment = moment.zip(ratio).map(|((count, mean, squares), ratio)| {
                let (count, off) = (count + 1.0, ratio - mean);
                let mean = mean + off / count;
                (count, mean, squares + off * (ratio - mean))
            });
        }
    }
    moments.map(|moment| moment.map(|(count, _, squares)| (squares / (count - 1.0)).sqrt()))
}

/// A sample prepared for resampling: running sums over the slots of each stage, so that any block is one difference.
struct Sums {
    first: usize,
    width: usize,
    seconds: f64,
    stages: Vec<StageSums>,
}

struct StageSums {
    slots: usize,
    /// `width` counts for the time before each slot, and for the time before the end.
    before: Vec<u64>,
}

impl Sums {
    fn of(sample: &Sample, first: usize, width: usize) -> Self {
        let stages = sample.stages.iter().map(|slots| {
            let mut running = vec![0; width];
            let mut before = running.clone();
            for slot in slots {
                for (step, count) in slot.counts() {
                    running[step - first] += count;
                }
                before.extend_from_slice(&running);
            }
            StageSums { slots: slots.len(), before }
        });
        Self { first, width, seconds: sample.seconds, stages: stages.collect() }
    }

    /// The counts of the whole sample.
    fn all(&self) -> Vec<u64> {
        let mut counts = vec![0; self.width];
        for stage in &self.stages {
            stage.add(&mut counts, 0, stage.slots);
        }
        counts
    }

    /// The counts of as many slots, in blocks drawn anew from each stage.
    fn resampled(&self, generator: &mut Generator) -> Vec<u64> {
        let mut counts = vec![0; self.width];
        for stage in &self.stages {
            let length = cube_root(stage.slots);
            let mut missing = stage.slots;
            while missing > 0 {
                let (start, length) = (generator.below(stage.slots), length.min(missing));
                let before_the_end = length.min(stage.slots - start);
                stage.add(&mut counts, start, start + before_the_end);
                stage.add(&mut counts, 0, length - before_the_end);
                missing -= length;
            }
        }
        counts
    }

    /// Every measure of some counts, in the order of [`Measure::ALL`].
    #[expect(clippy::cast_precision_loss, reason = "counts stay exact up to 2^53")]
    fn figures(&self, counts: &[u64]) -> [Option<f64>; 4] {
        let total: u64 = counts.iter().sum();
        Measure::ALL.map(|measure| match measure.share() {
            Some(share) => quantile(counts, self.first, total, share),
            None => Some(total as f64 / self.seconds).filter(|rate| *rate > 0.0 && rate.is_finite()),
        })
    }
}

impl StageSums {
    /// Adds what was counted from one slot up to before another.
    fn add(&self, counts: &mut [u64], from: usize, to: usize) {
        if from < to {
            let width = counts.len();
            let (low, high) = (&self.before[from * width..(from + 1) * width], &self.before[to * width..(to + 1) * width]);
            for ((count, low), high) in counts.iter_mut().zip(low).zip(high) {
                *count += high - low;
            }
        }
    }
}

#[cfg(test)]
mod tests;
