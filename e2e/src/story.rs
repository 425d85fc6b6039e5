//! A story: a namespace of its own on the real cluster, and everything that is told about it when it fails.

use std::{env, fmt::Write as _, fs, future::Future};

use anyhow::{Context, Result, bail, ensure};
use crucible_crds::TestRun;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::{Run, diagnostics, kubectl, operator, repository, vault::Bucket};

/// What the body of a story is given.
#[derive(Clone)]
pub struct Story {
    /// The cluster.
    pub client: Client,
    /// The story's own namespace, which pods must be `restricted` to run in.
    pub namespace: String,
}

/// Tells a story: makes its namespace, runs its body, takes the namespace away. Where the body fails, what the cluster knows is printed.
pub async fn tell<F, Told>(name: &str, body: F) -> Result<()>
where
    F: FnOnce(Story) -> Told,
    Told: Future<Output = Result<()>> + Send + 'static,
{
    if env::var_os("KUBECONFIG").is_none() {
        bail!("KUBECONFIG is not set: stories need a cluster; run cargo xtask test");
    }
    operator::ready().await.context("the operator was not ready before the story began")?;
    let client = Client::try_default().await.context("failed to reach the cluster")?;
    let story = Story { client, namespace: format!("e2e-{name}") };
    story.make_namespace().await?;
    let told = match tokio::spawn(body(story.clone())).await {
        Ok(told) => told,
        Err(panic) => Err(anyhow::anyhow!("the story panicked: {panic}")),
    };
    if told.is_err() {
        eprintln!("{}", diagnostics::gather(&story.namespace).await);
    }
    // A namespace that is kept can be looked into; the next telling starts over.
    if told.is_ok() || env::var_os("CRUCIBLE_KEEP").is_none() {
        kubectl::kubectl(&["delete", "namespace", &story.namespace, "--wait=false", "--ignore-not-found"]).await?;
    }
    told
}

impl Story {
    async fn make_namespace(&self) -> Result<()> {
        let name = &self.namespace;
        kubectl::ask(&["delete", "namespace", name, "--ignore-not-found", "--timeout=60s"], "").await?;
        let restricted = "pod-security.kubernetes.io/enforce: restricted";
        kubectl::create(&format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{restricted}}}}}\n")).await?;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-credentials", "namespace": name},
            "stringData": {"username": "crucible", "password": self.password().await?},
        });
        kubectl::create(&secret.to_string()).await.map(|_| ())
    }

    /// The password of the system under test, which nobody but the workers may see.
    pub async fn password(&self) -> Result<String> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), "sut");
        let data = secrets.get("mariadb").await.context("failed to read Secret sut/mariadb")?.data.unwrap_or_default();
        let password = data.get("password").context("Secret sut/mariadb has no password")?;
        String::from_utf8(password.0.clone()).context("the password is not text")
    }

    /// The sample plan with these stages (name, seconds, virtual users, measured), applied under this name.
    pub async fn plan(&self, name: &str, stages: &[(&str, u32, u32, bool)]) -> Result<()> {
        self.plan_with(name, stages, |_| ()).await
    }

    /// The same, changed before it is applied.
    pub async fn plan_with(&self, name: &str, stages: &[(&str, u32, u32, bool)], change: impl FnOnce(&mut Value)) -> Result<()> {
        let file = repository().join("dev/samples/plan.yaml");
        let text = fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
        let mut plan: Value = serde_saphyr::from_str(&text).context("the sample plan is not YAML")?;
        plan["metadata"] = json!({"name": name, "namespace": self.namespace});
        let stages =
            stages.iter().map(|(name, seconds, vus, measured)| json!({"name": name, "duration": format!("{seconds}s"), "vus": vus, "measured": measured}));
        plan["spec"]["load"]["stages"] = stages.collect();
        // The tests share the machine with what they test: what is fast there is not the question.
        plan["spec"]["slos"] = json!([{"metric": "errorRate", "atMost": 0.001}, {"metric": "p99", "query": "PointLookup", "below": "5s"}]);
        change(&mut plan);
        kubectl::create(&plan.to_string()).await.map(|_| ())
    }

    /// Creates a run of a plan.
    pub async fn run(&self, name: &str, plan: &str) -> Result<Run> {
        let run = json!({
            "apiVersion": "crucible.dev/v1alpha1", "kind": "TestRun",
            "metadata": {"name": name, "namespace": self.namespace}, "spec": {"planRef": {"name": plan}},
        });
        kubectl::create(&run.to_string()).await?;
        Ok(self.existing_run(name))
    }

    /// A run that exists already.
    pub fn existing_run(&self, name: &str) -> Run {
        Run { client: self.client.clone(), namespace: self.namespace.clone(), name: name.to_owned() }
    }

    /// Creates what a sample holds in the story's namespace and answers the names of its runs.
    pub async fn sample(&self, file: &str) -> Result<Vec<Run>> {
        let created = kubectl::create(&self.sample_text(file)?).await?;
        let runs: Vec<Run> = created.iter().filter_map(|name| name.strip_prefix("testrun.crucible.dev/")).map(|name| self.existing_run(name)).collect();
        ensure!(!runs.is_empty(), "{file} holds no run; it made {created:?}");
        Ok(runs)
    }

    /// A sample's text, in the story's namespace.
    pub fn sample_text(&self, file: &str) -> Result<String> {
        let path = repository().join("dev/samples").join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        Ok(text.replace("namespace: shop-tests", &format!("namespace: {}", self.namespace)))
    }

    /// Every run of the namespace.
    pub fn runs(&self) -> Api<TestRun> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The bucket of the results.
    pub async fn bucket(&self) -> Result<Bucket> {
        Bucket::from_environment().await
    }

    /// Everything that can be read in the namespace, as text; Secrets excepted.
    pub async fn everything(&self) -> Result<String> {
        let mut text = String::new();
        for kind in ["testplans", "testruns", "configmaps", "jobs", "pods", "events", "events.events.k8s.io"] {
            let _ = write!(text, "{}", kubectl::kubectl(&["--namespace", &self.namespace, "get", kind, "--output=json"]).await?);
        }
        Ok(text)
    }
}
