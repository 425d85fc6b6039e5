//! The figures in the README: one table made of what the benches wrote, so that no figure stands there that nobody can measure again.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

const BEGIN: &str = "<!-- figures: written by cargo xtask generate -->\n";
const END: &str = "<!-- end of figures -->\n";

/// What the README needs of a bench's results.
#[derive(Deserialize)]
struct Results {
    bench: String,
    /// Which of several servers was measured.
    server: Option<String>,
    date: String,
    machine: Machine,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Machine {
    cores: u32,
    processor: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    what: String,
    measured: f64,
    at_most: Option<f64>,
    at_least: Option<f64>,
    met: bool,
}

/// The README with its table made anew from every file in `results`.
pub fn fill(readme: &str, results: &Path) -> Result<String> {
    let (before, rest) = readme.split_once(BEGIN).context("README.md has no place for the figures")?;
    let (_, after) = rest.split_once(END).context("the place for the figures in README.md has no end")?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", table(results)?))
}

fn table(directory: &Path) -> Result<String> {
    let listed = fs::read_dir(directory).with_context(|| format!("failed to list {}", directory.display()))?;
    let mut files = listed.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    ensure!(!files.is_empty(), "{} holds no results", directory.display());
    let mut table = String::from("\n| measured by | figure | value | aim | |\n|---|---|---:|---:|---|\n");
    let mut where_ = String::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
        let results: Results = serde_json::from_str(&text).with_context(|| format!("{} is not what a bench writes", file.display()))?;
        for target in &results.targets {
            writeln!(table, "{}", row(&results.bench, target))?;
        }
        let day = results.date.get(..10).unwrap_or(&results.date);
        let name = results.bench + &results.server.map(|server| format!(" {server}")).unwrap_or_default();
        writeln!(where_, "`{name}`: {day}, {} cores ({}).", results.machine.cores, results.machine.processor)?;
    }
    Ok(format!("{table}\n{where_}\n"))
}

fn row(bench: &str, target: &Target) -> String {
    let aim = match (target.at_most, target.at_least) {
        (Some(limit), _) => format!("≤ {limit}"),
        (None, Some(limit)) => format!("≥ {limit}"),
        (None, None) => String::new(),
    };
    let met = if target.met { "met" } else { "**missed**" };
    format!("| `bench {bench}` | {} | {} | {aim} | {met} |", target.what, rounded(target.measured))
}

/// Three digits that count.
fn rounded(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 100.0 => 0,
        medium if medium >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths;

    #[test]
    fn figures_in_the_readme_are_those_that_the_benches_wrote() {
        let readme = fs::read_to_string(paths::repository().join("README.md")).unwrap();
        let filled = fill(&readme, &paths::repository().join("bench/results")).unwrap();
        assert!(filled == readme, "README.md is stale: run cargo xtask generate");
    }

    #[test]
    fn a_missed_aim_is_said_as_plainly_as_one_that_was_met() {
        let target = |measured, met| Target { what: "skew, ms".into(), measured, at_most: Some(20.0), at_least: None, met };
        assert_eq!(row("start", &target(2.024, true)), "| `bench start` | skew, ms | 2.02 | ≤ 20 | met |");
        assert_eq!(row("start", &target(37.414, false)), "| `bench start` | skew, ms | 37.4 | ≤ 20 | **missed** |");
    }
}
