//! Rows on their way to the nodes that keep them: one prepared statement, a few rows of the same nodes in each request, and only so many
//! requests unanswered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use scylla::{
    response::query_result::QueryResult,
    routing::Token,
    serialize::{
        SerializationError,
        row::{RowSerializationContext, SerializeRow},
        writers::RowWriter,
    },
    statement::{
        batch::{Batch, BatchType},
        prepared::PreparedStatement,
    },
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

/// How many requests of each chunk are unanswered at a time; there are as many chunks as the flow has sessions.
const IN_FLIGHT: usize = 16;
/// How many rows one request has at most. A node warns of batches over more than ten partitions (`unlogged_batch_across_partitions_warn_threshold`,
/// a line in its log once a minute), because whoever gets one may keep few of its rows itself; the node that gets ours keeps all of them.
const ROWS: usize = 32;
/// How that warning begins where the node sends it with its answer, too.
const EXPECTED: &str = "Unlogged batch covering ";
/// How many bytes the rows of one request have together: below `batch_size_warn_threshold`, which is 5 KiB. A longer row goes alone.
const BYTES: usize = 4 << 10;
/// How long one request may take. Much less than what is left of the right to fill the table when its owner stops believing in it.
const ONE_TRY: Duration = Duration::from_secs(5);
/// How often one is tried. It has the same rows each time, so that it does no harm if they were taken after all.
const TRIES: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What takes rows.
pub struct Writer {
    cluster: Arc<Cluster>,
    table: String,
    statement: PreparedStatement,
    /// The statement so many times: twice first.
    batches: Vec<Batch>,
    watch: Watch,
    link: Arc<Link>,
    /// Whether a warning of a node was told.
    warned: AtomicBool,
}

impl Writer {
    /// Prepares the statement that takes rows of a layout.
    pub async fn prepare(cluster: &Arc<Cluster>, layout: &Layout, watch: Watch, link: Arc<Link>) -> Result<Self, Trouble> {
        let names: Vec<String> = layout.slots.iter().map(|slot| name(&slot.name)).collect();
        let marks = vec!["?"; names.len()].join(", ");
        let cql = format!("INSERT INTO {} ({}) VALUES ({marks})", cluster.table(&layout.table), names.join(", "));
        let prepared = cluster.session().prepare(cql).await.map_err(CqlError::from);
        let mut statement = prepared.map_err(|error| error.trouble(&format!("Table {}: no statement for its rows can be prepared", layout.table)))?;
        statement.set_is_idempotent(true);
        statement.set_request_timeout(Some(ONE_TRY));
        let batch = |rows| {
            let mut batch = Batch::new_with_statements(BatchType::Unlogged, vec![statement.clone().into(); rows]);
            batch.set_is_idempotent(true);
            batch.set_request_timeout(Some(ONE_TRY));
            batch
        };
        let batches = (2..=ROWS).map(batch).collect();
        Ok(Self { cluster: Arc::clone(cluster), table: layout.table.clone(), statement, batches, watch, link, warned: AtomicBool::new(false) })
    }

    /// Sends a chunk of rows, and waits until each of them was taken.
    pub async fn load(&self, layout: &Layout, chunk: Chunk) -> Result<u64, Trouble> {
        let Chunk { bytes, rows, file, first_row } = chunk;
        let refused = |(row, error): (u64, CqlError)| {
            let Layout { fixture, table, .. } = layout;
            error.trouble(&format!("Table {table} does not take row {row} of file {file} of fixture {fixture}"))
        };
        let mut placed = self.placed(&bytes, layout.slots.len(), first_row).map_err(refused)?;
        placed.sort_unstable_by_key(|row| (row.token, row.number));
        let mut flying = FuturesUnordered::new();
        for rows in together(&placed, |token| self.nodes(token)) {
            if self.link.is_stopped() {
                return Err(Trouble::Stopped);
            }
            if flying.len() >= IN_FLIGHT
                && let Some(answered) = flying.next().await
            {
                let answered: Result<(), (u64, CqlError)> = answered;
                answered.map_err(refused)?;
            }
            if !self.watch.holds() {
                return Err(lost(&layout.table));
            }
            flying.push(self.insert(rows));
        }
        while let Some(answered) = flying.next().await {
            answered.map_err(refused)?;
        }
        Ok(rows)
    }

    /// The rows of a chunk with where they belong.
    fn placed<'a>(&self, bytes: &'a [u8], columns: usize, first_row: u64) -> Result<Vec<PlacedRow<'a>>, (u64, CqlError)> {
        let mut placed = Vec::new();
        let (mut rest, mut number) = (bytes, first_row);
        while !rest.is_empty() {
            let values;
            (values, rest) = first_row_of(rest, columns);
            let sent = SentRow { values, columns };
            let token = self.statement.calculate_token(&sent).map_err(|error| (number, CqlError::Refused(error.to_string())))?;
            placed.push(PlacedRow { token: token.unwrap_or(Token::new(0)), number, sent });
            number += 1;
        }
        Ok(placed)
    }

    /// The nodes that keep the rows of a token.
    fn nodes(&self, token: Token) -> Vec<u128> {
        let state = self.cluster.session().get_cluster_state();
        state.get_token_endpoints(self.cluster.keyspace(), &self.table, token).iter().map(|(node, _)| node.host_id.as_u128()).collect()
    }

    /// Has rows of the same nodes taken, in one request where the cluster takes them so.
    async fn insert(&self, rows: &[PlacedRow<'_>]) -> Result<(), (u64, CqlError)> {
        match self.again(rows).await {
            // One of them, or all of them together: each for itself shows which.
            Err(CqlError::Refused(why)) if rows.len() > 1 => tracing::debug!(why, "rows were not taken together"),
            ended => return ended.map_err(|error| (rows.first().map_or(0, |row| row.number), error)),
        }
        for row in rows {
            self.again(std::slice::from_ref(row)).await.map_err(|error| (row.number, error))?;
        }
        Ok(())
    }

    /// Sends rows until they are taken or will not be.
    async fn again(&self, rows: &[PlacedRow<'_>]) -> Result<(), CqlError> {
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        loop {
            let Err(error) = self.send(rows).await else { return Ok(()) };
            if tries >= TRIES || !error.may_pass() || self.link.is_stopped() || !self.watch.holds() {
                return Err(error);
            }
            tracing::debug!(why = error.said(), "rows were not taken, trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            tries += 1;
        }
    }

    /// Sends rows in one request.
    async fn send(&self, rows: &[PlacedRow<'_>]) -> Result<(), CqlError> {
        let session = self.cluster.session();
        if let [row] = rows {
            self.tell(&session.execute_unpaged(&self.statement, &row.sent).await?);
            return Ok(());
        }
        let batch = rows.len().checked_sub(2).and_then(|more| self.batches.get(more));
        let batch = batch.ok_or_else(|| CqlError::Refused(format!("{} rows are not one request", rows.len())))?;
        let sent: Vec<SentRow<'_>> = rows.iter().map(|row| row.sent).collect();
        self.tell(&session.batch(batch, &sent).await?);
        Ok(())
    }

    /// Tells of the first warning that is not of [`ROWS`].
    fn tell(&self, answered: &QueryResult) {
        if let Some(warning) = answered.warnings().find(|warning| !warning.starts_with(EXPECTED))
            && !self.warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(table = self.table, warning, "a node takes rows with a warning; no other is told");
        }
    }
}

/// A row of a file with where it belongs.
struct PlacedRow<'a> {
    token: Token,
    /// Its number in the file, from 1.
    number: u64,
    sent: SentRow<'a>,
}

/// Rows in the order of their tokens, cut into those that go together: of the same nodes, and no more than one request may have.
fn together<'a, 'r>(rows: &'r [PlacedRow<'a>], nodes: impl Fn(Token) -> Vec<u128>) -> Vec<&'r [PlacedRow<'a>]> {
    let mut cut = Vec::with_capacity(rows.len() / ROWS + 1);
    let (mut start, mut bytes, mut of) = (0, 0, Vec::new());
    for (at, row) in rows.iter().enumerate() {
        let (length, kept_by) = (row.sent.values.len(), nodes(row.token));
        if at > start && (at - start >= ROWS || bytes + length > BYTES || kept_by != of) {
            cut.extend(rows.get(start..at));
            (start, bytes) = (at, 0);
        }
        bytes += length;
        of = kept_by;
    }
    cut.extend(rows.get(start..).filter(|rows| !rows.is_empty()));
    cut
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
#[derive(Clone, Copy)]
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
    fn rows_of_the_same_nodes_go_together_and_few_at_a_time() {
        let lengths = |rows: &[(i64, usize)]| {
            let bytes = vec![0; BYTES * 2];
            let placed = |(number, (token, length)): (u64, &(i64, usize))| {
                let sent = SentRow { values: &bytes[..*length], columns: 1 };
                PlacedRow { token: Token::new(*token), number, sent }
            };
            let rows: Vec<_> = (1..).zip(rows).map(placed).collect();
            // Tokens below zero are kept by one node, those below 100 by two others.
            let nodes = |token: Token| {
                if token.value() < 0 {
                    vec![1]
                } else if token.value() < 100 {
                    vec![2, 3]
                } else {
                    vec![3, 2]
                }
            };
            let cut = together(&rows, nodes);
            let numbers: Vec<u64> = cut.iter().flat_map(|rows| rows.iter().map(|row| row.number)).collect();
            assert_eq!(numbers, (1..=rows.len() as u64).collect::<Vec<_>>(), "every row once");
            cut.iter().map(|rows| rows.len()).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&[]), Vec::<usize>::new());
        assert_eq!(lengths(&[(-9, 10), (-5, 10), (3, 10), (99, 10), (100, 10)]), [2, 2, 1]);
        assert_eq!(lengths(&[(1, 100); 2 * ROWS + 1]), [ROWS, ROWS, 1]);
        assert_eq!(lengths(&[(1, BYTES / 2), (2, BYTES / 2), (3, 1), (4, 2 * BYTES), (5, 1)]), [2, 1, 1, 1]);
    }

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
