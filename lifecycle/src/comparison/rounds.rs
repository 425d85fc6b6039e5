//! What rounds add to a comparison. The seconds of one load tell how it varies while it lasts, its rounds how it varies from one time to
//! the next, which is often more. So where both sides have rounds enough, a change counts only if the rounds show it, too.

use crate::statistics::{Change, mann_whitney};

/// Fewer rounds of one side can never show a difference at 5 %.
pub(super) const FEWEST: usize = 4;
/// How likely a difference among the rounds may be where there is none.
const SIGNIFICANCE: f64 = 0.05;

/// The deciding percentile in the rounds of both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Across {
    /// How many rounds of the first side have it.
    pub baseline: usize,
    /// How many of the second.
    pub candidate: usize,
    /// What the test of Mann and Whitney says.
    pub answer: mann_whitney::Answer,
}

impl Across {
    /// What the rounds of both sides say; nothing where one has too few.
    #[must_use]
    pub fn of(baseline: &[f64], candidate: &[f64]) -> Option<Self> {
        let answer = (baseline.len().min(candidate.len()) >= FEWEST).then(|| mann_whitney::compare(baseline, candidate)).flatten()?;
        Some(Self { baseline: baseline.len(), candidate: candidate.len(), answer })
    }

    /// Whether the rounds differ, and in this direction.
    #[must_use]
    pub fn shows(&self, slower: bool) -> bool {
        self.answer.p <= SIGNIFICANCE && if slower { self.answer.change > 0.0 } else { self.answer.change < 0.0 }
    }
}

/// What seconds and rounds say together. A slowdown that the rounds do not show may be one of those that come and go, so that more
/// data are needed; what is faster by the seconds alone is at least not slower.
#[must_use]
pub(super) fn settled(by_seconds: Change, across: Option<&Across>) -> Change {
    match (by_seconds, across) {
        (Change::Slower, Some(across)) if !across.shows(true) => Change::NotEnoughData,
        (Change::Faster, Some(across)) if !across.shows(false) => Change::NoChange,
        (change, _) => change,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_only_where_rounds_show_it_too() {
        let same = Across::of(&[100.0, 104.0, 98.0, 101.0], &[99.0, 103.0, 102.0, 97.0]).unwrap();
        let slower = Across::of(&[100.0, 104.0, 98.0, 101.0], &[110.0, 113.0, 112.0, 109.0]).unwrap();
        let faster = Across::of(&[110.0, 113.0, 112.0, 109.0], &[100.0, 104.0, 98.0, 101.0]).unwrap();
        let table = [
            (Change::Slower, None, Change::Slower),
            (Change::Slower, Some(&slower), Change::Slower),
            (Change::Slower, Some(&same), Change::NotEnoughData),
            (Change::Slower, Some(&faster), Change::NotEnoughData),
            (Change::Faster, Some(&faster), Change::Faster),
            (Change::Faster, Some(&same), Change::NoChange),
            (Change::Faster, Some(&slower), Change::NoChange),
            (Change::NoChange, Some(&slower), Change::NoChange),
            (Change::NotEnoughData, Some(&slower), Change::NotEnoughData),
        ];
        for (index, (seconds, across, expected)) in table.into_iter().enumerate() {
            assert_eq!(settled(seconds, across), expected, "case {index}");
        }
    }

    #[test]
    fn three_rounds_of_a_side_say_nothing() {
        assert_eq!(Across::of(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0, 7.0]), None);
        let across = Across::of(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0, 9.0]).unwrap();
        assert_eq!((across.baseline, across.candidate), (4, 5));
    }
}
