//! The entry point: arguments, log, run.

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

// One thread is enough: the work of a run is k6's, and what this process does for it is a few messages a second.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = crucible_worker::args::Args::parse();
    let filter = EnvFilter::try_from_env("CRUCIBLE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    crucible_worker::run(args).await
}
