//! The ledger over Postgres. The only file of the workspace, with those below it, that knows SQL.
//!
//! Statements are prepared texts with bound parameters, never put together from what somebody sent. Every one has a time
//! limit on both sides, so that a server that is gone without a word is noticed.

use std::{borrow::Cow, fmt, future::Future, str::FromStr, time::Duration};

use async_trait::async_trait;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use serde_json::Value;
use sqlx::{
    ConnectOptions, Connection, FromRow, PgPool, Row, SqlSafeStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions, PgRow},
};

use self::{
    error::{classify, classify_migration},
    read::{ReadHistory, ReadPlace, ReadRoom, ReadRun, ReadTransition, ReadUnfinished},
    time::PgTime,
};
use super::{
    Cursor, HistoryRow, LONGEST_PAGE, Ledger, LedgerError, ListRuns, Page, Places, RecordOutcome, Recorded, RunRecord, RunRow, StopOutcome, SubmittedRun,
    TransitionRow, Unfinished, WaitingRoom,
};

mod error;
mod read;
mod sql;
mod time;
mod write;

/// How Postgres is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerSettings {
    /// The namespace that rows without one belong to: where the earlier system's clients work.
    pub legacy_namespace: String,
    /// How many connections are held at most.
    pub max_connections: u32,
    /// How long a statement may run.
    pub statement_timeout: Duration,
    /// How long it may take to get a connection.
    pub acquire_timeout: Duration,
}

impl LedgerSettings {
    /// What fits most.
    #[must_use]
    pub fn new(legacy_namespace: impl Into<String>) -> Self {
        Self {
            legacy_namespace: legacy_namespace.into(),
            max_connections: 8,
            statement_timeout: Duration::from_secs(5),
            acquire_timeout: Duration::from_secs(2),
        }
    }
}

/// A ledger in a Postgres database.
#[derive(Clone)]
pub struct PostgresLedger {
    pool: PgPool,
    /// Without the limit that statements of the pool have: a migration may have to read a large table.
    migrating: PgConnectOptions,
    settings: LedgerSettings,
}

impl fmt::Debug for PostgresLedger {
    /// Without the options, which hold the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLedger").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl PostgresLedger {
    /// Makes the pool. Nothing is sent yet: Postgres may be down. An address that cannot be read is refused without being shown.
    ///
    /// The address is `postgres://user:password@host:port/database`, with `sslmode`, `sslrootcert` and the like as parameters.
    pub fn connect(url: &str, settings: LedgerSettings) -> Result<Self, LedgerError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| LedgerError::Refused { code: "the address is not of the form postgres://user:password@host:port/database".to_owned() })?
            .application_name("crucible")
            .disable_statement_logging();
        let limited = options.clone().options([("statement_timeout", settings.statement_timeout.as_millis().to_string())]);
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(settings.acquire_timeout)
            .idle_timeout(Duration::from_mins(5))
            .connect_lazy_with(limited);
        Ok(Self { pool, migrating: options, settings })
    }

    /// Waits for an answer, but not for ever: a server that vanished closes no connection.
    async fn timed<T>(&self, statement: impl Future<Output = sqlx::Result<T>> + Send) -> Result<T, LedgerError> {
        let limit = self.settings.acquire_timeout + self.settings.statement_timeout;
        match tokio::time::timeout(limit, statement).await {
            Ok(answer) => answer.map_err(|error| classify(&error)),
            Err(_) => Err(LedgerError::Unavailable { cause: "time-out".to_owned() }),
        }
    }

    /// The rows of one page, and whether more follow.
    async fn page<R>(&self, text: &'static str, query: &ListRuns) -> Result<(Vec<R>, bool), LedgerError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let ListRuns { namespace, label, after, limit } = query;
        let limit = if *limit == 0 { LONGEST_PAGE } else { (*limit).min(LONGEST_PAGE) };
        let (before, id) = after.as_ref().map_or((PgTime::END, "\u{10ffff}"), |cursor| (PgTime(cursor.submitted_at), cursor.run_id.as_str()));
        let statement = sqlx::query_as::<_, R>(text)
            .bind(namespace)
            .bind(self.is_legacy(namespace))
            .bind(before)
            .bind(id)
            // One more than asked for says whether there is a next page.
            .bind(i64::from(limit) + 1)
            .bind(label);
        let mut rows = self.timed(statement.fetch_all(&self.pool)).await?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        Ok((rows, more))
    }

    /// Whether rows without a namespace belong to this one.
    fn is_legacy(&self, namespace: &str) -> bool {
        namespace == self.settings.legacy_namespace
    }
}

/// Every migration, oldest first. A released one is never changed.
fn migrator() -> Migrator {
    let migrations = [
        ("tables of the earlier system", include_str!("../../migrations/0001_tables_of_the_earlier_system.sql")),
        ("what is ours", include_str!("../../migrations/0002_what_is_ours.sql")),
        ("runs that are active", include_str!("../../migrations/0003_runs_that_are_active.sql")),
        ("runs that have not ended", include_str!("../../migrations/0004_runs_that_have_not_ended.sql")),
    ];
    let migrations =
        (1..).zip(migrations).map(|(version, (name, sql))| Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false));
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.dangerous_set_table_name("crucible_migrations");
    // An older release, started again after a newer one, goes on with what it knows.
    migrator.set_ignore_missing(true);
    migrator
}

#[async_trait]
impl Ledger for PostgresLedger {
    async fn migrate(&self) -> Result<(), LedgerError> {
        let connecting = tokio::time::timeout(self.settings.acquire_timeout, sqlx::PgConnection::connect_with(&self.migrating));
        let mut connection = match connecting.await {
            Ok(connection) => connection.map_err(|error| classify(&error))?,
            Err(_) => return Err(LedgerError::Unavailable { cause: "time-out".to_owned() }),
        };
        let done = migrator().run_direct(None, &mut connection, false).await;
        // With the connection goes the lock that keeps two migrators apart, whatever came of it.
        let _ = connection.close().await;
        done.map_err(|error: MigrateError| classify_migration(&error))
    }

    async fn record(&self, runs: &[RunRecord]) -> Result<Vec<Recorded>, LedgerError> {
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        let records = write::records(runs);
        let rows = self.timed(sqlx::query(sql::RECORD).bind(records).fetch_all(&self.pool)).await?;
        let outcome = |row: &PgRow| match (row.try_get(0)?, row.try_get(1)?) {
            (true, _) => Ok(RecordOutcome::Written),
            (false, true) => Ok(RecordOutcome::Superseded),
            (false, false) => Ok(RecordOutcome::Taken),
        };
        let outcomes: sqlx::Result<Vec<RecordOutcome>> = rows.iter().map(outcome).collect();
        let outcomes = outcomes.map_err(|error| classify(&error))?;
        Ok(runs.iter().zip(outcomes).map(|(run, outcome)| Recorded { uid: run.uid.clone(), outcome }).collect())
    }

    async fn end_vanished(&self, uids: &[String]) -> Result<u64, LedgerError> {
        let done = self.timed(sqlx::query(sql::END_VANISHED).bind(uids).execute(&self.pool)).await?;
        Ok(done.rows_affected())
    }

    async fn unfinished(&self, namespace: Option<&str>) -> Result<Vec<Unfinished>, LedgerError> {
        let statement = sqlx::query_as::<_, ReadUnfinished>(sql::UNFINISHED).bind(namespace);
        Ok(self.timed(statement.fetch_all(&self.pool)).await?.into_iter().map(|ReadUnfinished(row)| row).collect())
    }

    async fn absent(&self, uids: &[String]) -> Result<Vec<String>, LedgerError> {
        self.timed(sqlx::query_scalar(sql::ABSENT).bind(uids).fetch_all(&self.pool)).await
    }

    async fn submit(&self, run: &SubmittedRun) -> Result<(), LedgerError> {
        self.timed(sqlx::query(sql::SUBMIT).bind(write::submitted(run)).execute(&self.pool)).await.map(|_| ())
    }

    async fn places(&self, query: &ListRuns) -> Result<Places, LedgerError> {
        let text = if query.label.is_some() { sql::PLACES_LABELLED } else { sql::PLACES };
        let (read, more) = self.page::<ReadPlace>(text, query).await?;
        let runs: Vec<Cursor> = read.into_iter().map(|ReadPlace(place)| place).collect();
        let next = runs.last().filter(|_| more).cloned();
        Ok(Places { runs, next })
    }

    async fn list(&self, query: &ListRuns) -> Result<Page, LedgerError> {
        let text = if query.label.is_some() { sql::LIST_LABELLED } else { sql::LIST };
        let (read, more) = self.page::<ReadRun>(text, query).await?;
        let runs: Vec<RunRow> = read.into_iter().map(|ReadRun(row)| row).collect();
        let next = runs.last().filter(|_| more).map(RunRow::cursor);
        Ok(Page { runs, next })
    }

    fn stream(&self, query: ListRuns) -> BoxStream<'_, Result<RunRow, LedgerError>> {
        let query = ListRuns { limit: LONGEST_PAGE, ..query };
        let pages = stream::try_unfold(Some(query.after.clone()), move |place: Option<Option<Cursor>>| {
            let query = query.clone();
            async move {
                let Some(after) = place else { return Ok(None) };
                let page = self.list(&ListRuns { after, ..query }).await?;
                let next = page.next.map(Some);
                Ok(Some((stream::iter(page.runs.into_iter().map(Ok)), next)))
            }
        });
        pages.try_flatten().boxed()
    }

    async fn active(&self, namespace: &str) -> Result<Vec<RunRow>, LedgerError> {
        let statement = sqlx::query_as::<_, ReadRun>(sql::ACTIVE).bind(namespace).bind(self.is_legacy(namespace)).bind(i64::from(LONGEST_PAGE));
        Ok(self.timed(statement.fetch_all(&self.pool)).await?.into_iter().map(|ReadRun(row)| row).collect())
    }

    async fn find(&self, namespace: &str, run_id: &str) -> Result<Option<RunRow>, LedgerError> {
        let statement = sqlx::query_as::<_, ReadRun>(sql::FIND).bind(run_id).bind(namespace).bind(self.is_legacy(namespace));
        Ok(self.timed(statement.fetch_optional(&self.pool)).await?.map(|ReadRun(row)| row))
    }

    async fn waiting_room(&self, namespace: &str, run_id: &str) -> Result<Option<WaitingRoom>, LedgerError> {
        let statement = sqlx::query_as::<_, ReadRoom>(sql::WAITING_ROOM).bind(run_id).bind(namespace).bind(self.is_legacy(namespace));
        Ok(self.timed(statement.fetch_optional(&self.pool)).await?.map(|ReadRoom(room)| room))
    }

    async fn transitions(&self, namespace: &str, run_id: &str) -> Result<Vec<TransitionRow>, LedgerError> {
        let statement = sqlx::query_as::<_, ReadTransition>(sql::TRANSITIONS).bind(run_id).bind(namespace);
        Ok(self.timed(statement.fetch_all(&self.pool)).await?.into_iter().map(|ReadTransition(step)| step).collect())
    }

    async fn history(&self, namespace: &str, plan_name: &str, limit: u32) -> Result<Vec<HistoryRow>, LedgerError> {
        let statement = sqlx::query_as::<_, ReadHistory>(sql::HISTORY).bind(namespace).bind(plan_name).bind(i64::from(limit.min(LONGEST_PAGE)));
        Ok(self.timed(statement.fetch_all(&self.pool)).await?.into_iter().map(|ReadHistory(row)| row).collect())
    }

    async fn stop(&self, namespace: &str, run_id: &str) -> Result<StopOutcome, LedgerError> {
        let statement = sqlx::query_scalar::<_, bool>(sql::STOP).bind(run_id).bind(namespace).bind(self.is_legacy(namespace));
        Ok(match self.timed(statement.fetch_optional(&self.pool)).await? {
            Some(true) => StopOutcome::Stopping,
            Some(false) => StopOutcome::AlreadyStopped,
            None => StopOutcome::NotFound,
        })
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        self.timed(sqlx::query_scalar::<_, i32>("select 1").fetch_one(&self.pool)).await.map(|_| ())
    }
}

/// Postgres can hold no zero byte, neither in text nor in JSON.
fn without_zeros(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// The same, everywhere in a JSON value.
fn clean(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(cleaned) = without_zeros(text) {
                *text = cleaned;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(fields) => {
            if fields.keys().any(|name| name.contains('\0')) {
                *fields = std::mem::take(fields).into_iter().map(|(name, value)| (without_zeros(&name).into_owned(), value)).collect();
            }
            fields.values_mut().for_each(clean);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_that_cannot_be_read_is_not_shown() {
        for address in ["hunter2", "mysql//root:hunter2@db", "postgres://u:hunter2@db:port/x"] {
            let error = PostgresLedger::connect(address, LedgerSettings::new("crucible")).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn connecting_sends_nothing() {
        let ledger = PostgresLedger::connect("postgres://u:hunter2@127.0.0.1:1/x", LedgerSettings::new("crucible")).unwrap();
        assert!(!format!("{ledger:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_unavailable() {
        let settings = LedgerSettings { acquire_timeout: Duration::from_millis(300), ..LedgerSettings::new("crucible") };
        let ledger = PostgresLedger::connect("postgres://u:hunter2@127.0.0.1:1/x", settings).unwrap();
        for error in [ledger.ping().await.unwrap_err(), ledger.migrate().await.unwrap_err()] {
            assert!(error.is_transient() && !error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn zero_bytes_are_replaced_wherever_they_stand() {
        let mut value = json!({"a\0": ["b\0", {"c": "\0d"}], "e": 1});
        clean(&mut value);
        assert_eq!(value, json!({"a\u{fffd}": ["b\u{fffd}", {"c": "\u{fffd}d"}], "e": 1}));
    }
}
