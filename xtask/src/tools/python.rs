//! Python programs: one virtual environment for each list of requirements, cached under the digest of that list and of the interpreter.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use super::apt::{Package, ensure_packages};
use crate::{paths, program, say};

/// What an environment cannot be made without. Debian keeps it apart from the interpreter.
const NEEDED: &str = "import ensurepip, venv";
/// Written last: an environment without it was never finished.
pub(super) const PROOF: &str = "complete";

/// The interpreter of an environment in which exactly these requirements are installed, hashes checked.
pub fn python_environment(name: &str, requirements: &Path) -> Result<PathBuf> {
    let python = interpreter()?;
    let wanted = fs::read_to_string(requirements).with_context(|| format!("failed to read {}", requirements.display()))?;
    let version = program::output(program::command(&python).arg("-VV"))?;
    let digest = crate::images::hash_text(&format!("{}{version}{wanted}", python.display()))?;
    let directory = paths::cache()?.join("tools").join(format!("python-{name}-{}", &digest[..16]));
    let inside = directory.join("bin/python");
    if directory.join(PROOF).is_file() {
        return Ok(inside);
    }
    let log = paths::cache()?.join("logs").join(format!("python-{name}.log"));
    say::step(format!("installing Python packages of {} (log {})", requirements.display(), log.display()));
    let start = Instant::now();
    if directory.exists() {
        fs::remove_dir_all(&directory).with_context(|| format!("failed to remove what was left unfinished in {}", directory.display()))?;
    }
    program::run_logged(program::command(&python).args(["-m", "venv"]).arg(&directory), &log)?;
    let mut pip = program::command(&inside);
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--require-hashes", "--only-binary=:all:", "--requirement"]).arg(requirements);
    program::run_logged(&mut pip, &log)?;
    fs::write(directory.join(PROOF), &version).with_context(|| format!("failed to finish {}", directory.display()))?;
    say::note(format!("the Python environment {name} was made in {}", say::took(start)));
    Ok(inside)
}

/// The first Python on the search path that can make environments, or Debian's.
fn interpreter() -> Result<PathBuf> {
    if let Some(python) = program::find("python3").filter(|python| program::succeeds(program::command(python).args(["-c", NEEDED]))) {
        return Ok(python);
    }
    ensure_packages(&[Package::new("python3", "/usr/bin/python3"), Package::new("python3-venv", "/var/lib/dpkg/info/python3-venv.list")])?;
    Ok("/usr/bin/python3".into())
}
