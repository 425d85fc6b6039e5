//! Rows as Parquet: gathered by columns, and written a row group at a time.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::Sink;
use super::table::{Column, Field, Kind};

/// How many rows are gathered, which decides the memory.
const ROWS_PER_GROUP: usize = 100_000;

/// A file that is being written.
pub struct File {
    path: PathBuf,
    to: SerializedFileWriter<fs::File>,
    columns: Vec<Cells>,
    rows: usize,
}

/// The values of a column that are not written yet.
enum Cells {
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Bytes(Vec<ByteArray>),
}

impl File {
    pub fn create(path: &Path, columns: &[Column]) -> Result<Self> {
        let failed = || format!("failed to create {}", path.display());
        let file = fs::File::create(path).with_context(failed)?;
        let schema = Arc::new(parse_message_type(&schema(columns)).with_context(failed)?);
        let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
        let to = SerializedFileWriter::new(file, schema, properties).with_context(failed)?;
        let columns = columns.iter().map(|column| Cells::of(column.kind)).collect();
        Ok(Self { path: path.to_owned(), to, columns, rows: 0 })
    }

    fn write_group(&mut self) -> Result<()> {
        let Self { path, to, columns, rows } = self;
        *rows = 0;
        write_group(to, columns).with_context(|| format!("failed to write {}", path.display()))
    }
}

impl Sink for File {
    fn row(&mut self, fields: &[Field<'_>]) -> Result<()> {
        for (column, field) in self.columns.iter_mut().zip(fields) {
            column.push(field);
        }
        self.rows += 1;
        if self.rows == ROWS_PER_GROUP { self.write_group() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        if self.rows > 0 {
            self.write_group()?;
        }
        let Self { path, to, columns: _, rows: _ } = *self;
        to.close().map(drop).with_context(|| format!("failed to write {}", path.display()))
    }
}

fn write_group(to: &mut SerializedFileWriter<fs::File>, columns: &mut [Cells]) -> parquet::errors::Result<()> {
    let mut group = to.next_row_group()?;
    for cells in columns {
        let Some(mut column) = group.next_column()? else { break };
        match cells {
            Cells::Int32(values) => column.typed::<Int32Type>().write_batch(&std::mem::take(values), None, None)?,
            Cells::Int64(values) => column.typed::<Int64Type>().write_batch(&std::mem::take(values), None, None)?,
            Cells::Bytes(values) => column.typed::<ByteArrayType>().write_batch(&std::mem::take(values), None, None)?,
        };
        column.close()?;
    }
    group.close().map(drop)
}

impl Cells {
    const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Key | Kind::Money => Self::Int64(Vec::new()),
            Kind::Whole | Kind::Date => Self::Int32(Vec::new()),
            Kind::Text => Self::Bytes(Vec::new()),
        }
    }

    fn push(&mut self, field: &Field<'_>) {
        match (self, field) {
            (Self::Int64(values), Field::Key(value) | Field::Money(value)) => values.push(*value),
            (Self::Int32(values), Field::Whole(value)) => values.push(*value),
            (Self::Int32(values), Field::Date(date)) => values.push(date.to_unix_epoch()),
            (Self::Bytes(values), Field::Text(text)) => values.push(ByteArray::from(text.as_bytes().to_vec())),
            // The tests write every table; a value of another kind would leave its column short, which the writer refuses.
            (Self::Int32(_) | Self::Int64(_) | Self::Bytes(_), _) => {}
        }
    }
}

/// The schema in Parquet's own words.
fn schema(columns: &[Column]) -> String {
    let mut text = "message tpch {".to_owned();
    for Column { name, kind } in columns {
        // Writing into memory does not fail.
        let _ = match kind {
            Kind::Key => write!(text, " required int64 {name};"),
            Kind::Whole => write!(text, " required int32 {name};"),
            Kind::Money => write!(text, " required int64 {name} (DECIMAL(15,2));"),
            Kind::Text => write!(text, " required binary {name} (STRING);"),
            Kind::Date => write!(text, " required int32 {name} (DATE);"),
        };
    }
    text + " }"
}
