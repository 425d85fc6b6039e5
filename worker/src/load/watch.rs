//! Whether a right that ends by itself is surely still had.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::trouble::Trouble;

/// How long a right lasts that nobody keeps.
pub const LASTS: Duration = Duration::from_secs(20);
/// How long its owner believes in it. What is on its way then is over before the right is.
const BELIEVED: Duration = Duration::from_secs(12);
/// How often it is kept.
pub const EVERY: Duration = Duration::from_secs(3);

/// When the right was known to be ours; nothing once it is not.
#[derive(Clone)]
pub struct Watch(Arc<Mutex<Option<Instant>>>);

impl Watch {
    /// It was known then.
    pub fn new(since: Instant) -> Self {
        Self(Arc::new(Mutex::new(Some(since))))
    }

    /// Whether it is surely still had.
    pub fn holds(&self) -> bool {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.is_some_and(|known| known.elapsed() < BELIEVED)
    }

    /// It is known anew, or is lost.
    pub fn set(&self, known: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

/// Somebody else may fill the table by now.
pub fn lost(table: &str) -> Trouble {
    Trouble::Again(format!("the right to fill table {table} was lost"))
}

/// A name that no two loaders have in common, those of one pod one after another included: the standard library's hash maps begin with
/// numbers like that.
pub fn nonce() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}
