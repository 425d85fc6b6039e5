//! Comma-separated values as RFC 4180 writes them, strictly: what a lenient reader would guess at is an error with its row.
//!
//! An empty field is NULL, an empty field in quotes is an empty text, as PostgreSQL reads them.

use std::io::{self, Read};

/// How much is read at once.
const PIECE: usize = 256 << 10;
/// The longest field. Beyond it a quote is missing somewhere, more likely than not.
const LONGEST_FIELD: usize = 4 << 20;
/// The most fields of a row.
const MOST_FIELDS: usize = 4096;

/// Why a file cannot be read on.
#[derive(Debug)]
pub enum CsvError {
    /// The bytes cannot be had.
    Read(io::Error),
    /// They are no comma-separated values: the row, from 1 after the header, and what is wrong with it.
    Row(u64, String),
}

/// One row.
#[derive(Debug, Default)]
pub struct Row {
    bytes: Vec<u8>,
    /// Where each field ends, and whether it was in quotes.
    fields: Vec<(usize, bool)>,
}

impl Row {
    /// How many fields it has.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// A field; nothing where it is NULL.
    pub fn field(&self, index: usize) -> Option<&[u8]> {
        let (end, quoted) = *self.fields.get(index)?;
        let start = index.checked_sub(1).and_then(|before| self.fields.get(before)).map_or(0, |(end, _)| *end);
        self.bytes.get(start..end).filter(|bytes| quoted || !bytes.is_empty())
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
    }
}

/// A reader of rows.
pub struct Csv<R> {
    from: R,
    piece: Vec<u8>,
    at: usize,
    end: usize,
    /// Rows that were begun, the header included.
    rows: u64,
    begun: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a field.
    Start,
    Plain,
    Quoted,
    /// After a quote inside quotes: the end of the field, or the first of two.
    Quote,
    /// After a carriage return: a line feed follows.
    Return,
}

impl<R: Read> Csv<R> {
    pub fn new(from: R) -> Self {
        Self { from, piece: vec![0; PIECE], at: 0, end: 0, rows: 0, begun: false }
    }

    /// Reads the next row; false at the end of the file.
    pub fn next(&mut self, row: &mut Row) -> Result<bool, CsvError> {
        row.clear();
        self.rows += 1;
        let mut state = State::Start;
        let (mut quoted, mut field) = (false, 0_usize);
        let mut any = false;
        loop {
            if self.at == self.end && !self.fill()? {
                return match state {
                    State::Quoted => Err(self.wrong("a quote is opened and never closed")),
                    State::Return => Err(self.wrong("a carriage return stands without a line feed")),
                    _ if !any => Ok(false),
                    State::Start | State::Plain | State::Quote => {
                        row.fields.push((row.bytes.len(), quoted));
                        Ok(true)
                    }
                };
            }
            any = true;
            // Most bytes are plain: they are taken together up to the next that means something.
            if matches!(state, State::Plain | State::Quoted) {
                let rest = self.piece.get(self.at..self.end).unwrap_or_default();
                let means = |byte: &u8| if state == State::Quoted { *byte == b'"' } else { matches!(*byte, b',' | b'"' | b'\n' | b'\r') };
                let plain = rest.iter().position(means).unwrap_or(rest.len());
                if plain > 0 {
                    row.bytes.extend_from_slice(rest.get(..plain).unwrap_or_default());
                    self.at += plain;
                    if row.bytes.len() - field > LONGEST_FIELD {
                        return Err(self.wrong(&format!("field {} is longer than {LONGEST_FIELD} bytes", row.fields.len() + 1)));
                    }
                    continue;
                }
            }
            let byte = self.piece.get(self.at).copied().unwrap_or_default();
            self.at += 1;
            state = match (state, byte) {
                (State::Return, b'\n') => {
                    row.fields.push((row.bytes.len(), quoted));
                    return Ok(true);
                }
                (State::Return, _) => return Err(self.wrong("a carriage return stands without a line feed")),
                (State::Quoted, b'"') => State::Quote,
                (State::Quoted, _) => State::Quoted,
                (State::Quote, b'"') => {
                    row.bytes.push(b'"');
                    State::Quoted
                }
                (State::Start, b'"') => {
                    quoted = true;
                    State::Quoted
                }
                (State::Plain, b'"') => return Err(self.wrong(&format!("field {} has a quote and does not begin with one", row.fields.len() + 1))),
                (_, b',') => {
                    row.fields.push((row.bytes.len(), quoted));
                    if row.fields.len() > MOST_FIELDS {
                        return Err(self.wrong(&format!("it has more than {MOST_FIELDS} fields")));
                    }
                    (quoted, field) = (false, row.bytes.len());
                    State::Start
                }
                (_, b'\n') => {
                    row.fields.push((row.bytes.len(), quoted));
                    return Ok(true);
                }
                (_, b'\r') => State::Return,
                (State::Quote, _) => return Err(self.wrong(&format!("field {} goes on after its closing quote", row.fields.len() + 1))),
                (State::Start | State::Plain, byte) => {
                    row.bytes.push(byte);
                    State::Plain
                }
            };
        }
    }

    /// The number of the row that was read last, from 1 after the header; 0 is the header.
    pub fn row(&self) -> u64 {
        self.rows.saturating_sub(1)
    }

    fn wrong(&self, what: &str) -> CsvError {
        CsvError::Row(self.row(), what.to_owned())
    }

    fn fill(&mut self) -> Result<bool, CsvError> {
        (self.at, self.end) = (0, self.from.read(&mut self.piece).map_err(CsvError::Read)?);
        if !self.begun && self.end > 0 {
            self.begun = true;
            // A byte order mark may arrive in pieces, but then of a file of that size.
            if self.piece.get(..self.end).is_some_and(|piece| piece.starts_with(b"\xef\xbb\xbf")) {
                self.at = 3;
            }
        }
        Ok(self.end > self.at || self.end > 0 && self.fill()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A reader that gives so many bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let length = self.0.len().min(self.1).min(to.len());
            to[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn read(text: &[u8], drip: usize) -> Result<Vec<Vec<Option<String>>>, String> {
        let mut csv = Csv::new(Drip(text, drip));
        let (mut row, mut rows) = (Row::default(), Vec::new());
        loop {
            match csv.next(&mut row) {
                Ok(true) => rows.push((0..row.len()).map(|at| row.field(at).map(|bytes| String::from_utf8_lossy(bytes).into_owned())).collect()),
                Ok(false) => return Ok(rows),
                Err(CsvError::Row(row, what)) => return Err(format!("row {row}: {what}")),
                Err(CsvError::Read(error)) => return Err(error.to_string()),
            }
        }
    }

    fn shown(text: &str) -> String {
        match read(text.as_bytes(), 7) {
            Ok(rows) => {
                rows.iter().map(|row| row.iter().map(|field| field.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join("|")).collect::<Vec<_>>().join(" / ")
            }
            Err(why) => why,
        }
    }

    #[test]
    fn rows_are_read_as_rfc_4180_writes_them() {
        let table = [
            ("a,b\n1,2\n", "a|b / 1|2"),
            ("a,b\r\n1,2", "a|b / 1|2"),
            ("\u{feff}a,b\n", "a|b"),
            ("a\n\n\"\"\n", "a / NULL / "),
            ("a,b\n,\"\"\n", "a|b / NULL|"),
            ("a\n\"x\ny\"\n", "a / x\ny"),
            ("a\n\"say \"\"hi\"\", he\"\n", "a / say \"hi\", he"),
            ("a,b\n1,\n", "a|b / 1|NULL"),
            ("", ""),
        ];
        for (text, rows) in table {
            assert_eq!(shown(text), rows, "{text:?}");
        }
    }

    #[test]
    fn what_a_lenient_reader_would_guess_at_is_an_error_with_its_row() {
        let table = [
            ("a,b\n1,2\n3,x\"y\n", "row 2: field 2 has a quote and does not begin with one"),
            ("a\n\"never closed\nb\nc\n", "row 1: a quote is opened and never closed"),
            ("a\n\"x\"y\n", "row 1: field 1 goes on after its closing quote"),
            ("a\rb\n", "row 0: a carriage return stands without a line feed"),
        ];
        for (text, why) in table {
            assert_eq!(shown(text), why, "{text:?}");
        }
        let long = format!("a\nx\n\"{}", "y".repeat(10 << 20));
        assert_eq!(read(long.as_bytes(), PIECE).unwrap_err(), "row 2: field 1 is longer than 4194304 bytes");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(rows in prop::collection::vec(prop::collection::vec("[a-c\",\r\n é]{0,6}", 2..4), 1..6), drip in 1_usize..9) {
            let written: Vec<String> =
                rows.iter().map(|row| row.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect::<Vec<_>>().join(",")).collect();
            let expected: Vec<Vec<Option<String>>> = rows.iter().map(|row| row.iter().cloned().map(Some).collect()).collect();
            prop_assert_eq!(read((written.join("\r\n") + "\n").as_bytes(), drip).unwrap(), expected);
        }

        #[test]
        fn any_bytes_are_rows_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), drip in 1_usize..9) {
            let whole = read(&bytes, 1000);
            prop_assert_eq!(whole, read(&bytes, drip));
        }
    }
}
