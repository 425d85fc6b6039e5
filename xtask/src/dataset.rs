//! `cargo xtask dataset`: the eight tables of TPC-H at any scale, as files that fixtures are made of, on disk or in a bucket. The same
//! scale gives the same rows wherever it is run: TPC-H itself fixes the seeds.

mod bucket;
mod csv;
mod parquet;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use self::bucket::Bucket;
use self::table::{Column, Field, Table};
use crate::say;

/// At a smaller scale there are fewer suppliers than the specification gives a part.
const LEAST_SCALE: f64 = 0.001;
/// Beyond it a table would have more files than a fixture may.
const LARGEST_SCALE: f64 = 10_000.0;

/// The words after `cargo xtask dataset`.
#[derive(clap::Args)]
pub struct Args {
    /// How much of it: 1 has six million line items, about a gigabyte of text; 0.001 is the least
    #[arg(long, default_value_t = 0.01, value_parser = scale)]
    scale: f64,
    /// How the files are written
    #[arg(long, value_enum, default_value_t = Format::Parquet)]
    format: Format,
    /// Which tables; all of them without a word
    #[arg(long, value_enum, value_delimiter = ',')]
    tables: Vec<Table>,
    /// How many rows a file has, about: more of them make more files
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    rows_per_file: u32,
    /// Write below this directory, as `fixtures/tpch-orders/part-00001.parquet`
    #[arg(long, required_unless_present = "upload")]
    directory: Option<PathBuf>,
    /// Upload under the same names into the bucket of the development cluster, or into the one that `CRUCIBLE_S3_ENDPOINT`, `CRUCIBLE_BUCKET`,
    /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` say
    #[arg(long, conflicts_with = "directory")]
    upload: bool,
}

/// How many rows there are, and in how many files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The scale factor of the specification.
    pub factor: f64,
    /// Beyond so many rows, about, a table has another file.
    pub rows_per_file: u32,
}

/// How the files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Apache Parquet
    Parquet,
    /// Comma-separated values with a header
    Csv,
}

/// What rows are written to.
trait Sink {
    fn row(&mut self, fields: &[Field<'_>]) -> Result<()>;
    /// Writes what is not written.
    fn finish(self: Box<Self>) -> Result<()>;
}

impl Format {
    const fn ending(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
        }
    }

    fn create(self, file: &Path, columns: &[Column]) -> Result<Box<dyn Sink>> {
        Ok(match self {
            Self::Parquet => Box::new(parquet::File::create(file, columns)?),
            Self::Csv => Box::new(csv::File::create(file, columns)?),
        })
    }
}

impl Args {
    /// Carries the command out.
    pub fn run(self) -> Result<()> {
        let Self { scale, format, tables, rows_per_file, directory, upload: _ } = self;
        let start = Instant::now();
        let tables = if tables.is_empty() { Table::value_variants().to_vec() } else { tables };
        let scale = Scale { factor: scale, rows_per_file };
        let mut total = 0;
        if let Some(directory) = directory {
            for table in tables {
                total += write_below(&directory, table, scale, format)?;
            }
        } else {
            let bucket = Bucket::find()?;
            for table in tables {
                total += upload(&bucket, table, scale, format)?;
            }
        }
        say::note(format!("{total} rows in {}", say::took(start)));
        Ok(())
    }
}

/// Writes every table as Parquet below a directory.
pub fn write_all(directory: &Path, scale: Scale) -> Result<()> {
    Table::value_variants().iter().try_for_each(|table| write_below(directory, *table, scale, Format::Parquet).map(drop))
}

/// Writes the orders into one file; answers its rows.
pub fn write_orders(file: &Path, scale: Scale, format: Format) -> Result<u64> {
    write(file, Table::Orders, scale, format, 1, 1)
}

/// Uploads every table as Parquet into the development cluster's bucket.
pub fn upload_all(scale: Scale) -> Result<()> {
    let bucket = Bucket::find()?;
    Table::value_variants().iter().try_for_each(|table| upload(&bucket, *table, scale, Format::Parquet).map(drop))
}

/// Where the files of a table lie, in a bucket and below a directory.
fn prefix(table: Table) -> String {
    format!("fixtures/tpch-{}", table.name())
}

fn file_name(part: i32, format: Format) -> String {
    format!("part-{part:05}.{}", format.ending())
}

/// Whether a file is one that this command wrote, in whatever format.
fn is_ours(name: &str) -> bool {
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str());
    name.starts_with("part-") && Format::value_variants().iter().any(|format| ending == Some(format.ending()))
}

/// Writes a table's files below a directory; answers its rows. What an earlier call left there goes: rows of two scales are no dataset.
fn write_below(directory: &Path, table: Table, scale: Scale, format: Format) -> Result<u64> {
    let place = directory.join(prefix(table));
    fs::create_dir_all(&place).with_context(|| format!("failed to make {}", place.display()))?;
    for entry in fs::read_dir(&place).with_context(|| format!("failed to list {}", place.display()))? {
        let entry = entry.with_context(|| format!("failed to list {}", place.display()))?;
        if !is_ours(&entry.file_name().to_string_lossy()) {
            bail!("{} was not written by this command, and would be taken for a part of the dataset: choose another directory", entry.path().display());
        }
        fs::remove_file(entry.path()).with_context(|| format!("failed to remove {}", entry.path().display()))?;
    }
    let parts = table.parts(scale);
    let mut rows = 0;
    for part in 1..=parts {
        rows += write(&place.join(file_name(part, format)), table, scale, format, part, parts)?;
    }
    say::step(format!("{}: {rows} rows in {parts} files", place.display()));
    Ok(rows)
}

/// Uploads a table's files, each as soon as it is written, so that one of them at a time takes room here.
fn upload(bucket: &Bucket, table: Table, scale: Scale, format: Format) -> Result<u64> {
    let prefix = prefix(table);
    bucket.clear(&prefix)?;
    let parts = table.parts(scale);
    let mut rows = 0;
    for part in 1..=parts {
        let file = std::env::temp_dir().join(format!("crucible-dataset-{}.{}", std::process::id(), format.ending()));
        let uploaded =
            write(&file, table, scale, format, part, parts).and_then(|rows| bucket.put(&file, &format!("{prefix}/{}", file_name(part, format))).map(|()| rows));
        // A file that was never made cannot be removed; why it was not is the error that counts.
        let _ = fs::remove_file(&file);
        rows += uploaded?;
    }
    say::step(format!("{}: {rows} rows in {parts} files", bucket.address(&prefix)));
    Ok(rows)
}

/// Writes one file; answers its rows. Memory does not depend on how many there are.
fn write(file: &Path, table: Table, scale: Scale, format: Format, part: i32, parts: i32) -> Result<u64> {
    let mut sink = format.create(file, table.columns())?;
    let mut rows = 0;
    table.rows(scale.factor, part, parts, &mut |fields| {
        rows += 1;
        sink.row(fields)
    })?;
    sink.finish()?;
    Ok(rows)
}

fn scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| format!("{text} is no number"))?;
    if (LEAST_SCALE..=LARGEST_SCALE).contains(&scale) { Ok(scale) } else { Err(format!("a scale is from {LEAST_SCALE} to {LARGEST_SCALE}")) }
}

#[cfg(test)]
mod tests;
