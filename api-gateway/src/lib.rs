//! The gateway: what existing clients and agents speak to. It turns their calls into objects of the cluster and reads what
//! became of them where it is known best: live runs in the watch cache ([`runs`]), history in the ledger, blobs in the vault.
//!
//! It holds no state of its own: any replica answers any call, and a restart loses nothing. What a plan or a run means is
//! `crucible-lifecycle`'s; here is only who may ask ([`access`], [`auth`]), how much ([`front`], [`body`], [`listener`]), and where
//! the answer lies. Every route is described where it is written, and [`openapi`] is the sum of that; [`pages`] show people the same.

pub mod access;
pub mod admin;
pub mod args;
pub mod auth;
pub mod body;
pub mod error;
pub mod front;
pub mod legacy;
pub mod listener;
pub mod native;
pub mod openapi;
pub mod pages;
pub mod rbac;
pub mod router;
pub mod runs;
mod serve;
pub mod state;
pub mod telemetry;

pub use args::{Args, Config};
pub use error::ApiError;
pub use serve::serve;
pub use state::Gateway;
