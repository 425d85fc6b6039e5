//! The chart: what it grants is what the operator declares, and everything that it renders is accepted.

use std::{collections::BTreeMap, env};

use anyhow::{Context, Result, ensure};
use crucible_api_gateway::rbac as gateway;
use crucible_e2e::{kubectl, repository};
use crucible_operator::rbac::{GRANTS, Scope};
use serde_json::Value;
use tokio::process::Command;

type Rules = BTreeMap<(String, String), Vec<String>>;

async fn render(values: &[&str]) -> Result<Vec<Value>> {
    let helm = env::var("CRUCIBLE_HELM").context("CRUCIBLE_HELM is not set; run cargo xtask test")?;
    let mut command = Command::new(helm);
    command.args(["template", "crucible", "--namespace=crucible", "--kube-version=1.34.4"]).arg(repository().join("charts/crucible"));
    for value in values {
        command.args(["--set", value]);
    }
    let said = command.output().await.context("failed to start helm")?;
    ensure!(said.status.success(), "helm template failed: {}", String::from_utf8_lossy(&said.stderr));
    let text = String::from_utf8(said.stdout).context("helm rendered what is not text")?;
    let documents = text.split("\n---").map(serde_saphyr::from_str::<Value>);
    let documents: Vec<Value> = documents.collect::<Result<_, _>>().context("helm rendered what is not YAML")?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// What a role grants, by group and resource.
fn rules(documents: &[Value], kind: &str, name: &str, namespace: Option<&str>) -> Result<Rules> {
    let is = |document: &&Value| document["kind"] == kind && document["metadata"]["name"] == name && document["metadata"]["namespace"].as_str() == namespace;
    let role = documents.iter().find(is).with_context(|| format!("no {kind} {name} is rendered"))?;
    let texts = |value: &Value| -> Vec<String> { value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect() };
    let mut found = Rules::new();
    for rule in role["rules"].as_array().context("a role has no rules")? {
        for (group, resource) in
            texts(&rule["apiGroups"]).into_iter().flat_map(|group| texts(&rule["resources"]).into_iter().map(move |resource| (group.clone(), resource)))
        {
            found.entry((group, resource)).or_default().extend(texts(&rule["verbs"]));
        }
    }
    Ok(found)
}

fn declared(scope: Scope) -> Rules {
    let of_scope = GRANTS.iter().filter(|grant| grant.scope == scope);
    of_scope.map(|grant| ((grant.group.to_owned(), grant.resource.to_owned()), grant.verbs.iter().map(ToString::to_string).collect())).collect()
}

#[tokio::test]
async fn the_chart_grants_exactly_what_the_operator_declares() -> Result<()> {
    let everywhere = render(&[]).await?;
    assert_eq!(rules(&everywhere, "ClusterRole", "crucible-operator", None)?, declared(Scope::Watched));
    assert_eq!(rules(&everywhere, "Role", "crucible-operator-leases", Some("crucible"))?, declared(Scope::Own));
    let one = render(&["watchNamespace=team-a"]).await?;
    assert_eq!(rules(&one, "Role", "crucible-operator", Some("team-a"))?, declared(Scope::Watched));
    assert_eq!(rules(&one, "Role", "crucible-operator-leases", Some("crucible"))?, declared(Scope::Own));
    // Only the gateway's questions about callers go to the whole cluster, and only where it asks them.
    let own = render(&["watchNamespace=team-a", "gateway.auth=none"]).await?;
    ensure!(own.iter().all(|document| !document["kind"].as_str().unwrap_or_default().starts_with("ClusterRole")), "the namespaced mode renders a cluster role");
    Ok(())
}

fn declared_by_the_gateway(scope: gateway::Scope) -> Rules {
    let of_scope = gateway::GRANTS.iter().filter(|grant| grant.scope == scope);
    of_scope.map(|grant| ((grant.group.to_owned(), grant.resource.to_owned()), grant.verbs.iter().map(ToString::to_string).collect())).collect()
}

#[tokio::test]
async fn the_chart_grants_exactly_what_the_gateway_declares() -> Result<()> {
    let everywhere = render(&["gateway.namespace=team-b"]).await?;
    assert_eq!(rules(&everywhere, "ClusterRole", "crucible-gateway", None)?, declared_by_the_gateway(gateway::Scope::Watched));
    assert_eq!(rules(&everywhere, "Role", "crucible-gateway-secrets", Some("team-b"))?, declared_by_the_gateway(gateway::Scope::Legacy));
    assert_eq!(rules(&everywhere, "ClusterRole", "crucible-gateway-reviews", None)?, declared_by_the_gateway(gateway::Scope::Cluster));
    let one = render(&["watchNamespace=team-a"]).await?;
    assert_eq!(rules(&one, "Role", "crucible-gateway", Some("team-a"))?, declared_by_the_gateway(gateway::Scope::Watched));
    assert_eq!(rules(&one, "Role", "crucible-gateway-secrets", Some("team-a"))?, declared_by_the_gateway(gateway::Scope::Legacy));
    ensure!(render(&["watchNamespace=team-a", "gateway.namespace=team-b"]).await.is_err(), "runs would be made where nobody looks");
    Ok(())
}

#[tokio::test]
async fn the_api_server_accepts_everything_that_the_chart_renders() -> Result<()> {
    ensure!(env::var_os("KUBECONFIG").is_some(), "KUBECONFIG is not set: run cargo xtask test");
    for values in [
        vec!["dev.enabled=true"],
        vec!["networkPolicy.enabled=true", "mcp.enabled=true", "s3.accessKeyId=a", "s3.secretAccessKey=b"],
        vec!["watchNamespace=shop-tests", "prometheus.sources[0].name=cluster", "prometheus.sources[0].url=http://prometheus.monitoring.svc:9090"],
        vec!["gateway.auth=static", "gateway.tokensSecret=tokens"],
    ] {
        let documents = render(&values).await?;
        ensure!(documents.len() >= 8, "only {} objects are rendered with {values:?}", documents.len());
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": documents});
        let answer =
            kubectl::ask(&["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--filename=-"], &list.to_string()).await?;
        ensure!(answer.ok, "with {values:?}: {}", answer.error);
    }
    Ok(())
}

#[tokio::test]
async fn the_chart_refuses_values_that_it_does_not_know() -> Result<()> {
    let refusal = render(&["operator.replcas=2"]).await.err().context("a misspelt value was accepted")?;
    ensure!(format!("{refusal:#}").contains("replcas"), "{refusal:#}");
    Ok(())
}
