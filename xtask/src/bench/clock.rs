//! Instants as microseconds since 1970: what this process reads, and what Kubernetes, the operator and the workers write. All of them
//! read the clock of one machine.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970.
pub type Micros = i64;

/// Now.
pub fn now() -> Micros {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// An instant as RFC 3339 in UTC, for example `2026-11-22T20:29:14.123456Z`.
pub fn parse(text: &str) -> Option<Micros> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, ':')?;
    let micros: i64 = format!("{:0<6}", fraction.get(..fraction.len().min(6))?).parse().ok()?;
    Some((((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    let parsed: Vec<i64> = text.split(between).map(str::parse).collect::<Result<_, _>>().ok()?;
    parsed.try_into().ok()
}

/// Days since 1970 in the Gregorian calendar. The year is counted from March, so that the leap day is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_with_whatever_digits_they_have() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse("2026-11-22T20:29:14.123456Z"), Some(1_795_379_354_123_456));
        assert_eq!(parse("2026-11-22T20:29:14.1Z"), Some(1_795_379_354_100_000));
        assert_eq!(parse("2024-02-29T00:00:00.123456789Z"), Some(1_709_164_800_123_456));
        assert_eq!(parse("2000-03-01T00:00:00Z"), Some(951_868_800_000_000));
    }

    #[test]
    fn what_is_no_instant_is_nothing() {
        for refused in ["", "2026-11-22", "2026-11-22T20:29:14+01:00", "2026-11-22T20:29Z", "x-1-1T0:0:0Z"] {
            assert_eq!(parse(refused), None, "{refused}");
        }
    }
}
