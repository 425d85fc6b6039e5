//! Our chart on the development cluster: images built and loaded, namespaces labelled, the release installed or brought up to date,
//! local ports opened. `demo` and `test` stand on it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::cluster::Cluster;
use crate::images::{self, Image, Programs};
use crate::{paths, program, say};

/// The operator's namespace, with the S3 server and PostgreSQL.
pub const NAMESPACE: &str = "crucible";
/// Where plans and runs of the samples live.
pub const TESTS_NAMESPACE: &str = "shop-tests";
/// The bucket of the results.
pub const BUCKET: &str = "project-crucible-storage";
/// Service, its namespace, and the port, which is the same on this machine.
pub const PORTS: [(&str, &str, &str, u16); 6] = [
    ("REST, with its description at /docs", NAMESPACE, "crucible-gateway", 8000),
    ("MCP at /mcp", NAMESPACE, "crucible-mcp", 8001),
    ("S3", NAMESPACE, "s3", 9000),
    ("MariaDB (the sample system under test)", "sut", "mariadb", 3306),
    ("PostgreSQL", NAMESPACE, "postgres", 5432),
    ("Prometheus", NAMESPACE, "prometheus", 9090),
];

/// Development dependencies, and callers that are not asked who they are: the ports are open on this machine only.
const DEVELOPMENT: &str = "dev.enabled=true,gateway.auth=none,mcp.enabled=true,mcp.auth=none";
const RELEASE: &str = "crucible";
const PATIENCE: &str = "180s";

/// What the chart brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// What the demo runs
    Demo,
    /// That, and a Trino that sleeps until a story wakes it
    Stories,
}

/// Installs the chart with its development dependencies, or brings an installed one up to date, and waits until all is ready. The Rust
/// programs have been compiled before.
pub fn install(cluster: &Cluster, content: Content) -> Result<()> {
    let start = Instant::now();
    let more: &[Image] = if content == Content::Stories { &Image::TRINO } else { &[] };
    let built = images::build_and_load(&[&Image::DEVELOPMENT, more].concat(), &Programs::In(paths::target().join("debug")))?;
    let digests: String = built.iter().map(images::Built::digest).collect();
    // A pod is made anew when the content behind its image's name has changed.
    let digest = images::hash_text(&digests)?;
    say::step(format!("installing the chart as release {RELEASE} in namespace {NAMESPACE}, with gateway, MCP server, S3, MariaDB, PostgreSQL and Prometheus"));
    cluster.apply(&namespace_manifest())?;
    let annotations = ["operator", "gateway", "mcp"].map(|program| format!("{program}.podAnnotations.crucible\\.dev/images={}", &digest[..16])).join(",");
    let trino = format!("dev.trino.enabled={},dev.trino.replicas=0", content == Content::Stories);
    let mut helm = helm(cluster)?;
    helm.args(["upgrade", "--install", RELEASE]).arg(paths::repository().join("charts/crucible"));
    helm.args(["--namespace", NAMESPACE, "--set", DEVELOPMENT, "--set", &trino, "--set-string", &annotations, "--wait", "--timeout", PATIENCE]);
    if let Err(error) = program::output(&mut helm) {
        let pods = cluster.kubectl(&["get", "pods", "--all-namespaces"]).unwrap_or_default();
        return Err(error.context(format!("the chart was not ready within {PATIENCE}\n{pods}")));
    }
    say::note(format!("the chart is ready after {}", say::took(start)));
    Ok(())
}

/// Opens the local ports of the development dependencies.
pub fn open_ports(cluster: &Cluster) -> Result<()> {
    for (_, namespace, service, port) in PORTS {
        cluster.port_forward(namespace, service, port, port)?;
    }
    Ok(())
}

/// What programs of ours need to reach the bucket from this machine.
pub fn bucket_environment(cluster: &Cluster) -> Result<Vec<(&'static str, String)>> {
    let key = |name: &str| {
        let template = format!("--output=go-template={{{{ .data.{name} | base64decode }}}}");
        cluster.kubectl(&["--namespace", NAMESPACE, "get", "secret", "crucible-s3", &template])
    };
    Ok(vec![
        ("CRUCIBLE_BUCKET", BUCKET.into()),
        ("CRUCIBLE_S3_ENDPOINT", "http://127.0.0.1:9000".into()),
        ("AWS_ACCESS_KEY_ID", key("accessKeyId")?),
        ("AWS_SECRET_ACCESS_KEY", key("secretAccessKey")?),
    ])
}

/// The address of the cluster's Postgres as this machine reaches it, for whoever may make databases.
pub fn postgres_url(cluster: &Cluster) -> Result<String> {
    let template = "--output=go-template={{ .data.password | base64decode }}";
    let password = cluster.kubectl(&["--namespace", NAMESPACE, "get", "secret", "postgres", template])?;
    Ok(format!("postgres://crucible:{password}@127.0.0.1:5432/crucible?sslmode=disable"))
}

/// Helm as the administrator, for callers that want its output.
pub fn helm(cluster: &Cluster) -> Result<Command> {
    let mut helm = program::command(paths::state()?.join("bin/helm"));
    helm.env("KUBECONFIG", cluster.kubeconfig()?);
    Ok(helm)
}

/// Writes what the cluster can tell about itself into a file, and answers where that is.
pub fn diagnose(cluster: &Cluster, file: &Path) -> Result<PathBuf> {
    let operator = ["--namespace", NAMESPACE, "logs", "deployment/crucible-operator", "--tail=200"];
    let questions: [&[&str]; 7] = [
        &["get", "pods", "--all-namespaces", "--output=wide"],
        &["get", "testplans,testruns", "--all-namespaces", "--output=wide"],
        &["get", "jobs,leases", "--all-namespaces"],
        &["get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"],
        &operator,
        &["--namespace", NAMESPACE, "logs", "deployment/crucible-gateway", "--tail=200"],
        &["--namespace", NAMESPACE, "logs", "deployment/crucible-operator", "--tail=200", "--previous"],
    ];
    let mut text = String::new();
    for question in questions {
        let answer = cluster.kubectl(question).unwrap_or_else(|error| format!("{error:#}\n"));
        // Writing to a String cannot fail.
        let _ = write!(text, "$ kubectl {}\n{answer}\n", question.join(" "));
    }
    fs::write(file, text).with_context(|| format!("failed to write {}", file.display()))?;
    Ok(file.to_path_buf())
}

fn namespace_manifest() -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {NAMESPACE}\n  labels:\n    pod-security.kubernetes.io/enforce: restricted\n    \
         pod-security.kubernetes.io/warn: restricted\n"
    )
}
