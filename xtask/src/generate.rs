//! `cargo xtask generate`: writes the files that are made from the types, their copies in the chart, the description of the REST
//! API, and the figures in the README. A test of the chart says whether the copies are fresh; one of `crds` says so of the originals, one of the
//! gateway of the description.

use std::fs;

use anyhow::{Context, Result};

use crate::{paths, program, say};

mod figures;

/// Helm leaves what says so in place when the chart is uninstalled: runs and plans would go with their definitions.
const KEEP: &str = "metadata:\n  annotations:\n    helm.sh/resource-policy: keep\n";

/// Writes everything.
pub fn run() -> Result<()> {
    say::step("writing crds/yaml and its copies in charts/crucible/files/crds");
    let mut cargo = program::command("cargo");
    cargo.current_dir(paths::repository()).args(["run", "--quiet", "--package", "crucible-crds", "--example", "generate"]);
    program::run(&mut cargo)?;
    let (originals, copies) = (paths::repository().join("crds/yaml"), paths::repository().join("charts/crucible/files/crds"));
    fs::create_dir_all(&copies).with_context(|| format!("failed to make {}", copies.display()))?;
    for entry in fs::read_dir(&originals).with_context(|| format!("failed to list {}", originals.display()))? {
        let entry = entry.with_context(|| format!("failed to list {}", originals.display()))?;
        let text = fs::read_to_string(entry.path()).with_context(|| format!("failed to read {}", entry.path().display()))?;
        let copy = copies.join(entry.file_name());
        fs::write(&copy, for_chart(&text)).with_context(|| format!("failed to write {}", copy.display()))?;
    }
    say::step("writing docs/openapi.json");
    let mut cargo = program::command("cargo");
    cargo.current_dir(paths::repository()).args(["run", "--quiet", "--package", "crucible-api-gateway", "--example", "openapi"]);
    program::run(&mut cargo)?;
    say::step("writing the figures of bench/results into README.md");
    let readme = paths::repository().join("README.md");
    let text = fs::read_to_string(&readme).with_context(|| format!("failed to read {}", readme.display()))?;
    let filled = figures::fill(&text, &paths::repository().join("bench/results"))?;
    fs::write(&readme, filled).with_context(|| format!("failed to write {}", readme.display()))
}

/// A definition as the chart installs it.
fn for_chart(definition: &str) -> String {
    definition.replacen("metadata:\n", KEEP, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_in_the_chart_are_fresh() {
        let (originals, copies) = (paths::repository().join("crds/yaml"), paths::repository().join("charts/crucible/files/crds"));
        let names = |directory: &std::path::Path| {
            let mut names: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&originals), names(&copies));
        for name in names(&originals) {
            let original = fs::read_to_string(originals.join(&name)).unwrap();
            let copy = fs::read_to_string(copies.join(&name)).unwrap();
            assert!(for_chart(&original) == copy, "{} is stale: run cargo xtask generate", copies.join(&name).display());
        }
    }

    #[test]
    fn an_uninstall_of_the_chart_keeps_the_definitions() {
        let text = for_chart("kind: X\nmetadata:\n  name: y\nspec:\n  metadata:\n    a: b\n");
        assert_eq!(text, "kind: X\nmetadata:\n  annotations:\n    helm.sh/resource-policy: keep\n  name: y\nspec:\n  metadata:\n    a: b\n");
    }
}
