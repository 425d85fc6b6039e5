//! `cargo xtask engines`: real database servers as processes of this machine, for the conformance suite in `k6/ext/engine`. The recipes
//! are the scripts in `dev/engines`, which pin the versions; what they fetch outlives `target/` in the cache.

use std::process::Command;

use anyhow::{Context, Result};
use clap::{Subcommand, ValueEnum};

use crate::{paths, program, say};

/// The words after `cargo xtask engines`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start servers and print the variables that the suite reads
    Up(Servers),
    /// End servers and remove their data
    Down(Servers),
    /// Start one server after the other, run its part of the suite, and end it again
    Test(Servers),
}

#[derive(clap::Args)]
struct Servers {
    /// Which ones; all of them without a word
    #[arg(value_enum)]
    servers: Vec<Server>,
}

/// A server that can be had here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Server {
    /// Speaks MySQL's protocol
    Mariadb,
    /// From the system's package
    Postgres,
}

impl Server {
    const fn name(self) -> &'static str {
        match self {
            Self::Mariadb => "mariadb",
            Self::Postgres => "postgres",
        }
    }

    /// The engines of a plan that are shown on it, as a pattern of Go's test runner.
    const fn engines(self) -> &'static str {
        match self {
            Self::Mariadb => "^(mysql|doris)$",
            Self::Postgres => "^postgres$",
        }
    }
}

impl Args {
    /// Carries the command out.
    pub fn run(self) -> Result<()> {
        match self.action {
            Action::Up(servers) => servers.chosen().iter().try_for_each(|server| up(*server).map(|variables| print!("{variables}"))),
            Action::Down(servers) => servers.chosen().iter().try_for_each(|server| down(*server)),
            Action::Test(servers) => servers.chosen().iter().try_for_each(|server| test(*server)),
        }
    }
}

impl Servers {
    fn chosen(&self) -> &[Server] {
        if self.servers.is_empty() { Server::value_variants() } else { &self.servers }
    }
}

/// Starts a server and answers the variables that say where it is, as a shell reads them.
pub fn up(server: Server) -> Result<String> {
    say::step(format!("starting {} (the first time it is fetched)", server.name()));
    let log = paths::cache()?.join("logs").join(format!("engine-{}.log", server.name()));
    program::run_logged(script(server).arg("start"), &log).with_context(|| format!("failed to start {}", server.name()))?;
    program::output(script(server).arg("env"))
}

/// Ends a server and removes its data.
pub fn down(server: Server) -> Result<()> {
    say::step(format!("ending {}", server.name()));
    program::run(script(server).arg("stop"))
}

fn test(server: Server) -> Result<()> {
    up(server)?;
    let run = format!("^TestConformance$/{}", server.engines());
    let recipe = paths::repository().join("dev/engines").join(format!("{}.sh", server.name()));
    let mut shell = program::command("sh");
    shell.current_dir(paths::repository().join("k6"));
    shell.args(["-c", "eval \"$(\"$0\" env)\"; exec go test -count=1 -timeout=20m -tags=integration -run=\"$1\" -v ./ext/engine"]).arg(recipe).arg(run);
    let tested = program::run(&mut shell);
    down(server)?;
    tested
}

fn script(server: Server) -> Command {
    program::command(paths::repository().join("dev/engines").join(format!("{}.sh", server.name())))
}
