//! Rows as comma-separated values with a header, as fixtures read them.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tpchgen::decimal::TPCHDecimal;

use super::Sink;
use super::table::{Column, Field};

/// A file that is being written.
pub struct File {
    path: PathBuf,
    to: BufWriter<fs::File>,
}

impl File {
    pub fn create(path: &Path, columns: &[Column]) -> Result<Self> {
        let file = fs::File::create(path).with_context(|| format!("failed to create {}", path.display()))?;
        let mut to = BufWriter::with_capacity(256 << 10, file);
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        writeln!(to, "{}", names.join(",")).with_context(|| format!("failed to write {}", path.display()))?;
        Ok(Self { path: path.to_owned(), to })
    }
}

impl Sink for File {
    fn row(&mut self, fields: &[Field<'_>]) -> Result<()> {
        write(&mut self.to, fields).with_context(|| format!("failed to write {}", self.path.display()))
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.to.flush().with_context(|| format!("failed to write {}", self.path.display()))
    }
}

fn write(to: &mut impl Write, fields: &[Field<'_>]) -> std::io::Result<()> {
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            to.write_all(b",")?;
        }
        match field {
            Field::Key(number) => write!(to, "{number}")?,
            Field::Whole(number) => write!(to, "{number}")?,
            Field::Money(hundredths) => write!(to, "{}", TPCHDecimal::new(*hundredths))?,
            Field::Date(date) => write!(to, "{date}")?,
            Field::Text(text) if text.is_empty() || text.contains([',', '"', '\n', '\r']) => write!(to, "\"{}\"", text.replace('"', "\"\""))?,
            Field::Text(text) => to.write_all(text.as_bytes())?,
        }
    }
    to.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_read_otherwise_is_quoted() {
        let mut written = Vec::new();
        let text = |text: &'static str| Field::Text(text.into());
        write(&mut written, &[Field::Key(7), text("a,b"), text("say \"hi\""), text(""), text("plain"), Field::Money(-5), Field::Money(123_456)]).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), "7,\"a,b\",\"say \"\"hi\"\"\",\"\",plain,-0.05,1234.56\n");
    }
}
