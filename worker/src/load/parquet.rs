//! Parquet files: what columns they have, and their rows, a few thousand at a time. Only the pages that are being read are held,
//! in blocks of the file that several columns share the room of.

use std::{
    io::{self, Read},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Buf, Bytes};
use crucible_lifecycle::contract::StoredFile;
use parquet::{
    basic::{ConvertedType, LogicalType, TimeUnit, Type},
    column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader},
    data_type::{
        BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, FloatType, Int32Type, Int64Type, Int96, Int96Type,
    },
    errors::{ParquetError, Result as ParquetResult},
    file::{
        reader::{ChunkReader, FileReader, Length, SerializedFileReader},
        serialized_reader::ReadOptionsBuilder,
    },
    schema::types::ColumnDescriptor,
};

use super::{
    object::Bucket,
    trouble::Trouble,
    value::{Column, Kind, Value},
};

/// How much of files one reader may hold, whatever they look like.
const ROOM: usize = 32 << 20;
const LARGEST_BLOCK: usize = 1 << 20;
const SMALLEST_BLOCK: usize = 64 << 10;
/// How many rows of a column are decoded at a time.
const BATCH: usize = 2048;
/// The end of a file: four bytes of length, four of magic.
const ENDING: u64 = 8;

/// What a Parquet file says of itself.
#[derive(Debug)]
pub struct Look {
    pub columns: Vec<Column>,
    pub rows: u64,
    /// How many rows each of its row groups has.
    pub groups: Vec<u64>,
}

/// Reads what a file holds, without its rows.
pub fn look(bucket: &Bucket, fixture: &str, file: &StoredFile) -> Result<Look, Trouble> {
    let reader = open(bucket, fixture, file, 1)?;
    let metadata = reader.metadata();
    let schema = metadata.file_metadata().schema_descr();
    let mut columns = Vec::with_capacity(schema.num_columns());
    for descriptor in schema.columns() {
        let FileColumn { column, .. } = column(descriptor).map_err(|why| wrong(fixture, file, &why))?;
        columns.push(column);
    }
    let groups: Vec<u64> = metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or_default()).collect();
    Ok(Look { columns, rows: groups.iter().sum(), groups })
}

/// Opens a file whose columns are read side by side.
pub fn open(bucket: &Bucket, fixture: &str, file: &StoredFile, columns: usize) -> Result<SerializedFileReader<Chunks>, Trouble> {
    if file.bytes < 2 * ENDING {
        return Err(wrong(fixture, file, "it is too short for a Parquet file"));
    }
    let block = (ROOM / (columns + 2)).clamp(SMALLEST_BLOCK, LARGEST_BLOCK);
    let chunks = Chunks { bucket: bucket.clone(), file: Arc::new(file.clone()), block, cache: Arc::default(), most: (ROOM / block).max(2) };
    let ending = chunks.part(file.bytes - ENDING, 8).map_err(|error| Trouble::in_error(&error, |why| wrong(fixture, file, &why)))?;
    match ending.get(4..) {
        Some(b"PAR1") => {}
        Some(b"PARE") => return Err(wrong(fixture, file, "it is encrypted")),
        _ => return Err(wrong(fixture, file, "it does not end as a Parquet file does: it is something else, or was cut off")),
    }
    let options = ReadOptionsBuilder::new().build();
    SerializedFileReader::new_with_options(chunks, options).map_err(|error| of_parquet(fixture, file, &error))
}

/// Takes rows, value by value.
pub trait Sink {
    /// One value of the row that is being made.
    fn put(&mut self, slot: usize, value: &Value<'_>) -> Result<(), Trouble>;
    /// The row is whole.
    fn end_row(&mut self) -> Result<(), Trouble>;
    /// Why the row that is being made cannot be.
    fn refuse(&self, slot: usize, why: &str) -> Trouble;
}

/// Gives every row of a group to `sink`; `order` says which of the file's columns goes where.
pub fn read_group(
    reader: &SerializedFileReader<Chunks>,
    fixture: &str,
    file: &StoredFile,
    group: usize,
    order: &[usize],
    sink: &mut impl Sink,
) -> Result<(), Trouble> {
    let broken = |error: ParquetError| of_parquet(fixture, file, &error);
    let rows = reader.get_row_group(group).map_err(broken)?;
    let descriptors = reader.metadata().file_metadata().schema_descr();
    let mut cells = Vec::with_capacity(order.len());
    for index in order {
        let described = column(&descriptors.column(*index)).map_err(|why| wrong(fixture, file, &why))?;
        cells.push(Cells::new(described, rows.get_column_reader(*index).map_err(broken)?));
    }
    let mut left = usize::try_from(rows.metadata().num_rows()).unwrap_or_default();
    while left > 0 {
        let wanted = left.min(BATCH);
        for cell in &mut cells {
            let found = cell.fill(wanted).map_err(broken)?;
            if found != wanted {
                return Err(wrong(fixture, file, &format!("column {} ends {} rows before its row group", cell.described.column.name, left - found)));
            }
        }
        for row in 0..wanted {
            for (slot, cell) in cells.iter_mut().enumerate() {
                match cell.value(row) {
                    Ok(value) => sink.put(slot, &value)?,
                    Err(why) => return Err(sink.refuse(slot, &why)),
                }
            }
            sink.end_row()?;
        }
        left -= wanted;
    }
    Ok(())
}

fn wrong(fixture: &str, file: &StoredFile, why: &str) -> Trouble {
    Trouble::invalid(format!("File {} of fixture {fixture}: {why}", file.key))
}

fn of_parquet(fixture: &str, file: &StoredFile, error: &ParquetError) -> Trouble {
    Trouble::in_error(error, |why| wrong(fixture, file, &format!("it cannot be read as Parquet: {why}")))
}

/// A column of a file with what is needed to read it.
#[derive(Clone, Debug)]
struct FileColumn {
    column: Column,
    /// How many of the file's units are a microsecond, or the other way round.
    unit: Unit,
    nullable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    const fn of(unit: TimeUnit) -> Self {
        match unit {
            TimeUnit::MILLIS => Self::Millis,
            TimeUnit::MICROS => Self::Micros,
            TimeUnit::NANOS => Self::Nanos,
        }
    }

    /// Microseconds; an error where some would be lost.
    fn micros(self, time: i64) -> Result<i64, String> {
        match self {
            Self::Micros => Ok(time),
            Self::Millis => time.checked_mul(1000).ok_or_else(|| format!("the time {time} ms is out of range")),
            Self::Nanos if time % 1000 == 0 => Ok(time / 1000),
            Self::Nanos => Err(format!("the time {time} ns is finer than a microsecond, which no column here can hold")),
        }
    }
}

/// What a column holds, by its logical type, else by the older converted type, else by how it is stored.
fn column(descriptor: &ColumnDescriptor) -> Result<FileColumn, String> {
    let path = descriptor.path().string();
    if descriptor.path().parts().len() != 1 || descriptor.max_rep_level() > 0 || descriptor.max_def_level() > 1 {
        return Err(format!("column {path} is nested (a list, a map or a group), which no column of a table is"));
    }
    let physical = descriptor.physical_type();
    let nullable = descriptor.max_def_level() == 1;
    let decimal = || match (u8::try_from(descriptor.type_precision()), u8::try_from(descriptor.type_scale())) {
        (Ok(precision @ 1..=38), Ok(scale)) if scale <= precision => Ok(Kind::Decimal { precision, scale }),
        _ => Err(format!("column {path} is decimal({},{}), and at most 38 digits can be loaded", descriptor.type_precision(), descriptor.type_scale())),
    };
    let int = |bits: i8, signed: bool| u8::try_from(bits).map(|bits| Kind::Int { bits, signed }).map_err(|_| format!("column {path} has no integer type"));
    let mut unit = Unit::Micros;
    let kind = match (descriptor.logical_type_ref(), descriptor.converted_type(), physical) {
        (_, _, Type::BOOLEAN) => Kind::Bool,
        (_, _, Type::INT96) => {
            unit = Unit::Nanos;
            Kind::Timestamp { utc: false }
        }
        (Some(LogicalType::Decimal(_)), _, _) | (None, ConvertedType::DECIMAL, _) => decimal()?,
        (Some(LogicalType::Integer(of)), _, _) => int(of.bit_width, of.is_signed)?,
        (Some(LogicalType::Date), _, Type::INT32) | (None, ConvertedType::DATE, Type::INT32) => Kind::Date,
        (Some(LogicalType::Time(of)), _, _) => {
            unit = Unit::of(of.unit);
            Kind::Time
        }
        (Some(LogicalType::Timestamp(of)), _, _) => {
            unit = Unit::of(of.unit);
            Kind::Timestamp { utc: of.is_adjusted_to_u_t_c }
        }
        (None, ConvertedType::TIME_MILLIS, _) => {
            unit = Unit::Millis;
            Kind::Time
        }
        (None, ConvertedType::TIME_MICROS, _) => Kind::Time,
        (None, ConvertedType::TIMESTAMP_MILLIS, _) => {
            unit = Unit::Millis;
            Kind::Timestamp { utc: true }
        }
        (None, ConvertedType::TIMESTAMP_MICROS, _) => Kind::Timestamp { utc: true },
        (None, ConvertedType::INT_8, _) => int(8, true)?,
        (None, ConvertedType::INT_16, _) => int(16, true)?,
        (None, ConvertedType::UINT_8, _) => int(8, false)?,
        (None, ConvertedType::UINT_16, _) => int(16, false)?,
        (None, ConvertedType::UINT_32, _) => int(32, false)?,
        (None, ConvertedType::UINT_64, _) => int(64, false)?,
        (None, ConvertedType::NONE | ConvertedType::INT_32, Type::INT32) => int(32, true)?,
        (None, ConvertedType::NONE | ConvertedType::INT_64, Type::INT64) => int(64, true)?,
        (None, _, Type::FLOAT) => Kind::Float32,
        (None, _, Type::DOUBLE) => Kind::Float64,
        (Some(LogicalType::String | LogicalType::Enum), _, Type::BYTE_ARRAY) | (None, ConvertedType::UTF8 | ConvertedType::ENUM, Type::BYTE_ARRAY) => {
            Kind::Text
        }
        (Some(LogicalType::Json), _, Type::BYTE_ARRAY) | (None, ConvertedType::JSON, Type::BYTE_ARRAY) => Kind::Json,
        (Some(LogicalType::Uuid), _, Type::FIXED_LEN_BYTE_ARRAY) if descriptor.type_length() == 16 => Kind::Uuid,
        (Some(LogicalType::Bson), _, Type::BYTE_ARRAY) | (None, ConvertedType::NONE | ConvertedType::BSON, Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY) => {
            Kind::Bytes
        }
        (logical, converted, physical) => {
            let what = logical.map_or_else(|| format!("{converted:?}"), |logical| format!("{logical:?}"));
            return Err(format!("column {path} is {what} in {physical}, which has no mapping to a column of a table"));
        }
    };
    Ok(FileColumn { column: Column { name: descriptor.name().to_owned(), kind }, unit, nullable })
}

/// Values of one column as they were decoded.
enum Stored {
    Bool(ColumnReaderImpl<BoolType>, Vec<bool>),
    Int32(ColumnReaderImpl<Int32Type>, Vec<i32>),
    Int64(ColumnReaderImpl<Int64Type>, Vec<i64>),
    Int96(ColumnReaderImpl<Int96Type>, Vec<Int96>),
    Float(ColumnReaderImpl<FloatType>, Vec<f32>),
    Double(ColumnReaderImpl<DoubleType>, Vec<f64>),
    Bytes(ColumnReaderImpl<ByteArrayType>, Vec<ByteArray>),
    Fixed(ColumnReaderImpl<FixedLenByteArrayType>, Vec<FixedLenByteArray>),
}

/// One column while it is read.
struct Cells {
    described: FileColumn,
    stored: Stored,
    levels: Vec<i16>,
    /// The next value: NULLs are not stored.
    next: usize,
}

impl Cells {
    fn new(described: FileColumn, reader: ColumnReader) -> Self {
        let stored = match reader {
            ColumnReader::BoolColumnReader(_) => Stored::Bool(get_typed_column_reader(reader), Vec::new()),
            ColumnReader::Int32ColumnReader(_) => Stored::Int32(get_typed_column_reader(reader), Vec::new()),
            ColumnReader::Int64ColumnReader(_) => Stored::Int64(get_typed_column_reader(reader), Vec::new()),
            ColumnReader::Int96ColumnReader(_) => Stored::Int96(get_typed_column_reader(reader), Vec::new()),
            ColumnReader::FloatColumnReader(_) => Stored::Float(get_typed_column_reader(reader), Vec::new()),
            ColumnReader::DoubleColumnReader(_) => Stored::Double(get_typed_column_reader(reader), Vec::new()),
            ColumnReader::ByteArrayColumnReader(_) => Stored::Bytes(get_typed_column_reader(reader), Vec::new()),
            ColumnReader::FixedLenByteArrayColumnReader(_) => Stored::Fixed(get_typed_column_reader(reader), Vec::new()),
        };
        Self { described, stored, levels: Vec::new(), next: 0 }
    }

    /// Decodes the next rows; returns how many there were.
    fn fill(&mut self, rows: usize) -> ParquetResult<usize> {
        self.levels.clear();
        self.next = 0;
        let levels = self.described.nullable.then_some(&mut self.levels);
        match &mut self.stored {
            Stored::Bool(reader, values) => decode(reader, values, levels, rows),
            Stored::Int32(reader, values) => decode(reader, values, levels, rows),
            Stored::Int64(reader, values) => decode(reader, values, levels, rows),
            Stored::Int96(reader, values) => decode(reader, values, levels, rows),
            Stored::Float(reader, values) => decode(reader, values, levels, rows),
            Stored::Double(reader, values) => decode(reader, values, levels, rows),
            Stored::Bytes(reader, values) => decode(reader, values, levels, rows),
            Stored::Fixed(reader, values) => decode(reader, values, levels, rows),
        }
    }

    /// The value of a row of those that were decoded. Rows are asked for one after another.
    fn value(&mut self, row: usize) -> Result<Value<'_>, String> {
        if self.described.nullable && self.levels.get(row).is_none_or(|level| *level < 1) {
            return Ok(Value::Null);
        }
        let at = self.next;
        self.next += 1;
        let FileColumn { column, unit, .. } = &self.described;
        let gone = || "it has fewer values than rows".to_owned();
        let scale = if let Kind::Decimal { scale, .. } = column.kind { Some(scale) } else { None };
        match &self.stored {
            Stored::Bool(_, values) => values.get(at).map(|value| Value::Bool(*value)).ok_or_else(gone),
            Stored::Int32(_, values) => whole(i64::from(*values.get(at).ok_or_else(gone)?), column.kind, *unit, scale),
            Stored::Int64(_, values) => whole(*values.get(at).ok_or_else(gone)?, column.kind, *unit, scale),
            Stored::Int96(_, values) => unit.micros(values.get(at).ok_or_else(gone)?.to_nanos()).map(|micros| Value::Timestamp(micros, false)),
            Stored::Float(_, values) => values.get(at).map(|value| Value::Float32(*value)).ok_or_else(gone),
            Stored::Double(_, values) => values.get(at).map(|value| Value::Float64(*value)).ok_or_else(gone),
            Stored::Bytes(_, values) => raw(values.get(at).ok_or_else(gone)?.data(), column.kind, scale),
            Stored::Fixed(_, values) => raw(values.get(at).ok_or_else(gone)?.data(), column.kind, scale),
        }
    }
}

fn decode<T: DataType>(reader: &mut ColumnReaderImpl<T>, values: &mut Vec<T::T>, levels: Option<&mut Vec<i16>>, rows: usize) -> ParquetResult<usize>
where
    ColumnReaderImpl<T>: Sized,
{
    values.clear();
    reader.read_records(rows, levels, None, values).map(|(records, _, _)| records)
}

/// A whole number by what it stands for.
fn whole<'a>(number: i64, kind: Kind, unit: Unit, scale: Option<u8>) -> Result<Value<'a>, String> {
    Ok(match (kind, scale) {
        (_, Some(scale)) => Value::Decimal(number.into(), scale),
        (Kind::Date, _) => Value::Date(i32::try_from(number).map_err(|_| "the date is out of range".to_owned())?),
        (Kind::Time, _) => Value::Time(unit.micros(number)?),
        (Kind::Timestamp { utc }, _) => Value::Timestamp(unit.micros(number)?, utc),
        // Stored as signed numbers of the same bits.
        (Kind::Int { bits: 64, signed: false }, _) => Value::UInt(number.cast_unsigned()),
        (Kind::Int { bits, signed: false }, _) => Value::Int(number & ((1_i64 << bits.min(62)) - 1)),
        _ => Value::Int(number),
    })
}

/// Bytes by what they stand for.
fn raw(bytes: &[u8], kind: Kind, scale: Option<u8>) -> Result<Value<'_>, String> {
    if let Some(scale) = scale {
        if bytes.len() > 16 {
            return Err("the decimal has more than 16 bytes".to_owned());
        }
        // Big-endian, in two's complement.
        let sign = if bytes.first().is_some_and(|first| *first >= 0x80) { -1_i128 } else { 0 };
        return Ok(Value::Decimal(bytes.iter().fold(sign, |number, byte| (number << 8) | i128::from(*byte)), scale));
    }
    match kind {
        Kind::Uuid => bytes.try_into().map(Value::Uuid).map_err(|_| "the uuid does not have 16 bytes".to_owned()),
        Kind::Text | Kind::Json => std::str::from_utf8(bytes).map(Value::Text).map_err(|_| "the text is not UTF-8".to_owned()),
        _ => Ok(Value::Bytes(bytes)),
    }
}

/// A file by ranges. Blocks that were read are kept while there is room.
#[derive(Clone)]
pub struct Chunks {
    bucket: Bucket,
    file: Arc<StoredFile>,
    block: usize,
    cache: Arc<Mutex<Vec<(u64, Bytes)>>>,
    most: usize,
}

impl Chunks {
    /// A block of the file: from the cache, where it was used last at the end, or else from the bucket.
    fn block(&self, index: u64) -> Result<Bytes, Trouble> {
        {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = cache.iter().position(|(known, _)| *known == index) {
                let found = cache.remove(at);
                let bytes = found.1.clone();
                cache.push(found);
                return Ok(bytes);
            }
        }
        let start = index * self.block as u64;
        let length = (self.file.bytes.saturating_sub(start)).min(self.block as u64);
        let bytes = self.bucket.read(&self.file, start, usize::try_from(length).unwrap_or_default())?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= self.most {
            cache.remove(0);
        }
        cache.push((index, bytes.clone()));
        Ok(bytes)
    }

    /// What follows in the block that a position is in.
    fn from(&self, at: u64) -> Result<Bytes, Trouble> {
        if at >= self.file.bytes {
            return Ok(Bytes::new());
        }
        let block = self.block as u64;
        let mut bytes = self.block(at / block)?;
        bytes.advance(usize::try_from(at % block).unwrap_or_default().min(bytes.len()));
        Ok(bytes)
    }

    fn part(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        if start.saturating_add(length as u64) > self.file.bytes {
            return Err(ParquetError::EOF(format!("it names {length} bytes at {start}, and has {}", self.file.bytes)));
        }
        if length > 2 * self.block {
            return self.bucket.read(&self.file, start, length).map_err(|trouble| ParquetError::External(Box::new(trouble)));
        }
        let first = self.from(start).map_err(|trouble| ParquetError::External(Box::new(trouble)))?;
        if first.len() >= length {
            return Ok(first.slice(..length));
        }
        let mut whole = Vec::with_capacity(length);
        whole.extend_from_slice(&first);
        while whole.len() < length {
            let next = self.from(start + whole.len() as u64).map_err(|trouble| ParquetError::External(Box::new(trouble)))?;
            whole.extend_from_slice(next.get(..next.len().min(length - whole.len())).unwrap_or_default());
        }
        Ok(whole.into())
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.file.bytes
    }
}

impl ChunkReader for Chunks {
    type T = Cursor;

    fn get_read(&self, start: u64) -> ParquetResult<Cursor> {
        Ok(Cursor { chunks: self.clone(), at: start, here: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        self.part(start, length)
    }
}

/// A file from a position on.
pub struct Cursor {
    chunks: Chunks,
    at: u64,
    here: Bytes,
}

impl Read for Cursor {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.here.is_empty() {
            self.here = self.chunks.from(self.at)?;
        }
        let length = to.len().min(self.here.len());
        self.here.copy_to_slice(to.get_mut(..length).unwrap_or_default());
        self.at += length as u64;
        Ok(length)
    }
}
