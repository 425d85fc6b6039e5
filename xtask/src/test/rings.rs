//! The rings of cargo and Helm. Every cargo command names the whole workspace, so that all of them share one build of everything.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::licences;
use super::tally::{self, Tally, say_into_log};
use crate::cluster::Cluster;
use crate::engines::{self, Server};
use crate::tools::{self, Tool};
use crate::{chart, dataset, paths, program, say};

/// The tests that need what the command starts. Cargo leaves them out unless they are named.
const ON_THE_CLUSTER: [&str; 8] = ["--test", "stories", "--test", "postgres", "--test", "s3", "--test", "fixtures"];

/// How much of TPC-H is loaded, in several files where a table is larger.
const SAMPLE: dataset::Scale = dataset::Scale { factor: 0.01, rows_per_file: 20_000 };

fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = program::command("cargo");
    cargo.current_dir(paths::repository()).args(arguments).env("CARGO_TERM_COLOR", "never");
    cargo
}

/// Compiles every program and every test, the stories included. Programs and tests are asked for together: alone, the programs would
/// have fewer features of what they depend on, and all of that would be compiled twice.
pub fn compile() -> Result<()> {
    let log = tally::logs().join("compile.log");
    say::step(format!("compiling the workspace with its tests (log {})", log.display()));
    program::run_logged(cargo(&["build", "--workspace", "--bins"]).args(ON_THE_CLUSTER), &log)?;
    program::run_logged(&mut cargo(&["test", "--workspace", "--no-run"]), &tally::logs().join("compile-tests.log"))
}

/// rustfmt's one rule, clippy over everything with every warning an error, and the licences of whatever is compiled in. The tests that need a
/// cluster are no targets for clippy unless named.
pub fn lint() -> Result<((), Tally)> {
    let (formatted, _) = say_into_log("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    let mut clippy = cargo(&["clippy", "--workspace", "--all-targets", "--quiet"]);
    clippy.args(ON_THE_CLUSTER).args(["--", "--deny=warnings"]);
    let (clean, _) = say_into_log("lint", &mut clippy)?;
    let mut total = Tally::one(formatted);
    total.add(Tally::one(clean));
    total.add(licences::run()?);
    Ok(((), total))
}

/// Everything that needs no cluster: tables, scenarios, fault sweeps, freshness of generated files. The stories are not among the tests
/// that cargo runs by itself.
pub fn units() -> Result<((), Tally)> {
    let (content, said) = say_into_log("units", &mut cargo(&["test", "--workspace", "--no-fail-fast"]))?;
    Ok(((), tally::of_libtest(&said, content)))
}

/// Helm's own lint, and what it renders with every kind of values.
pub fn chart() -> Result<((), Tally)> {
    let helm = tools::ensure(Tool::Helm)?;
    let place = paths::repository().join("charts/crucible");
    let mut total = Tally::default();
    let kinds: [(&str, &[&str]); 8] = [
        ("plain", &[]),
        ("dev", &["--set=dev.enabled=true"]),
        ("dev-with-trino", &["--set=dev.enabled=true,dev.trino.enabled=true"]),
        ("ledger", &["--set=postgres.existingSecret=ledger,postgres.mirrorEscape=30m"]),
        ("tokens-of-a-file", &["--set=gateway.auth=static,gateway.tokensSecret=tokens,gateway.requireClusterSpec=true"]),
        ("without-gateway", &["--set=gateway.enabled=false"]),
        ("one-namespace", &["--set=watchNamespace=team-a"]),
        ("closed", &["--set=networkPolicy.enabled=true,s3.existingSecret=bucket,s3.endpoint=https://s3.example.com"]),
    ];
    for (kind, values) in kinds {
        let lint = say_into_log(&format!("helm-lint-{kind}"), program::command(&helm).args(["lint", "--strict"]).arg(&place).args(values))?;
        let version = "--kube-version=1.34.4";
        let render = say_into_log(&format!("helm-template-{kind}"), program::command(&helm).args(["template", "crucible", version]).arg(&place).args(values))?;
        total.add(Tally::one(lint.0));
        total.add(Tally::one(render.0 && render.1.contains("kind: Deployment")));
    }
    Ok(((), total))
}

/// The loader of fixtures against real MariaDB, PostgreSQL and Trino, each with an empty data directory, and the sample dataset in all of them; then
/// against Cassandra, which wants the machine for itself.
pub fn fixtures() -> Result<((), Tally)> {
    let tpch = paths::target().join("tpch");
    dataset::write_all(&tpch, SAMPLE)?;
    let ((), mut total) = loading("fixtures", &[Server::Mariadb, Server::Postgres, Server::Trino], &["--test-threads=3", "--skip", "cassandra::"], &tpch)?;
    let ((), of_cassandra) = loading("fixtures-cassandra", &[Server::Cassandra], &["--test-threads=2", "cassandra::"], &tpch)?;
    total.add(of_cassandra);
    Ok(((), total))
}

/// The loader's tests that are shown on these servers, chosen by words for the test runner.
fn loading(log: &str, servers: &[Server], words: &[&str], tpch: &Path) -> Result<((), Tally)> {
    let tested = servers.iter().try_for_each(|server| engines::up(*server).map(drop)).and_then(|()| {
        let cargo = ["cargo", "test", "--workspace", "--test", "fixtures", "--", "--show-output"];
        let mut tests = engines::beside(servers, &[&cargo, words].concat());
        tests.env("CARGO_TERM_COLOR", "never").env("RUST_BACKTRACE", "0").env("CRUCIBLE_TEST_TPCH", tpch);
        let (content, said) = say_into_log(log, &mut tests)?;
        Ok(((), tally::of_libtest(&said, content)))
    });
    for server in servers {
        engines::down(*server)?;
    }
    tested
}

/// The ledger against the Postgres of the cluster, in databases that the tests make and drop.
pub fn ledger(cluster: &Cluster) -> Result<((), Tally)> {
    let mut tests = cargo(&["test", "--workspace", "--test", "postgres", "--", "--show-output"]);
    tests.env("CRUCIBLE_TEST_POSTGRES", chart::postgres_url(cluster)?).env("RUST_BACKTRACE", "0");
    let (content, said) = say_into_log("ledger", &mut tests)?;
    Ok(((), tally::of_libtest(&said, content)))
}

/// The vault against the S3 server of the cluster, below prefixes that the tests make and clear.
pub fn vault(cluster: &Cluster) -> Result<((), Tally)> {
    let mut tests = cargo(&["test", "--workspace", "--test", "s3", "--", "--show-output"]);
    tests.envs(chart::bucket_environment(cluster)?).env("RUST_BACKTRACE", "0");
    let (content, said) = say_into_log("vault", &mut tests)?;
    Ok(((), tally::of_libtest(&said, content)))
}

/// The stories, one after another: they share a system under test, and an operator that some of them kill.
pub fn stories(cluster: &Cluster) -> Result<((), Tally)> {
    // One of them loads it.
    dataset::upload_all(SAMPLE)?;
    let mut tests = cargo(&["test", "--workspace", "--test", "stories", "--", "--test-threads=1", "--show-output"]);
    tests.env("KUBECONFIG", cluster.kubeconfig()?).envs(chart::bucket_environment(cluster)?);
    tests
        .env("RUST_BACKTRACE", "0")
        .env("CRUCIBLE_LEDGER_URL", chart::postgres_url(cluster)?)
        .env("CRUCIBLE_KUBECTL", paths::state()?.join("bin/kubectl"))
        .env("CRUCIBLE_HELM", paths::state()?.join("bin/helm"));
    let (content, said) = say_into_log("stories", &mut tests)?;
    Ok(((), tally::of_libtest(&said, content)))
}
