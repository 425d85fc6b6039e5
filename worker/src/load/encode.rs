//! Rows become chunks: encoded as the database reads them, counted for the proof, and sent on a few megabytes at a time. Each chunk
//! knows which rows of which file it has, so that whatever the database says of one can be said of the file.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{
    binary, cassandra,
    parquet::Sink,
    tally::Tally,
    text::{self, Reader},
    trouble::Trouble,
    value::{Slot, Value},
};

/// How large a chunk becomes before it is sent.
const CHUNK: usize = 4 << 20;
/// The same where each row of it is a request of its own.
const CHUNK_OF_REQUESTS: usize = 256 << 10;
/// The same where each chunk becomes a version of the table, of which there should be few.
const CHUNK_OF_VERSIONS: usize = 16 << 20;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Text(Reader),
    /// As PostgreSQL's binary `COPY` has it.
    Binary,
    /// As CQL's protocol has the values of a request.
    Cql,
}

impl Wire {
    const fn chunk(self) -> usize {
        match self {
            Self::Text(Reader::Doris) => CHUNK_OF_VERSIONS,
            Self::Text(Reader::Mysql | Reader::Postgres) | Self::Binary => CHUNK,
            Self::Cql => CHUNK_OF_REQUESTS,
        }
    }
}

/// What goes where, and how.
#[derive(Debug)]
pub struct Layout {
    pub fixture: String,
    pub table: String,
    pub slots: Vec<Slot>,
    pub wire: Wire,
}

impl Layout {
    /// Rows of a dataset for a table: in binary form where every column can be.
    pub fn new(fixture: &str, table: &str, slots: Vec<Slot>, reader: Reader) -> Self {
        let binary = reader == Reader::Postgres && slots.iter().all(|slot| binary::holds(slot.kind, slot.class));
        Self { fixture: fixture.to_owned(), table: table.to_owned(), slots, wire: if binary { Wire::Binary } else { Wire::Text(reader) } }
    }
}

/// Some rows of a file.
#[derive(Debug)]
pub struct Chunk {
    pub bytes: Vec<u8>,
    pub rows: u64,
    pub file: Arc<str>,
    /// The number of its first row in the file, from 1.
    pub first_row: u64,
}

/// Makes chunks of rows.
pub struct Encoder {
    layout: Arc<Layout>,
    out: mpsc::Sender<Chunk>,
    pub tally: Tally,
    file: Arc<str>,
    bytes: Vec<u8>,
    /// The number of the row that is being made, from 1.
    row: u64,
    first_row: u64,
    /// Where that row begins.
    start: usize,
    /// Whether the row that is being made has a value yet.
    begun: bool,
}

impl Encoder {
    pub fn new(layout: &Arc<Layout>, out: mpsc::Sender<Chunk>) -> Self {
        let tally = Tally::new(&layout.slots);
        Self { layout: Arc::clone(layout), out, tally, file: Arc::from(""), bytes: Vec::new(), row: 1, first_row: 1, start: 0, begun: false }
    }

    /// What follows are rows of this file from this one on.
    pub fn turn_to(&mut self, file: &str, row: u64) -> Result<(), Trouble> {
        self.flush()?;
        (self.file, self.row, self.first_row) = (Arc::from(file), row, row);
        Ok(())
    }

    /// Sends what has not been sent.
    pub fn flush(&mut self) -> Result<(), Trouble> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        // The next chunk becomes about as large.
        let next = Vec::with_capacity(self.bytes.capacity());
        let mut bytes = std::mem::replace(&mut self.bytes, next);
        self.start = 0;
        if self.layout.wire == Wire::Binary {
            bytes.extend_from_slice(binary::TRAILER);
        }
        let chunk = Chunk { bytes, rows: self.row - self.first_row, file: Arc::clone(&self.file), first_row: self.first_row };
        self.first_row = self.row;
        // Whoever would take it has gone, and says why.
        self.out.blocking_send(chunk).map_err(|_| Trouble::Stopped)
    }
}

impl Sink for Encoder {
    fn put(&mut self, slot: usize, value: &Value<'_>) -> Result<(), Trouble> {
        let layout = &*self.layout;
        let Some(into) = layout.slots.get(slot) else { return Ok(()) };
        if !self.begun {
            self.begun = true;
            if layout.wire == Wire::Binary {
                if self.bytes.is_empty() {
                    self.bytes.extend_from_slice(binary::HEADER);
                }
                self.bytes.extend(u16::try_from(layout.slots.len()).unwrap_or_default().to_be_bytes());
            }
        }
        let written = match layout.wire {
            Wire::Text(reader) => {
                if slot > 0 {
                    self.bytes.push(reader.separators().0);
                }
                text::write(&mut self.bytes, reader, into, value)
            }
            Wire::Binary => binary::write(&mut self.bytes, into, value),
            Wire::Cql => cassandra::types::write(&mut self.bytes, into, value),
        };
        written.map_err(|why| self.refuse(slot, &why))?;
        self.tally.put(slot, into, value);
        Ok(())
    }

    fn end_row(&mut self) -> Result<(), Trouble> {
        match self.layout.wire {
            Wire::Text(reader) => self.bytes.push(reader.separators().1),
            Wire::Binary => {}
            Wire::Cql => self.tally.put_row(self.bytes.get(self.start..).unwrap_or_default()),
        }
        self.start = self.bytes.len();
        self.begun = false;
        self.row += 1;
        self.tally.end_row();
        if self.bytes.len() >= self.layout.wire.chunk() { self.flush() } else { Ok(()) }
    }

    fn refuse(&self, slot: usize, why: &str) -> Trouble {
        let column = self.layout.slots.get(slot).map_or("", |slot| slot.name.as_str());
        Trouble::invalid(format!("File {} of fixture {}: row {}, column {column}: {why}", self.file, self.layout.fixture, self.row))
    }
}
