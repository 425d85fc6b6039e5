//! The ledger against a real Postgres server: a database for each test, made and dropped by it.
//!
//! `cargo xtask test` names the server in `CRUCIBLE_TEST_POSTGRES`, as somebody who may make databases. Without it every test
//! fails and says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "postgres/database.rs"]
mod database;
#[path = "postgres/migrations.rs"]
mod migrations;
#[path = "postgres/reading.rs"]
mod reading;
#[path = "postgres/recording.rs"]
mod recording;
