//! The ledger as the tests see it: through the local port that `xtask` opened.

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
