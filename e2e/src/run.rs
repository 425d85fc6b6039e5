//! A run as somebody watches it.

use std::{future::Future, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use crucible_crds::{Outcome, Phase, TestRun, TestRunStatus};
use crucible_lifecycle::build::labels;
use k8s_openapi::api::{batch::v1::Job, coordination::v1::Lease, core::v1::Pod, events::v1::Event};
use kube::{Api, Client, api::ListParams};
use tokio::time::{Instant, sleep};

use crate::{OPERATOR_NAMESPACE, kubectl::kubectl};

/// How often is looked.
const LOOK: Duration = Duration::from_millis(100);

/// Asks again until there is an answer.
pub async fn eventually<T, F, Asked>(what: &str, limit: Duration, mut ask: F) -> Result<T>
where
    F: FnMut() -> Asked,
    Asked: Future<Output = Result<Option<T>>>,
{
    let start = Instant::now();
    let mut trouble = None;
    while start.elapsed() < limit {
        match ask().await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => {}
            Err(error) => trouble = Some(error),
        }
        sleep(LOOK).await;
    }
    let trouble = trouble.map(|error| format!("; last trouble: {error:#}")).unwrap_or_default();
    bail!("after {} s it still does not hold that {what}{trouble}", limit.as_secs())
}

/// A run by its name.
#[derive(Clone)]
pub struct Run {
    /// The cluster.
    pub client: Client,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Run {
    fn api(&self) -> Api<TestRun> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The run as it is now.
    pub async fn get(&self) -> Result<TestRun> {
        self.api().get(&self.name).await.with_context(|| format!("failed to read run {}", self.name))
    }

    /// Its status as it is now.
    pub async fn status(&self) -> Result<TestRunStatus> {
        Ok(self.get().await?.status.unwrap_or_default())
    }

    /// Waits until the status is as wanted.
    pub async fn until(&self, what: &str, limit: Duration, wanted: impl Fn(&TestRunStatus) -> bool) -> Result<TestRunStatus> {
        let what = format!("run {}: {what}", self.name);
        let seen = eventually(&what, limit, || async { Ok(Some(self.status().await?).filter(|status| wanted(status))) }).await;
        match seen {
            Ok(status) => Ok(status),
            Err(error) => bail!("{error:#}; it is {}", self.in_words().await),
        }
    }

    /// Waits until the run is in this phase or beyond it.
    pub async fn reaches(&self, phase: Phase, limit: Duration) -> Result<TestRunStatus> {
        let passed = |status: &TestRunStatus| status.transitions.iter().any(|move_| move_.phase == phase) || status.phase == Some(phase);
        self.until(&format!("it reaches {phase}"), limit, passed).await
    }

    /// Waits for the end of the run, which must be this one.
    pub async fn ends(&self, phase: Phase, limit: Duration) -> Result<TestRunStatus> {
        let status = self.until("it ends", limit, |status| status.phase.is_some_and(Phase::is_terminal)).await?;
        ensure!(status.phase == Some(phase), "run {} ended {}", self.name, self.in_words().await);
        Ok(status)
    }

    /// Waits for `Completed` with this outcome.
    pub async fn completes(&self, outcome: Outcome, limit: Duration) -> Result<TestRunStatus> {
        let status = self.ends(Phase::Completed, limit).await?;
        let verdict = status.verdict.as_ref().with_context(|| format!("run {} has no verdict", self.name))?;
        ensure!(verdict.outcome == outcome, "run {} has the verdict {:?}: {:?}", self.name, verdict.outcome, verdict);
        Ok(status)
    }

    /// Phase, reason and message.
    pub async fn in_words(&self) -> String {
        match self.status().await {
            Ok(status) => format!(
                "{} with {}: {}",
                status.phase.map_or("without a phase", Phase::as_str),
                status.reason.unwrap_or_default(),
                status.message.unwrap_or_default()
            ),
            Err(error) => format!("unreadable: {error:#}"),
        }
    }

    /// Sets `spec.stop`, as a user does.
    pub async fn stop(&self) -> Result<()> {
        kubectl(&["--namespace", &self.namespace, "patch", "testrun", &self.name, "--type=merge", "--patch", r#"{"spec":{"stop":true}}"#]).await.map(|_| ())
    }

    /// The run's pods.
    pub async fn pods(&self, uid: &str) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        Ok(pods.list(&of_run(uid)).await.context("failed to list pods")?.items)
    }

    /// Waits until the run has no Job, no pod that still runs, and no lease.
    pub async fn leaves_nothing(&self, uid: &str, limit: Duration) -> Result<()> {
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), &self.namespace);
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), OPERATOR_NAMESPACE);
        eventually(&format!("nothing of run {} is left running", self.name), limit, || async {
            let running =
                |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()).is_none_or(|phase| !matches!(phase, "Succeeded" | "Failed"));
            let pods = self.pods(uid).await?.iter().filter(|pod| running(pod)).count();
            let active = |job: &Job| job.status.as_ref().and_then(|status| status.active).unwrap_or_default() > 0;
            let jobs = jobs.list(&of_run(uid)).await?.iter().filter(|job| active(job)).count();
            let leases = leases.list(&of_run(uid)).await?.items.len();
            if pods + jobs + leases == 0 { Ok(Some(())) } else { bail!("{pods} pods, {jobs} active Jobs and {leases} leases") }
        })
        .await
    }

    /// The reasons of the events about the run.
    pub async fn event_reasons(&self) -> Result<Vec<String>> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let about = |event: &Event| event.regarding.as_ref().is_some_and(|object| object.name.as_deref() == Some(&self.name));
        let all = events.list(&ListParams::default()).await.context("failed to list events")?;
        Ok(all.into_iter().filter(about).filter_map(|event| event.reason).collect())
    }

    /// The run's uid.
    pub async fn uid(&self) -> Result<String> {
        self.get().await?.metadata.uid.context("the run has no uid")
    }
}

fn of_run(uid: &str) -> ListParams {
    ListParams::default().labels(&format!("{}={uid}", labels::RUN_UID))
}
