//! Days and microseconds as people write them, by the proleptic Gregorian calendar.

/// Microseconds of a day.
pub const DAY: i64 = 86_400_000_000;

/// Year, month and day of a day since 1970; nothing outside the years 1 to 9999, which not every database can hold.
pub fn date(days: i64) -> Option<(i64, i64, i64)> {
    // Days since 0000-03-01, in eras of 400 years.
    let shifted = days.checked_add(719_468)?;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (1..=9999).contains(&year).then_some((year, month, day))
}

/// Writes a day as `2026-03-07`.
pub fn write_date(to: &mut Vec<u8>, days: i64) -> Result<(), String> {
    let (year, month, day) = date(days).ok_or_else(|| format!("the date {days} days after 1970 is outside the years 1 to 9999"))?;
    digits(to, year, 4);
    to.push(b'-');
    digits(to, month, 2);
    to.push(b'-');
    digits(to, day, 2);
    Ok(())
}

/// Writes microseconds since midnight as `23:59:58.000001`.
pub fn write_time(to: &mut Vec<u8>, micros: i64) -> Result<(), String> {
    if !(0..DAY).contains(&micros) {
        return Err(format!("the time {micros} us after midnight is not within a day"));
    }
    let seconds = micros / 1_000_000;
    for (number, sign) in [(seconds / 3600, b':'), (seconds / 60 % 60, b':'), (seconds % 60, b'.')] {
        digits(to, number, 2);
        to.push(sign);
    }
    digits(to, micros % 1_000_000, 6);
    Ok(())
}

/// Writes microseconds since 1970 as `2026-03-07 23:59:58.000001`.
pub fn write_timestamp(to: &mut Vec<u8>, micros: i64) -> Result<(), String> {
    write_date(to, micros.div_euclid(DAY))?;
    to.push(b' ');
    write_time(to, micros.rem_euclid(DAY))
}

/// The day since 1970 of `2026-03-07`; nothing where it is no day.
pub fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.trim().splitn(3, '-');
    let (year, month, day) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_march = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (of_march.div_euclid(400), of_march.rem_euclid(400));
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + (153 * shifted + 2) / 5 + day - 1 - 719_468;
    // A day that the month does not have comes back as another.
    (date(days) == Some((year, month, day))).then_some(days)
}

/// The nanoseconds since midnight of `23:59:58`, with up to nine digits of a second's part.
pub fn parse_time(text: &str) -> Option<i64> {
    let mut parts = text.trim().splitn(3, ':');
    let (hours, minutes, rest) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?, parts.next().unwrap_or("00"));
    let (seconds, part) = rest.split_once('.').unwrap_or((rest, "0"));
    let seconds = number(seconds, 2)?;
    let nanos = number(part, part.len()).filter(|_| (1..=9).contains(&part.len()))? * 10_i64.pow(9 - u32::try_from(part.len()).ok()?);
    (hours < 24 && minutes < 60 && seconds < 60).then_some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000 + nanos)
}

/// The microseconds since 1970 of `2026-03-07 23:59:58.000001`, of the same with a `T`, and with `Z` or `+01:00` at its end; without
/// one it is in UTC. Nothing where it is finer.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let text = text.trim();
    let Some((day, rest)) = text.split_once(['T', ' ']) else { return Some(parse_date(text)? * DAY) };
    let (time, shift) = match rest.rfind(['Z', 'z', '+', '-']) {
        None => (rest, 0),
        Some(at) => {
            let (time, zone) = rest.split_at(at);
            (time.trim_end(), zone_of(zone)?)
        }
    };
    let nanos = parse_time(time)?;
    (nanos % 1000 == 0).then_some(parse_date(day)? * DAY + nanos / 1000 - shift)
}

/// The microseconds that a zone like `+01:00` is ahead.
fn zone_of(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = if let Some(rest) = zone.strip_prefix('-') { (-1, rest) } else { (1, zone.strip_prefix('+')?) };
    let digits: String = rest.chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = if digits.len() == 2 { (digits.as_str(), "00") } else { digits.split_at_checked(2)? };
    Some(sign * (number(hours, 2)? * 60 + number(minutes, 2)?) * 60_000_000)
}

/// A number of exactly so many digits.
fn number(text: &str, width: usize) -> Option<i64> {
    (text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn digits(to: &mut Vec<u8>, mut number: i64, width: usize) {
    let start = to.len();
    to.resize(start + width, b'0');
    for digit in to.get_mut(start..).into_iter().flatten().rev() {
        *digit += u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(micros: i64) -> String {
        let mut text = Vec::new();
        write_timestamp(&mut text, micros).map_or_else(|why| why, |()| String::from_utf8(text).unwrap())
    }

    #[test]
    fn instants_are_written_as_the_calendar_has_them() {
        let table = [
            (0, "1970-01-01 00:00:00.000000"),
            (-1, "1969-12-31 23:59:59.999999"),
            (951_782_400_000_000, "2000-02-29 00:00:00.000000"),
            (1_772_927_998_000_001, "2026-03-07 23:59:58.000001"),
            (-62_135_596_800_000_000, "0001-01-01 00:00:00.000000"),
            (253_402_300_799_999_999, "9999-12-31 23:59:59.999999"),
            (253_402_300_800_000_000, "the date 2932897 days after 1970 is outside the years 1 to 9999"),
        ];
        for (micros, text) in table {
            assert_eq!(stamp(micros), text);
        }
    }

    #[test]
    fn what_people_write_is_read_as_the_calendar_has_it() {
        let table = [
            ("1970-01-01", Some(0)),
            ("2000-02-29", Some(951_782_400_000_000)),
            ("2001-02-29", None),
            ("2026-13-01", None),
            ("2026-3-7", None),
            ("1969-12-31 23:59:59.999999", Some(-1)),
            ("2026-03-07T23:59:58.000001Z", Some(1_772_927_998_000_001)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("1970-01-01 01:00:00 +0100", Some(0)),
            ("1969-12-31 19:00:00-05", Some(0)),
            ("1970-01-01 00:00", Some(0)),
            ("1970-01-01 24:00:00", None),
            ("1970-01-01 00:00:00.0000001", None),
            ("1970-01-01 00:00:00.", None),
            ("0001-01-01", Some(-62_135_596_800_000_000)),
            ("9999-12-31 23:59:59.999999", Some(253_402_300_799_999_999)),
            ("yesterday", None),
            ("", None),
        ];
        for (text, micros) in table {
            assert_eq!(parse_timestamp(text), micros, "{text}");
        }
        assert_eq!(parse_time("23:59:58.123456789"), Some(86_398_123_456_789));
    }
}
