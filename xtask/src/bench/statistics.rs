//! The few numbers that stand for many.

/// The middle of the values, or the mean of the two in the middle; nothing of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// The smallest value that at least `percent` of all values do not exceed: of 20 values, the 95th percentile is the 19th.
pub fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let sorted = sorted(values);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// The largest of the values.
pub fn largest(values: &[f64]) -> Option<f64> {
    sorted(values).last().copied()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Counts and microseconds as numbers to calculate with; they stay exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no count and no instant of a bench comes near 2^53")]
pub fn number(value: i64) -> f64 {
    value as f64
}

/// As many digits behind the point as mean something in a report.
pub fn rounded(value: f64, digits: u8) -> f64 {
    let scale = 10_f64.powi(i32::from(digits));
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_values_lies_between_the_two_in_the_middle() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let twenty: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(percentile(&twenty, 95), Some(19.0));
        assert_eq!(percentile(&twenty, 50), Some(10.0));
        assert_eq!(percentile(&[7.0], 95), Some(7.0));
        assert_eq!(percentile(&[], 95), None);
    }
}
