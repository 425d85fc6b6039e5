//! Where results outlive the cluster. The vault keeps blobs in object storage; the ledger of runs in Postgres comes later.
//!
//! This crate sees no Kubernetes: it is handed a bucket and does what the operator asks of it. Each store stands behind
//! a small trait, so that the operator's whole life can be played in a test without a network.

pub mod vault;

pub use vault::{Entry, SignedRequest, Vault, VaultError};
