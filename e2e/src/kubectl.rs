//! kubectl as a user runs it. `xtask` names it, and the kubeconfig, in the environment.

use std::{env, process::Stdio};

use anyhow::{Context, Result, bail};
use tokio::{io::AsyncWriteExt, process::Command};

/// What a program said, and whether it was content.
#[derive(Debug)]
pub struct Answer {
    /// Whether it ended with 0.
    pub ok: bool,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub error: String,
}

/// Runs kubectl and answers its standard output.
pub async fn kubectl(arguments: &[&str]) -> Result<String> {
    let answer = ask(arguments, "").await?;
    if !answer.ok {
        bail!("kubectl {} failed: {}", arguments.join(" "), answer.error.trim());
    }
    Ok(answer.output)
}

/// Runs kubectl with `input` on its standard input, whatever comes of it.
pub async fn ask(arguments: &[&str], input: &str) -> Result<Answer> {
    let mut command = Command::new(env::var("CRUCIBLE_KUBECTL").unwrap_or_else(|_| "kubectl".to_owned()));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("failed to start kubectl")?;
    if let Some(mut stdin) = child.stdin.take() {
        // A kubectl that ends without reading says why by itself.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let ended = child.wait_with_output().await.context("failed to wait for kubectl")?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Answer { ok: ended.status.success(), output: text(ended.stdout), error: text(ended.stderr) })
}

/// Creates what a manifest holds and answers the names of what was created.
pub async fn create(manifest: &str) -> Result<Vec<String>> {
    let answer = ask(&["create", "--output=name", "--filename=-"], manifest).await?;
    if !answer.ok {
        bail!("kubectl create failed: {}", answer.error.trim());
    }
    Ok(answer.output.lines().map(str::to_owned).collect())
}
