//! Answers that are believed for a while, a bounded number of them.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How many answers are remembered at most.
const MOST: usize = 8192;

/// Answers by question.
#[derive(Debug)]
pub struct Remembered<K, V> {
    believed: Duration,
    answers: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    /// Nothing yet; each answer will be believed so long.
    #[must_use]
    pub fn new(believed: Duration) -> Self {
        Self { believed, answers: Mutex::default() }
    }

    /// The answer that is remembered, or a new one. What could not be asked is not remembered.
    pub async fn get_or_ask<E, F>(&self, question: K, ask: impl FnOnce() -> F) -> Result<V, E>
    where
        F: Future<Output = Result<V, E>>,
    {
        if let Some((at, answer)) = self.lock().get(&question)
            && at.elapsed() < self.believed
        {
            return Ok(answer.clone());
        }
        // An answer is as old as its question.
        let asked = Instant::now();
        let answer = ask().await?;
        let mut answers = self.lock();
        if answers.len() >= MOST {
            answers.retain(|_, (at, _)| at.elapsed() < self.believed);
        }
        if answers.len() >= MOST {
            answers.clear();
        }
        answers.insert(question, (asked, answer.clone()));
        Ok(answer)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, (Instant, V)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_believed_for_its_time_and_a_failure_not_at_all() {
        let remembered: Remembered<&str, u32> = Remembered::new(Duration::from_millis(50));
        let ask = |answer: Result<u32, &'static str>| remembered.get_or_ask("a", move || async move { answer });
        assert_eq!(ask(Err("down")).await, Err("down"));
        assert_eq!(ask(Ok(1)).await, Ok(1));
        assert_eq!(ask(Ok(2)).await, Ok(1));
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(ask(Ok(3)).await, Ok(3));
    }

    #[tokio::test]
    async fn memory_is_bounded_whatever_is_asked() {
        let remembered: Remembered<usize, ()> = Remembered::new(Duration::from_mins(1));
        for question in 0..MOST + 10 {
            remembered.get_or_ask::<(), _>(question, || async { Ok(()) }).await.unwrap();
        }
        assert!(remembered.lock().len() <= MOST);
    }
}
