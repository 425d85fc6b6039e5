//! When to try again after an error. A tested decision, never a flat constant.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The first delay of a backoff.
const FIRST: Duration = Duration::from_millis(200);
/// No delay is longer.
const LONGEST: Duration = Duration::from_secs(30);

/// What to do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Try again after a delay that grows with every failure of the same object.
    Backoff,
    /// Trying again cannot help: wait until the object changes.
    AwaitChange,
}

/// How often each object has failed in a row.
#[derive(Debug, Default)]
pub struct Attempts {
    failures: Mutex<HashMap<String, u32>>,
}

impl Attempts {
    /// Counts a failure and says how long to wait.
    pub fn failed(&self, uid: &str) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = failures.entry(uid.to_owned()).or_insert(0);
        *attempt = attempt.saturating_add(1);
        delay(uid, *attempt)
    }

    /// Forgets the failures of an object that went well, or is gone.
    pub fn succeeded(&self, uid: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// The delay before the attempt after `attempt` failures in a row: doubling, capped, and between three quarters and
/// all of that, so that objects that failed together do not try again together.
#[must_use]
pub fn delay(uid: &str, attempt: u32) -> Duration {
    let doubled = FIRST.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX)).min(LONGEST);
    let mut hasher = DefaultHasher::new();
    (uid, attempt).hash(&mut hasher);
    let permille = u32::try_from(hasher.finish() % 251).unwrap_or(0);
    doubled * (1000 - permille) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap_and_never_leave_their_band() {
        let full = [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000];
        for (attempt, full) in (1..).zip(full) {
            for uid in ["uid-a", "uid-b", "uid-c"] {
                let millis = delay(uid, attempt).as_millis();
                assert!((full * 749 / 1000..=full).contains(&millis), "attempt {attempt} of {uid}: {millis}");
            }
        }
        assert!(delay("uid-a", u32::MAX) <= LONGEST);
    }

    #[test]
    fn objects_that_fail_together_do_not_try_again_together() {
        assert_ne!(delay("uid-a", 4), delay("uid-b", 4));
    }

    #[test]
    fn a_success_starts_the_count_anew() {
        let attempts = Attempts::default();
        let first = attempts.failed("uid-a");
        assert!(attempts.failed("uid-a") > first);
        attempts.succeeded("uid-a");
        assert_eq!(attempts.failed("uid-a"), first);
    }
}
