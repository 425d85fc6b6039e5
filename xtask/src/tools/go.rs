//! Programs built from pinned Go modules, cached by the hash of everything that pins them: a warm machine builds nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{paths, program, say};

/// A program that is built here rather than installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// etcd, the Kubernetes programs and kubectl, in one file
    Kubernetes,
    /// The cluster's name server
    CoreDns,
    /// The first process of every pod
    Pause,
    /// Installs our chart
    Helm,
    /// Makes clusters where a Docker engine answers
    Kind,
    /// The S3 server of the development cluster
    VersityGw,
    /// k6 with our extension; the module is the repository's own
    K6,
}

enum Source {
    /// A module of this repository, and the flags for its linker
    Ours { directory: &'static str, link: &'static str },
    /// A published program, installed as it is
    Published { package: &'static str, version: &'static str },
}

const KUBERNETES_VERSION: &str = "-X k8s.io/component-base/version.gitVersion=v1.34.4 \
    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34";

impl Tool {
    /// The name of the program's file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::CoreDns => "coredns",
            Self::Pause => "pause",
            Self::Helm => "helm",
            Self::Kind => "kind",
            Self::VersityGw => "versitygw",
            Self::K6 => "k6",
        }
    }

    /// One table for every version that is not pinned by a go.mod of ours.
    fn source(self) -> Source {
        match self {
            Self::Kubernetes => Source::Ours { directory: "dev/kubernetes", link: KUBERNETES_VERSION },
            Self::CoreDns => Source::Ours { directory: "dev/coredns", link: "" },
            Self::Pause => Source::Ours { directory: "dev/pause", link: "" },
            Self::K6 => Source::Ours { directory: "k6", link: "" },
            Self::Helm => Source::Published { package: "helm.sh/helm/v3/cmd/helm", version: "v3.22.0" },
            Self::Kind => Source::Published { package: "sigs.k8s.io/kind", version: "v0.30.0" },
            Self::VersityGw => Source::Published { package: "github.com/versity/versitygw/cmd/versitygw", version: "v1.8.0" },
        }
    }
}

/// Answers the path of the program, built first where the cache lacks it.
pub fn ensure(tool: Tool) -> Result<PathBuf> {
    let name = tool.name();
    let directory = paths::cache()?.join("tools").join(format!("{name}-{}", key(&tool.source())?));
    let built = directory.join(name);
    if built.is_file() {
        return Ok(built);
    }
    require(name)?;
    fs::create_dir_all(&directory).with_context(|| format!("failed to make {}", directory.display()))?;
    let start = Instant::now();
    // Built beside its place and then renamed, so that an interrupted build leaves nothing that looks finished.
    let unfinished = directory.join(format!("unfinished.{}", std::process::id()));
    build(tool, &unfinished).with_context(|| format!("failed to build {name}"))?;
    let from = if unfinished.is_dir() { unfinished.join(name) } else { unfinished.clone() };
    fs::rename(&from, &built).with_context(|| format!("failed to move {} to {}", from.display(), built.display()))?;
    let _ = fs::remove_dir_all(&unfinished);
    say::note(format!("{name} built in {}", say::took(start)));
    Ok(built)
}

/// Fails where there is no Go to build `name` with.
pub(super) fn require(name: &str) -> Result<()> {
    if program::find("go").is_none() {
        bail!("Go is missing: {name} is built from Go modules; install Go 1.26 or newer and put it on the PATH");
    }
    Ok(())
}

fn build(tool: Tool, to: &Path) -> Result<()> {
    let log = paths::cache()?.join("logs").join(format!("build-{}.log", tool.name()));
    let mut go = program::command("go");
    go.env("CGO_ENABLED", "0");
    match tool.source() {
        Source::Ours { directory, link } => {
            say::step(format!("building {} from the Go module in {directory} (minutes the first time; log {})", tool.name(), log.display()));
            go.current_dir(paths::repository().join(directory));
            go.args(["build", "-trimpath", "-buildvcs=false", "-ldflags", &format!("-s -w {link}"), "-o"]).arg(to).arg(".");
        }
        Source::Published { package, version } => {
            say::step(format!("building {package} {version} (log {})", log.display()));
            go.env("GOBIN", to).current_dir(paths::repository().join("dev"));
            go.args(["install", "-trimpath", "-ldflags", "-s -w", &format!("{package}@{version}")]);
        }
    }
    program::run_logged(&mut go, &log)
}

/// Hashes what decides the program: for a module of ours its sources and sums, for a published one its version.
fn key(source: &Source) -> Result<String> {
    match source {
        Source::Published { package, version } => short_hash(&format!("{package}@{version}")),
        Source::Ours { directory, link } => module_key(&paths::repository().join(directory), link),
    }
}

/// Hashes the sources and sums of the module in `root`, and how it is built.
pub(super) fn module_key(root: &Path, how: &str) -> Result<String> {
    let mut files = Vec::new();
    collect_sources(root, &mut files)?;
    files.sort();
    if !files.iter().any(|file| file.ends_with("go.mod")) {
        bail!("no go.mod in {}", root.display());
    }
    let mut text = how.to_string();
    for file in files {
        text.push_str(&file.to_string_lossy().replace(&*root.to_string_lossy(), ""));
        text.push_str(&fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?);
    }
    short_hash(&text)
}

fn short_hash(text: &str) -> Result<String> {
    Ok(crate::images::hash_text(text)?[..16].to_string())
}

fn collect_sources(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("failed to list {}", directory.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("failed to list {}", directory.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "testdata" {
                collect_sources(&path, files)?;
            }
        } else if matches!(name.rsplit('.').next(), Some("mod" | "sum" | "go" | "js")) && !name.ends_with("_test.go") {
            files.push(path);
        }
    }
    Ok(())
}
