//! The operator: brings the cluster to where the plans and runs say it should be.
//!
//! Every controller is three steps in one direction: observe, decide, apply. Only the first reads and only the last
//! writes; what is decided in between is `crucible-lifecycle`'s, which knows neither. Beside the controllers two things
//! go on for each live run: its workers are listened to ([`workers`]) and its results are collected ([`collect`]).

pub mod admin;
pub mod args;
pub mod chaos;
pub mod collect;
pub mod context;
pub mod fixture;
mod fixtures;
pub mod leader;
pub mod loaders;
pub mod mirror;
pub mod notices;
pub mod plan;
pub mod prometheus;
pub mod rbac;
pub mod retry;
pub mod run;
mod serve;
pub mod telemetry;
pub mod token;
pub mod workers;

pub use args::{Args, Config};
pub use context::Context;
pub use serve::serve;
