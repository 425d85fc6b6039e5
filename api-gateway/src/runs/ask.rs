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
    ledger::{ListRuns, Page},
};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use jiff::Timestamp;

type Answer = Result<Arc<Page>, LedgerError>;
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
    pub async fn page(&self, ledger: &Arc<dyn Ledger>, query: ListRuns) -> Answer {
        let key = key(&query);
        let asked = self.join(ledger, query, key.clone());
        let answer = asked.clone().await;
        let mut questions = self.lock();
        if questions.get(&key).is_some_and(|question| question.asked.ptr_eq(&asked)) {
            questions.remove(&key);
        }
        answer
    }

    /// The question that waits to be sent, or a new one behind the one that is being answered.
    fn join(&self, ledger: &Arc<dyn Ledger>, query: ListRuns, key: Key) -> Asked {
        let mut questions = self.lock();
        let before = match questions.get(&key) {
            Some(waiting) if !waiting.sent.load(Ordering::SeqCst) => return waiting.asked.clone(),
            Some(sent) => Some(sent.asked.clone()),
            None => None,
        };
        let (sent, ledger) = (Arc::new(AtomicBool::new(false)), Arc::clone(ledger));
        let sending = Arc::clone(&sent);
        let asked = async move {
            if let Some(before) = before {
                drop(before.await);
            }
            sending.store(true, Ordering::SeqCst);
            ledger.list(&query).await.map(Arc::new)
        };
        let asked = asked.boxed().shared();
        questions.insert(key, Question { sent, asked: asked.clone() });
        asked
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Question>> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        let ask = Ask::default();
        let query = ListRuns { namespace: "shop".to_owned(), ..ListRuns::default() };
        let first = ask.join(&ledger, query.clone(), key(&query));
        let same = ask.join(&ledger, query.clone(), key(&query));
        assert!(first.ptr_eq(&same), "nothing was sent yet");
        assert_eq!(first.await.unwrap().runs.len(), 0);
        memory.insert(foreign_row("imported_1", "COMPLETED", Timestamp::UNIX_EPOCH));
        assert_eq!(ask.page(&ledger, query.clone()).await.unwrap().runs.len(), 1, "the answered question is not asked again");
        assert!(ask.lock().is_empty());
    }
}
