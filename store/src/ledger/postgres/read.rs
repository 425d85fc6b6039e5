//! Rows as they come out of Postgres.

use jiff::Timestamp;
use sqlx::{FromRow, Row, postgres::PgRow};

use super::time::PgTime;
use crate::ledger::{Cursor, HistoryRow, RunRow, Signal, TransitionRow, Unfinished, WaitingRoom};

/// A run.
pub struct ReadRun(pub RunRow);

impl FromRow<'_, PgRow> for ReadRun {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self(RunRow {
            run_id: row.try_get("run_id")?,
            task_id: row.try_get("task_id")?,
            plan_name: row.try_get("plan_name")?,
            plan_key: row.try_get("plan_key")?,
            run_label: row.try_get("run_label")?,
            sut_type: row.try_get("sut_type")?,
            scaling_mode: row.try_get("scaling_mode")?,
            cluster_spec: row.try_get("cluster_spec")?,
            cluster_settings: row.try_get("cluster_settings")?,
            status: row.try_get("status")?,
            error_detail: row.try_get("error_detail")?,
            submitted_at: time(row, "submitted_at")?,
            started_at: maybe_time(row, "started_at")?,
            completed_at: maybe_time(row, "completed_at")?,
            namespace: row.try_get("namespace")?,
            name: row.try_get("name")?,
            uid: row.try_get("uid")?,
            phase: row.try_get("phase")?,
            verdict: row.try_get("verdict")?,
            summary: row.try_get("summary")?,
        }))
    }
}

/// Where a run stands.
pub struct ReadPlace(pub Cursor);

impl FromRow<'_, PgRow> for ReadPlace {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self(Cursor { submitted_at: time(row, "submitted_at")?, run_id: row.try_get("run_id")? }))
    }
}

/// A waiting room. What another program left empty counts as nought.
pub struct ReadRoom(pub WaitingRoom);

impl FromRow<'_, PgRow> for ReadRoom {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let count = |name| -> sqlx::Result<u32> { Ok(row.try_get::<Option<i32>, _>(name)?.and_then(|count| u32::try_from(count).ok()).unwrap_or(0)) };
        let word: Option<String> = row.try_get("signal")?;
        Ok(Self(WaitingRoom {
            ready_count: count("ready_count")?,
            completed_count: count("completed_count")?,
            target_count: count("target_count")?,
            signal: Signal::ALL.into_iter().find(|signal| Some(signal.as_str()) == word.as_deref()).unwrap_or(Signal::Wait),
            created_at: maybe_time(row, "created_at")?.unwrap_or(Timestamp::UNIX_EPOCH),
        }))
    }
}

/// A move from phase to phase.
pub struct ReadTransition(pub TransitionRow);

impl FromRow<'_, PgRow> for ReadTransition {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self(TransitionRow { phase: row.try_get("phase")?, at: time(row, "at")?, reason: row.try_get("reason")? }))
    }
}

/// A row that has not ended.
pub struct ReadUnfinished(pub Unfinished);

impl FromRow<'_, PgRow> for ReadUnfinished {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self(Unfinished { uid: row.try_get("uid")?, namespace: row.try_get("namespace")?, name: row.try_get("name")? }))
    }
}

/// What a run measured.
pub struct ReadHistory(pub HistoryRow);

impl FromRow<'_, PgRow> for ReadHistory {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok(Self(HistoryRow {
            run_id: row.try_get("run_id")?,
            completed_at: time(row, "completed_at")?,
            plan_digest: row.try_get("plan_digest")?,
            verdict: row.try_get("verdict")?,
            queries: number(row.try_get("queries")?),
            queries_per_second: row.try_get("queries_per_second")?,
            error_rate: row.try_get("error_rate")?,
            p95_micros: row.try_get::<Option<i64>, _>("p95_micros")?.map(number),
        }))
    }
}

fn time(row: &PgRow, name: &str) -> sqlx::Result<Timestamp> {
    row.try_get::<PgTime, _>(name).map(|PgTime(at)| at)
}

fn maybe_time(row: &PgRow, name: &str) -> sqlx::Result<Option<Timestamp>> {
    row.try_get::<Option<PgTime>, _>(name).map(|at| at.map(|PgTime(at)| at))
}
