//! The rings of the Go modules: `go vet` and `go test` in each that has tests of ours, and those tests that need a database.

use std::time::Instant;

use anyhow::{Result, bail};
use clap::ValueEnum as _;
use serde_json::{Deserializer, Value};

use super::tally::{Tally, say_into_log};
use crate::cluster::Cluster;
use crate::engines::{self, Server};
use crate::{paths, program, say};

const MODULES: [&str; 3] = ["k6", "dev/kind", "dev/chaos-mesh"];

/// Vets and tests every module.
pub fn run() -> Result<((), Tally)> {
    if program::find("go").is_none() {
        bail!("Go is missing: install Go 1.26 or newer and put it on the PATH");
    }
    let mut total = Tally::default();
    for module in MODULES {
        let name = module.replace('/', "-");
        let go = |arguments: &[&str]| {
            let mut go = program::command("go");
            go.current_dir(paths::repository().join(module)).args(arguments);
            go
        };
        total.add(Tally::one(say_into_log(&format!("go-vet-{name}"), &mut go(&["vet", "./..."]))?.0));
        let (content, said) = say_into_log(&format!("go-test-{name}"), &mut go(&["test", "-json", "-count=1", "./..."]))?;
        let counted = of_go(&said, content);
        total.add(counted);
    }
    Ok(((), total))
}

/// The extension of k6 against the MariaDB of the cluster: the tests behind the build tag `integration`, all of whose names begin alike.
pub fn integration(cluster: &Cluster) -> Result<((), Tally)> {
    let template = "--output=go-template={{ .data.password | base64decode }}";
    let password = cluster.kubectl(&["--namespace=sut", "get", "secret", "mariadb", template])?;
    let mut go = program::command("go");
    go.current_dir(paths::repository().join("k6")).args(["test", "-json", "-count=1", "-tags=integration", "-run=^TestMySQL", "./ext"]);
    go.env("CRUCIBLE_TEST_MYSQL", format!("crucible:{password}@tcp(127.0.0.1:3306)/shop"));
    let (content, said) = say_into_log("go-integration", &mut go)?;
    Ok(((), of_go(&said, content)))
}

/// The conformance suite of the engines, each on a server of its own, one after the other: none gets in another's way, and memory is
/// needed for one.
pub fn engines() -> Tally {
    let mut total = Tally::default();
    for server in Server::value_variants() {
        let start = Instant::now();
        let counted = engine(*server).unwrap_or_else(|error| {
            eprintln!("{error:#}");
            Tally { passed: 0, failed: 1 }
        });
        say::note(format!("{}: {} passed, {} failed after {}", server.name(), counted.passed, counted.failed, say::took(start)));
        total.add(counted);
    }
    total
}

fn engine(server: Server) -> Result<Tally> {
    let tested = engines::up(server).and_then(|_| {
        let (content, said) = say_into_log(&format!("go-engine-{}", server.name()), &mut engines::suite(server, &["-json"])?)?;
        Ok(of_go(&said, content))
    });
    engines::down(server)?;
    tested
}

/// What Go's test runner counted, tests within tests included. Skipped tests count as failed.
fn of_go(said: &str, content: bool) -> Tally {
    let mut tally = Tally::default();
    for line in said.lines().filter(|line| line.starts_with('{')) {
        let Some(Ok(event)) = Deserializer::from_str(line).into_iter::<Value>().next() else { continue };
        if event.get("Test").is_some() {
            match event.get("Action").and_then(Value::as_str) {
                Some("pass") => tally.passed += 1,
                Some("fail" | "skip") => tally.failed += 1,
                _ => {}
            }
        }
    }
    if !content && tally.failed == 0 || content && tally.passed == 0 {
        tally.failed += 1;
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_and_packages_are_not() {
        let said = "{\"Action\":\"pass\",\"Package\":\"a\",\"Test\":\"TestOne\"}\n{\"Action\":\"pass\",\"Package\":\"a\"}\n\
            {\"Action\":\"skip\",\"Package\":\"a\",\"Test\":\"TestTwo\"}\nnoise\n";
        assert_eq!(of_go(said, true), Tally { passed: 1, failed: 1 });
    }

    #[test]
    fn a_module_that_does_not_build_is_a_failure() {
        assert_eq!(of_go("{\"Action\":\"fail\",\"Package\":\"a\"}", false), Tally { passed: 0, failed: 1 });
    }
}
