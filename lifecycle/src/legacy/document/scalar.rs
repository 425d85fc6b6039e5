//! What a scalar without quotes means: to YAML 1.2, and to the older readers that see more in it.

use serde_json::{Number, Value};

/// Whether YAML reads nothing in it.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The value by the core schema of YAML 1.2. What JSON has no number for stays a text.
pub(super) fn value(text: &str) -> Value {
    match text {
        _ if is_null(text) => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::from(text), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let signed = text.strip_prefix('+').unwrap_or(text);
        return signed.parse::<i64>().map(Number::from).or_else(|_| signed.parse::<u64>().map(Number::from)).ok();
    }
    let known = digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    text.parse::<f64>().ok().filter(|_| known && digits.bytes().any(|byte| byte.is_ascii_digit())).and_then(Number::from_f64)
}

/// Whether some reader of YAML, 1.1 or 1.2, takes it for something else than a text: a truth value, nothing, a number, a time.
pub(super) fn is_ambiguous(text: &str) -> bool {
    is_null(text) || is_truth(text) || is_number(text) || is_date(text)
}

fn is_truth(text: &str) -> bool {
    const WORDS: [&str; 6] = ["yes", "no", "on", "off", "true", "false"];
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    if matches!(&*lower, ".inf" | ".nan") {
        return true;
    }
    if let Some((digits, radix)) = [("0x", 16), ("0o", 8), ("0b", 2)].iter().find_map(|(prefix, radix)| Some((lower.strip_prefix(prefix)?, *radix))) {
        return !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix) || c == '_');
    }
    // Decimal, with groups, as a fraction, with an exponent, or in sixties (`1:30`): nothing but these signs.
    let signs = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'_' | b'.' | b':' | b'+' | b'-' | b'e');
    let begins = lower.starts_with(|c: char| c.is_ascii_digit() || c == '.') && lower.bytes().any(|byte| byte.is_ascii_digit());
    begins && lower.bytes().all(signs) && is_one_number(&lower)
}

/// Of a text of digits and `_ . : + - e`: whether it is one number and not, say, an IP address.
fn is_one_number(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once('e').map_or((text, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let exponent_fits = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    exponent_fits && !mantissa.contains(['+', '-']) && mantissa.matches('.').count() <= 1
}

/// `2026-03-07`, with or without a time behind it.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |from: usize, to: usize| bytes.get(from..to).is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    let day = digits(0, 4) && bytes.get(4) == Some(&b'-') && digits(5, 7) && bytes.get(7) == Some(&b'-') && digits(8, 10);
    day && bytes.get(10).is_none_or(|next| matches!(next, b't' | b'T' | b' '))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plain_scalar_has_one_value() {
        let cases = [
            ("", json!(null)),
            ("~", json!(null)),
            ("null", json!(null)),
            ("true", json!(true)),
            ("FALSE", json!(false)),
            ("no", json!("no")),
            ("17", json!(17)),
            ("-3", json!(-3)),
            ("+5", json!(5)),
            ("0.5", json!(0.5)),
            ("1e3", json!(1000.0)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("1_000", json!("1_000")),
            ("0o17", json!("0o17")),
            (".inf", json!(".inf")),
            (".", json!(".")),
            ("10.0.1.5", json!("10.0.1.5")),
            ("2026-03-07", json!("2026-03-07")),
            ("90s", json!("90s")),
            ("infinity", json!("infinity")),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn what_some_reader_takes_for_something_else_is_ambiguous() {
        let ambiguous = ["no", "Yes", "on", "OFF", "~", "", "017", "0o17", "0x1F", "1_000", "-1", "3.14", ".5", "1e3", ".inf", "-.INF", "1:30", "2026-03-07"];
        for text in ambiguous {
            assert!(is_ambiguous(text), "{text:?} is ambiguous");
        }
        for text in [
            "nobody",
            "root",
            "10.0.1.5",
            "10.0.1.5:3306",
            "db:3306",
            "90s",
            "1.5h",
            "8.0.36",
            "2026-03-07-nightly",
            "0xg",
            "0bad",
            "y",
            "e",
            "a1",
            "1-2",
            "********",
        ] {
            assert!(!is_ambiguous(text), "{text:?} is a text");
        }
    }
}
