//! Counting: programs run with all they say in a log file, and what their test runners say they counted.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::{paths, program};

/// How many lines of a failed program's log are shown.
const SHOWN: usize = 80;

/// How many characters of a failed test's name and message are shown.
const WIDTH: usize = 240;

/// What passed and what failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many passed
    pub passed: u64,
    /// How many failed
    pub failed: u64,
}

impl Tally {
    /// Adds another count.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// One check that passed or failed.
    pub fn one(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed) }
    }
}

/// Where the logs of the rings lie. They outlive the cluster.
pub fn logs() -> PathBuf {
    paths::target().join("test-logs")
}

/// Runs a program to its end and answers whether it was content and all that it said, which also lies in the log. Where it was not
/// content, the end of the log is shown.
pub fn say_into_log(name: &str, command: &mut Command) -> Result<(bool, String)> {
    let log = logs().join(format!("{name}.log"));
    fs::create_dir_all(logs()).with_context(|| format!("failed to make {}", logs().display()))?;
    let output = File::create(&log).with_context(|| format!("failed to create {}", log.display()))?;
    let errors = output.try_clone().with_context(|| format!("failed to share {}", log.display()))?;
    let status = command.stdin(Stdio::null()).stdout(output).stderr(errors).status();
    let content = status.with_context(|| format!("failed to start {}", command.get_program().to_string_lossy()))?.success();
    let said = fs::read(&log).with_context(|| format!("failed to read {}", log.display()))?;
    let said = String::from_utf8_lossy(&said).into_owned();
    if !content {
        eprintln!("{}\nthe whole log is {}", program::last_lines(&log, SHOWN), log.display());
        for failed in failures(&said) {
            eprintln!("  failed: {failed}");
        }
    }
    Ok((content, said))
}

/// What failed by name, as the test runners of Rust, Go and Python say it: what one of them said of its last failure may be longer than
/// the end of a log that is shown.
fn failures(said: &str) -> Vec<String> {
    let named = |line: &str| {
        let line = line.trim();
        let of_libtest = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED"));
        let of_go = line.strip_prefix("--- FAIL: ");
        let of_pytest = line.strip_prefix("FAILED ").or_else(|| line.strip_prefix("ERROR ")).filter(|line| line.contains("::"));
        of_libtest.or(of_go).or(of_pytest).map(|name| name.chars().take(WIDTH).collect())
    };
    said.lines().filter_map(named).collect()
}

/// What Rust's own test runner counted, over all test programs. Ignored tests count as failed: here nothing is skipped.
pub fn of_libtest(said: &str, content: bool) -> Tally {
    let mut tally = Tally::default();
    for line in said.lines().filter_map(|line| line.trim_start().strip_prefix("test result: ")) {
        let count = |word: &str| {
            let words: Vec<&str> = line.split([' ', ';', '.']).filter(|part| !part.is_empty()).collect();
            words.windows(2).find(|pair| pair[1] == word).and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
        };
        tally.add(Tally { passed: count("passed"), failed: count("failed") + count("ignored") });
    }
    // A program that ended badly with no failed test did not compile, or was killed.
    if !content && tally.failed == 0 || content && tally.passed == 0 {
        tally.failed += 1;
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_test_programs_add_up() {
        let said = "running 2 tests\n\ntest result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
            test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.20s\n";
        assert_eq!(of_libtest(said, false), Tally { passed: 15, failed: 3 });
    }

    #[test]
    fn every_runner_names_what_failed() {
        let said = "test run::ends ... ok\ntest run::begins ... FAILED\n    --- FAIL: TestConformance/trino (0.20s)\n\
            FAILED tests/test_stop.py::test_stops[early] - assert 1 == 0\nERROR tests/test_curl.py::test_runs - httpx.ConnectError\nERROR: no such file\n";
        let named = [
            "run::begins",
            "TestConformance/trino (0.20s)",
            "tests/test_stop.py::test_stops[early] - assert 1 == 0",
            "tests/test_curl.py::test_runs - httpx.ConnectError",
        ];
        assert_eq!(failures(said), named);
    }

    #[test]
    fn a_program_that_does_not_compile_is_a_failure() {
        assert_eq!(of_libtest("error: could not compile", false), Tally { passed: 0, failed: 1 });
    }

    #[test]
    fn tests_that_are_not_there_are_a_failure() {
        assert_eq!(of_libtest("", true), Tally { passed: 0, failed: 1 });
    }
}
