//! Questions to the ledger, shared: whoever asks the same as somebody whose question has not been sent yet gets the same answer.
//!
//! An answer is only shared by those who asked before it was looked up, so that everybody sees what was written before they asked.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crucible_store::{
    Ledger, LedgerError,
    ledger::{Cursor, ListRuns, Page, Places, RunRow},
};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use jiff::Timestamp;

use super::Runs;

/// What the ledger remembers of one page.
#[derive(Debug)]
pub struct Remembered {
    /// Where every run of the page stands.
    pub places: Vec<Cursor>,
    /// All of them, newest first, where the cluster did not know every one; else none.
    pub rows: Vec<RunRow>,
    /// Where the next page begins, where there is one.
    pub next: Option<Cursor>,
}

type Answer = Result<Arc<Remembered>, LedgerError>;
type Asked = Shared<BoxFuture<'static, Answer>>;

/// What makes two questions the same.
type Key = (String, Option<String>, Option<(Timestamp, String)>, u32);

struct Question {
    sent: Arc<AtomicBool>,
    asked: Asked,
}

/// Questions that are under way.
#[derive(Default)]
pub struct Ask {
    questions: Mutex<HashMap<Key, Question>>,
}

impl Ask {
    /// One page of the ledger.
    pub async fn page(&self, ledger: &Arc<dyn Ledger>, runs: &Arc<Runs>, query: ListRuns) -> Answer {
        let key = key(&query);
        let asked = self.join(ledger, runs, query, key.clone());
        let answer = asked.clone().await;
        let mut questions = self.lock();
        if questions.get(&key).is_some_and(|question| question.asked.ptr_eq(&asked)) {
            questions.remove(&key);
        }
        answer
    }

    /// The question that waits to be sent, or a new one behind the one that is being answered.
    fn join(&self, ledger: &Arc<dyn Ledger>, runs: &Arc<Runs>, query: ListRuns, key: Key) -> Asked {
        let mut questions = self.lock();
        let before = match questions.get(&key) {
            Some(waiting) if !waiting.sent.load(Ordering::SeqCst) => return waiting.asked.clone(),
            Some(sent) => Some(sent.asked.clone()),
            None => None,
        };
        let (sent, ledger, runs) = (Arc::new(AtomicBool::new(false)), Arc::clone(ledger), Arc::clone(runs));
        let sending = Arc::clone(&sent);
        let asked = async move {
            if let Some(before) = before {
                drop(before.await);
            }
            sending.store(true, Ordering::SeqCst);
            remembered(&*ledger, &runs, &query).await.map(Arc::new)
        };
        let asked = asked.boxed().shared();
        questions.insert(key, Question { sent, asked: asked.clone() });
        asked
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Question>> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Most runs of a page are known anyhow, and where they stand is all that is asked of the ledger then.
async fn remembered(ledger: &dyn Ledger, runs: &Runs, query: &ListRuns) -> Result<Remembered, LedgerError> {
    let Places { runs: places, next } = ledger.places(query).await?;
    if runs.knows_all(&query.namespace, places.iter()) {
        return Ok(Remembered { places, rows: Vec::new(), next });
    }
    let Page { runs: rows, next } = ledger.list(query).await?;
    let places = rows.iter().map(RunRow::cursor).collect();
    Ok(Remembered { places, rows, next })
}

fn key(query: &ListRuns) -> Key {
    let after = query.after.as_ref().map(|cursor| (cursor.submitted_at, cursor.run_id.clone()));
    (query.namespace.clone(), query.label.clone(), after, query.limit)
}

#[cfg(test)]
mod tests {
    use crucible_store::ledger::{MemoryLedger, memory::foreign_row};

    use super::*;

    #[tokio::test]
    async fn everybody_who_asks_sees_what_was_written_before() {
        let memory = Arc::new(MemoryLedger::new("shop"));
        let ledger: Arc<dyn Ledger> = Arc::clone(&memory) as Arc<dyn Ledger>;
        let (ask, runs) = (Ask::default(), Arc::default());
        let query = ListRuns { namespace: "shop".to_owned(), ..ListRuns::default() };
        let first = ask.join(&ledger, &runs, query.clone(), key(&query));
        let same = ask.join(&ledger, &runs, query.clone(), key(&query));
        assert!(first.ptr_eq(&same), "nothing was sent yet");
        assert_eq!(first.await.unwrap().rows.len(), 0);
        memory.insert(foreign_row("imported_1", "COMPLETED", Timestamp::UNIX_EPOCH));
        assert_eq!(ask.page(&ledger, &runs, query.clone()).await.unwrap().rows.len(), 1, "the answered question is not asked again");
        assert!(ask.lock().is_empty());
    }
}
