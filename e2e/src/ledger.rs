//! The ledger as the tests see it, through the local port that `xtask` opened; and its server, which some stories load.

use std::{env, time::Duration};

use anyhow::{Context, Result};
use crucible_store::{
    Ledger as _, LedgerSettings, PostgresLedger,
    ledger::{RunRow, TransitionRow},
};

use crate::{OPERATOR_NAMESPACE, kubectl::kubectl};

/// The development ledger.
#[derive(Debug)]
pub struct Ledger(PostgresLedger);

impl Ledger {
    /// From `CRUCIBLE_LEDGER_URL`.
    pub fn from_environment() -> Result<Self> {
        let url = env::var("CRUCIBLE_LEDGER_URL").context("CRUCIBLE_LEDGER_URL is not set; run this through cargo xtask")?;
        let settings = LedgerSettings { statement_timeout: Duration::from_secs(2), acquire_timeout: Duration::from_secs(1), ..LedgerSettings::new("crucible") };
        Ok(Self(PostgresLedger::connect(&url, settings).context("failed to read the ledger's address")?))
    }

    /// The row of a run, where there is one.
    pub async fn row(&self, namespace: &str, run_id: &str) -> Result<Option<RunRow>> {
        self.0.find(namespace, run_id).await.with_context(|| format!("failed to read the row of {run_id}"))
    }

    /// Every phase that a run went through.
    pub async fn transitions(&self, namespace: &str, run_id: &str) -> Result<Vec<TransitionRow>> {
        self.0.transitions(namespace, run_id).await.with_context(|| format!("failed to read the transitions of {run_id}"))
    }
}

/// Takes Postgres away with everything in it (its disk goes with its pod), or brings it back empty, and waits until it is so.
pub async fn set_running(running: bool) -> Result<()> {
    let replicas = if running { "--replicas=1" } else { "--replicas=0" };
    kubectl(&["--namespace", OPERATOR_NAMESPACE, "scale", "deployment/postgres", replicas]).await?;
    if running {
        kubectl(&["--namespace", OPERATOR_NAMESPACE, "rollout", "status", "deployment/postgres", "--timeout=90s"]).await.map(|_| ())
    } else {
        let pods = "--selector=app.kubernetes.io/component=postgres";
        kubectl(&["--namespace", OPERATOR_NAMESPACE, "wait", "pods", pods, "--for=delete", "--timeout=60s"]).await.map(|_| ())
    }
}

/// An empty database beside the ledger's own, for a story that loads a PostgreSQL.
pub async fn make_database(name: &str) -> Result<()> {
    drop_database(name).await?;
    psql(&format!("CREATE DATABASE {name}")).await
}

/// Takes it away.
pub async fn drop_database(name: &str) -> Result<()> {
    psql(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await
}

/// The password of its user.
pub async fn password() -> Result<String> {
    kubectl(&["--namespace", OPERATOR_NAMESPACE, "get", "secret", "postgres", "--output=go-template={{ .data.password | base64decode }}"]).await
}

async fn psql(statement: &str) -> Result<()> {
    let command = format!("--command={statement}");
    let psql = ["exec", "deployment/postgres", "--", "psql", "--host=/tmp", "--username=crucible", "--dbname=crucible", "--no-psqlrc", "--quiet", &command];
    let arguments: Vec<&str> = ["--namespace", OPERATOR_NAMESPACE].into_iter().chain(psql).collect();
    kubectl(&arguments).await.map(drop)
}
