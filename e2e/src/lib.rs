//! What the stories stand on: the cluster they run in, a namespace for each, a run to be watched, and what is told when one fails.
//!
//! Nothing here starts anything: `cargo xtask test` brings the cluster up, installs the chart and names both in the environment.
//! Without it every story fails and says so.

pub mod chaos;
pub mod diagnostics;
pub mod kubectl;
pub mod ledger;
pub mod mariadb;
pub mod operator;
pub mod run;
pub mod story;
pub mod trino;
pub mod vault;

use std::path::PathBuf;

pub use run::Run;
pub use story::{Story, tell};

/// The operator's namespace.
pub const OPERATOR_NAMESPACE: &str = "crucible";

/// The repository's root.
pub fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
