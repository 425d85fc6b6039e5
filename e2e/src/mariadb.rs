//! The system under test's own word on what it was asked.

use anyhow::{Context, Result};

use crate::kubectl::kubectl;

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

async fn ask(query: &str) -> Result<String> {
    let client = ["mariadb", "--socket=/tmp/mariadb.sock", "--user=root", "--skip-column-names", "--batch", "--execute", query];
    let arguments: Vec<&str> = ["--namespace=sut", "exec", "deployment/mariadb", "--"].into_iter().chain(client).collect();
    kubectl(&arguments).await
}
