//! The right to fill a table: a row in a table of ours, had by a lightweight transaction and gone by itself where nobody keeps it. So a
//! loader that was killed is in nobody's way for longer than the row lasts, and two that live exclude each other.
//!
//! Who cannot say for sure that the row is still theirs stops writing well before it may become another's.

use std::sync::Arc;

use tokio::{task::JoinHandle, time::Instant};

use super::{
    super::{
        trouble::Trouble,
        watch::{EVERY, LASTS, Watch, lost, nonce},
    },
    cluster::{Cluster, CqlError, literal},
    standing,
};

/// The table of those rows.
const LOADERS: &str = "crucible_loaders";
/// Its columns and its comment.
const MADE_AS: [&str; 2] = ["table_name text PRIMARY KEY, owner text", "crucible: which loader fills which table; every row ends by itself"];

/// The right to fill a table.
pub struct Right {
    cluster: Arc<Cluster>,
    table: String,
    owner: String,
    watch: Watch,
    keeping: JoinHandle<()>,
}

impl Right {
    /// Takes it, if nobody has it.
    pub async fn take(cluster: &Arc<Cluster>, table: &str) -> Result<Self, Trouble> {
        let failed = |error: CqlError| error.trouble(&format!("Table {table}: the right to fill it cannot be had"));
        make(cluster).await.map_err(failed)?;
        let owner = nonce() + &nonce();
        let since = Instant::now();
        let cql = format!("INSERT INTO {} (table_name, owner) VALUES (?, ?) IF NOT EXISTS USING TTL {}", cluster.table(LOADERS), LASTS.as_secs());
        // Where two loaders are the first ones in a keyspace, the table that both have made may not be everywhere at once.
        let made = |error: CqlError| match error {
            CqlError::Refused(why) if why.contains(&format!("{LOADERS} does not exist")) => failed(CqlError::Passing(why)),
            other => failed(other),
        };
        if !cluster.compare_and_set(&cql, (table, owner.as_str())).await.map_err(made)? {
            return Err(Trouble::Again(format!("another loader fills table {table}")));
        }
        let watch = Watch::new(since);
        let keeping = tokio::spawn(keep(Arc::clone(cluster), table.to_owned(), owner.clone(), watch.clone()));
        Ok(Self { cluster: Arc::clone(cluster), table: table.to_owned(), owner, watch, keeping })
    }

    /// What says whether it is still had.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Asks whether it is still had.
    pub async fn confirm(&self) -> Result<(), Trouble> {
        let since = Instant::now();
        match renew(&self.cluster, &self.table, &self.owner).await {
            Ok(true) => {
                self.watch.set(Some(since));
                Ok(())
            }
            Ok(false) => Err(lost(&self.table)),
            Err(error) => Err(error.trouble(&format!("Table {}: whether the right to fill it is still had cannot be known", self.table))),
        }
    }

    /// Gives it back. Where that fails it is gone by itself.
    pub async fn give_back(self) {
        self.keeping.abort();
        let cql = format!("DELETE FROM {} WHERE table_name = ? IF owner = ?", self.cluster.table(LOADERS));
        if let Err(error) = self.cluster.compare_and_set(&cql, (self.table.as_str(), self.owner.as_str())).await {
            tracing::debug!(table = self.table, why = error.said(), "failed to give back the right to fill a table; it ends by itself");
        }
    }
}

impl Drop for Right {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

/// Makes the loaders' own tables, where they are missing.
async fn make(cluster: &Cluster) -> Result<(), CqlError> {
    let cql = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name IN (?, ?)";
    let known: Vec<(String,)> = cluster.ask(cql, (cluster.keyspace(), LOADERS, standing::PROOFS)).await?;
    for (table, [columns, comment]) in [(LOADERS, MADE_AS), (standing::PROOFS, standing::MADE_AS)] {
        if !known.iter().any(|(name,)| name == table) {
            cluster.change(&format!("CREATE TABLE IF NOT EXISTS {} ({columns}) WITH comment = {}", cluster.table(table), literal(comment))).await?;
        }
    }
    Ok(())
}

/// Keeps the row for as long as it is ours.
async fn keep(cluster: Arc<Cluster>, table: String, owner: String, watch: Watch) {
    loop {
        tokio::time::sleep(EVERY).await;
        let since = Instant::now();
        match renew(&cluster, &table, &owner).await {
            Ok(true) => watch.set(Some(since)),
            Ok(false) => {
                tracing::warn!(table, "another loader has taken the right to fill the table");
                watch.set(None);
                return;
            }
            Err(error) => tracing::warn!(table, why = error.said(), "failed to keep the right to fill the table, trying on"),
        }
    }
}

async fn renew(cluster: &Cluster, table: &str, owner: &str) -> Result<bool, CqlError> {
    let cql = format!("UPDATE {} USING TTL {} SET owner = ? WHERE table_name = ? IF owner = ?", cluster.table(LOADERS), LASTS.as_secs());
    cluster.compare_and_set(&cql, (owner, table, owner)).await
}
