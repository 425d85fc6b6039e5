//! The same cluster on kind, where a Docker engine answers.

use std::path::Path;

use anyhow::{Context, Result};

use super::record::{Engine, Record};
use crate::tools::{self, Tool};
use crate::{paths, program, say};

const NAME: &str = "crucible";

/// Whether a Docker engine answers.
pub fn is_available() -> bool {
    program::find("docker").is_some() && program::succeeds(program::command("docker").arg("info"))
}

/// Creates the cluster from `kind-config.yaml`.
pub fn up() -> Result<Record> {
    let kind = tools::ensure(Tool::Kind)?;
    let state = paths::state()?;
    let bin = state.join("bin");
    std::fs::create_dir_all(&bin).with_context(|| format!("failed to make {}", bin.display()))?;
    for (tool, name) in [(Tool::Kubernetes, "kubectl"), (Tool::Helm, "helm")] {
        let link = bin.join(name);
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(tools::ensure(tool)?, &link).with_context(|| format!("failed to make {}", link.display()))?;
    }
    let mut record = Record::new(Engine::Kind);
    record.save()?;
    say::step("creating a cluster with kind from kind-config.yaml, a container of the Docker engine");
    let config = paths::repository().join("kind-config.yaml");
    let mut create = program::command(&kind);
    create.args(["create", "cluster", "--name", NAME, "--wait", "120s", "--config"]).arg(config);
    program::run(create.arg("--kubeconfig").arg(state.join("kubeconfig")))?;
    record.complete = true;
    record.save()?;
    Ok(record)
}

/// Loads an image archive into the node.
pub fn load(archive: &Path) -> Result<()> {
    program::run(program::command(tools::ensure(Tool::Kind)?).args(["load", "image-archive", "--name", NAME]).arg(archive))
}

/// Deletes the cluster.
pub fn down() -> Result<()> {
    program::run(program::command(tools::ensure(Tool::Kind)?).args(["delete", "cluster", "--name", NAME]))
}
