//! The ledger: every run that ever was, as rows of Postgres, behind a trait small enough to be played in memory.
//!
//! It is written by the operator's mirror and, for the instant between a submit and the mirror, by the gateway. It is read
//! by the gateway and by clients of the earlier system, straight from the tables. Nothing is ever decided from it: the
//! cluster is the truth, the ledger is its memory. Every question names a namespace, so that no answer can cross one.

use async_trait::async_trait;
use futures::stream::BoxStream;

pub mod memory;
pub mod postgres;
mod rows;

pub use memory::MemoryLedger;
pub use postgres::{LedgerSettings, PostgresLedger};
pub use rows::{
    Cursor, HistoryRow, ListRuns, Page, Places, RecordOutcome, Recorded, RunRecord, RunRow, Signal, StopOutcome, SubmittedRun, TransitionRow, Unfinished,
    WaitingRoom,
};

/// No page is longer.
pub const LONGEST_PAGE: u32 = 500;

/// Every run that ever was.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Brings the tables to where this release expects them, or takes those of the earlier system over. Called by the operator
    /// alone, as often as it takes; of two that call at once one waits for the other.
    async fn migrate(&self) -> Result<(), LedgerError>;

    /// Records runs as they are now, in one statement for all of them. A row is replaced only by one of a higher resource
    /// version; transitions are appended, never changed. One answer for each record, in the same order.
    async fn record(&self, runs: &[RunRecord]) -> Result<Vec<Recorded>, LedgerError>;

    /// Ends the rows of runs that are known to be gone from the cluster: what is not terminal becomes `FAILED`. Returns how many were.
    async fn end_vanished(&self, uids: &[String]) -> Result<u64, LedgerError>;

    /// The rows of ours that have not ended, of one namespace or of all: what is compared with the cluster after a pause.
    async fn unfinished(&self, namespace: Option<&str>) -> Result<Vec<Unfinished>, LedgerError>;

    /// Which of these runs have no row. An error means, too, that the ledger is not what it was: away, or without its tables.
    async fn absent(&self, uids: &[String]) -> Result<Vec<String>, LedgerError>;

    /// Writes the row of a run that was just submitted, so that a client that reads the tables right afterwards finds it.
    /// Does nothing where the mirror came first.
    async fn submit(&self, run: &SubmittedRun) -> Result<(), LedgerError>;

    /// Where the runs of one page stand, newest first, without anything else of them: enough for whoever knows the runs already.
    async fn places(&self, query: &ListRuns) -> Result<Places, LedgerError>;

    /// One page of runs, newest first.
    async fn list(&self, query: &ListRuns) -> Result<Page, LedgerError>;

    /// All runs from where the query begins on, newest first, whatever its limit. They are read page by page: nothing is
    /// held open for a reader that is slow.
    fn stream(&self, query: ListRuns) -> BoxStream<'_, Result<RunRow, LedgerError>>;

    /// Runs that gather their workers or load, newest first, at most [`LONGEST_PAGE`] of them.
    async fn active(&self, namespace: &str) -> Result<Vec<RunRow>, LedgerError>;

    /// One run.
    async fn find(&self, namespace: &str, run_id: &str) -> Result<Option<RunRow>, LedgerError>;

    /// The waiting room of a run, where it came as far as having one.
    async fn waiting_room(&self, namespace: &str, run_id: &str) -> Result<Option<WaitingRoom>, LedgerError>;

    /// Every phase that a run went through, oldest first. Empty for rows that no TestRun stands behind.
    async fn transitions(&self, namespace: &str, run_id: &str) -> Result<Vec<TransitionRow>, LedgerError>;

    /// What the newest finished runs of a plan measured, newest first, at most `limit` of them.
    async fn history(&self, namespace: &str, plan_name: &str, limit: u32) -> Result<Vec<HistoryRow>, LedgerError>;

    /// The run's row becomes `STOPPING`, unless it is that already or has ended. A mirror that is behind does not undo it.
    ///
    /// For a run with a TestRun behind it, the TestRun is told first: the row only says at once what is going to happen.
    async fn stop(&self, namespace: &str, run_id: &str) -> Result<StopOutcome, LedgerError>;

    /// Whether the ledger answers.
    async fn ping(&self) -> Result<(), LedgerError>;
}

/// Why the ledger did not do what it was asked. No message holds an address, a credential or a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The server did not answer, or said that it cannot now. Asking again may help.
    #[error("the ledger is unavailable ({cause})")]
    Unavailable {
        /// What was seen.
        cause: String,
    },
    /// Somebody else wrote the same row at the same time. Asking again helps.
    #[error("the ledger's row was written by somebody else at the same time ({code})")]
    Conflict {
        /// The server's own word: an SQLSTATE.
        code: String,
    },
    /// The server refused for a reason that asking again does not mend.
    #[error("the ledger refused ({code})")]
    Refused {
        /// The server's own word: an SQLSTATE with what it is about.
        code: String,
    },
}

impl LedgerError {
    /// Whether asking again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Conflict { .. } => true,
            Self::Refused { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_rival_or_an_outage_caused_is_worth_asking_again() {
        let table = [
            (LedgerError::Unavailable { cause: "no connection".to_owned() }, true, "the ledger is unavailable (no connection)"),
            (LedgerError::Conflict { code: "40001".to_owned() }, true, "the ledger's row was written by somebody else at the same time (40001)"),
            (LedgerError::Refused { code: "42P01".to_owned() }, false, "the ledger refused (42P01)"),
        ];
        for (error, transient, text) in table {
            assert_eq!(error.is_transient(), transient, "{error}");
            assert_eq!(error.to_string(), text);
        }
    }
}
