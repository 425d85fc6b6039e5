//! Where things lie: the repository, the cache that outlives everything, and the state that `cluster down` removes.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the repository.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Tools and image layers, kept until the developer deletes them: outside `target/`, so that `cargo clean` costs no Go build.
pub fn cache() -> Result<PathBuf> {
    Ok(home_directory("XDG_CACHE_HOME", ".cache")?.join("crucible"))
}

/// Everything of the running cluster, its logs and its kubeconfig.
pub fn state() -> Result<PathBuf> {
    Ok(home_directory("XDG_STATE_HOME", ".local/state")?.join("crucible"))
}

/// Where `cargo build` leaves its programs.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), |directory| repository().join(directory))
}

fn home_directory(variable: &str, below_home: &str) -> Result<PathBuf> {
    let given = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    match given {
        Some(path) => Ok(path),
        None => Ok(PathBuf::from(env::var_os("HOME").context("neither HOME nor the XDG directories are set")?).join(below_home)),
    }
}
