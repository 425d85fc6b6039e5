//! The one duration grammar of Crucible, used by every field and every file that states a time span.

use std::{borrow::Cow, fmt, str::FromStr, time};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The longest span that any field accepts: ten days.
pub const LONGEST: time::Duration = time::Duration::from_hours(240);

/// What the API server checks before the operator ever sees the text: the grammar itself. That the text is not empty and
/// not longer than [`LONGEST`] takes two checks more.
pub const PATTERN: &str = r"^([0-9]{1,7}(\.[0-9]{1,3})?h)?([0-9]{1,7}(\.[0-9]{1,3})?m)?([0-9]{1,7}(\.[0-9]{1,3})?s)?([0-9]{1,7}(\.[0-9]{1,3})?ms)?$";

/// A time span such as `90s`, `1h30m`, `1.5h` or `500ms`.
///
/// Each part is a decimal number followed by its unit, largest unit first and each unit at most once. Nothing else is
/// accepted: no bare numbers, signs, spaces or upper case. The text is kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration {
    text: String,
    span: time::Duration,
}

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationError {
    text: String,
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.text.chars().take(40).collect();
        write!(f, "{shown:?} is not a duration: write a number with its unit, such as 500ms, 90s, 1.5h or 1h30m, at most 240h")
    }
}

impl std::error::Error for DurationError {}

impl Duration {
    /// The time span itself.
    #[must_use]
    pub fn span(&self) -> time::Duration {
        self.span
    }

    /// A duration of whole seconds, written as `<seconds>s`.
    #[must_use]
    pub fn from_secs(seconds: u32) -> Self {
        Self { text: format!("{seconds}s"), span: time::Duration::from_secs(u64::from(seconds)) }
    }

    /// A span as a duration in whole milliseconds. What is longer than [`LONGEST`] is cut to that.
    #[must_use]
    pub fn of(span: time::Duration) -> Self {
        let span = span.min(LONGEST);
        let (seconds, millis) = (span.as_secs(), span.subsec_millis());
        let text = if millis == 0 { format!("{seconds}s") } else { format!("{seconds}s{millis}ms") };
        Self { text, span: time::Duration::from_secs(seconds) + time::Duration::from_millis(u64::from(millis)) }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let refused = || DurationError { text: text.to_owned() };
        let span = parse_nanos(text).map(time::Duration::from_nanos).filter(|span| *span <= LONGEST).ok_or_else(refused)?;
        Ok(Self { text: text.to_owned(), span })
    }
}

impl TryFrom<String> for Duration {
    type Error = DurationError;

    fn try_from(text: String) -> Result<Self, DurationError> {
        text.parse()
    }
}

impl From<Duration> for String {
    fn from(duration: Duration) -> Self {
        duration.text
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": PATTERN, "minLength": 1, "maxLength": 32,
            "x-kubernetes-validations": [{"rule": "duration(self) <= duration('240h')", "message": "a time span must not be longer than 240h"}],
        })
    }
}

/// Nanoseconds of a text in the grammar, or nothing where the text is not in it.
fn parse_nanos(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_length = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_length);
        let unit = match unit {
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        if unit >= last_unit {
            return None;
        }
        last_unit = unit;
        total = total.checked_add(decimal_times(number, unit)?)?;
        rest = tail;
    }
    (last_unit != u64::MAX).then_some(total)
}

/// `number` (digits with at most three decimals) times `unit`, exactly.
fn decimal_times(number: &str, unit: u64) -> Option<u64> {
    let (whole, decimals) = match number.split_once('.') {
        Some((whole, decimals)) if (1..=3).contains(&decimals.len()) => (whole, decimals),
        Some(_) => return None,
        None => (number, ""),
    };
    if whole.is_empty() || whole.len() > 7 || decimals.contains('.') {
        return None;
    }
    let thousandths: u64 = format!("{whole}{decimals:0<3}").parse().ok()?;
    thousandths.checked_mul(unit / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_written_in_seconds_and_milliseconds() {
        let cases = [(0, "0s"), (90_000, "90s"), (1_500, "1s500ms"), (7, "0s7ms"), (u64::MAX, "864000s")];
        for (millis, text) in cases {
            let duration = Duration::of(time::Duration::from_millis(millis));
            assert_eq!((duration.to_string(), text.parse::<Duration>().unwrap()), (text.to_owned(), duration));
        }
    }

    #[test]
    fn every_accepted_text_means_one_span() {
        let cases = [
            ("500ms", 500),
            ("90s", 90_000),
            ("1.5h", 5_400_000),
            ("1h30m", 5_400_000),
            ("0.25s", 250),
            ("0s", 0),
            ("1h1m1s1ms", 3_661_001),
            ("240h", 864_000_000),
            ("1.5ms", 1),
        ];
        for (text, millis) in cases {
            let parsed: Duration = text.parse().unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(parsed.span().as_millis(), millis, "{text}");
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "", "abc", "1d", "10", "5 m", "5M", "-5m", "+5m", "999999h", "1.5", ".5h", "5.h", "1..5h", "1m1h", "1s1s", "1h ", "1.2345s", "240h1ms", "1e3s",
            "٣s",
        ] {
            assert!(text.parse::<Duration>().is_err(), "{text:?} must be refused");
        }
    }

    #[test]
    fn the_refusal_names_the_text_and_shows_the_grammar() {
        let error = "5 m".parse::<Duration>().unwrap_err().to_string();
        assert_eq!(error, "\"5 m\" is not a duration: write a number with its unit, such as 500ms, 90s, 1.5h or 1h30m, at most 240h");
    }
}
