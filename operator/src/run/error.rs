//! What can go wrong in a pass over a run, and when it is tried again.

use crate::retry::Retry;

use super::apply;

/// Why a pass over a run was not finished.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object does not fit its own schema. It was written past the API server's checks, or by another release.
    #[error("failed to read TestRun {name}: {message}")]
    Malformed {
        /// `namespace/name`.
        name: String,
        /// What does not fit.
        message: String,
    },
    /// What was decided could not be carried out.
    #[error("failed to carry out the decision about TestRun {name}")]
    Apply {
        /// `namespace/name`.
        name: String,
        /// Which part, and why.
        #[source]
        source: apply::Error,
    },
}

impl Error {
    /// When it is tried again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Malformed { .. } => Retry::AwaitChange,
            Self::Apply { .. } => Retry::Backoff,
        }
    }

    /// Whether somebody else was faster. That is how two writers get along, nothing to shout about.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Apply { source, .. } if source.is_conflict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_does_not_fit_is_left_until_it_changes_and_everything_else_is_tried_again() {
        let malformed = Error::Malformed { name: "shop/nightly".to_owned(), message: "missing field `planRef`".to_owned() };
        assert_eq!(malformed.retry(), Retry::AwaitChange);
        let conflict = Error::Apply { name: "shop/nightly".to_owned(), source: apply::Error::Outdated { object: "TestRun shop/nightly".to_owned() } };
        assert_eq!((conflict.retry(), conflict.is_conflict()), (Retry::Backoff, true));
        let foreign = Error::Apply { name: "shop/nightly".to_owned(), source: apply::Error::NotOurs { object: "Job shop/x".to_owned() } };
        assert_eq!((foreign.retry(), foreign.is_conflict()), (Retry::Backoff, false));
    }
}
