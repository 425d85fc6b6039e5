//! Execution segments: which part of the load each worker carries. The Job builder names them, plan validation bounds
//! them; the k6 extension computes the same shares with the same arithmetic.
//!
//! Worker i of N carries floor(T·(i+1)/N) − floor(T·i/N) of a total T. The parts of all workers always add up to T.

use crucible_crds::test_plan::Stage;

use crate::load::users;

/// One worker's part of the load. Its worker always exists: `index < of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    index: u32,
    of: u32,
}

impl Segment {
    /// The part of worker `index` out of `of` workers; nothing where there is no such worker.
    #[must_use]
    pub const fn new(index: u32, of: u32) -> Option<Self> {
        if index < of { Some(Self { index, of }) } else { None }
    }

    /// The parts of all workers, in order.
    pub fn all(of: u32) -> impl Iterator<Item = Self> {
        (0..of).map(move |index| Self { index, of })
    }

    /// How much of a total this worker carries.
    #[must_use]
    pub const fn share(self, total: u64) -> u64 {
        scale(total, self.index as u64 + 1, self.of as u64) - scale(total, self.index as u64, self.of as u64)
    }

    /// The most virtual users that this worker ever has at once. A ramp goes through every number between its ends, and
    /// a share does not always grow with its total, so the ends alone do not tell.
    #[must_use]
    pub fn peak(self, stages: &[Stage]) -> u64 {
        let mut before = 0;
        let mut peak = 0;
        for stage in stages {
            let vus = u64::from(users(stage));
            let (low, high) = if stage.ramp { (vus.min(before), vus.max(before)) } else { (vus, vus) };
            // One worker's share of T + N is one more than that of T: the peak lies among the last N totals.
            let low = low.max(high.saturating_sub(u64::from(self.of) - 1));
            peak = (low..=high).map(|total| self.share(total)).fold(peak, u64::max);
            before = vus;
        }
        peak
    }
}

impl std::fmt::Display for Segment {
    /// `from:to` as fractions in lowest terms, as k6 writes them: `0:1/3`, `1/3:2/3`, `2/3:1`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        fraction(self.index, self.of, f)?;
        f.write_str(":")?;
        fraction(self.index + 1, self.of, f)
    }
}

/// floor(value · part / of), exactly; `part <= of`, so that the result fits.
#[expect(clippy::cast_possible_truncation, reason = "part <= of keeps the quotient at or below value")]
const fn scale(value: u64, part: u64, of: u64) -> u64 {
    (value as u128 * part as u128 / of as u128) as u64
}

fn fraction(part: u32, of: u32, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    let divisor = greatest_common_divisor(part, of);
    match (part / divisor, of / divisor) {
        (part, 1) => write!(f, "{part}"),
        (part, of) => write!(f, "{part}/{of}"),
    }
}

const fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(of: u32) -> Vec<String> {
        Segment::all(of).map(|segment| segment.to_string()).collect()
    }

    fn stage(vus: u32, ramp: bool) -> Stage {
        serde_json::from_value(serde_json::json!({"name": "s", "duration": "10s", "vus": vus, "ramp": ramp})).unwrap()
    }

    #[test]
    fn segments_are_written_as_fractions_in_lowest_terms() {
        assert_eq!(texts(1), ["0:1"]);
        assert_eq!(texts(3), ["0:1/3", "1/3:2/3", "2/3:1"]);
        assert_eq!(texts(4), ["0:1/4", "1/4:1/2", "1/2:3/4", "3/4:1"]);
        assert_eq!(texts(97)[0], "0:1/97");
        assert_eq!(texts(97)[96], "96/97:1");
        assert_eq!(texts(1000)[124], "31/250:1/8");
    }

    #[test]
    fn a_worker_that_does_not_exist_has_no_segment() {
        assert_eq!(Segment::new(0, 0), None);
        assert_eq!(Segment::new(3, 3), None);
    }

    #[test]
    fn segments_meet_without_gap_from_zero_to_one() {
        for of in [1, 3, 97, 101, 1000] {
            let texts = texts(of);
            assert_eq!(texts.len(), of as usize);
            let ends: Vec<_> = texts.iter().map(|text| text.split_once(':').unwrap()).collect();
            assert_eq!((ends[0].0, ends[of as usize - 1].1), ("0", "1"));
            assert!(ends.windows(2).all(|pair| pair[0].1 == pair[1].0), "{of} workers");
            assert!(ends.iter().all(|(from, to)| from != to), "{of} workers");
        }
    }

    #[test]
    fn shares_are_known_numbers() {
        let shares = |total, of| Segment::all(of).map(|segment| segment.share(total)).collect::<Vec<_>>();
        assert_eq!(shares(10, 3), [3, 3, 4]);
        assert_eq!(shares(2, 5), [0, 0, 1, 0, 1]);
        assert_eq!(shares(7, 1), [7]);
        assert_eq!(shares(u64::MAX, 2), [9_223_372_036_854_775_807, 9_223_372_036_854_775_808]);
        assert!(shares(1000, 1000).iter().all(|share| *share == 1));
        assert!(shares(97, 97).iter().all(|share| *share == 1));
        assert_eq!(shares(100, 97).iter().filter(|share| **share == 2).count(), 3);
    }

    #[test]
    fn the_peak_counts_every_number_on_a_ramp() {
        let cases = [
            // (worker, workers, stages as (vus, ramp), peak)
            (0, 1, vec![(8, false), (32, false)], 32),
            (0, 2, vec![(7, false)], 3),
            (1, 2, vec![(7, false)], 4),
            (2, 5, vec![(2, false), (3, false)], 1),
            (2, 5, vec![(3, false)], 0), // a fleet of three in five workers leaves this one idle
            (2, 5, vec![(3, true)], 1),  // but on the way up from zero it has a turn
            (2, 5, vec![(3, false), (1, true)], 1),
            (0, 3, vec![], 0),
        ];
        for (index, of, stages, peak) in cases {
            let plan: Vec<_> = stages.iter().map(|(vus, ramp)| stage(*vus, *ramp)).collect();
            assert_eq!(Segment::new(index, of).unwrap().peak(&plan), peak, "worker {index} of {of}: {stages:?}");
        }
    }

    proptest! {
        #[test]
        fn shares_add_up_to_any_total(total: u64, of in 1..1100_u32) {
            let sum: u128 = Segment::all(of).map(|segment| u128::from(segment.share(total))).sum();
            prop_assert_eq!(sum, u128::from(total));
        }

        #[test]
        fn no_worker_is_idle_when_there_is_a_user_for_each(of in 1..1100_u32, more in 0..5000_u64) {
            let total = u64::from(of) + more;
            let (floor, ceiling) = (total / u64::from(of), total.div_ceil(u64::from(of)));
            for segment in Segment::all(of) {
                prop_assert!((floor..=ceiling).contains(&segment.share(total)));
            }
        }

        #[test]
        fn the_peak_of_a_ramp_is_that_of_walking_it(of in 1..40_u32, from in 0..200_u32, to in 1..200_u32) {
            let plan = [stage(from.max(1), false), stage(to, true)];
            for segment in Segment::all(of) {
                let (low, high) = (from.max(1).min(to), from.max(1).max(to));
                let walked = (low..=high).map(|total| segment.share(total.into())).max().unwrap();
                prop_assert_eq!(segment.peak(&plan), walked.max(segment.share(from.max(1).into())));
            }
        }
    }
}
