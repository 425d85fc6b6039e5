//! Values as PostgreSQL's binary `COPY` reads them, for columns whose type holds exactly what the file has. Whatever else a table
//! has for columns is loaded in text, which PostgreSQL itself converts.

use super::value::{Class, Kind, Slot, Value};

/// What a binary copy begins with: its signature, no flags, no extension.
pub const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
pub const TRAILER: &[u8] = &[0xff, 0xff];

/// Days and microseconds from 1970 to 2000, where PostgreSQL's time begins.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Whether a column can be written in binary form.
pub fn holds(kind: Kind, class: Class) -> bool {
    match (kind, class) {
        (Kind::Bool, Class::Bool)
        | (Kind::Int { .. } | Kind::Decimal { .. }, Class::Decimal(_))
        | (Kind::Float32, Class::Float32 | Class::Float64)
        | (Kind::Float64, Class::Float64)
        | (Kind::Text, Class::Text)
        | (Kind::Bytes, Class::Bytes)
        | (Kind::Date, Class::Date)
        | (Kind::Time, Class::Time)
        | (Kind::Timestamp { utc: false }, Class::Timestamp)
        | (Kind::Timestamp { utc: true }, Class::TimestampUtc)
        | (Kind::Uuid, Class::Uuid)
        | (Kind::Json, Class::Json) => true,
        (Kind::Int { bits, signed }, Class::Int(bytes)) => {
            if signed {
                bits <= bytes * 8
            } else {
                bits < bytes * 8
            }
        }
        _ => false,
    }
}

/// Writes one value with its length.
pub fn write(to: &mut Vec<u8>, slot: &Slot, value: &Value<'_>) -> Result<(), String> {
    match (*value, slot.class) {
        (Value::Null, _) => to.extend((-1_i32).to_be_bytes()),
        (Value::Bool(bool), _) => field(to, &[u8::from(bool)])?,
        (Value::Int(number), Class::Decimal(_)) => numeric(to, number.into(), 0)?,
        (Value::UInt(number), Class::Decimal(_)) => numeric(to, number.into(), 0)?,
        (Value::Int(number), Class::Int(bytes)) => whole(to, number, bytes)?,
        (Value::UInt(number), Class::Int(bytes)) => whole(to, i64::try_from(number).map_err(|_| format!("{number} is too large"))?, bytes)?,
        (Value::Decimal(digits, scale), Class::Decimal(_)) => numeric(to, digits, scale)?,
        (Value::Float32(number), Class::Float32) => field(to, &number.to_be_bytes())?,
        (Value::Float32(number), _) => field(to, &f64::from(number).to_be_bytes())?,
        (Value::Float64(number), _) => field(to, &number.to_be_bytes())?,
        (Value::Text(text), _) if text.contains('\0') => return Err("the text has a NUL, which PostgreSQL cannot hold".to_owned()),
        (Value::Text(text), _) => field(to, text.as_bytes())?,
        (Value::Bytes(raw), _) => field(to, raw)?,
        (Value::Date(days), _) => field(to, &days.checked_sub(EPOCH_DAYS).ok_or("the date is out of range")?.to_be_bytes())?,
        (Value::Time(micros), _) => field(to, &micros.to_be_bytes())?,
        (Value::Timestamp(micros, _), _) => field(to, &micros.checked_sub(EPOCH_MICROS).ok_or("the time is out of range")?.to_be_bytes())?,
        (Value::Uuid(raw), _) => field(to, &raw)?,
        (Value::Int(_) | Value::UInt(_) | Value::Decimal(..), _) => return Err("the number does not fit the column".to_owned()),
    }
    Ok(())
}

fn field(to: &mut Vec<u8>, bytes: &[u8]) -> Result<(), String> {
    to.extend(i32::try_from(bytes.len()).map_err(|_| "the value is too long".to_owned())?.to_be_bytes());
    to.extend_from_slice(bytes);
    Ok(())
}

fn whole(to: &mut Vec<u8>, number: i64, bytes: u8) -> Result<(), String> {
    let large = |_| format!("{number} is too large");
    match bytes {
        2 => field(to, &i16::try_from(number).map_err(large)?.to_be_bytes()),
        4 => field(to, &i32::try_from(number).map_err(large)?.to_be_bytes()),
        _ => field(to, &number.to_be_bytes()),
    }
}

/// A numeric: groups of four decimal digits, the weight of the first, a sign and the digits to show after the point.
fn numeric(to: &mut Vec<u8>, digits: i128, scale: u8) -> Result<(), String> {
    const POWERS: [u128; 5] = [1, 10, 100, 1000, 10_000];
    let absolute = digits.unsigned_abs();
    let unit = 10_u128.checked_pow(scale.into()).ok_or("the scale is too large")?;
    let (mut whole, mut part) = (absolute / unit, absolute % unit);
    let mut groups: Vec<u16> = Vec::with_capacity(16);
    let mut push = |group: u128| groups.push(u16::try_from(group).unwrap_or_default());
    let mut before = [0_u128; 10];
    let mut count = 0;
    while whole > 0 {
        if let Some(slot) = before.get_mut(count) {
            *slot = whole % 10_000;
        }
        whole /= 10_000;
        count += 1;
    }
    before.iter().take(count).rev().for_each(|group| push(*group));
    let mut left = usize::from(scale);
    while left > 0 {
        if left >= 4 {
            let below = 10_u128.pow(u32::try_from(left - 4).unwrap_or_default());
            push(part / below);
            part %= below;
            left -= 4;
        } else {
            push(part * POWERS.get(4 - left).copied().unwrap_or(1));
            left = 0;
        }
    }
    let mut weight = i16::try_from(count).unwrap_or_default() - 1;
    let leading = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..leading);
    weight -= i16::try_from(leading).unwrap_or_default();
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    let negative = digits < 0;
    let mut bytes = Vec::with_capacity(8 + groups.len() * 2);
    bytes.extend(u16::try_from(groups.len()).unwrap_or_default().to_be_bytes());
    bytes.extend(weight.to_be_bytes());
    bytes.extend((if negative { 0x4000_u16 } else { 0 }).to_be_bytes());
    bytes.extend(u16::from(scale).to_be_bytes());
    for group in &groups {
        bytes.extend(group.to_be_bytes());
    }
    field(to, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A numeric as PostgreSQL would show it: the inverse of the above, by its own documentation.
    fn shown(bytes: &[u8]) -> String {
        let word = |at: usize| i16::from_be_bytes([bytes[4 + at * 2], bytes[5 + at * 2]]);
        let (count, weight, sign, scale) = (word(0), word(1), word(2), usize::try_from(word(3)).unwrap());
        let group = |position: i16| if (0..count).contains(&position) { word(4 + usize::try_from(position).unwrap()) } else { 0 };
        let digits = |positions: std::ops::RangeInclusive<i16>| positions.map(|position| format!("{:04}", group(position))).collect::<Vec<_>>().concat();
        let whole = digits(0..=weight).trim_start_matches('0').to_owned();
        let mut part = digits(weight + 1..=weight + 1 + i16::try_from(scale / 4).unwrap());
        part.truncate(scale);
        format!("{}{}{}{part}", if sign == 0x4000 { "-" } else { "" }, if whole.is_empty() { "0" } else { &whole }, if scale > 0 { "." } else { "" })
    }

    fn decimal(digits: i128, scale: u8) -> String {
        let mut to = Vec::new();
        numeric(&mut to, digits, scale).unwrap();
        assert_eq!(usize::try_from(i32::from_be_bytes(to[..4].try_into().unwrap())).unwrap(), to.len() - 4);
        shown(&to)
    }

    #[test]
    fn a_numeric_is_groups_of_four_digits() {
        let cases = [
            (0, 0, "0"),
            (0, 2, "0.00"),
            (5, 2, "0.05"),
            (-12_345_678, 3, "-12345.678"),
            (10_000, 0, "10000"),
            (1, 9, "0.000000001"),
            (100_000_000, 4, "10000.0000"),
        ];
        for (digits, scale, text) in cases {
            assert_eq!(decimal(digits, scale), text);
        }
    }

    proptest! {
        #[test]
        fn any_numeric_is_shown_as_its_digits(digits in -(10_i128.pow(38) - 1)..10_i128.pow(38), scale in 0_u8..=38) {
            let padded = format!("{:0width$}", digits.unsigned_abs(), width = usize::from(scale) + 1);
            let (whole, part) = padded.split_at(padded.len() - usize::from(scale));
            let sign = if digits < 0 { "-" } else { "" };
            prop_assert_eq!(decimal(digits, scale), format!("{sign}{whole}{}{part}", if scale > 0 { "." } else { "" }));
        }
    }

    #[test]
    fn a_column_is_written_in_binary_form_where_it_holds_every_value() {
        let int = |bits, signed| Kind::Int { bits, signed };
        let cases = [
            (int(32, true), Class::Int(4), true),
            (int(32, true), Class::Int(8), true),
            (int(64, true), Class::Int(4), false),
            (int(32, false), Class::Int(4), false),
            (int(32, false), Class::Int(8), true),
            (int(64, false), Class::Decimal(0), true),
            (Kind::Text, Class::Text, true),
            (Kind::Text, Class::Other, false),
            (Kind::Float64, Class::Float32, false),
            (Kind::Timestamp { utc: true }, Class::Timestamp, false),
        ];
        for (kind, class, expected) in cases {
            assert_eq!(holds(kind, class), expected, "{kind} into {class:?}");
        }
    }
}
