//! Where a history changed: E-divisive (Matteson and James, "A Nonparametric Approach for Multiple Change Point Analysis
//! of Multivariate Data", 2014), the method that `MongoDB` found fit for performance histories (Daly et al., ICPE 2020). It
//! splits where the distributions before and after differ most by their energy distance, as long as so large a distance
//! is rare among shuffled histories.

use super::{generator::Generator, real};

/// How many shuffled histories each split is measured against.
const SHUFFLES: usize = 199;
/// A split counts where at most this share of the shuffled histories show one as large.
const SIGNIFICANCE: f64 = 0.02;
/// Fewer runs than this on one side of a split are no new level yet.
const FEWEST: usize = 3;
/// Only the newest runs are looked at: an old change is known, and the work grows with the square.
const MOST: usize = 200;

/// A point at which a history changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangePoint {
    /// The first value of the new level, by its position.
    pub at: usize,
    /// The mean of the level before, since the change before that.
    pub before: f64,
    /// The mean of the level after, up to the next change.
    pub after: f64,
    /// The share of shuffled histories with as large a change, this one counted among them.
    pub p: f64,
}

/// The points at which a history changed, oldest first. What is no number is never in a history.
#[must_use]
pub fn find(history: &[f64], generator: &mut Generator) -> Vec<ChangePoint> {
    let skipped = history.len().saturating_sub(MOST);
    let values = history.get(skipped..).unwrap_or_default();
    let mut found: Vec<(usize, f64)> = Vec::new();
    while let Some(next) = next_split(values, &found, generator) {
        found.push(next);
        found.sort_by_key(|(at, _)| *at);
    }
    let level = |from: usize, to: usize| {
        let level = values.get(from..to).unwrap_or_default();
        level.iter().sum::<f64>() / real(level.len())
    };
    let ends = |index: usize| found.get(index).map_or(values.len(), |(at, _)| *at);
    let points = found.iter().enumerate().map(|(index, (at, p))| {
        let start = index.checked_sub(1).map_or(0, ends);
        ChangePoint { at: skipped + at, before: level(start, *at), after: level(*at, ends(index + 1)), p: *p }
    });
    points.collect()
}

/// The best split of all the pieces that the known ones leave, if shuffling within the pieces seldom shows as good a one.
fn next_split(values: &[f64], known: &[(usize, f64)], generator: &mut Generator) -> Option<(usize, f64)> {
    let ends = known.iter().map(|(at, _)| *at).chain([values.len()]);
    let mut pieces: Vec<(usize, Vec<f64>)> = Vec::new();
    for end in ends {
        let start = pieces.last().map_or(0, |(start, piece)| start + piece.len());
        pieces.push((start, values.get(start..end)?.to_vec()));
    }
    let best = |pieces: &[(usize, Vec<f64>)]| {
        let splits = pieces.iter().filter_map(|(start, piece)| best_split(piece).map(|(at, distance)| (start + at, distance)));
        splits.max_by(|one, other| one.1.total_cmp(&other.1))
    };
    let (at, distance) = best(&pieces)?;
    let mut as_large = 1;
    for _ in 0..SHUFFLES {
        for (_, piece) in &mut pieces {
            generator.shuffle(piece);
        }
        as_large += usize::from(best(&pieces).is_some_and(|(_, shuffled)| shuffled >= distance));
        if real(as_large) > SIGNIFICANCE * real(SHUFFLES + 1) {
            return None;
        }
    }
    Some((at, real(as_large) / real(SHUFFLES + 1)))
}

/// Where the two sides of a piece differ most, and their scaled energy distance there.
fn best_split(piece: &[f64]) -> Option<(usize, f64)> {
    let count = piece.len();
    let reach = |from: usize, to: usize, value: f64| piece.get(from..to).unwrap_or_default().iter().map(|other| (other - value).abs()).sum::<f64>();
    // The sums of distances within the left side, within the right side and between them, kept while values change sides.
    let (mut left, mut between) = (0.0, 0.0);
    let mut right: f64 = piece.iter().enumerate().map(|(index, value)| reach(index + 1, count, *value)).sum();
    let mut best = None;
    for (index, value) in piece.iter().enumerate() {
        let (to_left, to_right) = (reach(0, index, *value), reach(index + 1, count, *value));
        left += to_left;
        right -= to_right;
        between += to_right - to_left;
        let (before, after) = (index + 1, count - index - 1);
        if before < FEWEST || after < FEWEST {
            continue;
        }
        let (n, m) = (real(before), real(after));
        let distance = 2.0 * between / (n * m) - 2.0 * left / (n * (n - 1.0)) - 2.0 * right / (m * (m - 1.0));
        let scaled = n * m / (n + m) * distance;
        if best.is_none_or(|(_, largest)| scaled > largest) {
            best = Some((before, scaled));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The distance was computed with numpy from the formula of the paper.
    #[test]
    fn a_split_has_the_distance_of_the_papers_formula() {
        let (at, distance) = best_split(&[1.0, 2.0, 1.5, 1.2, 5.0, 6.0, 5.5]).unwrap();
        assert_eq!(at, 4);
        assert!((distance - 11.885_714_285_714_283).abs() < 1e-9, "{distance}");
        assert_eq!(best_split(&[1.0, 2.0, 3.0, 4.0, 5.0]), None, "too few for two levels");
    }

    fn history(seed: &str, levels: &[(usize, f64)], spread: f64) -> Vec<f64> {
        let mut generator = Generator::seeded(seed);
        levels.iter().flat_map(|(count, level)| (0..*count).map(|_| level * (spread * generator.normal()).exp()).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn two_changes_are_found_with_the_levels_around_them() {
        let points = find(&history("up and down", &[(12, 10.0), (12, 13.0), (12, 10.5)], 0.02), &mut Generator::seeded("x"));
        assert_eq!(points.iter().map(|point| point.at).collect::<Vec<_>>(), [12, 24]);
        assert!((points[0].before - 10.0).abs() < 0.2 && (points[0].after - 13.0).abs() < 0.2 && (points[1].after - 10.5).abs() < 0.2, "{points:?}");
        assert!(points[0].p <= 0.02);
    }

    #[test]
    fn a_history_of_one_level_or_of_few_runs_has_no_change() {
        assert_eq!(find(&[10.0; 40], &mut Generator::seeded("x")), []);
        assert_eq!(find(&[10.0, 20.0], &mut Generator::seeded("x")), []);
        assert_eq!(find(&[], &mut Generator::seeded("x")), []);
    }

    #[test]
    fn only_the_newest_runs_are_looked_at() {
        let long = history("long", &[(150, 5.0), (190, 10.0), (10, 12.0)], 0.01);
        let points = find(&long, &mut Generator::seeded("x"));
        assert_eq!(points.iter().map(|point| point.at).collect::<Vec<_>>(), [150, 340].into_iter().filter(|at| *at > 150).collect::<Vec<_>>());
    }

    #[test]
    fn unchanged_systems_raise_at_most_5_false_alarms_in_100_histories() {
        let alarms = (0..500).filter(|number| !find(&history(&format!("still {number}"), &[(24, 20.0)], 0.04), &mut Generator::seeded("x")).is_empty()).count();
        assert!(alarms <= 25, "{alarms} of 500");
    }

    #[test]
    fn a_slowdown_of_10_per_cent_is_found_in_9_of_10_histories() {
        let found = |number: &i32| {
            let slower = history(&format!("slower {number}"), &[(18, 20.0), (6, 22.0)], 0.03);
            find(&slower, &mut Generator::seeded("x")).iter().any(|point| point.at.abs_diff(18) <= 1 && point.after > point.before)
        };
        let count = (0..100).filter(found).count();
        assert!(count >= 90, "{count} of 100");
    }
}
