//! A run as pages show it, whoever knows it: the cluster, by a row of the watch cache, or the ledger alone.

use crucible_crds::{Outcome, Phase};
use crucible_store::ledger::RunRow;
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::words;
use crate::runs::{Row, Run};

/// A run as pages show it.
#[derive(Debug, Default)]
pub struct Seen {
    /// The name that results have.
    pub run_id: String,
    /// The plan's name as its author knows it.
    pub plan: String,
    /// A word to find it by.
    pub label: Option<String>,
    /// The engine of the system under test.
    pub engine: Option<String>,
    /// Where it is in its life; nothing where another program wrote a word that is none of ours.
    pub phase: Option<Phase>,
    /// Where it is in its life, in the words of the earlier system.
    pub status: String,
    /// Whether the cluster knows it, so that it can be followed.
    pub known: bool,
    /// What the cluster or the ledger says of it.
    pub said: Said,
}

/// What is said of a run in few words.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Said {
    /// Whether its end was asked for.
    pub stop: bool,
    /// Why it is where it is, in one sentence.
    pub message: Option<String>,
    /// What its results mean.
    pub verdict: Option<Outcome>,
    /// The stage that the load is in.
    pub stage: Option<String>,
    /// How much of the load has passed.
    pub progress: Option<String>,
    /// Queries answered per second.
    pub queries_per_second: Option<String>,
    /// The 95th percentile of their latency.
    pub p95: Option<String>,
    /// The share of queries that failed.
    pub error_rate: Option<String>,
    /// Workers ready of workers expected.
    pub workers: Option<String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When the load began or begins.
    pub started_at: Option<Timestamp>,
    /// When the load ends, once it has begun.
    pub ends_at: Option<Timestamp>,
    /// When the run reached its end.
    pub completed_at: Option<Timestamp>,
}

/// What an answer of the earlier system's routes has and an outline has not.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    plan_name: Option<String>,
    run_label: Option<String>,
}

impl Seen {
    /// A run in a list.
    pub fn of(row: &Row) -> Self {
        match row {
            Row::Known(run) => Self::of_run(run),
            Row::Remembered(row) => Self::of_row(row),
        }
    }

    /// A run that the cluster knows. Its answers are read back: they are small, and only those are that are shown.
    pub fn of_run(run: &Run) -> Self {
        let Named { plan_name, run_label } = serde_json::from_slice(&run.status_body()).unwrap_or_default();
        Self {
            run_id: run.run_id().to_owned(),
            plan: plan_name.unwrap_or_else(|| run.plan_ref().to_owned()),
            label: run_label,
            engine: run.sut_type().map(str::to_owned),
            phase: Some(run.phase()),
            status: run.status().to_owned(),
            known: true,
            said: serde_json::from_slice(run.outline()).unwrap_or_default(),
        }
    }

    /// A run that only the ledger remembers.
    pub fn of_row(row: &RunRow) -> Self {
        let phase = row.phase.as_deref().and_then(word::<Phase>).or_else(|| phase_of(&row.status));
        let summary = row.summary.clone().unwrap_or_default();
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let measured = &summary["measured"];
        let said = Said {
            stop: row.status == "STOPPING",
            message: row.error_detail.clone().or_else(|| text(&summary["message"])),
            verdict: row.verdict.as_deref().and_then(word),
            queries_per_second: text(&measured["queriesPerSecond"]),
            p95: text(&measured["p95"]),
            error_rate: text(&measured["errorRate"]),
            workers: text(&summary["workers"]["summary"]),
            created_at: Some(row.submitted_at),
            started_at: row.started_at,
            completed_at: row.completed_at,
            ..Said::default()
        };
        Self {
            run_id: row.run_id.clone(),
            plan: row.plan_name.clone().unwrap_or_default(),
            label: row.run_label.clone(),
            engine: row.sut_type.clone(),
            phase,
            status: row.status.clone(),
            known: false,
            said,
        }
    }

    /// Whether something may still follow.
    pub fn is_live(&self) -> bool {
        self.phase.map_or(!matches!(self.status.as_str(), "COMPLETED" | "FAILED"), |phase| !phase.is_terminal())
    }

    /// Whether its end was asked for and has not come.
    pub fn is_stopping(&self) -> bool {
        self.is_live() && (self.said.stop || self.phase == Some(Phase::Stopping))
    }

    /// Where it is, in one word.
    pub fn word(&self) -> &str {
        match self.phase {
            _ if self.is_stopping() => words::phase(Phase::Stopping),
            Some(phase) => words::phase(phase),
            None => &self.status,
        }
    }
}

fn word<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(Value::from(text)).ok()
}

/// The phase that a word of the earlier system stands for.
fn phase_of(status: &str) -> Option<Phase> {
    Some(match status {
        "PENDING" => Phase::Pending,
        "QUEUED" => Phase::Queued,
        "WAITING_ROOM" => Phase::WaitingRoom,
        "EXECUTING" => Phase::Executing,
        "COLLECTING" => Phase::Collecting,
        "STOPPING" => Phase::Stopping,
        "COMPLETED" => Phase::Completed,
        "FAILED" => Phase::Failed,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crucible_store::ledger::memory::foreign_row;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_remembered_run_is_shown_with_what_was_kept_of_it() {
        let mut row = foreign_row("checkout_1", "COMPLETED", Timestamp::UNIX_EPOCH);
        row.verdict = Some("Passed".to_owned());
        row.summary = Some(json!({"message": "The run has ended", "measured": {"queriesPerSecond": "1200.5", "p95": "3.21ms", "errorRate": "0.00%"}}));
        let seen = Seen::of_row(&row);
        assert_eq!((seen.word(), seen.is_live(), seen.said.verdict), ("Completed", false, Some(Outcome::Passed)));
        assert_eq!((seen.said.queries_per_second.as_deref(), seen.said.p95.as_deref()), (Some("1200.5"), Some("3.21ms")));
    }

    #[test]
    fn a_word_that_is_none_of_ours_is_shown_as_it_is() {
        let seen = Seen::of_row(&foreign_row("imported_1", "ARCHIVED", Timestamp::UNIX_EPOCH));
        assert_eq!((seen.word(), seen.phase, seen.is_live()), ("ARCHIVED", None, true));
    }
}
