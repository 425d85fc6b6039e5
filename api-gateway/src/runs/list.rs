//! Lists of runs: what the cluster knows and what only the ledger remembers, as one, newest first.

use std::{collections::VecDeque, sync::Arc};

use crucible_store::{
    Ledger, LedgerError,
    ledger::{Cursor, LONGEST_PAGE, ListRuns, RunRow},
};

use super::{Ask, Run, Runs, remembered_body};

/// A run in a list.
#[derive(Clone, Debug)]
pub enum Row {
    /// The cluster knows it.
    Known(Arc<Run>),
    /// Only the ledger does.
    Remembered(Box<RunRow>),
}

impl Row {
    /// Its place in the list.
    pub fn cursor(&self) -> Cursor {
        match self {
            Self::Known(run) => run.cursor(),
            Self::Remembered(row) => row.cursor(),
        }
    }

    /// Writes it as JSON.
    pub fn write(self, to: &mut Vec<u8>) {
        match self {
            Self::Known(run) => run.write_row(to),
            // A type of texts, numbers and JSON values can always be written.
            Self::Remembered(row) => to.extend(serde_json::to_vec(&remembered_body(*row)).unwrap_or_default()),
        }
    }
}

/// One page of a list.
#[derive(Debug, Default)]
pub struct Listed {
    /// The runs, newest first.
    pub rows: Vec<Row>,
    /// Where the next page begins, where there is one.
    pub next: Option<Cursor>,
}

/// Both places where runs are known.
#[derive(Clone)]
pub struct Merged {
    /// What the cluster knows.
    pub runs: Arc<Runs>,
    /// What was remembered, where there is a ledger.
    pub ledger: Option<Arc<dyn Ledger>>,
    /// Questions to the ledger that are under way.
    pub ask: Arc<Ask>,
}

impl Merged {
    /// One page. Of a run that both know, the cluster's word stands.
    pub async fn page(&self, query: &ListRuns) -> Result<Listed, LedgerError> {
        let most = if query.limit == 0 { LONGEST_PAGE } else { query.limit.min(LONGEST_PAGE) };
        let Some(ledger) = &self.ledger else { return Ok(self.known(query)) };
        let query = ListRuns { limit: most, ..query.clone() };
        let (remembered, known) = loop {
            let remembered = self.ask.page(ledger, &self.runs, query.clone()).await?;
            // The cluster is asked after the ledger: a run that is mirrored and deleted in between is in one of the two.
            let known = self.runs.page(&query.namespace, query.label.as_deref(), query.after.as_ref(), most as usize + 1);
            // A run that was deleted since the ledger said where it stands is known to nobody here: now its row is wanted.
            if !remembered.rows.is_empty() || self.runs.knows_all(&query.namespace, remembered.places.iter()) {
                break (remembered, known);
            }
        };
        let unknown = remembered.rows.iter().filter(|row| self.runs.by_id(&query.namespace, &row.run_id).is_none()).cloned();
        Ok(merge(known.into(), unknown.collect(), remembered.next.clone(), most as usize))
    }

    /// One page of what the cluster knows alone.
    pub fn known(&self, query: &ListRuns) -> Listed {
        let most = if query.limit == 0 { LONGEST_PAGE } else { query.limit.min(LONGEST_PAGE) } as usize;
        let known = self.runs.page(&query.namespace, query.label.as_deref(), query.after.as_ref(), most + 1);
        merge(known.into(), VecDeque::new(), None, most)
    }
}

/// Two lists in the same order become one of at most `most`. `further` is where the ledger remembers more.
fn merge(mut known: VecDeque<Arc<Run>>, mut remembered: VecDeque<RunRow>, further: Option<Cursor>, most: usize) -> Listed {
    let mut rows = Vec::with_capacity(most.min(known.len() + remembered.len()));
    while rows.len() < most {
        let row = match (known.front(), remembered.front()) {
            (Some(run), Some(row)) if run.cursor() < row.cursor() => remembered.pop_front().map(|row| Row::Remembered(Box::new(row))),
            (Some(_), _) => known.pop_front().map(Row::Known),
            (None, Some(_)) => remembered.pop_front().map(|row| Row::Remembered(Box::new(row))),
            (None, None) => None,
        };
        let Some(row) = row else { break };
        rows.push(row);
    }
    let more = !known.is_empty() || !remembered.is_empty() || further.is_some();
    let next = rows.last().filter(|_| more).map(Row::cursor).or(further);
    Listed { rows, next }
}

#[cfg(test)]
mod tests {
    use crucible_store::ledger::{MemoryLedger, memory::foreign_row};
    use jiff::Timestamp;

    use super::{super::run::tests::run, *};

    const CREATED: i64 = 1_767_600_000;

    fn merged(known: &[(&str, i64)], remembered: &[(&str, i64)]) -> Merged {
        let (runs, ledger) = (Runs::default(), MemoryLedger::new("shop"));
        for (name, second) in known {
            runs.written(&run(name, name, "1", *second));
        }
        for (id, second) in remembered {
            ledger.insert(foreign_row(id, "COMPLETED", Timestamp::from_second(CREATED + second).unwrap()));
        }
        Merged { runs: Arc::new(runs), ledger: Some(Arc::new(ledger)), ask: Arc::default() }
    }

    async fn pages(merged: &Merged, limit: u32) -> Vec<Vec<String>> {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let query = ListRuns { namespace: "shop".to_owned(), label: None, after, limit };
            let listed = merged.page(&query).await.unwrap();
            pages.push(listed.rows.iter().map(|row| row.cursor().run_id.split('_').next().unwrap().to_owned()).collect());
            after = listed.next;
            if after.is_none() {
                return pages;
            }
        }
    }

    #[tokio::test]
    async fn what_both_know_is_one_list_that_shows_every_run_once() {
        let both = ("b_20260105-0800_00000000", 20);
        let merged = merged(&[("d", 40), ("b", 20)], &[("e", 50), ("c", 30), both, ("a", 10)]);
        assert_eq!(pages(&merged, 100).await, [vec!["e", "d", "c", "b", "a"]]);
        assert_eq!(pages(&merged, 2).await, [vec!["e", "d"], vec!["c", "b"], vec!["a"]]);
        assert_eq!(pages(&merged, 1).await.concat(), ["e", "d", "c", "b", "a"]);
    }

    #[tokio::test]
    async fn a_page_ends_the_list_where_nothing_follows() {
        assert_eq!(pages(&merged(&[("a", 1), ("b", 2)], &[]), 2).await, [vec!["b", "a"]]);
        assert_eq!(pages(&merged(&[], &[]), 2).await, [Vec::<String>::new()]);
    }
}
