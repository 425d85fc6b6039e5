//! The ring of pages and reports: Debian's Chromium looks at every kind of report, at the gateway's pages over a world in memory, and at those of the
//! development cluster.

use std::fs;

use anyhow::{Context, Result};

use super::contract;
use super::tally::{self, Tally, say_into_log};
use crate::cluster::Cluster;
use crate::tools::{self, Package};
use crate::{paths, program};

/// The browser, and letters for it: a machine without any would show none.
const NEEDED: [Package; 2] =
    [Package::new("chromium", "/usr/bin/chromium"), Package::new("fonts-dejavu-core", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")];

/// Where the chart is installed and its local ports are open.
pub fn run(cluster: &Cluster) -> Result<((), Tally)> {
    let place = paths::repository().join("e2e/pages");
    tools::ensure_packages(&NEEDED)?;
    let python = tools::python_environment("pages", &place.join("requirements.txt"))?;
    let reports = paths::target().join("reports");
    build(&reports)?;
    let file = tally::logs().join("pages.xml");
    if file.exists() {
        fs::remove_file(&file).with_context(|| format!("failed to remove the last report {}", file.display()))?;
    }
    let mut pytest = program::command(&python);
    pytest.current_dir(&place).args(["-m", "pytest", "--junit-xml"]).arg(&file);
    pytest.envs(contract::environment(cluster)?).env("CRUCIBLE_REPORTS", &reports).env("CRUCIBLE_CHROMIUM", NEEDED[0].proof);
    pytest.env("CRUCIBLE_SCREENSHOTS", paths::target().join("test-screenshots"));
    pytest.env("CRUCIBLE_PAGES_EXAMPLE", paths::target().join("debug/examples/pages"));
    let (content, _) = say_into_log("pages", &mut pytest)?;
    Ok(((), contract::of_junit(&fs::read_to_string(&file).unwrap_or_default(), content)))
}

/// Makes the sample reports, and the program that serves pages over a world in memory. The examples are compiled with the tests of the workspace.
fn build(reports: &std::path::Path) -> Result<()> {
    let mut cargo = program::command("cargo");
    cargo.current_dir(paths::repository()).args(["build", "--workspace", "--examples"]).env("CARGO_TERM_COLOR", "never");
    program::run_logged(&mut cargo, &tally::logs().join("compile-examples.log"))?;
    program::run(program::command(paths::target().join("debug/examples/reports")).arg(reports)).context("failed to write the sample reports")
}
