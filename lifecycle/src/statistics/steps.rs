//! Latencies counted in steps of about 2 %: coarse enough to be added thousands of times over, fine enough for
//! percentiles of resampled seconds. What is reported as measured never comes from here.

use std::collections::BTreeMap;

use crate::histogram::Histogram;

/// How many steps there are from one latency to its double.
pub(super) const STEPS_PER_DOUBLING: f64 = 32.0;

/// How many queries fell into each step; only steps that have some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    counts: BTreeMap<usize, u64>,
}

impl Steps {
    /// The latencies of a histogram.
    #[must_use]
    pub fn of(histogram: &Histogram) -> Self {
        let mut counts = BTreeMap::new();
        for (micros, count) in histogram.latencies() {
            *counts.entry(step_of(micros)).or_insert(0) += count;
        }
        Self { counts }
    }

    /// Adds the counts of others.
    pub fn add(&mut self, other: &Self) {
        for (step, count) in &other.counts {
            *self.counts.entry(*step).or_insert(0) += count;
        }
    }

    /// Step by step, smallest first.
    pub(super) fn counts(&self) -> impl Iterator<Item = (usize, u64)> {
        self.counts.iter().map(|(step, count)| (*step, *count))
    }

    /// How many queries were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

/// The step of a latency.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an hour in microseconds is in step 1015")]
fn step_of(micros: u64) -> usize {
    ((micros.max(1) as f64).log2() * STEPS_PER_DOUBLING) as usize
}

/// The latency in microseconds below which `share` of the counted queries lie: `counts` begin at step `first` and hold
/// `total` queries. Within its step it is interpolated, so that a shift of less than a step still shows.
#[expect(clippy::cast_precision_loss, reason = "counts stay exact up to 2^53")]
pub(super) fn quantile(counts: &[u64], first: usize, total: u64, share: f64) -> Option<f64> {
    let rank = share * total as f64;
    let mut below = 0_u64;
    for (index, count) in counts.iter().enumerate() {
        if *count > 0 && (below + count) as f64 >= rank {
            let within = (rank - below as f64) / *count as f64;
            return Some((((first + index) as f64 + within) / STEPS_PER_DOUBLING).exp2());
        }
        below += count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_about_two_per_cent_wide_and_keep_every_query() {
        let steps = Steps::of(&[1, 1000, 1010, 1011, 2000, 3_600_000_000].into_iter().collect());
        assert_eq!(steps.counts().collect::<Vec<_>>(), [(0, 1), (318, 1), (319, 2), (350, 1), (1015, 1)]);
        assert_eq!(steps.total(), 6);
    }

    #[test]
    fn added_steps_are_those_of_all_queries_together() {
        let mut sum = Steps::of(&[10, 500].into_iter().collect());
        sum.add(&Steps::of(&[500, 70_000].into_iter().collect()));
        assert_eq!(sum, Steps::of(&[10, 500, 500, 70_000].into_iter().collect()));
    }

    #[test]
    fn a_percentile_lies_within_one_per_cent_of_the_exact_one() {
        let latencies: Vec<u64> = (1..=10_000).collect();
        let steps = Steps::of(&latencies.into_iter().collect());
        let mut counts = vec![0; 1000];
        steps.counts().for_each(|(step, count)| counts[step] = count);
        for (share, exact) in [(0.5, 5000.0), (0.95, 9500.0), (0.99, 9900.0)] {
            let found = quantile(&counts, 0, 10_000, share).unwrap();
            assert!((found / exact - 1.0).abs() < 0.01, "{found} instead of {exact}");
        }
        assert_eq!(quantile(&[0, 0], 0, 0, 0.5), None);
    }
}
