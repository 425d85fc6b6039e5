//! What `up` started and changed, written down before or as it happens, so that `down` and the next `up` can undo it whatever
//! became of the programs.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::process::Process;
use crate::paths;

/// How the cluster runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Kubernetes built from Go modules, as processes of this machine
    Embedded,
    /// kind, in a container of the Docker engine
    Kind,
}

/// A local port that leads to a service of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// The service's namespace
    pub namespace: String,
    /// The service's name
    pub service: String,
    /// The port on 127.0.0.1
    pub local_port: u16,
    /// The service's port
    pub remote_port: u16,
    /// The process that keeps it open
    pub process: Process,
}

/// The whole record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// How the cluster runs
    pub engine: Engine,
    /// Whether `up` came to its end
    pub complete: bool,
    /// The programs of the embedded cluster, in the order of their start
    pub processes: Vec<Process>,
    /// The local ports
    pub forwards: Vec<Forward>,
    /// Kernel settings as they were before
    pub kernel_settings: Vec<(PathBuf, String)>,
    /// Directories outside the state directory that were not there before
    pub made_directories: Vec<PathBuf>,
}

impl Record {
    /// An empty record of a cluster about to start.
    pub fn new(engine: Engine) -> Self {
        Self { engine, complete: false, processes: Vec::new(), forwards: Vec::new(), kernel_settings: Vec::new(), made_directories: Vec::new() }
    }

    /// The record of the last `up`, where there is one.
    pub fn load() -> Result<Option<Self>> {
        let file = file()?;
        match fs::read_to_string(&file) {
            Ok(text) => Ok(Some(serde_json::from_str(&text).with_context(|| format!("failed to read {}", file.display()))?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("failed to read {}", file.display())),
        }
    }

    /// Writes the record in one step: a reader sees the old one or the new one.
    pub fn save(&self) -> Result<()> {
        let file = file()?;
        let draft = file.with_extension("json.draft");
        let text = serde_json::to_string_pretty(self).context("failed to write the cluster record as JSON")?;
        fs::write(&draft, text).with_context(|| format!("failed to write {}", draft.display()))?;
        fs::rename(&draft, &file).with_context(|| format!("failed to replace {}", file.display()))
    }
}

fn file() -> Result<PathBuf> {
    Ok(paths::state()?.join("record.json"))
}
