//! The ring of the REST contract: clients of the earlier system, written in Python from its contract alone, against the gateway, the
//! bucket and the tables of the development cluster.

use std::fs;

use anyhow::{Context, Result};

use super::tally::{self, Tally, say_into_log};
use crate::cluster::{self, Cluster};
use crate::tools::{self, Package};
use crate::{chart, paths, program};

/// Where the chart is installed and its local ports are open.
pub fn run(cluster: &Cluster) -> Result<((), Tally)> {
    let place = paths::repository().join("e2e/contract");
    tools::ensure_packages(&[Package::new("curl", "curl")])?;
    let python = tools::python_environment("contract", &place.join("requirements.txt"))?;
    let report = tally::logs().join("contract.xml");
    if report.exists() {
        fs::remove_file(&report).with_context(|| format!("failed to remove the last report {}", report.display()))?;
    }
    let mut pytest = program::command(&python);
    pytest.current_dir(&place).args(["-m", "pytest", "--junit-xml"]).arg(&report);
    pytest.envs(chart::bucket_environment(cluster)?).envs(environment(cluster)?);
    let (content, _) = say_into_log("contract", &mut pytest)?;
    let counted = fs::read_to_string(&report).unwrap_or_default();
    Ok(((), of_junit(&counted, content)))
}

/// Where everything is, and who may look at it.
pub fn environment(cluster: &Cluster) -> Result<Vec<(&'static str, String)>> {
    let of = |namespace: &str, secret: &str, key: &str| {
        let template = format!("--output=go-template={{{{ .data.{key} | base64decode }}}}");
        cluster.kubectl(&["--namespace", namespace, "get", "secret", secret, &template])
    };
    let programs = paths::state()?.join("bin");
    Ok(vec![
        ("PYTHONDONTWRITEBYTECODE", "1".into()),
        ("KUBECONFIG", cluster.kubeconfig()?.display().to_string()),
        ("CRUCIBLE_KUBECTL", programs.join("kubectl").display().to_string()),
        ("CRUCIBLE_HELM", programs.join("helm").display().to_string()),
        ("CRUCIBLE_XTASK", cluster::own_program()),
        ("CRUCIBLE_NAMESPACE", chart::NAMESPACE.into()),
        ("CRUCIBLE_REST_URL", "http://127.0.0.1:8000".into()),
        ("PGHOST", "127.0.0.1".into()),
        ("PGPORT", "5432".into()),
        ("PGDATABASE", "crucible".into()),
        ("PGUSER", of(chart::NAMESPACE, "postgres", "username")?),
        ("PGPASSWORD", of(chart::NAMESPACE, "postgres", "password")?),
        ("CRUCIBLE_SUT_HOST", "mariadb.sut.svc:3306".into()),
        ("CRUCIBLE_SUT_DATABASE", "shop".into()),
        ("CRUCIBLE_SUT_USERNAME", "crucible".into()),
        ("CRUCIBLE_SUT_PASSWORD", of("sut", "mariadb", "password")?),
    ])
}

/// What pytest counted. Skipped tests count as failed, and so do those that could not be set up.
pub fn of_junit(report: &str, content: bool) -> Tally {
    let suite = report.split_once("<testsuite ").and_then(|(_, rest)| rest.split_once('>')).map_or("", |(attributes, _)| attributes);
    let count = |name: &str| -> u64 {
        let value = suite.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split_once('"')).map(|(value, _)| value);
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    let mut tally = Tally { passed: 0, failed: count("failures") + count("errors") + count("skipped") };
    tally.passed = count("tests").saturating_sub(tally.failed);
    if !content && tally.failed == 0 || content && tally.passed == 0 {
        tally.failed += 1;
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><testsuites name=\"pytest tests\"><testsuite name=\"pytest\" errors=\"1\" \
        failures=\"2\" skipped=\"1\" tests=\"40\" time=\"12.3\"><testcase name=\"tests=&quot;99&quot;\"/></testsuite></testsuites>";

    #[test]
    fn what_failed_was_skipped_or_could_not_be_set_up_did_not_pass() {
        assert_eq!(of_junit(REPORT, false), Tally { passed: 36, failed: 4 });
    }

    #[test]
    fn a_suite_that_left_no_report_is_a_failure() {
        assert_eq!(of_junit("", false), Tally { passed: 0, failed: 1 });
        assert_eq!(of_junit("", true), Tally { passed: 0, failed: 1 });
    }

    #[test]
    fn a_suite_that_ended_badly_although_no_test_failed_is_a_failure() {
        let report = REPORT.replace("errors=\"1\" failures=\"2\" skipped=\"1\"", "errors=\"0\" failures=\"0\" skipped=\"0\"");
        assert_eq!(of_junit(&report, false), Tally { passed: 40, failed: 1 });
    }
}
