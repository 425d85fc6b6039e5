//! The two distributions that intervals and tests are read from. They are so little that a crate for them would cost
//! more than it saves: the normal one by its series and continued fraction, Student's by the finite sums that it has for
//! whole degrees of freedom (Abramowitz and Stegun 7.1.6, 7.1.14, 26.7.3 and 26.7.4).

use std::f64::consts::{PI, SQRT_2};

use super::real;

/// How likely a standard normal number is to lie above `z`, for `z` not below 0.
pub(super) fn normal_above(z: f64) -> f64 {
    let x = z / SQRT_2;
    let density = (-x * x).exp() / PI.sqrt();
    if x < 2.5 {
        let terms = std::iter::successors(Some((1_usize, 1.0)), |(n, term)| Some((n + 1, term * 2.0 * x * x / (2.0 * real(*n) + 1.0))));
        let sum: f64 = terms.map(|(_, term)| term).take_while(|term| *term > 1e-18).sum();
        return 0.5 - x * density * sum;
    }
    let fraction = (1..80).rev().fold(x, |rest, n| x + real(n) / 2.0 / rest);
    density / fraction / 2.0
}

/// How likely a number of Student's distribution is to lie above `t`, for `t` not below 0.
fn student_above(t: f64, freedom: usize) -> f64 {
    let angle = (t / real(freedom).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let odd = !freedom.is_multiple_of(2);
    // Each term has two more powers of the cosine than the one before.
    let (first, from) = if odd { (cosine, 3) } else { (1.0, 2) };
    let (mut term, mut sum) = (first, if freedom > 1 { first } else { 0.0 });
    for n in (from..freedom).step_by(2) {
        term *= cosine * cosine * real(n - 1) / real(n);
        sum += term;
    }
    let within = if odd { (angle + sine * sum) * 2.0 / PI } else { sine * sum };
    (1.0 - within) / 2.0
}

/// The number above which a share of `tail` of Student's distribution lies; `tail` is between 0 and a half.
pub(super) fn student_quantile(tail: f64, freedom: usize) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while student_above(high, freedom) > tail && high < 1e9 {
        (low, high) = (high, high * 2.0);
    }
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if student_above(middle, freedom) > tail { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every expected value was computed with `scipy.stats.norm.sf` 1.17.
    #[test]
    fn normal_tails_are_those_of_scipy() {
        for (z, expected) in [
            (0.0, 0.5),
            (0.5, 0.308_537_538_725_986_9),
            (1.96, 0.024_997_895_148_220_435),
            (3.0, 0.001_349_898_031_630_093_3),
            (3.6, 0.000_159_108_590_157_533_64),
            (5.0, 2.866_515_718_791_933e-07),
            (8.0, 6.220_960_574_271_74e-16),
        ] {
            assert!((normal_above(z) / expected - 1.0).abs() < 1e-12, "{z}: {} instead of {expected}", normal_above(z));
        }
    }

    /// Every expected value was computed with `scipy.stats.t.isf` 1.17.
    #[test]
    fn quantiles_of_students_distribution_are_those_of_scipy() {
        for (tail, freedom, expected) in [
            (0.025, 1, 12.706_204_736_174_705),
            (0.025, 2, 4.302_652_729_749_464),
            (0.025, 5, 2.570_581_835_636_315_5),
            (0.025, 14, 2.144_786_687_917_804),
            (0.0125, 33, 2.348_338_377_257_477_7),
            (0.0005, 9, 4.780_912_585_931_139),
            (0.0001, 6, 8.024_792_773_116_376),
            (0.1, 120, 1.288_646_233_656_377_8),
        ] {
            let found = student_quantile(tail, freedom);
            assert!((found / expected - 1.0).abs() < 1e-9, "{tail}, {freedom}: {found} instead of {expected}");
        }
    }
}
