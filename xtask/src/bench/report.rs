//! What a bench says: a JSON file for whoever compares, lines and tables for whoever waits.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::statistics::rounded;
use crate::{paths, say};

/// A promise of ours, and what came of it.
pub struct Target {
    what: String,
    measured: f64,
    promised: Promise,
}

#[derive(Clone, Copy)]
enum Promise {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    /// What is promised not to be more.
    pub fn at_most(what: impl Into<String>, measured: f64, most: f64) -> Self {
        Self { what: what.into(), measured, promised: Promise::AtMost(most) }
    }

    /// What is promised not to be less.
    pub fn at_least(what: impl Into<String>, measured: f64, least: f64) -> Self {
        Self { what: what.into(), measured, promised: Promise::AtLeast(least) }
    }

    /// Whether the promise was kept. What could not be measured did not keep it.
    pub fn met(&self) -> bool {
        match self.promised {
            Promise::AtMost(most) => self.measured <= most,
            Promise::AtLeast(least) => self.measured >= least,
        }
    }

    fn to_json(&self) -> Value {
        let (bound, promised) = match self.promised {
            Promise::AtMost(most) => ("atMost", most),
            Promise::AtLeast(least) => ("atLeast", least),
        };
        json!({"what": self.what, "measured": rounded(self.measured, 3), bound: rounded(promised, 3), "met": self.met()})
    }

    fn to_row(&self) -> Vec<String> {
        let promised = match self.promised {
            Promise::AtMost(most) => format!("<= {most:.2}"),
            Promise::AtLeast(least) => format!(">= {least:.2}"),
        };
        let verdict = if self.met() { "met" } else { "MISSED" };
        vec![self.what.clone(), format!("{:.2}", self.measured), promised, verdict.to_owned()]
    }
}

/// Where the results go: the file that was asked for, or `bench/results/NAME.json`.
pub fn place(asked: Option<&PathBuf>, name: &str) -> PathBuf {
    asked.cloned().unwrap_or_else(|| results().join(format!("{name}.json")))
}

/// The same of a bench that measures several servers, each for itself: `NAME-SERVER.json`, in the directory that was asked for.
pub fn place_of(asked: Option<&PathBuf>, name: &str, server: &str) -> PathBuf {
    asked.cloned().unwrap_or_else(results).join(format!("{name}-{server}.json"))
}

fn results() -> PathBuf {
    paths::repository().join("bench/results")
}

/// What was measured, and whether it was.
pub fn parted(measured: Result<Value>) -> (Value, Result<()>) {
    measured.map_or_else(|error| (Value::Null, Err(error)), |figures| (figures, Ok(())))
}

/// Writes the results and says where, then which targets were met. What was measured before a measurement broke off is kept, and marked.
pub fn save(path: &Path, mut results: Value, targets: &[Target], measured: &Result<()>) -> Result<()> {
    if let Err(error) = measured {
        results["brokeOff"] = format!("{error:#}").into();
    }
    results["targets"] = targets.iter().map(Target::to_json).collect();
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(|| format!("failed to make {}", directory.display()))?;
    }
    let text = serde_json::to_string_pretty(&results).context("failed to write the results as JSON")?;
    fs::write(path, text + "\n").with_context(|| format!("failed to write {}", path.display()))?;
    table(&["target", "measured", "promised", ""], &targets.iter().map(Target::to_row).collect::<Vec<_>>());
    say::note(format!("every figure is in {}", path.display()));
    Ok(())
}

/// Prints rows below a heading, each column as wide as its widest cell, numbers to the right.
pub fn table(heading: &[&str], rows: &[Vec<String>]) {
    print!("{}", laid_out(heading, rows));
}

fn laid_out(heading: &[&str], rows: &[Vec<String>]) -> String {
    let heading: Vec<String> = heading.iter().map(ToString::to_string).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&heading).chain(rows).collect();
    let width = |column: usize| all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| match column {
            0 => format!("{cell:<width$}", width = width(column)),
            _ => format!("{cell:>width$}", width = width(column)),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    format!("\n{}", all.iter().map(|row| line(row)).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_kept_up_to_its_bound_and_not_by_what_was_not_measured() {
        assert!(Target::at_most("p99", 5.0, 5.0).met() && !Target::at_most("p99", 5.1, 5.0).met());
        assert!(Target::at_least("rate", 200.0, 200.0).met() && !Target::at_least("rate", 199.0, 200.0).met());
        assert!(!Target::at_most("p99", f64::NAN, 5.0).met() && !Target::at_least("rate", f64::NAN, 1.0).met());
        assert_eq!(Target::at_least("rate", 250.0, 200.0).to_json(), json!({"what": "rate", "measured": 250.0, "atLeast": 200.0, "met": true}));
    }

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let rows = [vec!["lookups".to_owned(), "9.8".to_owned()], vec!["mix".to_owned(), "123.4".to_owned()]];
        assert_eq!(laid_out(&["case", "us"], &rows), "\ncase        us\nlookups    9.8\nmix      123.4\n");
    }
}
