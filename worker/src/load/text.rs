//! Values as both databases read them in text: tabs between fields, line feeds between rows, `\N` for NULL, backslashes before what
//! would mean something. MySQL's `LOAD DATA` and PostgreSQL's `COPY` agree on it but for bytes.

use std::io::Write as _;

use super::{
    civil,
    value::{Class, Slot, Value},
};

/// Which database reads the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Bytes come in hexadecimal digits and go through `UNHEX`.
    Mysql,
    /// Bytes come as `\x…`; no text may have a NUL.
    Postgres,
    /// Fields and rows end with control characters, and nothing is escaped: what would have to be is refused. No bytes.
    Doris,
}

impl Reader {
    /// What stands between fields, and after a row.
    pub const fn separators(self) -> (u8, u8) {
        match self {
            Self::Mysql | Self::Postgres => (b'\t', b'\n'),
            Self::Doris => (0x1f, 0x1e),
        }
    }
}

/// Writes one value.
pub fn write(to: &mut Vec<u8>, reader: Reader, slot: &Slot, value: &Value<'_>) -> Result<(), String> {
    // Writing into memory does not fail.
    match *value {
        Value::Null => to.extend_from_slice(b"\\N"),
        Value::Bool(bool) => to.push(if bool { b'1' } else { b'0' }),
        Value::Int(number) => drop(write!(to, "{number}")),
        Value::UInt(number) => drop(write!(to, "{number}")),
        Value::Float32(number) => float(to, reader, number.is_finite(), &number)?,
        Value::Float64(number) => float(to, reader, number.is_finite(), &number)?,
        Value::Decimal(digits, scale) => decimal(to, digits, scale),
        Value::Text(text) if reader == Reader::Doris => plain(to, text)?,
        Value::Text(text) if is_bytes(slot.class) => bytes(to, reader, text.as_bytes()),
        Value::Text(text) => escaped(to, reader, text.as_bytes())?,
        Value::Bytes(raw) if is_bytes(slot.class) => bytes(to, reader, raw),
        Value::Bytes(_) => return Err("bytes can only be loaded into a column of bytes".to_owned()),
        Value::Date(days) => civil::write_date(to, days.into())?,
        Value::Time(micros) => civil::write_time(to, micros)?,
        Value::Timestamp(micros, utc) => {
            civil::write_timestamp(to, micros)?;
            if reader == Reader::Postgres && (utc || slot.class == Class::TimestampUtc) {
                to.extend_from_slice(b"+00");
            }
        }
        Value::Uuid(raw) => uuid(to, &raw),
    }
    Ok(())
}

/// Whether a column takes bytes, which travel in hexadecimal digits.
pub fn is_bytes(class: Class) -> bool {
    matches!(class, Class::Bytes | Class::FixedBytes)
}

fn float(to: &mut Vec<u8>, reader: Reader, finite: bool, number: &dyn std::fmt::Display) -> Result<(), String> {
    if !finite && reader != Reader::Postgres {
        return Err(format!("{number} is a number that {} cannot hold", if reader == Reader::Mysql { "MySQL" } else { "Doris" }));
    }
    drop(write!(to, "{number}"));
    Ok(())
}

fn decimal(to: &mut Vec<u8>, digits: i128, scale: u8) {
    if digits < 0 {
        to.push(b'-');
    }
    let start = to.len();
    drop(write!(to, "{:0width$}", digits.unsigned_abs(), width = usize::from(scale) + 1));
    if scale > 0 {
        let point = (to.len() - usize::from(scale)).max(start);
        to.insert(point, b'.');
    }
}

fn plain(to: &mut Vec<u8>, text: &str) -> Result<(), String> {
    if text == "\\N" {
        return Err("the text is \\N, which a stream load reads as NULL".to_owned());
    }
    if text.bytes().any(|byte| matches!(byte, 0x1e | 0x1f)) {
        return Err("the text has a control character that separates values in a stream load".to_owned());
    }
    to.extend_from_slice(text.as_bytes());
    Ok(())
}

fn escaped(to: &mut Vec<u8>, reader: Reader, text: &[u8]) -> Result<(), String> {
    // Hardly any text has one, and asking the whole of it at once is much faster than byte after byte.
    if text.iter().fold(0, |any, byte| any | u8::from(*byte == b'\\') | u8::from(*byte <= b'\r')) == 0 {
        to.extend_from_slice(text);
        return Ok(());
    }
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\t' | b'\n' | b'\r' | 0)) {
        let (plain, special) = rest.split_at(at);
        to.extend_from_slice(plain);
        let written = match special.first() {
            Some(b'\t') => b't',
            Some(b'\n') => b'n',
            Some(b'\r') => b'r',
            Some(0) if reader == Reader::Postgres => return Err("the text has a NUL, which PostgreSQL cannot hold".to_owned()),
            Some(0) => b'0',
            Some(_) | None => b'\\',
        };
        to.extend_from_slice(&[b'\\', written]);
        rest = special.get(1..).unwrap_or_default();
    }
    to.extend_from_slice(rest);
    Ok(())
}

fn bytes(to: &mut Vec<u8>, reader: Reader, raw: &[u8]) {
    if reader == Reader::Postgres {
        to.extend_from_slice(b"\\\\x");
    }
    hex(to, raw);
}

fn hex(to: &mut Vec<u8>, raw: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in raw {
        to.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

fn uuid(to: &mut Vec<u8>, raw: &[u8; 16]) {
    for (at, byte) in raw.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            to.push(b'-');
        }
        hex(to, &[*byte]);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::value::Kind, *};

    fn written(reader: Reader, class: Class, value: Value<'_>) -> String {
        let slot = Slot { name: "c".into(), kind: Kind::Text, class };
        let mut to = Vec::new();
        write(&mut to, reader, &slot, &value).map_or_else(|why| format!("!{why}"), |()| String::from_utf8(to).unwrap())
    }

    #[test]
    fn values_are_written_as_both_databases_read_them() {
        let table = [
            (Value::Null, "\\N", "\\N"),
            (Value::Bool(true), "1", "1"),
            (Value::Int(i64::MIN), "-9223372036854775808", "-9223372036854775808"),
            (Value::UInt(u64::MAX), "18446744073709551615", "18446744073709551615"),
            (Value::Decimal(-5, 2), "-0.05", "-0.05"),
            (Value::Decimal(12_345, 0), "12345", "12345"),
            (Value::Decimal(i128::from(i64::MAX) * 1_000_000_000_000, 12), "9223372036854775807.000000000000", "9223372036854775807.000000000000"),
            (Value::Float64(0.1), "0.1", "0.1"),
            (Value::Float64(f64::NAN), "!NaN is a number that MySQL cannot hold", "NaN"),
            (Value::Text("a\tb\\c\nd\re"), "a\\tb\\\\c\\nd\\re", "a\\tb\\\\c\\nd\\re"),
            (Value::Text("a\0b"), "a\\0b", "!the text has a NUL, which PostgreSQL cannot hold"),
            (Value::Date(-1), "1969-12-31", "1969-12-31"),
            (Value::Time(1), "00:00:00.000001", "00:00:00.000001"),
            (Value::Timestamp(0, true), "1970-01-01 00:00:00.000000", "1970-01-01 00:00:00.000000+00"),
            (Value::Uuid([0xab; 16]), "abababab-abab-abab-abab-abababababab", "abababab-abab-abab-abab-abababababab"),
        ];
        for (value, mysql, postgres) in table {
            assert_eq!(written(Reader::Mysql, Class::Text, value), mysql, "{value:?}");
            assert_eq!(written(Reader::Postgres, Class::Text, value), postgres, "{value:?}");
        }
        assert_eq!(written(Reader::Mysql, Class::Bytes, Value::Bytes(&[0, 255])), "00ff");
        assert_eq!(written(Reader::Postgres, Class::Bytes, Value::Bytes(&[0, 255])), "\\\\x00ff");
        assert_eq!(written(Reader::Mysql, Class::Text, Value::Bytes(&[0])), "!bytes can only be loaded into a column of bytes");
    }
}
