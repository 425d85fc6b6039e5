//! The command line: where things lie. What to run is in the frozen plan.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use crucible_lifecycle::contract::{env, paths};

/// What this program does: by itself it drives the load; after the word `load` it loads fixtures.
#[derive(Debug, Clone)]
pub enum Command {
    /// Drive the load.
    Drive(Args),
    /// Load the fixtures of the run's plan.
    Load(LoadArgs),
}

impl Command {
    /// Reads the command line; ends the process where it is wrong.
    #[must_use]
    pub fn parse() -> Self {
        let mut words: Vec<_> = std::env::args_os().collect();
        if words.get(1).is_some_and(|word| word == "load") {
            words.remove(1);
            return Self::Load(LoadArgs::parse_from(words));
        }
        Self::Drive(Args::parse_from(words))
    }
}

/// Loads the fixtures of a run's plan into its system under test, and proves them there.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct LoadArgs {
    /// The frozen plan as JSON.
    #[arg(long, env = "CRUCIBLE_PLAN", default_value = paths::PLAN)]
    pub plan: PathBuf,
    /// The file with the run's token.
    #[arg(long, env = "CRUCIBLE_TOKEN", default_value = paths::TOKEN)]
    pub token: PathBuf,
    /// The directory with the files username and password.
    #[arg(long, env = "CRUCIBLE_CREDENTIALS", default_value = paths::CREDENTIALS)]
    pub credentials: PathBuf,
    /// The file that takes the last word.
    #[arg(long, env = "CRUCIBLE_TERMINATION_LOG", default_value = paths::TERMINATION_LOG)]
    pub termination_log: PathBuf,
    /// http://host:port of the operator, which says what to load and signs addresses.
    #[arg(long, env = env::CHECK_IN_URL)]
    pub check_in_url: String,
}

/// The program inside a worker pod of Crucible: starts k6, keeps the barrier, reports live numbers, hands in results.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Args {
    /// The frozen plan as JSON.
    #[arg(long, env = "CRUCIBLE_PLAN", default_value = paths::PLAN)]
    pub plan: PathBuf,
    /// The file with the run's token.
    #[arg(long, env = "CRUCIBLE_TOKEN", default_value = paths::TOKEN)]
    pub token: PathBuf,
    /// The directory with the files username and password.
    #[arg(long, env = "CRUCIBLE_CREDENTIALS", default_value = paths::CREDENTIALS)]
    pub credentials: PathBuf,
    /// A directory to write to.
    #[arg(long, env = "CRUCIBLE_SCRATCH", default_value = paths::SCRATCH)]
    pub scratch: PathBuf,
    /// The file that takes the last word.
    #[arg(long, env = "CRUCIBLE_TERMINATION_LOG", default_value = paths::TERMINATION_LOG)]
    pub termination_log: PathBuf,
    /// Which of the run's workers this is, from 0.
    #[arg(long, env = env::INDEX)]
    pub index: u32,
    /// The address at which the operator reaches this pod.
    #[arg(long, env = env::POD_IP, default_value = "127.0.0.1")]
    pub pod_ip: std::net::IpAddr,
    /// http://host:port of the operator. Without it the worker waits to be found.
    #[arg(long, env = env::CHECK_IN_URL)]
    pub check_in_url: Option<String>,
    /// Where the control API listens.
    #[arg(long, env = "CRUCIBLE_LISTEN", default_value = "0.0.0.0:7070")]
    pub listen: SocketAddr,
    /// The k6 program.
    #[arg(long, env = "CRUCIBLE_K6", default_value = "/usr/local/bin/k6")]
    pub k6: PathBuf,
    /// Where k6's own REST interface listens; on loopback, because it asks nobody for a token.
    #[arg(long, env = "CRUCIBLE_K6_ADDRESS", default_value = "127.0.0.1:6565")]
    pub k6_address: SocketAddr,
}
