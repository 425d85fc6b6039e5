//! What files hold: kinds of columns, and values on their way from a file to a table. Every kind is named here; what is not is
//! refused by the name of its column.

use super::cassandra::types::CqlType;

/// The kind of a column's values, as the file has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int { bits: u8, signed: bool },
    Float32,
    Float64,
    Decimal { precision: u8, scale: u8 },
    Text,
    Bytes,
    Date,
    Time,
    Timestamp { utc: bool },
    Uuid,
    Json,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool => f.write_str("boolean"),
            Self::Int { bits, signed: true } => write!(f, "int{bits}"),
            Self::Int { bits, signed: false } => write!(f, "uint{bits}"),
            Self::Float32 => f.write_str("float"),
            Self::Float64 => f.write_str("double"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Text => f.write_str("text"),
            Self::Bytes => f.write_str("bytes"),
            Self::Date => f.write_str("date"),
            Self::Time => f.write_str("time"),
            Self::Timestamp { utc: false } => f.write_str("timestamp"),
            Self::Timestamp { utc: true } => f.write_str("timestamp in UTC"),
            Self::Uuid => f.write_str("uuid"),
            Self::Json => f.write_str("json"),
        }
    }
}

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float32(f32),
    Float64(f64),
    /// The digits without their point; the column says where that stands.
    Decimal(i128, u8),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970, and whether they are in UTC.
    Timestamp(i64, bool),
    Uuid([u8; 16]),
}

/// What a column of a table takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Bool,
    /// A whole number of so many bytes.
    Int(u8),
    /// A number with so many digits after its point.
    Decimal(u8),
    Float32,
    Float64,
    /// Text that is kept as it is, in UTF-8.
    Text,
    Bytes,
    /// Bytes of a fixed length, which are padded.
    FixedBytes,
    Date,
    Time,
    Timestamp,
    TimestampUtc,
    Uuid,
    Json,
    /// A type of Cassandra, and whether the column is part of the primary key.
    Cql {
        cql: CqlType,
        key: bool,
    },
    /// Anything else: it is given as text, and the database says what it thinks of it.
    Other,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetColumn {
    pub name: String,
    pub class: Class,
}

/// Where a value goes: the column of the file, and that of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub name: String,
    pub kind: Kind,
    pub class: Class,
}
