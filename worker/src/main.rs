//! The entry point: arguments, log, run.

use std::process::ExitCode;

use crucible_worker::args::Command;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let command = Command::parse();
    // Cassandra's driver tells of each warning in each answer, which are thousands where a node warns of every batch: the loader tells of the first.
    let filter = EnvFilter::try_from_env("CRUCIBLE_LOG").unwrap_or_else(|_| EnvFilter::new("info,scylla::network::connection=error"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    // One thread is enough for a load: its work is k6's, and what this process does for it is a few messages a second.
    let mut runtime = match &command {
        Command::Drive(_) => tokio::runtime::Builder::new_current_thread(),
        Command::Load(_) => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "failed to start");
            return ExitCode::FAILURE;
        }
    };
    match command {
        Command::Drive(args) => runtime.block_on(crucible_worker::run(args)),
        Command::Load(args) => runtime.block_on(crucible_worker::load(args)),
    }
}
