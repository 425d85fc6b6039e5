//! Days and microseconds as people write them, by the proleptic Gregorian calendar.

const DAY: i64 = 86_400_000_000;

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
}
