//! What a table holds, found out by ranges of tokens, several at a time. A question for the whole of a large table is never answered in
//! time; one for a page of a range is, whatever the size of the table, and a range that is too much is halved.
//!
//! Every row is read back and compared with what was sent: sums over columns, as other databases are asked for, are not exact here (a sum
//! of ints is an int) and cannot be had of texts at all.

use std::{
    collections::VecDeque,
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use scylla::{
    deserialize::row::ColumnIterator,
    response::PagingState,
    statement::{Statement, prepared::PreparedStatement},
};
use tokio::task::JoinSet;

use super::{
    super::{
        encode::Layout,
        tally::{self, Content, Measured, Tally},
        trouble::Trouble,
        value::Slot,
    },
    PartitionKey,
    cluster::{Cluster, CqlError, name},
};

/// How many ranges are read at a time.
const READERS: usize = 4;
/// How many rows a range should have.
const RANGE: u64 = 50_000;
/// How many ranges there are at most.
const RANGES: u64 = 4096;
/// How often a range is halved before it is believed that less is not answered either.
const HALVINGS: u32 = 8;
/// How many bytes a page of rows should have, and how many rows it has at most.
const PAGE_BYTES: u64 = 512 << 10;
const PAGE_ROWS: u64 = 5000;
/// How often one page is asked for.
const TRIES: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Tokens from one to another, both included.
type Range = (i64, i64);

/// As many ranges as so many rows make, which together are all tokens.
fn ranges(rows: u64) -> VecDeque<Range> {
    let count = i128::from((rows / RANGE).clamp(READERS as u64, RANGES));
    let bound = |at: i128| i128::from(i64::MIN) + (1_i128 << 64) * at / count;
    let token = |at: i128| i64::try_from(at).unwrap_or(i64::MAX);
    (0..count).map(|at| (token(bound(at)), token(bound(at + 1) - 1))).collect()
}

/// Both halves of a range; nothing where it is one token.
fn halves((from, to): Range) -> Option<[Range; 2]> {
    let middle = i64::try_from((i128::from(from) + i128::from(to)).div_euclid(2)).ok()?;
    (from < to).then_some([(from, middle), (middle + 1, to)])
}

/// What was read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    rows: u64,
    /// For each column, its values that are not NULL.
    values: Vec<u64>,
    content: Content,
}

impl Found {
    fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.content.add(other.content);
        self.values.resize(self.values.len().max(other.values.len()), 0);
        for (mine, theirs) in self.values.iter_mut().zip(&other.values) {
            *mine += theirs;
        }
    }

    fn measured(&self) -> Measured {
        Measured { rows: self.rows, columns: self.values.iter().map(|values| (*values, None)).collect() }
    }

    /// What differs between what was put in and what is there, if anything.
    pub fn differs(&self, slots: &[Slot], tally: &Tally) -> Option<String> {
        let differs = tally.differs(slots, &self.measured());
        if self.rows < tally.rows() {
            return differs.map(|why| format!("{why}; rows with one primary key replace each other, so the key has to be another in every row of the files"));
        }
        differs.or_else(|| (self.content != tally.content()).then(|| "every row is there, and not every value is the one that was sent".to_owned()))
    }

    /// SHA-256 over what the table has come to.
    pub fn checksum(&self, slots: &[Slot]) -> String {
        let content = format!("{:032x}", self.content.sum);
        let mut measured = self.measured();
        // The sum of the rows takes part as if it were a column; no column has an empty name.
        measured.columns.push((self.rows, None));
        let names: Vec<&str> = slots.iter().map(|slot| slot.name.as_str()).chain([content.as_str()]).collect();
        tally::checksum(&names, &measured)
    }
}

/// Reads every row of a table.
pub async fn read_back(cluster: &Arc<Cluster>, table: &str, key: &PartitionKey, layout: &Arc<Layout>, tally: &Tally) -> Result<Found, Trouble> {
    let names: Vec<String> = layout.slots.iter().map(|slot| name(&slot.name)).collect();
    let row = (tally.content().bytes / tally.rows().max(1)).max(1);
    let page = (PAGE_BYTES / row).clamp(10, PAGE_ROWS);
    let statement = prepare(cluster, table, key, &names.join(", "), page).await?;
    let columns = layout.slots.len();
    by_ranges(cluster, table, statement, tally.rows(), move |row, found| {
        let mut bytes = Vec::new();
        found.values.resize(columns, 0);
        for (at, column) in row.enumerate() {
            let value = column.map_err(|error| CqlError::Refused(error.to_string()))?.slice;
            match value {
                None => bytes.extend_from_slice(&(-1_i32).to_be_bytes()),
                Some(value) => {
                    let value = value.as_slice();
                    bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or_default().to_be_bytes());
                    bytes.extend_from_slice(value);
                    if let Some(values) = found.values.get_mut(at) {
                        *values += 1;
                    }
                }
            }
        }
        found.rows += 1;
        found.content.put(&bytes);
        Ok(())
    })
    .await
}

/// Counts the rows of a table that should have so many.
pub async fn count(cluster: &Arc<Cluster>, table: &str, key: &PartitionKey, expected: u64) -> Result<u64, Trouble> {
    let statement = prepare(cluster, table, key, "COUNT(*)", PAGE_ROWS).await?;
    let found = by_ranges(cluster, table, statement, expected, |mut row, found| {
        let counted = row.next().and_then(Result::ok).and_then(|column| column.slice);
        let counted = counted.and_then(|slice| slice.as_slice().first_chunk::<8>().copied()).map(i64::from_be_bytes);
        let counted = counted.and_then(|count| u64::try_from(count).ok());
        found.rows += counted.ok_or_else(|| CqlError::Refused("the count is no number".to_owned()))?;
        Ok(())
    });
    Ok(found.await?.rows)
}

async fn prepare(cluster: &Cluster, table: &str, key: &PartitionKey, what: &str, page: u64) -> Result<PreparedStatement, Trouble> {
    let token = key.0.join(", ");
    let cql = format!("SELECT {what} FROM {table} WHERE token({token}) >= ? AND token({token}) <= ?");
    let statement = Statement::new(cql).with_page_size(i32::try_from(page).unwrap_or(1000));
    let prepared = cluster.session().prepare(statement).await.map_err(CqlError::from);
    prepared.map_err(|error| error.trouble(&format!("Table {table}: its rows cannot be asked for")))
}

/// Asks for every range, and adds up what is made of each row.
async fn by_ranges<F>(cluster: &Arc<Cluster>, table: &str, statement: PreparedStatement, rows: u64, take: F) -> Result<Found, Trouble>
where
    F: Fn(ColumnIterator<'_, '_>, &mut Found) -> Result<(), CqlError> + Clone + Send + Sync + 'static,
{
    let all: VecDeque<(Range, u32)> = ranges(rows).into_iter().map(|range| (range, 0)).collect();
    let left = Arc::new(Mutex::new(all));
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let (cluster, left, statement, take) = (Arc::clone(cluster), Arc::clone(&left), statement.clone(), take.clone());
        readers.spawn(async move {
            let mut found = Found::default();
            loop {
                let next = left.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some((range, cuts)) = next else { return Ok(found) };
                match read_range(&cluster, &statement, range, &take).await {
                    Ok(part) => found.add(&part),
                    Err(error) => match halves(range) {
                        // Less at a time may be answered; nothing of this range was added.
                        Some(halves) if matches!(error, CqlError::Slow(_)) && cuts < HALVINGS => {
                            left.lock().unwrap_or_else(PoisonError::into_inner).extend(halves.map(|half| (half, cuts + 1)));
                        }
                        Some(_) | None => return Err(error),
                    },
                }
            }
        });
    }
    let mut found = Found::default();
    while let Some(ended) = readers.join_next().await {
        match ended {
            Ok(Ok(part)) => found.add(&part),
            Ok(Err(error)) => return Err(error.trouble(&format!("Table {table}: its rows cannot be read"))),
            Err(error) => return Err(Trouble::Again(format!("Table {table}: a reader of its rows broke off ({error})"))),
        }
    }
    Ok(found)
}

async fn read_range<F>(cluster: &Cluster, statement: &PreparedStatement, range: Range, take: &F) -> Result<Found, CqlError>
where
    F: Fn(ColumnIterator<'_, '_>, &mut Found) -> Result<(), CqlError> + Sync,
{
    let mut found = Found::default();
    let mut from = PagingState::start();
    loop {
        let (result, next) = page(cluster, statement, range, &from).await?;
        let result = result.into_rows_result().map_err(|error| CqlError::Refused(error.to_string()))?;
        for row in result.rows::<ColumnIterator<'_, '_>>().map_err(|error| CqlError::Refused(error.to_string()))? {
            take(row.map_err(|error| CqlError::Refused(error.to_string()))?, &mut found)?;
        }
        match next.into_paging_control_flow() {
            ControlFlow::Break(()) => return Ok(found),
            ControlFlow::Continue(state) => from = state,
        }
    }
}

/// One page, asked for a few times where that may help.
async fn page(
    cluster: &Cluster,
    statement: &PreparedStatement,
    range: Range,
    from: &PagingState,
) -> Result<(scylla::response::query_result::QueryResult, scylla::response::PagingStateResponse), CqlError> {
    let mut pause = FIRST_PAUSE;
    let mut tries = 1;
    loop {
        let error = match cluster.session().execute_single_page(statement, range, from.clone()).await {
            Ok(answered) => return Ok(answered),
            Err(error) => CqlError::from(error),
        };
        // What is too slow twice is asked for in halves.
        if !error.may_pass() || tries >= TRIES || (tries >= 2 && matches!(error, CqlError::Slow(_))) {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        tries += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_all_tokens_and_none_twice() {
        for rows in [0, 1, 199_999, 10_000_000, u64::MAX] {
            let ranges = ranges(rows);
            assert_eq!((ranges[0].0, ranges[ranges.len() - 1].1), (i64::MIN, i64::MAX), "{rows} rows");
            assert!(ranges.iter().zip(ranges.iter().skip(1)).all(|(one, next)| one.0 <= one.1 && one.1.checked_add(1) == Some(next.0)), "{rows} rows");
        }
        assert_eq!((ranges(0).len(), ranges(10_000_000).len(), ranges(u64::MAX).len()), (4, 200, 4096));
    }

    #[test]
    fn a_range_is_halved_until_it_is_one_token() {
        assert_eq!(halves((i64::MIN, i64::MAX)), Some([(i64::MIN, -1), (0, i64::MAX)]));
        assert_eq!(halves((-3, -2)), Some([(-3, -3), (-2, -2)]));
        assert_eq!(halves((7, 7)), None);
    }

    #[test]
    fn what_differs_is_said_and_changes_the_checksum() {
        let slots = [Slot {
            name: "id".into(),
            kind: super::super::super::value::Kind::Text,
            class: super::super::super::value::Class::Cql { cql: super::super::CqlType::Int, key: true },
        }];
        let mut tally = Tally::new(&slots);
        let mut found = Found::default();
        for row in [[0, 0, 0, 1, 7], [0, 0, 0, 1, 8]] {
            tally.put(0, &slots[0], &super::super::super::value::Value::Int(1));
            tally.put_row(&row);
            tally.end_row();
            let mut content = Content::default();
            content.put(&row);
            found.add(&Found { rows: 1, values: vec![1], content });
        }
        assert_eq!(found.differs(&slots, &tally), None);
        let mut other = found.clone();
        other.content.sum ^= 1;
        assert_eq!(other.differs(&slots, &tally).unwrap(), "every row is there, and not every value is the one that was sent");
        assert_ne!(other.checksum(&slots), found.checksum(&slots));
        let fewer = Found { rows: 1, values: vec![1], ..found };
        assert!(fewer.differs(&slots, &tally).unwrap().starts_with("2 rows were expected and 1 found; rows with one primary key replace each other"));
    }
}
