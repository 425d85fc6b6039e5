//! Cassandra's types: which of them a column of a file gets, what may go into one that is there, and how a value is written for it. Values
//! travel in the binary form of the protocol, which the database keeps as it comes, so what is read back can be compared byte by byte.

use std::io::Write as _;

use super::super::{
    civil,
    text::{self, Reader},
    value::{Class, Kind, Slot, Value},
};

/// A type that rows can be loaded into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CqlType {
    Boolean,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    VarInt,
    Decimal,
    Float,
    Double,
    Text,
    Ascii,
    Blob,
    Date,
    Time,
    Timestamp,
    Uuid,
    TimeUuid,
    Inet,
}

/// Every type by its name; `varchar` is another word for `text`.
const NAMES: [(&str, CqlType); 19] = [
    ("boolean", CqlType::Boolean),
    ("tinyint", CqlType::TinyInt),
    ("smallint", CqlType::SmallInt),
    ("int", CqlType::Int),
    ("bigint", CqlType::BigInt),
    ("varint", CqlType::VarInt),
    ("decimal", CqlType::Decimal),
    ("float", CqlType::Float),
    ("double", CqlType::Double),
    ("text", CqlType::Text),
    ("ascii", CqlType::Ascii),
    ("blob", CqlType::Blob),
    ("date", CqlType::Date),
    ("time", CqlType::Time),
    ("timestamp", CqlType::Timestamp),
    ("uuid", CqlType::Uuid),
    ("timeuuid", CqlType::TimeUuid),
    ("inet", CqlType::Inet),
    ("varchar", CqlType::Text),
];

impl CqlType {
    /// The type of this name; nothing for collections, counters, vectors, tuples, durations and types that users define.
    pub fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.trim())).map(|(_, found)| *found)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }

    /// All names, for whoever has used another.
    pub fn names() -> String {
        NAMES.map(|(name, _)| name).join(", ")
    }

    /// The type that holds every value of a column of a file. Of timestamps it holds milliseconds: one that is finer is refused.
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Bool => Self::Boolean,
            Kind::Int { bits: 8, signed: true } => Self::TinyInt,
            Kind::Int { bits: 16, signed: true } | Kind::Int { bits: 8, signed: false } => Self::SmallInt,
            Kind::Int { bits: 32, signed: true } | Kind::Int { bits: 16, signed: false } => Self::Int,
            Kind::Int { signed: true, .. } | Kind::Int { bits: 32, signed: false } => Self::BigInt,
            Kind::Int { signed: false, .. } => Self::VarInt,
            Kind::Float32 => Self::Float,
            Kind::Float64 => Self::Double,
            Kind::Decimal { .. } => Self::Decimal,
            Kind::Text | Kind::Json => Self::Text,
            Kind::Bytes => Self::Blob,
            Kind::Date => Self::Date,
            Kind::Time => Self::Time,
            Kind::Timestamp { .. } => Self::Timestamp,
            Kind::Uuid => Self::Uuid,
        }
    }

    /// Whether a column of this type takes values of this kind, each of them or at least those that fit.
    pub const fn takes(self, kind: Kind) -> bool {
        match kind {
            // What is text in the file may be anything; each value is read when it comes.
            Kind::Text => true,
            Kind::Json => matches!(self, Self::Text | Self::Blob),
            Kind::Bytes => matches!(self, Self::Blob),
            Kind::Bool => matches!(self, Self::Boolean | Self::Text | Self::Ascii),
            Kind::Int { .. } => self.is_whole() || matches!(self, Self::Decimal | Self::Float | Self::Double | Self::Text | Self::Ascii),
            Kind::Decimal { .. } => self.is_whole() || matches!(self, Self::Decimal | Self::Text | Self::Ascii),
            Kind::Float32 | Kind::Float64 => matches!(self, Self::Float | Self::Double | Self::Text | Self::Ascii),
            Kind::Date => matches!(self, Self::Date | Self::Timestamp | Self::Text | Self::Ascii),
            Kind::Time => matches!(self, Self::Time | Self::Text | Self::Ascii),
            Kind::Timestamp { .. } => matches!(self, Self::Timestamp | Self::BigInt | Self::Text | Self::Ascii),
            Kind::Uuid => matches!(self, Self::Uuid | Self::TimeUuid | Self::Text | Self::Ascii),
        }
    }

    const fn is_whole(self) -> bool {
        matches!(self, Self::TinyInt | Self::SmallInt | Self::Int | Self::BigInt | Self::VarInt)
    }

    /// How many bytes a whole number has; nothing where it has as many as it needs.
    const fn width(self) -> Option<usize> {
        match self {
            Self::TinyInt => Some(1),
            Self::SmallInt => Some(2),
            Self::Int => Some(4),
            Self::BigInt => Some(8),
            _ => None,
        }
    }
}

/// Writes one value as a row of the protocol has it: its length, and its bytes. The length of NULL is -1.
pub fn write(to: &mut Vec<u8>, slot: &Slot, value: &Value<'_>) -> Result<(), String> {
    let Class::Cql { cql, key } = slot.class else { return Err("the column has no type of Cassandra".to_owned()) };
    if matches!(value, Value::Null) {
        if key {
            return Err("it is part of the primary key and has no value".to_owned());
        }
        to.extend_from_slice(&(-1_i32).to_be_bytes());
        return Ok(());
    }
    let start = to.len();
    to.extend_from_slice(&[0; 4]);
    bytes(to, cql, value)?;
    let length = i32::try_from(to.len() - start - 4).map_err(|_| "the value is longer than a column can hold".to_owned())?;
    if let Some(place) = to.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

fn bytes(to: &mut Vec<u8>, cql: CqlType, value: &Value<'_>) -> Result<(), String> {
    match cql {
        CqlType::Boolean => to.push(u8::from(truth(value)?)),
        CqlType::TinyInt | CqlType::SmallInt | CqlType::Int | CqlType::BigInt | CqlType::VarInt => integer(to, cql, whole(cql, value)?)?,
        CqlType::Decimal => {
            let (amount, scale) = exact(value)?;
            to.extend_from_slice(&i32::from(scale).to_be_bytes());
            varint(to, amount);
        }
        CqlType::Float => to.extend_from_slice(&single(value)?.to_be_bytes()),
        CqlType::Double => to.extend_from_slice(&double(value)?.to_be_bytes()),
        CqlType::Text | CqlType::Ascii => {
            let start = to.len();
            written(to, value)?;
            if cql == CqlType::Ascii && !to.get(start..).unwrap_or_default().is_ascii() {
                return Err("the text is not ASCII".to_owned());
            }
        }
        CqlType::Blob => match value {
            Value::Bytes(raw) => to.extend_from_slice(raw),
            Value::Text(text) => to.extend_from_slice(text.as_bytes()),
            other => return Err(unfit(other, cql)),
        },
        CqlType::Date => {
            let days = match value {
                Value::Date(days) => i64::from(*days),
                Value::Text(text) => civil::parse_date(text).ok_or_else(|| unread(text, "a date like 2026-03-07"))?,
                other => return Err(unfit(other, cql)),
            };
            // Days since 1970 with the middle of the range for 1970 itself.
            let shifted = u32::try_from(days + (1 << 31)).map_err(|_| format!("the date {days} days after 1970 is out of range"))?;
            to.extend_from_slice(&shifted.to_be_bytes());
        }
        CqlType::Time => {
            let nanos = match value {
                Value::Time(micros) if (0..civil::DAY).contains(micros) => micros * 1000,
                Value::Time(micros) => return Err(format!("the time {micros} us after midnight is not within a day")),
                Value::Text(text) => civil::parse_time(text).ok_or_else(|| unread(text, "a time like 23:59:58.123456"))?,
                other => return Err(unfit(other, cql)),
            };
            to.extend_from_slice(&nanos.to_be_bytes());
        }
        CqlType::Timestamp => to.extend_from_slice(&instant(value)?.to_be_bytes()),
        CqlType::Uuid | CqlType::TimeUuid => {
            let raw = match value {
                Value::Uuid(raw) => *raw,
                Value::Text(text) => uuid(text).ok_or_else(|| unread(text, "a UUID"))?,
                other => return Err(unfit(other, cql)),
            };
            if cql == CqlType::TimeUuid && raw[6] >> 4 != 1 {
                return Err("the UUID is not of version 1, as a timeuuid has to be".to_owned());
            }
            to.extend_from_slice(&raw);
        }
        CqlType::Inet => {
            let Value::Text(text) = value else { return Err(unfit(value, cql)) };
            match text.trim().parse().map_err(|_| unread(text, "an address"))? {
                std::net::IpAddr::V4(address) => to.extend_from_slice(&address.octets()),
                std::net::IpAddr::V6(address) => to.extend_from_slice(&address.octets()),
            }
        }
    }
    Ok(())
}

fn unread(text: &str, what: &str) -> String {
    let shown: String = text.chars().take(60).collect();
    format!("`{shown}` is not {what}")
}

fn unfit(value: &Value<'_>, cql: CqlType) -> String {
    format!("{value:?} cannot go into {}", cql.name())
}

fn truth(value: &Value<'_>) -> Result<bool, String> {
    match value {
        Value::Bool(bool) => Ok(*bool),
        Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "1" => Ok(true),
            "false" | "f" | "no" | "0" => Ok(false),
            _ => Err(unread(text, "true or false")),
        },
        other => Err(unfit(other, CqlType::Boolean)),
    }
}

/// A whole number, from whatever holds one.
fn whole(cql: CqlType, value: &Value<'_>) -> Result<i128, String> {
    match *value {
        Value::Int(number) => Ok(number.into()),
        Value::UInt(number) => Ok(number.into()),
        Value::Timestamp(micros, _) if cql == CqlType::BigInt => Ok(micros.into()),
        Value::Text(text) => text.trim().parse().map_err(|_| unread(text, "a whole number")),
        Value::Decimal(amount, scale) => {
            let unit = 10_i128.checked_pow(scale.into()).unwrap_or(i128::MAX);
            if amount % unit == 0 { Ok(amount / unit) } else { Err(format!("a decimal with digits after its point cannot go into {}", cql.name())) }
        }
        ref other => Err(unfit(other, cql)),
    }
}

fn integer(to: &mut Vec<u8>, cql: CqlType, number: i128) -> Result<(), String> {
    let Some(width) = cql.width() else {
        varint(to, number);
        return Ok(());
    };
    let whole = number.to_be_bytes();
    let (rest, kept) = whole.split_at(whole.len() - width);
    let sign = if number < 0 { 0xff } else { 0 };
    if rest.iter().any(|byte| *byte != sign) || (kept[0] ^ sign) & 0x80 != 0 {
        return Err(format!("{number} is too large for {}", cql.name()));
    }
    to.extend_from_slice(kept);
    Ok(())
}

/// The fewest bytes that hold a number with its sign.
fn varint(to: &mut Vec<u8>, number: i128) {
    let bytes = number.to_be_bytes();
    let sign = if number < 0 { 0xff } else { 0 };
    let mut from = 0;
    while let [first, second, ..] = bytes.get(from..).unwrap_or_default() {
        if *first != sign || (second ^ sign) & 0x80 != 0 {
            break;
        }
        from += 1;
    }
    to.extend_from_slice(bytes.get(from..).unwrap_or_default());
}

/// A decimal: its digits, and how many of them stand after the point.
fn exact(value: &Value<'_>) -> Result<(i128, u8), String> {
    match *value {
        Value::Int(number) => Ok((number.into(), 0)),
        Value::UInt(number) => Ok((number.into(), 0)),
        Value::Decimal(amount, scale) => Ok((amount, scale)),
        Value::Text(text) => decimal(text.trim()).ok_or_else(|| unread(text, "a decimal number of at most 38 digits")),
        ref other => Err(unfit(other, CqlType::Decimal)),
    }
}

fn decimal(text: &str) -> Option<(i128, u8)> {
    let (negative, rest) = text.strip_prefix('-').map_or((false, text.strip_prefix('+').unwrap_or(text)), |rest| (true, rest));
    let (whole, part) = rest.split_once('.').unwrap_or((rest, ""));
    if whole.len() + part.len() == 0 || !whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: i128 = format!("{whole}{part}").parse().ok()?;
    Some((if negative { -amount } else { amount }, u8::try_from(part.len()).ok()?))
}

#[allow(clippy::cast_possible_truncation, clippy::float_cmp)] // That nothing is lost is what is asked.
fn single(value: &Value<'_>) -> Result<f32, String> {
    match *value {
        Value::Float32(number) => Ok(number),
        Value::Text(text) => text.trim().parse().map_err(|_| unread(text, "a number")),
        Value::Float64(number) if number.is_nan() || f64::from(number as f32) == number => Ok(number as f32),
        Value::Float64(number) => Err(format!("{number} loses digits in float")),
        ref other => {
            let wide = double(other)?;
            if f64::from(wide as f32) == wide { Ok(wide as f32) } else { Err(format!("{wide} loses digits in float")) }
        }
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // That nothing is lost is what is asked.
fn double(value: &Value<'_>) -> Result<f64, String> {
    let kept = |number: i128| {
        let wide = number as f64;
        if wide as i128 == number { Ok(wide) } else { Err(format!("{number} loses digits in double")) }
    };
    match *value {
        Value::Float64(number) => Ok(number),
        Value::Float32(number) => Ok(number.into()),
        Value::Int(number) => kept(number.into()),
        Value::UInt(number) => kept(number.into()),
        Value::Text(text) => text.trim().parse().map_err(|_| unread(text, "a number")),
        ref other => Err(unfit(other, CqlType::Double)),
    }
}

/// Milliseconds since 1970.
fn instant(value: &Value<'_>) -> Result<i64, String> {
    let micros = match value {
        Value::Timestamp(micros, _) => *micros,
        Value::Date(days) => i64::from(*days) * civil::DAY,
        Value::Text(text) => civil::parse_timestamp(text).ok_or_else(|| unread(text, "a time like 2026-03-07 23:59:58.123 or 2026-03-07T23:59:58Z"))?,
        other => return Err(unfit(other, CqlType::Timestamp)),
    };
    if micros % 1000 != 0 {
        let mut shown = Vec::new();
        // A date that cannot be shown is given as a number.
        if civil::write_timestamp(&mut shown, micros).is_err() {
            shown = micros.to_string().into_bytes();
        }
        return Err(format!(
            "{} is finer than the milliseconds of a timestamp; in `columns` it can be a bigint (microseconds since 1970) or a text",
            String::from_utf8_lossy(&shown)
        ));
    }
    Ok(micros / 1000)
}

/// A value in words.
fn written(to: &mut Vec<u8>, value: &Value<'_>) -> Result<(), String> {
    match value {
        Value::Text(text) => to.extend_from_slice(text.as_bytes()),
        // Writing into memory does not fail.
        Value::Bool(bool) => drop(write!(to, "{bool}")),
        Value::Bytes(_) => return Err(unfit(value, CqlType::Text)),
        other => text::write(to, Reader::Postgres, &Slot { name: String::new(), kind: Kind::Text, class: Class::Text }, other)?,
    }
    Ok(())
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let text = text.trim();
    let dashes = [8, 13, 18, 23];
    if text.len() != 36 || !text.is_ascii() || dashes.iter().any(|at| text.as_bytes().get(*at) != Some(&b'-')) {
        return None;
    }
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let number = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32 && !digits.starts_with('+'))?;
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(cql: CqlType, value: Value<'_>) -> String {
        let slot = Slot { name: "c".into(), kind: Kind::Text, class: Class::Cql { cql, key: false } };
        let mut to = Vec::new();
        match write(&mut to, &slot, &value) {
            Ok(()) => to.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")),
            Err(why) => format!("!{why}"),
        }
    }

    #[test]
    fn values_are_written_as_the_protocol_has_them() {
        use CqlType::{BigInt, Blob, Boolean, Date, Decimal, Double, Float, Inet, Int, SmallInt, Text, Time, Timestamp, TinyInt, Uuid, VarInt};
        let cases = [
            (Int, Value::Null, "ffffffff"),
            (Boolean, Value::Bool(true), "0000000101"),
            (Boolean, Value::Text("No"), "0000000100"),
            (TinyInt, Value::Int(-128), "0000000180"),
            (SmallInt, Value::UInt(255), "0000000200ff"),
            (Int, Value::Text(" 7 "), "0000000400000007"),
            (BigInt, Value::Timestamp(1, true), "000000080000000000000001"),
            (VarInt, Value::Int(0), "0000000100"),
            (VarInt, Value::Int(127), "000000017f"),
            (VarInt, Value::Int(128), "000000020080"),
            (VarInt, Value::Int(-128), "0000000180"),
            (VarInt, Value::Int(-129), "00000002ff7f"),
            (VarInt, Value::UInt(u64::MAX), "0000000900ffffffffffffffff"),
            (Decimal, Value::Decimal(-5, 2), "0000000500000002fb"),
            (Decimal, Value::Text("1.50"), "00000006000000020096"),
            (Int, Value::Decimal(700, 2), "0000000400000007"),
            (Float, Value::Float64(0.5), "000000043f000000"),
            (Double, Value::Float32(0.5), "000000083fe0000000000000"),
            (Text, Value::Text("é"), "00000002c3a9"),
            (Text, Value::Date(1), "0000000a313937302d30312d3032"),
            (Text, Value::Text("a\tb"), "00000003610962"),
            (Blob, Value::Bytes(&[0, 255]), "0000000200ff"),
            (Date, Value::Date(0), "0000000480000000"),
            (Date, Value::Text("1969-12-31"), "000000047fffffff"),
            (Time, Value::Time(1), "0000000800000000000003e8"),
            (Time, Value::Text("00:00:01"), "00000008000000003b9aca00"),
            (Timestamp, Value::Timestamp(-1000, false), "00000008ffffffffffffffff"),
            (Timestamp, Value::Text("1970-01-01T01:00:00.001+01:00"), "000000080000000000000001"),
            (Uuid, Value::Text("00112233-4455-6677-8899-aabbccddeeff"), "0000001000112233445566778899aabbccddeeff"),
            (Inet, Value::Text("127.0.0.1"), "000000047f000001"),
        ];
        for (cql, value, expected) in cases {
            assert_eq!(hex(cql, value), expected, "{value:?} as {}", cql.name());
        }
    }

    #[test]
    fn what_would_be_changed_on_the_way_is_refused() {
        use CqlType::{Ascii, BigInt, Date, Decimal, Double, Float, Inet, Int, TimeUuid, Timestamp, TinyInt, Uuid};
        let cases = [
            (TinyInt, Value::Int(128), "128 is too large for tinyint"),
            (BigInt, Value::UInt(u64::MAX), "18446744073709551615 is too large for bigint"),
            (Int, Value::Text("three"), "`three` is not a whole number"),
            (Int, Value::Decimal(701, 2), "a decimal with digits after its point cannot go into int"),
            (Decimal, Value::Text("1e3"), "`1e3` is not a decimal number of at most 38 digits"),
            (Float, Value::Float64(0.1), "0.1 loses digits in float"),
            (Double, Value::Int((1 << 53) + 1), "9007199254740993 loses digits in double"),
            (Ascii, Value::Text("é"), "the text is not ASCII"),
            (Date, Value::Text("2026-02-30"), "`2026-02-30` is not a date like 2026-03-07"),
            (
                Timestamp,
                Value::Timestamp(1, false),
                "1970-01-01 00:00:00.000001 is finer than the milliseconds of a timestamp; in `columns` it can be a bigint (microseconds since 1970) or a text",
            ),
            (TimeUuid, Value::Uuid([0x44; 16]), "the UUID is not of version 1, as a timeuuid has to be"),
            (Uuid, Value::Text("+0112233-4455-6677-8899-aabbccddeeff"), "`+0112233-4455-6677-8899-aabbccddeeff` is not a UUID"),
            (Inet, Value::Text("localhost"), "`localhost` is not an address"),
        ];
        for (cql, value, expected) in cases {
            assert_eq!(hex(cql, value), format!("!{expected}"));
        }
        let key = Slot { name: "id".into(), kind: Kind::Text, class: Class::Cql { cql: Int, key: true } };
        assert_eq!(write(&mut Vec::new(), &key, &Value::Null), Err("it is part of the primary key and has no value".to_owned()));
    }

    #[test]
    fn every_kind_of_a_file_has_a_type_that_takes_it() {
        let ints = [8, 16, 32, 64].into_iter().flat_map(|bits| [true, false].map(|signed| Kind::Int { bits, signed }));
        let others = [
            Kind::Bool,
            Kind::Float32,
            Kind::Float64,
            Kind::Decimal { precision: 38, scale: 4 },
            Kind::Text,
            Kind::Bytes,
            Kind::Date,
            Kind::Time,
            Kind::Timestamp { utc: true },
            Kind::Uuid,
            Kind::Json,
        ];
        for kind in ints.chain(others) {
            assert!(CqlType::of(kind).takes(kind), "{kind}");
        }
        assert!(!CqlType::Int.takes(Kind::Bytes) && !CqlType::Timestamp.takes(Kind::Time));
        for odd in ["counter", "list<int>", "frozen<a>", "vector<float, 3>", "duration", "int primary key", ""] {
            assert_eq!(CqlType::parse(odd), None, "{odd}");
        }
        assert_eq!((CqlType::parse(" VARCHAR "), CqlType::Text.name()), (Some(CqlType::Text), "text"));
    }
}
