//! Whether everything that is compiled into our programs may be: permissive licences alone, by what each crate says of itself.

use anyhow::{Context, Result};
use serde::Deserialize;
use spdx::{Expression, LicenseItem, ParseMode};

use super::tally::Tally;
use crate::{paths, program};

/// What we may pass on with no condition beyond naming it, and MPL, which binds its own files alone.
const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// Absent for our own.
    source: Option<String>,
}

/// Asks every crate that the lock file names.
pub fn run() -> Result<Tally> {
    let mut cargo = program::command("cargo");
    cargo.current_dir(paths::repository()).args(["metadata", "--format-version", "1", "--locked"]);
    let metadata: Metadata = serde_json::from_str(&program::output(&mut cargo)?).context("failed to read what cargo says of the crates")?;
    let refused: Vec<String> = metadata.packages.iter().filter(|package| package.source.is_some()).filter_map(refusal).collect();
    for line in &refused {
        eprintln!("{line}");
    }
    Ok(Tally::one(refused.is_empty()))
}

/// Why a crate cannot be used.
fn refusal(package: &Package) -> Option<String> {
    let Package { name, version, license, source: _ } = package;
    let Some(license) = license else { return Some(format!("{name} {version} does not say its licence")) };
    match Expression::parse_mode(license, ParseMode::LAX) {
        Ok(expression) if expression.evaluate(|asked| is_allowed(&asked.license)) => None,
        Ok(_) => Some(format!("{name} {version} has a licence that is not on the list: {license}")),
        Err(error) => Some(format!("{name} {version} has a licence that cannot be read: {license}: {}", error.reason)),
    }
}

/// An exception only ever permits more.
fn is_allowed(license: &LicenseItem) -> bool {
    matches!(license, LicenseItem::Spdx { id, or_later: _ } if ALLOWED.contains(&id.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(license: Option<&str>) -> Option<String> {
        refusal(&Package { name: "x".into(), version: "1.0.0".into(), license: license.map(str::to_owned), source: Some("registry".into()) })
    }

    #[test]
    fn permissive_licences_are_allowed_in_every_way_to_write_them() {
        for license in
            ["MIT OR Apache-2.0", "MIT/Apache-2.0", "Apache-2.0 WITH LLVM-exception", "MIT OR LGPL-2.1-or-later", "(MIT OR Apache-2.0) AND Unicode-3.0"]
        {
            assert_eq!(said(Some(license)), None, "{license}");
        }
    }

    #[test]
    fn what_binds_our_own_code_or_says_nothing_is_refused_by_name() {
        for license in ["AGPL-3.0-only", "GPL-2.0-or-later", "MIT AND GPL-3.0-only", "Proprietary"] {
            assert!(said(Some(license)).is_some_and(|why| why.starts_with("x 1.0.0 has a licence that ")), "{license}");
        }
        assert_eq!(said(None).as_deref(), Some("x 1.0.0 does not say its licence"));
    }
}
