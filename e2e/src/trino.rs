//! The Trino of the development cluster, which sleeps unless a story needs it: it takes more memory than everything else together.

use anyhow::Result;

use crate::{OPERATOR_NAMESPACE, kubectl::kubectl};

/// Where workers reach it.
pub const ENDPOINT: &str = "trino.crucible.svc:8443";

/// Starts it, with nothing in it but empty schemas, and waits until it answers.
pub async fn wake() -> Result<()> {
    kubectl(&["--namespace", OPERATOR_NAMESPACE, "scale", "deployment/trino", "--replicas=1"]).await?;
    kubectl(&["--namespace", OPERATOR_NAMESPACE, "rollout", "status", "deployment/trino", "--timeout=180s"]).await.map(|_| ())
}

/// Ends it. Its tables go with its pod.
pub async fn sleep() -> Result<()> {
    kubectl(&["--namespace", OPERATOR_NAMESPACE, "scale", "deployment/trino", "--replicas=0"]).await?;
    let pods = "--selector=app.kubernetes.io/component=trino";
    kubectl(&["--namespace", OPERATOR_NAMESPACE, "wait", "pods", pods, "--for=delete", "--timeout=60s"]).await.map(|_| ())
}

/// The certificate that its own was signed with.
pub async fn authority() -> Result<String> {
    let template = "--output=go-template={{ index .data \"ca.crt\" | base64decode }}";
    kubectl(&["--namespace", OPERATOR_NAMESPACE, "get", "secret", "trino", template]).await
}

/// The password of its user.
pub async fn password() -> Result<String> {
    let template = "--output=go-template={{ .data.password | base64decode }}";
    kubectl(&["--namespace", OPERATOR_NAMESPACE, "get", "secret", "trino", template]).await
}
