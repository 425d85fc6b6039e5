//! Where results outlive the cluster. The vault keeps blobs in object storage; the ledger keeps runs in Postgres.
//!
//! This crate sees no Kubernetes: it is handed a bucket and a database and does what it is asked. Each store stands behind
//! a small trait, so that the operator's whole life can be played in a test without a network.

pub mod ledger;
pub mod vault;

pub use ledger::{Ledger, LedgerError, LedgerSettings, MemoryLedger, PostgresLedger};
pub use vault::{Entry, SignedRequest, Vault, VaultError};
