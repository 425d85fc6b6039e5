//! Latency histograms: exact counts in the layout of HdrHistogram (1 µs to 1 h, 3 significant digits). The merger adds
//! them; nothing of ours ever averages percentiles.
//!
//! The layout is that of every HDR tool, but counts live in small blocks that exist only where something was counted:
//! the results of a run hold one histogram per query, stage and outcome at once, and a latency seldom spans more than a
//! tenth of the range.

pub mod arrivals;
pub mod log;
mod wire;

pub use wire::WireError;

/// The smallest latency that is told apart, in microseconds.
pub const LOWEST: u64 = 1;
/// The largest latency that is kept, in microseconds; longer ones count as this.
pub const HIGHEST: u64 = 3_600_000_000;

/// 3 significant digits need 2048 linear steps in the first bucket; each later one adds the upper half of its own.
const HALF: usize = 1024;
/// The lower half of the first bucket, then one upper half for each of the 22 buckets up to [`HIGHEST`].
const COUNTERS: usize = 23 * HALF;
const BLOCK: usize = 128;

/// How many queries took how long, in microseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    blocks: Vec<Option<Box<[u64; BLOCK]>>>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { blocks: vec![None; COUNTERS / BLOCK], count: 0 }
    }
}

impl PartialEq for Histogram {
    /// Whether both counted the same; which empty blocks exist does not matter.
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.counters().eq(other.counters())
    }
}

impl Eq for Histogram {}

impl FromIterator<u64> for Histogram {
    /// Counts each latency, in microseconds.
    fn from_iter<T: IntoIterator<Item = u64>>(latencies: T) -> Self {
        let mut histogram = Self::new();
        for micros in latencies {
            histogram.record(micros);
        }
        histogram
    }
}

impl Histogram {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one latency. Below [`LOWEST`] it counts as that, above [`HIGHEST`] as that.
    pub fn record(&mut self, micros: u64) {
        self.add_at(index_of(micros.clamp(LOWEST, HIGHEST)), 1);
    }

    /// Adds every count of another histogram, exactly.
    pub fn add(&mut self, other: &Self) {
        for (index, count) in other.counters() {
            self.add_at(index, count);
        }
    }

    /// Adds the histogram that a base64 text holds, exactly, and says how many latencies that were.
    ///
    /// # Errors
    /// Where the text is not such a histogram. Nothing is added then.
    pub fn add_encoded(&mut self, text: &str) -> Result<u64, WireError> {
        let counts = Counts::decode(text)?;
        self.add_counts(&counts);
        Ok(counts.total())
    }

    /// Adds counts that were read before.
    pub(crate) fn add_counts(&mut self, counts: &Counts) {
        for (index, count) in &counts.0 {
            self.add_at(*index, *count);
        }
    }

    /// The histogram that a base64 text holds: HdrHistogram's V2 format, compressed or not.
    ///
    /// # Errors
    /// Where the text is not a histogram of this layout.
    pub fn decode(text: &str) -> Result<Self, WireError> {
        let mut histogram = Self::new();
        histogram.add_encoded(text)?;
        Ok(histogram)
    }

    /// The histogram as base64 of HdrHistogram's compressed V2 format, which every HDR tool reads.
    #[must_use]
    pub fn encode(&self) -> String {
        wire::encode(self.counters())
    }

    /// Forgets everything that was counted.
    pub fn clear(&mut self) {
        self.blocks.fill(None);
        self.count = 0;
    }

    /// How many latencies were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The latency that `thousandths` of the queries did not exceed: 500 for the median, 999 for the 99.9th percentile.
    /// It is the largest latency of its step, as in every HDR tool. Nothing where nothing was counted.
    #[must_use]
    pub fn quantile(&self, thousandths: u32) -> Option<u64> {
        self.quantile_of(thousandths, 1000)
    }

    /// The latency that `part` out of `whole` queries did not exceed, for percentiles beyond the thousandths.
    #[must_use]
    pub fn quantile_of(&self, part: u32, whole: u32) -> Option<u64> {
        let rank = (u128::from(self.count) * u128::from(part.min(whole))).div_ceil(u128::from(whole.max(1))).max(1);
        let mut seen = 0;
        self.counters()
            .find(|(_, count)| {
                seen += u128::from(*count);
                seen >= rank
            })
            .map(|(index, _)| highest_of(index))
    }

    /// The smallest latency. Nothing where nothing was counted.
    #[must_use]
    pub fn min(&self) -> Option<u64> {
        self.counters().next().map(|(index, _)| lowest_of(index))
    }

    /// The largest latency. Nothing where nothing was counted.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        self.quantile(1000)
    }

    /// The mean latency, each one taken as the middle of its step. Nothing where nothing was counted.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a mean for people; sums stay exact up to 2^53 microseconds, 285 years")]
    pub fn mean(&self) -> Option<f64> {
        let twice: u128 = self.counters().map(|(index, count)| u128::from(middle_of(index)) * u128::from(count)).sum();
        (self.count > 0).then(|| twice as f64 / self.count as f64)
    }

    /// How often each latency was counted, smallest first; a latency stands for the middle of its step.
    pub fn latencies(&self) -> impl Iterator<Item = (u64, u64)> {
        self.counters().map(|(index, count)| (middle_of(index), count))
    }

    /// Counter by counter, smallest latency first, only what is not zero.
    fn counters(&self) -> impl Iterator<Item = (usize, u64)> {
        self.blocks
            .iter()
            .enumerate()
            .filter_map(|(number, block)| block.as_ref().map(|block| (number, block)))
            .flat_map(|(number, block)| block.iter().enumerate().filter(|(_, count)| **count > 0).map(move |(step, count)| (number * BLOCK + step, *count)))
    }

    /// `index` is below [`COUNTERS`]: it comes from a clamped latency, another histogram or the checked wire format.
    fn add_at(&mut self, index: usize, count: u64) {
        if let Some(block) = self.blocks.get_mut(index / BLOCK) {
            let counter = &mut block.get_or_insert_with(|| Box::new([0; BLOCK]))[index % BLOCK];
            *counter = counter.saturating_add(count);
            self.count = self.count.saturating_add(count);
        }
    }
}

/// A histogram as it came over the wire, checked but not yet added to anything: counters by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counts(Vec<(usize, u64)>);

impl Counts {
    pub(crate) fn decode(text: &str) -> Result<Self, WireError> {
        wire::decode(text).map(Self)
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().fold(0, |total, (_, count)| total.saturating_add(*count))
    }
}

/// The counter of a latency.
fn index_of(micros: u64) -> usize {
    let bucket = (micros | (2 * HALF as u64 - 1)).ilog2() as usize - 10;
    bucket * HALF + usize::try_from(micros >> bucket).unwrap_or(usize::MAX)
}

/// The number of doublings that a counter's step stands for.
fn bucket_of(index: usize) -> usize {
    (index / HALF).saturating_sub(1)
}

fn lowest_of(index: usize) -> u64 {
    let bucket = bucket_of(index);
    ((index - bucket * HALF) as u64) << bucket
}

fn highest_of(index: usize) -> u64 {
    lowest_of(index) + (1 << bucket_of(index)) - 1
}

fn middle_of(index: usize) -> u64 {
    lowest_of(index) + ((1 << bucket_of(index)) >> 1)
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram as Reference;
    use proptest::prelude::*;

    use super::*;

    fn of(latencies: &[u64]) -> Histogram {
        latencies.iter().copied().collect()
    }

    #[test]
    fn percentiles_of_known_latencies_are_known() {
        let histogram = of(&(1..=1000).collect::<Vec<_>>());
        assert_eq!(histogram.count(), 1000);
        let quantiles = [500, 900, 950, 990, 999, 1000].map(|thousandths| histogram.quantile(thousandths).unwrap());
        assert_eq!(quantiles, [500, 900, 950, 990, 999, 1000]);
        assert_eq!((histogram.min(), histogram.max(), histogram.mean()), (Some(1), Some(1000), Some(500.5)));
    }

    #[test]
    fn an_empty_histogram_has_no_percentiles() {
        let empty = Histogram::new();
        assert_eq!((empty.quantile(500), empty.min(), empty.max(), empty.mean()), (None, None, None, None));
        assert!(empty.is_empty());
    }

    #[test]
    fn what_does_not_fit_counts_at_the_ends() {
        let histogram = of(&[0, u64::MAX]);
        assert_eq!((histogram.min(), histogram.max()), (Some(1), Some(3_600_809_983)));
    }

    #[test]
    fn large_latencies_keep_three_digits() {
        assert_eq!(of(&[2047]).max(), Some(2047));
        assert_eq!(of(&[2048]).max(), Some(2049));
        assert_eq!(of(&[20_000]).quantile(500), Some(20_015));
        assert_eq!(of(&[1_234_567]).quantile(500), Some(1_234_943));
    }

    #[test]
    fn clearing_forgets_everything() {
        let mut histogram = of(&[5, 500_000]);
        histogram.clear();
        assert_eq!(histogram, Histogram::new());
    }

    proptest! {
        #[test]
        fn every_statistic_is_that_of_the_reference_implementation(latencies in prop::collection::vec(1..=HIGHEST, 1..200)) {
            let mut reference = Reference::<u64>::new_with_bounds(LOWEST, HIGHEST, 3).unwrap();
            for micros in &latencies {
                reference.record(*micros).unwrap();
            }
            let ours = of(&latencies);
            prop_assert_eq!(ours.min(), Some(reference.min()));
            prop_assert_eq!(ours.max(), Some(reference.max()));
            prop_assert!((ours.mean().unwrap() - reference.mean()).abs() < 1e-6 * reference.mean());
            for thousandths in [1_u32, 500, 900, 950, 990, 999, 1000] {
                prop_assert_eq!(ours.quantile(thousandths), Some(reference.value_at_quantile(f64::from(thousandths) / 1000.0)), "{}", thousandths);
            }
        }

        #[test]
        fn addition_does_not_care_about_order_or_grouping(
            a in prop::collection::vec(1..=HIGHEST, 0..50), b in prop::collection::vec(1..=HIGHEST, 0..50), c in prop::collection::vec(1..=HIGHEST, 0..50)
        ) {
            let plus = |left: &Histogram, right: &Histogram| { let mut sum = left.clone(); sum.add(right); sum };
            let (a, b, c) = (of(&a), of(&b), of(&c));
            prop_assert_eq!(plus(&plus(&a, &b), &c), plus(&a, &plus(&b, &c)));
            prop_assert_eq!(plus(&a, &b), plus(&b, &a));
            prop_assert_eq!(plus(&a, &b).count(), a.count() + b.count());
            prop_assert_eq!(plus(&a, &Histogram::new()), a);
        }
    }
}
