//! What is asked of the ledger, one thing at a time, and what comes back.
//!
//! An errand never fails: whatever went wrong is part of its report, from which the mirror decides when to go again.

use std::{collections::HashSet, sync::Arc};

use crucible_crds::TestRun;
use crucible_store::{
    Ledger, LedgerError,
    ledger::{Recorded, RunRecord, Unfinished},
};
use futures::future::BoxFuture;
use kube::{Api, ResourceExt};

use super::{book::News, rows};
use crate::context::Context;

/// An errand that is under way.
pub type Errand = BoxFuture<'static, Report>;

/// What an errand brings back.
pub enum Report {
    /// The tables were made or found to be as they should be.
    Prepared(Result<(), LedgerError>),
    /// Statuses were told.
    Told(Vec<News>, Result<Vec<Recorded>, LedgerError>),
    /// Rows were looked for; these are missing.
    Looked(Result<Vec<String>, LedgerError>),
    /// Rows of runs that are gone were ended: so many.
    Swept(Result<u64, LedgerError>),
}

/// Makes the tables, or finds them as they should be.
pub fn prepare(ledger: Arc<dyn Ledger>) -> Errand {
    Box::pin(async move { Report::Prepared(ledger.migrate().await) })
}

/// Tells statuses, all in one statement.
pub fn tell(ledger: Arc<dyn Ledger>, batch: Vec<News>) -> Errand {
    Box::pin(async move {
        let records: Vec<RunRecord> = batch.iter().map(|news| rows::record(news.version, &news.run)).collect();
        let outcomes = ledger.record(&records).await;
        Report::Told(batch, outcomes)
    })
}

/// Looks for rows that must be there.
pub fn look(ledger: Arc<dyn Ledger>, canaries: Vec<String>) -> Errand {
    Box::pin(async move { Report::Looked(ledger.absent(&canaries).await) })
}

/// Ends the rows of runs that are gone: those that have not ended, are not among the runs that are known to exist, and are not
/// found in the cluster either.
pub fn sweep(ctx: Arc<Context>, ledger: Arc<dyn Ledger>, existing: HashSet<String>) -> Errand {
    Box::pin(async move { Report::Swept(end_vanished(&ctx, &*ledger, &existing).await) })
}

async fn end_vanished(ctx: &Context, ledger: &dyn Ledger, existing: &HashSet<String>) -> Result<u64, LedgerError> {
    let unfinished = ledger.unfinished(ctx.watch_namespace.as_deref()).await?;
    let mut gone = Vec::new();
    for row in unfinished.into_iter().filter(|row| !existing.contains(&row.uid)) {
        if is_gone(ctx, &row).await {
            gone.push(row.uid);
        }
    }
    if gone.is_empty() { Ok(0) } else { ledger.end_vanished(&gone).await }
}

/// Whether the API server itself says that a run does not exist. What cannot be read is not gone.
async fn is_gone(ctx: &Context, row: &Unfinished) -> bool {
    let runs: Api<TestRun> = Api::namespaced(ctx.client.clone(), &row.namespace);
    match tokio::time::timeout(super::REQUEST, runs.get_metadata_opt(&row.name)).await {
        Ok(Ok(None)) => true,
        Ok(Ok(Some(there))) => there.uid().as_deref() != Some(&row.uid),
        Ok(Err(_)) | Err(_) => false,
    }
}
