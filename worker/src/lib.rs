//! The program inside a worker pod: it starts k6, keeps the barrier, reports live numbers and hands in the results.
//!
//! ```text
//! setup ──▶ supervise ◀── wire (k6's socket), k6 (its process), control (the operator's orders), record, upload
//!               │  ▲
//!               ▼  │
//!             course: events in, state and actions out; the only place where anything is decided
//! ```
//!
//! It speaks to no Kubernetes API and holds no Kubernetes credential: what to run is in a mounted file, who may order
//! it is in a mounted token, and its last word goes into the termination log.

use std::process::ExitCode;

use crucible_lifecycle::contract::{PROTOCOL, WorkerOutcome, WorkerState};

pub mod args;
mod barrier;
mod check_in;
mod clock;
mod control;
mod course;
mod engine;
mod http;
mod invariants;
mod k6;
mod live;
mod load;
mod outcome;
mod record;
mod resources;
#[cfg(test)]
mod sample;
mod setup;
mod spool;
mod supervise;
mod tail;
mod upload;
mod wire;

pub use load::run as load;

/// Runs one worker to its end. The exit code is 0 only when its results are stored; the termination log says more.
pub async fn run(args: args::Args) -> ExitCode {
    let (index, termination_log) = (args.index, args.termination_log.clone());
    let outcome = match setup::begin(args).await {
        Ok((supervisor, inputs, asks)) => supervisor.run(inputs, asks).await,
        Err(error) => {
            tracing::error!(%error, "the worker could not begin");
            WorkerOutcome {
                protocol: PROTOCOL,
                index,
                state: WorkerState::Failed,
                failure: Some(error.failure()),
                interrupted: false,
                files: Vec::new(),
                answers: Vec::new(),
            }
        }
    };
    let code = outcome::exit_code(&outcome);
    tracing::info!(state = ?outcome.state, code, "the worker leaves");
    if let Err(error) = std::fs::write(&termination_log, outcome::last_word(outcome)) {
        tracing::error!(%error, "failed to write the last word");
    }
    ExitCode::from(code)
}
