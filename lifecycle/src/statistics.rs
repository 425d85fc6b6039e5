//! The arithmetic behind "is it slower than last week?": intervals around a change, tests across repeats, and the points
//! at which a history changed. Pure: what is random about a method comes from a generator that the caller has seeded, so
//! the same results always give the same answer.

pub mod bootstrap;
pub mod change_points;
mod distributions;
pub mod generator;
pub mod mann_whitney;
pub mod steps;

use serde::{Deserialize, Serialize};

/// What a comparison says about the system under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Change {
    /// It is slower than the limit allows, beyond doubt.
    Slower,
    /// It is faster, and by more than the limit.
    Faster,
    /// It is not slower than the limit allows, beyond doubt.
    NoChange,
    /// The measurement is too short or too noisy to say which.
    NotEnoughData,
}

impl Change {
    /// The word in results and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slower => "Slower",
            Self::Faster => "Faster",
            Self::NoChange => "NoChange",
            Self::NotEnoughData => "NotEnoughData",
        }
    }

    /// What an interval says, where more than `limit` counts as slower. An interval that reaches over the limit does
    /// not decide: the answer is then that there is too little data, never a guess.
    #[must_use]
    pub fn of(interval: Option<Interval>, limit: f64) -> Self {
        match interval {
            None => Self::NotEnoughData,
            Some(Interval { low, .. }) if low > limit => Self::Slower,
            // Written so that a bound that is no number does not decide either.
            Some(Interval { high, .. }) if high.is_nan() || high > limit => Self::NotEnoughData,
            Some(Interval { estimate, high, .. }) if high < 0.0 && estimate < -limit => Self::Faster,
            Some(_) => Self::NoChange,
        }
    }
}

/// A relative change with the bounds between which it lies: 0.1 for 10 % slower, -0.1 for 10 % faster.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The change itself.
    pub estimate: f64,
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts stay exact up to 2^53")]
fn real(count: usize) -> f64 {
    count as f64
}

/// The smallest whole number whose third power is not below `count`: the usual length of a block among so many points.
fn cube_root(count: usize) -> usize {
    (1..=count).find(|root| root.saturating_pow(3) >= count).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_decides_only_where_it_lies_on_one_side_of_the_limit() {
        let of = |low, estimate, high| Change::of(Some(Interval { estimate, low, high }), 0.05);
        let cases = [
            (of(0.051, 0.08, 0.11), Change::Slower),
            (of(0.049, 0.08, 0.11), Change::NotEnoughData),
            (of(-0.02, 0.01, 0.051), Change::NotEnoughData),
            (of(-0.02, 0.01, 0.05), Change::NoChange),
            (of(0.01, 0.02, 0.03), Change::NoChange),
            (of(-0.04, -0.03, -0.02), Change::NoChange),
            (of(-0.2, -0.1, -0.01), Change::Faster),
            (of(-0.2, -0.1, 0.01), Change::NoChange),
            (of(f64::NAN, f64::NAN, f64::NAN), Change::NotEnoughData),
            (Change::of(None, 0.05), Change::NotEnoughData),
        ];
        for (index, (found, expected)) in cases.into_iter().enumerate() {
            assert_eq!(found, expected, "case {index}");
        }
    }

    #[test]
    fn blocks_grow_with_the_third_root() {
        assert_eq!([0, 1, 2, 8, 9, 60, 240, 1000].map(cube_root), [1, 1, 2, 2, 3, 4, 7, 10]);
    }
}
