//! Rows on their way to the nodes that keep them: one prepared statement each, and only so many unanswered.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use scylla::{
    serialize::{
        SerializationError,
        row::{RowSerializationContext, SerializeRow},
        writers::RowWriter,
    },
    statement::prepared::PreparedStatement,
};

use super::{
    super::{
        encode::{Chunk, Layout},
        link::Link,
        trouble::Trouble,
        watch::{Watch, lost},
    },
    cluster::{Cluster, CqlError, name},
};

/// How many rows of each chunk are unanswered at a time; there are as many chunks as the flow has sessions.
const IN_FLIGHT: usize = 64;
/// How long one row may take. Much less than what is left of the right to fill the table when its owner stops believing in it.
const ONE_TRY: Duration = Duration::from_secs(5);
/// How often one row is tried. It is the same row each time, so that it does no harm if it was taken after all.
const TRIES: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What takes rows.
pub struct Writer {
    cluster: Arc<Cluster>,
    statement: PreparedStatement,
    watch: Watch,
    link: Arc<Link>,
}

impl Writer {
    /// Prepares the statement that takes rows of a layout.
    pub async fn prepare(cluster: &Arc<Cluster>, table: &str, layout: &Layout, watch: Watch, link: Arc<Link>) -> Result<Self, Trouble> {
        let names: Vec<String> = layout.slots.iter().map(|slot| name(&slot.name)).collect();
        let marks = vec!["?"; names.len()].join(", ");
        let cql = format!("INSERT INTO {table} ({}) VALUES ({marks})", names.join(", "));
        let prepared = cluster.session().prepare(cql).await.map_err(CqlError::from);
        let mut statement = prepared.map_err(|error| error.trouble(&format!("Table {}: no statement for its rows can be prepared", layout.table)))?;
        statement.set_is_idempotent(true);
        statement.set_request_timeout(Some(ONE_TRY));
        Ok(Self { cluster: Arc::clone(cluster), statement, watch, link })
    }

    /// Sends a chunk of rows, and waits until each of them was taken.
    pub async fn load(&self, layout: &Layout, chunk: Chunk) -> Result<u64, Trouble> {
        let Chunk { bytes, rows: _, file, first_row } = chunk;
        let refused = |(row, error): (u64, CqlError)| {
            let Layout { fixture, table, .. } = layout;
            error.trouble(&format!("Table {table} does not take row {row} of file {file} of fixture {fixture}"))
        };
        let mut flying = FuturesUnordered::new();
        let (mut rest, mut row, mut taken) = (bytes.as_slice(), first_row, 0_u64);
        while !rest.is_empty() {
            if self.link.is_stopped() {
                return Err(Trouble::Stopped);
            }
            if flying.len() >= IN_FLIGHT
                && let Some(answered) = flying.next().await
            {
                let answered: Result<(), (u64, CqlError)> = answered;
                answered.map_err(refused)?;
                taken += 1;
            }
            if !self.watch.holds() {
                return Err(lost(&layout.table));
            }
            let values;
            (values, rest) = first_row_of(rest, layout.slots.len());
            flying.push(self.insert(row, SentRow { values, columns: layout.slots.len() }));
            row += 1;
        }
        while let Some(answered) = flying.next().await {
            answered.map_err(refused)?;
            taken += 1;
        }
        Ok(taken)
    }

    async fn insert(&self, number: u64, row: SentRow<'_>) -> Result<(), (u64, CqlError)> {
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        loop {
            let error = match self.cluster.session().execute_unpaged(&self.statement, &row).await {
                Ok(_) => return Ok(()),
                Err(error) => CqlError::from(error),
            };
            if tries >= TRIES || !error.may_pass() || self.link.is_stopped() || !self.watch.holds() {
                return Err((number, error));
            }
            tracing::debug!(row = number, why = error.said(), "a row was not taken, trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            tries += 1;
        }
    }
}

/// The bytes of the first row, and those of all others.
fn first_row_of(bytes: &[u8], columns: usize) -> (&[u8], &[u8]) {
    let mut rest = bytes;
    for _ in 0..columns {
        (_, rest) = first_value_of(rest);
    }
    bytes.split_at(bytes.len() - rest.len())
}

/// The first value, nothing for NULL, and the bytes of all others.
fn first_value_of(bytes: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let (length, rest) = bytes.split_first_chunk::<4>().map_or((-1, &[][..]), |(length, rest)| (i32::from_be_bytes(*length), rest));
    match usize::try_from(length) {
        Ok(length) => rest.split_at_checked(length).map_or((None, &[][..]), |(value, rest)| (Some(value), rest)),
        Err(_) => (None, rest),
    }
}

/// A row as it was encoded.
struct SentRow<'a> {
    values: &'a [u8],
    columns: usize,
}

impl SerializeRow for SentRow<'_> {
    fn serialize(&self, ctx: &RowSerializationContext<'_>, writer: &mut RowWriter<'_>) -> Result<(), SerializationError> {
        if ctx.columns().len() != self.columns {
            return Err(SerializationError::new(std::io::Error::other("the statement has another number of values")));
        }
        let mut rest = self.values;
        for _ in 0..self.columns {
            let value;
            (value, rest) = first_value_of(rest);
            let cell = writer.make_cell_writer();
            match value {
                Some(value) => {
                    cell.set_value(value).map_err(SerializationError::new)?;
                }
                // The table is empty: a value that is not set is NULL, and leaves no tombstone for every reader to step over.
                None => {
                    cell.set_unset();
                }
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.columns == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_out_of_a_chunk_as_they_were_written() {
        let chunk = [0, 0, 0, 1, 7, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 2, 8, 9];
        let (first, rest) = first_row_of(&chunk, 2);
        assert_eq!((first, rest), (&chunk[..9], &chunk[9..]));
        assert_eq!(first_row_of(rest, 2), (&chunk[9..], &[][..]));
        assert_eq!(first_value_of(first), (Some(&[7][..]), &first[5..]));
        assert_eq!(first_value_of(&first[5..]), (None, &[][..]));
        assert_eq!(first_value_of(rest), (Some(&[][..]), &rest[4..]), "an empty text is not NULL");
    }
}
