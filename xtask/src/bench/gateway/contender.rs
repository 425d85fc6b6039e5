//! The two that are compared, as processes of this machine, and the world that both of them live in.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::load::Place;
use super::population::NAMESPACE;
use super::tables;
use crate::bench::guarded::{self, Guarded};
use crate::bench::http::Client;
use crate::bench::{Scratch, machine};
use crate::cluster::{Cluster, Engine};
use crate::tools::{self, Package};
use crate::{chart, paths, program, say};

const PATIENCE: Duration = Duration::from_mins(1);

/// What takes part.
pub struct Programs {
    /// The gateway
    pub gateway: PathBuf,
    /// The interpreter with the peer's packages
    pub python: PathBuf,
    /// How the gateway was compiled
    pub profile: &'static str,
}

impl Programs {
    /// Builds and installs what is missing.
    pub fn build(debug: bool) -> Result<Self> {
        tools::ensure_packages(&[Package::new("wrk", "wrk"), Package::new("util-linux", "taskset")])?;
        let python = tools::python_environment("fastapi", &peer().join("requirements.txt"))?;
        let profile = if debug { "dev" } else { "release" };
        say::step(format!("compiling the gateway with cargo's {profile} profile"));
        let mut cargo = program::command("cargo");
        cargo.current_dir(paths::repository()).args(["build", "--quiet", "--package", "crucible-api-gateway", "--bins", "--profile", profile]);
        program::run(&mut cargo)?;
        let gateway = paths::target().join(if debug { "debug" } else { "release" }).join("crucible-gateway");
        Ok(Self { gateway, python, profile })
    }
}

/// Where the peer's sources are.
fn peer() -> PathBuf {
    paths::repository().join("bench/peers/fastapi")
}

/// The packages of the peer with their versions.
pub fn peer_versions(programs: &Programs) -> String {
    machine::said(program::command(&programs.python).args(["-m", "pip", "freeze"])).lines().collect::<Vec<_>>().join(", ")
}

/// What both need to know of the development cluster.
pub struct World<'a> {
    /// The cluster
    pub cluster: &'a Cluster,
    postgres: String,
    s3: String,
    bucket: Vec<(&'static str, String)>,
    password: String,
    /// The password of the sample system under test
    pub sut_password: String,
}

impl<'a> World<'a> {
    /// Reads it off the cluster.
    pub fn of(cluster: &'a Cluster) -> Result<Self> {
        let secret = |namespace: &str, name: &str| {
            let template = "--output=go-template={{ .data.password | base64decode }}";
            cluster.kubectl(&["--namespace", namespace, "get", "secret", name, template])
        };
        Ok(Self {
            cluster,
            postgres: address(cluster, "postgres", 5432)?,
            s3: address(cluster, "s3", 9000)?,
            bucket: chart::bucket_environment(cluster)?,
            password: secret(chart::NAMESPACE, "postgres")?,
            sut_password: secret("sut", "mariadb")?,
        })
    }

    fn database(&self, name: &str) -> String {
        format!("postgres://crucible:{}@{}/{name}?sslmode=disable", self.password, self.postgres)
    }
}

/// The service itself where its address answers from this machine, so that no forwarder is measured along; the local port elsewhere.
fn address(cluster: &Cluster, service: &str, port: u16) -> Result<String> {
    if cluster.engine() == Engine::Embedded {
        let of = ["--namespace", chart::NAMESPACE, "get", "service", service, "--output=jsonpath={.spec.clusterIP}"];
        return Ok(format!("{}:{port}", cluster.kubectl(&of)?.trim()));
    }
    Ok(format!("127.0.0.1:{port}"))
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// Ours
    Gateway,
    /// `FastAPI`, uvicorn and asyncpg, over so many rows
    Peer {
        /// As many as the gateway knows runs
        rows: u32,
    },
}

/// One of them, running.
pub struct Server {
    contender: Contender,
    process: Guarded,
    /// Where it answers
    pub address: String,
}

impl Server {
    /// Starts it, and waits until it answers.
    pub fn start(contender: Contender, world: &World, programs: &Programs, scratch: &Scratch) -> Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut words = Place::SERVER.words();
        let (program, arguments) = match contender {
            Contender::Gateway => (programs.gateway.clone(), Vec::new()),
            Contender::Peer { .. } => (programs.python.clone(), peer_arguments(&address)),
        };
        words.push(program.display().to_string());
        words.extend(arguments);
        let mut command = guarded::command(Path::new("/usr/bin/env"), None)?;
        command.args(words).current_dir(peer());
        match contender {
            Contender::Gateway => gateway_environment(&mut command, world, scratch, &address)?,
            Contender::Peer { rows } => {
                // Whether it is there from a bench that was broken off is all the same.
                let _ = tables::ask(world.cluster, "postgres", &format!("create database {}", tables::PEER));
                command.env("DATABASE_URL", world.database(tables::PEER)).env("ROWS", rows.to_string());
            }
        }
        let log = scratch.join(&format!("{}.log", name(contender)));
        let process = Guarded::start(name(contender), &mut command, &log, Some(&scratch.join(&format!("{}.out", name(contender)))))?;
        let mut server = Self { contender, process, address };
        server.await_ready()?;
        Ok(server)
    }

    fn await_ready(&mut self) -> Result<()> {
        let path = if self.contender == Contender::Gateway { "/readyz" } else { "/health" };
        let begun = Instant::now();
        while Client::new(&self.address, "").call("GET", path, "").is_err() {
            self.process.require_alive()?;
            if begun.elapsed() > PATIENCE {
                bail!("{} did not answer within {} s; the end of its log:\n{}", self.name(), PATIENCE.as_secs(), self.last_lines());
            }
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// What the tables call it.
    pub fn name(&self) -> &'static str {
        name(self.contender)
    }

    /// Its first process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The end of its log.
    pub fn last_lines(&self) -> String {
        self.process.last_lines()
    }

    /// The file with the ids of the runs that it knows.
    pub fn ids(&self, scratch: &Scratch) -> PathBuf {
        scratch.join(&format!("{}.ids", self.name()))
    }

    /// Writes that file, and answers how many there are.
    pub fn write_ids(&self, world: &World, scratch: &Scratch) -> Result<usize> {
        let (database, of) = self.table();
        let ids = tables::ask(world.cluster, database, &format!("select run_id from {of}"))?;
        let file = self.ids(scratch);
        fs::write(&file, &ids).with_context(|| format!("failed to write {}", file.display()))?;
        Ok(ids.lines().count())
    }

    /// How many rows its table has.
    pub fn rows(&self, world: &World) -> Result<i64> {
        let (database, of) = self.table();
        tables::count(world.cluster, database, &format!("select count(*) from {of}"))
    }

    /// Its database, and what of the table there is its own.
    fn table(&self) -> (&'static str, String) {
        match self.contender {
            Contender::Gateway => (tables::LEDGER, format!("test_runs where namespace = '{NAMESPACE}'")),
            Contender::Peer { .. } => (tables::PEER, "test_runs".to_owned()),
        }
    }
}

fn name(contender: Contender) -> &'static str {
    match contender {
        Contender::Gateway => "gateway",
        Contender::Peer { .. } => "fastapi",
    }
}

fn peer_arguments(address: &str) -> Vec<String> {
    let port = address.rsplit(':').next().unwrap_or_default();
    ["-m", "uvicorn", "service:app", "--host", "127.0.0.1", "--port", port, "--workers", "1", "--no-access-log", "--log-level", "warning"]
        .map(str::to_owned)
        .to_vec()
}

fn gateway_environment(command: &mut std::process::Command, world: &World, scratch: &Scratch, address: &str) -> Result<()> {
    command.envs(world.bucket.clone()).env("KUBECONFIG", account_of_the_gateway(world, scratch)?);
    command.env("CRUCIBLE_S3_ENDPOINT", format!("http://{}", world.s3)).env("CRUCIBLE_LEDGER_URL", world.database(tables::LEDGER));
    command.env("CRUCIBLE_API_AUTH", "none").env("CRUCIBLE_API_NAMESPACE", NAMESPACE).env("CRUCIBLE_LOG", "warn");
    command.env("CRUCIBLE_API_ADDRESS", address).env("CRUCIBLE_API_METRICS_ADDRESS", format!("127.0.0.1:{}", free_port()?));
    Ok(())
}

/// A kubeconfig of the gateway's own account, as its pod has it: with its rights, known by a token.
fn account_of_the_gateway(world: &World, scratch: &Scratch) -> Result<PathBuf> {
    let file = scratch.join("kubeconfig");
    let token = world.cluster.kubectl(&["--namespace", chart::NAMESPACE, "create", "token", "crucible-gateway", "--duration=4h"])?;
    let given = world.cluster.kubectl(&["config", "view", "--raw", "--minify", "--output=json"])?;
    let mut config: Value = serde_json::from_str(&given).context("the kubeconfig is no JSON")?;
    config["users"][0]["user"] = json!({"token": token.trim()});
    fs::write(&file, config.to_string()).with_context(|| format!("failed to write {}", file.display()))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).with_context(|| format!("failed to close {}", file.display()))?;
    Ok(file)
}

/// A port that nobody uses right now.
pub fn free_port() -> Result<u16> {
    let probe = TcpListener::bind("127.0.0.1:0").context("failed to listen on loopback")?;
    Ok(probe.local_addr().context("failed to read the port that was given")?.port())
}
