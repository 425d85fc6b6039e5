//! The system under test's own word on what it was asked.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;

use crate::{kubectl::kubectl, run::eventually};

/// Prepared statements that were executed since the server's start: the workers' queries, and nothing else that the tests do.
pub async fn executed() -> Result<u64> {
    let said = ask("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'").await?;
    let number = said.split_whitespace().last().context("MariaDB did not say how much it executed")?;
    number.parse().with_context(|| format!("MariaDB said {number:?} instead of a number"))
}

/// Connections of the workers' account.
pub async fn connections() -> Result<u64> {
    let said = ask("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'crucible'").await?;
    said.trim().parse().with_context(|| format!("MariaDB said {said:?} instead of a number"))
}

/// When the server that answers now said in its log that it was ready for connections.
pub async fn ready_at() -> Result<Timestamp> {
    let log = kubectl(&["--namespace=sut", "logs", "deployment/mariadb", "--timestamps"]).await?;
    // It says so twice where its tables were filled before: the first time it listens to nobody.
    let line = log.lines().rfind(|line| line.contains("ready for connections")).context("MariaDB's log does not say that it is ready")?;
    let at = line.split_whitespace().next().unwrap_or_default();
    at.parse().with_context(|| format!("the line {line:?} does not begin with a time"))
}

/// When the container that ran before this one ended, to the second, as the kubelet tells it.
pub async fn ended_at() -> Result<Timestamp> {
    let path = "--output=jsonpath={.items[0].status.containerStatuses[0].lastState.terminated.finishedAt}";
    let said = kubectl(&["--namespace=sut", "get", "pods", "--selector=app.kubernetes.io/component=mariadb", path]).await?;
    said.parse().with_context(|| format!("the kubelet does not say when the last container ended, but {said:?}"))
}

/// Takes its pod away; the cluster makes another one.
pub async fn replace() -> Result<()> {
    kubectl(&["--namespace=sut", "delete", "pods", "--selector=app.kubernetes.io/component=mariadb", "--wait=false"]).await.map(drop)
}

/// Waits until the server answers.
pub async fn answers() -> Result<()> {
    eventually("MariaDB answers", Duration::from_mins(1), || async { Ok(ask("DO 0").await.ok()) }).await.map(|_| ())
}

/// How many rows a table of the development database has.
pub async fn count(table: &str) -> Result<u64> {
    number(&format!("SELECT COUNT(*) FROM shop.{table}")).await
}

/// What the values of a column add up to.
pub async fn sum(column: &str, table: &str) -> Result<u64> {
    number(&format!("SELECT SUM({column}) FROM shop.{table}")).await
}

/// When a table was made, as the server writes it.
pub async fn created_at(table: &str) -> Result<String> {
    ask(&format!("SELECT create_time FROM information_schema.tables WHERE table_schema = 'shop' AND table_name = '{table}'")).await
}

/// The tables whose names begin like this, as `LIKE` reads it.
pub async fn tables_like(beginning: &str) -> Result<Vec<String>> {
    let said = ask(&format!("SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop' AND table_name LIKE '{beginning}%'")).await?;
    Ok(said.lines().map(str::to_owned).collect())
}

/// Drops a table that a story had loaded, where it is there.
pub async fn drop_table(table: &str) -> Result<()> {
    ask(&format!("DROP TABLE IF EXISTS shop.{table}")).await.map(drop)
}

async fn number(query: &str) -> Result<u64> {
    let said = ask(query).await?;
    said.trim().parse().with_context(|| format!("MariaDB said {said:?} instead of a number"))
}

async fn ask(query: &str) -> Result<String> {
    let client = ["mariadb", "--socket=/tmp/mariadb.sock", "--user=root", "--skip-column-names", "--batch", "--execute", query];
    let arguments: Vec<&str> = ["--namespace=sut", "exec", "deployment/mariadb", "--"].into_iter().chain(client).collect();
    kubectl(&arguments).await
}
