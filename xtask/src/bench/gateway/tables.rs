//! The Postgres of the development cluster, asked by the psql in its own pod.

use anyhow::Result;

use crate::chart;
use crate::cluster::Cluster;

/// The database of the ledger.
pub const LEDGER: &str = "crucible";
/// The peer's own.
pub const PEER: &str = "crucible_bench_peer";

/// What psql printed: one line for each row.
pub fn ask(cluster: &Cluster, database: &str, statement: &str) -> Result<String> {
    let (database, command) = (format!("--dbname={database}"), format!("--command={statement}"));
    let psql = ["exec", "deployment/postgres", "--", "psql", "--host=/tmp", "--username=crucible", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align"];
    let arguments: Vec<&str> = ["--namespace", chart::NAMESPACE].into_iter().chain(psql).chain(["--set=ON_ERROR_STOP=1", &database, &command]).collect();
    cluster.kubectl(&arguments)
}

/// A number that a statement answers.
pub fn count(cluster: &Cluster, database: &str, statement: &str) -> Result<i64> {
    Ok(ask(cluster, database, statement)?.trim().parse()?)
}
