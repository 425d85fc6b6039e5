//! The Mann-Whitney U test across repeats: are the values of one group of runs larger than those of the other? It asks
//! for no distribution, only for runs that do not depend on each other, so it holds where the spread from run to run is
//! larger than any single run can show.

use super::{distributions::normal_above, real};

/// Above this many values in a group, or with ties, the normal approximation is used.
const EXACT_UP_TO: usize = 20;

/// What the test says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// In how many pairs the second group's value is the larger one; a tie counts half.
    pub u: f64,
    /// How likely at least such a difference is, in either direction, where there is none.
    pub p: f64,
    /// The median of the ratios of all pairs, second to first, less one: the shift of Hodges and Lehmann, for values above zero.
    pub change: f64,
}

/// Compares two groups of values above zero. Nothing where one is empty or holds what is no such number.
#[must_use]
pub fn compare(first: &[f64], second: &[f64]) -> Option<Answer> {
    if first.is_empty() || second.is_empty() || first.iter().chain(second).any(|value| !value.is_finite() || *value <= 0.0) {
        return None;
    }
    let mut ratios: Vec<f64> = second.iter().flat_map(|second| first.iter().map(move |first| second / first)).collect();
    let larger = ratios.iter().filter(|ratio| **ratio > 1.0).count();
    let equal = ratios.len() - larger - ratios.iter().filter(|ratio| **ratio < 1.0).count();
    let u = real(larger) + real(equal) / 2.0;
    let ties = ties(first.iter().chain(second).copied().collect());
    let p = if ties == 0.0 && first.len() <= EXACT_UP_TO && second.len() <= EXACT_UP_TO {
        exact(larger, first.len(), second.len())
    } else {
        approximate(u, first.len(), second.len(), ties)
    };
    ratios.sort_by(f64::total_cmp);
    Some(Answer { u, p, change: median(&ratios) - 1.0 })
}

/// The middle of sorted values.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle).copied().unwrap_or(f64::NAN);
    if sorted.len().is_multiple_of(2) { f64::midpoint(sorted.get(middle.wrapping_sub(1)).copied().unwrap_or(upper), upper) } else { upper }
}

/// The sum of `t^3 - t` over all values that occur `t` times.
fn ties(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.chunk_by(|one, other| one.total_cmp(other).is_eq()).map(|same| real(same.len()).powi(3) - real(same.len())).sum()
}

/// From the distribution of U itself, counted by its recurrence over the sizes of the groups.
fn exact(u: usize, first: usize, second: usize) -> f64 {
    // ways[j][k]: in how many orders of i values of the first and j of the second group U is k.
    let most = first * second;
    let mut ways: Vec<Vec<f64>> = vec![std::iter::once(1.0).chain(std::iter::repeat_n(0.0, most)).collect(); second + 1];
    for i in 1..=first {
        for j in 1..=second {
            // The largest value belongs to the second group, above all i of the first; or to the first group.
            let (fewer, rest) = ways.split_at_mut(j);
            let (Some(fewer), Some(here)) = (fewer.last(), rest.first_mut()) else { continue };
            for k in i..=most {
                here[k] += fewer[k - i];
            }
        }
    }
    let Some(counts) = ways.last() else { return 1.0 };
    let all: f64 = counts.iter().sum();
    let tail: f64 = counts.iter().take(u.min(most - u) + 1).sum();
    (2.0 * tail / all).min(1.0)
}

/// By the normal approximation, with corrections for ties and for continuity.
fn approximate(u: f64, first: usize, second: usize, ties: f64) -> f64 {
    let (pairs, all) = (real(first * second), real(first + second));
    let spread = (pairs / 12.0 * ((all + 1.0) - ties / (all * (all - 1.0)))).sqrt();
    if spread.is_nan() || spread <= 0.0 {
        return 1.0;
    }
    let distance = ((u - pairs / 2.0).abs() - 0.5).max(0.0);
    (2.0 * normal_above(distance / spread)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-12
    }

    /// Every expected value was computed with `scipy.stats.mannwhitneyu` 1.17, two-sided.
    #[test]
    fn answers_are_those_of_scipy() {
        let to = |count: u32| (1..=count).map(f64::from).collect::<Vec<_>>();
        let cases: [(&[f64], &[f64], f64, f64); 6] = [
            (&[104.0, 99.0, 101.0, 98.0, 103.0], &[110.0, 108.0, 105.0, 112.0, 102.0], 23.0, 0.031_746_031_746_031_744),
            (&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], 9.0, 0.1),
            (&[1.31, 1.27, 1.42, 1.19, 1.33, 1.25, 1.38, 1.29], &[1.36, 1.41, 1.28, 1.52, 1.44, 1.39, 1.47], 47.0, 0.028_904_428_904_428_903),
            (&[1.0, 2.0, 3.0, 4.0], &[4.0, 5.0, 6.0, 7.0], 15.5, 0.042_066_412_206_780_826),
            (&[5.0, 5.0, 6.0, 7.0, 8.0, 8.0], &[5.0, 6.0, 9.0, 9.0, 10.0], 21.5, 0.265_579_658_567_685_4),
            (&to(30), &to(25).iter().map(|value| value + 7.5).collect::<Vec<_>>(), 497.0, 0.040_002_331_065_640_58),
        ];
        for (first, second, u, p) in cases {
            let answer = compare(first, second).unwrap();
            assert!(close(answer.u, u) && close(answer.p, p), "{answer:?} instead of {u}, {p}");
            let mirrored = compare(second, first).unwrap();
            assert!(close(mirrored.p, p), "the direction of the question changes nothing: {mirrored:?}");
        }
    }

    #[test]
    fn the_shift_is_the_median_of_all_ratios() {
        let answer = compare(&[104.0, 99.0, 101.0, 98.0, 103.0], &[110.0, 108.0, 105.0, 112.0, 102.0]).unwrap();
        assert!(close(answer.change, 0.067_961_165_048_543_66), "{answer:?}");
    }

    #[test]
    fn equal_values_say_nothing_and_no_values_give_no_answer() {
        assert_eq!(compare(&[7.0; 3], &[7.0; 3]), Some(Answer { u: 4.5, p: 1.0, change: 0.0 }));
        assert_eq!(compare(&[], &[1.0]), None);
        assert_eq!(compare(&[1.0], &[f64::NAN]), None);
        assert_eq!(compare(&[0.0], &[1.0]), None);
    }
}
