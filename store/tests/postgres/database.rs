//! A database for one test, and the rows that tests are made of.

use std::{
    env,
    future::Future,
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
};

use crucible_store::{
    LedgerSettings, PostgresLedger,
    ledger::{RunRecord, RunRow, Signal, SubmittedRun, TransitionRow, WaitingRoom},
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

/// The namespace that rows without one belong to.
pub const LEGACY: &str = "crucible";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A database that nobody else uses.
pub struct Database {
    /// Where it is, with the password.
    pub url: String,
    /// A connection to it, past the ledger.
    pub sql: PgConnection,
}

impl Database {
    /// A ledger on it, its tables not made yet.
    pub fn ledger(&self) -> PostgresLedger {
        PostgresLedger::connect(&self.url, LedgerSettings::new(LEGACY)).unwrap()
    }

    /// Runs a statement as another program would.
    pub async fn run(&mut self, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut self.sql).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    /// One number that a statement answers.
    pub async fn count(&mut self, statement: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(statement.to_owned())).fetch_one(&mut self.sql).await.unwrap_or_else(|error| panic!("{statement}: {error}"))
    }
}

/// Gives a test a database of its own and takes it away, also where the test fails.
pub fn with_database<F, Tested>(test: F)
where
    F: FnOnce(Database) -> Tested + Send + 'static,
    Tested: Future<Output = ()> + Send + 'static,
{
    let server = env::var("CRUCIBLE_TEST_POSTGRES").expect("CRUCIBLE_TEST_POSTGRES is not set: these tests need a Postgres server; run cargo xtask test");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let options =
            PgConnectOptions::from_str(&server).expect("CRUCIBLE_TEST_POSTGRES is an address of the form postgres://user:password@host:port/database");
        let name = format!("crucible_test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect_with(&options).await.expect("the Postgres server of CRUCIBLE_TEST_POSTGRES answers");
        sqlx::raw_sql(AssertSqlSafe(format!("create database {name}"))).execute(&mut admin).await.expect("a database can be made");
        let options = options.database(&name);
        let sql = PgConnection::connect_with(&options).await.unwrap();
        let tested = tokio::spawn(test(Database { url: options.to_url_lossy().to_string(), sql })).await;
        sqlx::raw_sql(AssertSqlSafe(format!("drop database {name} with (force)"))).execute(&mut admin).await.expect("the database can be dropped");
        if let Err(panic) = tested {
            std::panic::resume_unwind(panic.into_panic());
        }
    });
}

/// An instant so many seconds after the first.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_600_000 + second).unwrap()
}

/// The phases of a whole life.
pub const LIFE: [&str; 7] = ["Pending", "Queued", "Loading", "WaitingRoom", "Executing", "Collecting", "Completed"];

/// A run as it is after so many phases of its life, at that version.
pub fn record(run: &str, version: u64, phases: usize) -> RunRecord {
    let statuses = ["PENDING", "QUEUED", "QUEUED", "WAITING_ROOM", "EXECUTING", "COLLECTING", "COMPLETED"];
    let transitions =
        LIFE.iter().zip(0..).take(phases).map(|(phase, second)| TransitionRow { phase: (*phase).to_owned(), at: at(second), reason: "AsExpected".to_owned() });
    let ended = phases == LIFE.len();
    RunRecord {
        resource_version: version,
        uid: format!("uid-{run}"),
        row: RunRow {
            run_id: run.to_owned(),
            task_id: Some(format!("uid-{run}")),
            plan_name: Some("checkout".to_owned()),
            plan_key: None,
            run_label: Some("nightly".to_owned()),
            sut_type: Some("mysql".to_owned()),
            scaling_mode: Some("inter_node".to_owned()),
            cluster_spec: None,
            cluster_settings: None,
            status: statuses[phases - 1].to_owned(),
            error_detail: None,
            submitted_at: at(0),
            started_at: (phases > 4).then(|| at(4)),
            completed_at: ended.then(|| at(6)),
            namespace: Some("shop".to_owned()),
            name: Some(run.to_owned()),
            uid: Some(format!("uid-{run}")),
            phase: Some(LIFE[phases - 1].to_owned()),
            verdict: ended.then(|| "Passed".to_owned()),
            summary: Some(json!({"message": format!("after {phases} phases")})),
        },
        waiting_room: (phases > 3).then(|| WaitingRoom {
            ready_count: u32::from(phases > 4) * 2,
            completed_count: 0,
            target_count: 2,
            signal: if phases > 4 { Signal::Start } else { Signal::Wait },
            created_at: at(3),
        }),
        transitions: transitions.collect(),
        history: None,
    }
}

/// The same run as it is submitted.
pub fn submitted(run: &str) -> SubmittedRun {
    SubmittedRun {
        run_id: run.to_owned(),
        namespace: "shop".to_owned(),
        name: run.to_owned(),
        uid: format!("uid-{run}"),
        plan_name: "checkout".to_owned(),
        plan_key: Some("plans/checkout".to_owned()),
        run_label: Some("nightly".to_owned()),
        sut_type: Some("mysql".to_owned()),
        scaling_mode: Some("inter_node".to_owned()),
        cluster_spec: Some(json!({"type": "mysql", "backend_node": {"replica": 2}})),
        cluster_settings: Some("innodb_buffer_pool_size=1G".to_owned()),
        submitted_at: at(0),
    }
}
