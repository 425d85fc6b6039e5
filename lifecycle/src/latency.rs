//! Latencies as people read them: three significant digits and the unit that fits. The one place that formats them.

/// A latency in microseconds for people: `850us`, `12.4ms`, `1.23s`.
#[must_use]
pub fn human(micros: u64) -> String {
    const UNITS: [(u64, &str); 2] = [(1_000, "ms"), (1_000_000, "s")];
    if micros < 1_000 {
        return format!("{micros}us");
    }
    for (unit, name) in UNITS {
        for decimals in [2_u32, 1, 0] {
            // Rounded half up to this many decimals; it fits when three digits are enough for it.
            let scaled = (u128::from(micros) * 10_u128.pow(decimals) + u128::from(unit) / 2) / u128::from(unit);
            if scaled < 1_000 || (name == "s" && decimals == 0) {
                return with_decimals(scaled, decimals) + name;
            }
        }
    }
    String::new()
}

/// A latency in microseconds to the last of them: `850us`, `20.015ms`.
#[must_use]
pub fn exact(micros: u64) -> String {
    if micros < 1_000 { format!("{micros}us") } else { format!("{}.{:03}ms", micros / 1_000, micros % 1_000) }
}

/// A mean or another latency that is not a whole number of microseconds, for people.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts from floating point saturate")]
pub fn human_mean(micros: f64) -> String {
    human(micros.round() as u64)
}

/// Bytes per second for people: `48.2 MB/s`.
#[must_use]
pub fn rate(bytes_per_second: f64) -> String {
    let (mut number, mut unit) = (bytes_per_second.max(0.0), "B/s");
    for larger in ["kB/s", "MB/s", "GB/s"] {
        if number < 1000.0 {
            break;
        }
        (number, unit) = (number / 1000.0, larger);
    }
    if unit == "B/s" { format!("{number:.0} {unit}") } else { format!("{number:.1} {unit}") }
}

/// A time span for people, to the second: `45s`, `2m10s`, `3h5m`.
#[must_use]
pub fn span(span: std::time::Duration) -> String {
    let seconds = span.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, _) => format!("{hours}h{minutes}m"),
    }
}

fn with_decimals(scaled: u128, decimals: u32) -> String {
    let unit = 10_u128.pow(decimals);
    match decimals {
        0 => scaled.to_string(),
        _ => format!("{}.{:0width$}", scaled / unit, scaled % unit, width = decimals as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_spans_have_the_unit_that_fits() {
        for (number, text) in
            [(0.0, "0 B/s"), (999.4, "999 B/s"), (1_500.0, "1.5 kB/s"), (48_230_000.0, "48.2 MB/s"), (1.25e12, "1250.0 GB/s"), (f64::NAN, "0 B/s")]
        {
            assert_eq!(rate(number), text);
        }
        for (seconds, text) in [(0, "0s"), (59, "59s"), (130, "2m10s"), (11_100, "3h5m")] {
            assert_eq!(span(std::time::Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn latencies_have_three_digits_and_the_unit_that_fits() {
        let cases = [
            (0, "0us"),
            (1, "1us"),
            (850, "850us"),
            (999, "999us"),
            (1_000, "1.00ms"),
            (1_234, "1.23ms"),
            (12_350, "12.4ms"),
            (12_349, "12.3ms"),
            (123_456, "123ms"),
            (999_499, "999ms"),
            (999_500, "1.00s"),
            (1_234_567, "1.23s"),
            (9_995_000, "10.0s"),
            (61_000_000, "61.0s"),
            (999_999_999, "1000s"),
            (3_600_000_000, "3600s"),
        ];
        for (micros, text) in cases {
            assert_eq!(human(micros), text, "{micros}");
        }
        assert_eq!((exact(850), exact(20_015), exact(61_000_000)), ("850us".into(), "20.015ms".into(), "61000.000ms".into()));
        assert_eq!(human_mean(12_349.6), "12.4ms");
        assert_eq!(human_mean(f64::NAN), "0us");
    }
}
