//! The gateway without a socket: its real routes, over an API server, a ledger and a bucket in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]
#![allow(missing_docs, reason = "tests are their own documentation")]

mod access;
mod agents;
mod artifacts;
mod cluster;
mod description;
mod fixtures;
mod following;
mod harness;
mod input;
mod native;
mod pages;
mod pages_beside_runs;
mod plans;
mod reading;
mod stopping;
mod submitting;
mod workloads;
