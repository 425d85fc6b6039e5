//! A database that is started anew while nobody asked for it: whatever was measured, it was not one system.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crucible_crds::{Outcome, Phase};
use crucible_e2e::{Story, mariadb, tell};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_restarts_without_a_fault_makes_its_run_invalid() -> Result<()> {
    tell("restarted", |story: Story| async move {
        mariadb::answers().await?;
        let lenient = |plan: &mut serde_json::Value| {
            plan["spec"]["slos"] = json!([{"metric": "errorRate", "atMost": 1.0}]);
            plan["spec"]["abort"] = json!([]);
        };
        story.plan_with("checkout", &[("steady", 35, 4, true)], lenient).await?;
        let run = story.run("nightly", "checkout").await?;
        run.reaches(Phase::Executing, Duration::from_mins(1)).await?;
        mariadb::replace().await?;
        let status = run.completes(Outcome::Invalid, Duration::from_secs(90)).await?;
        let reasons = status.verdict.context("the run has no verdict")?.reasons;
        ensure!(reasons.iter().any(|reason| reason.starts_with("SutRestarted")), "the reasons are {reasons:?}");
        let workers = status.workers.context("the status says nothing of the workers")?;
        ensure!(workers.server_started_at > status.start_at, "the database was started at {:?}, the load at {:?}", workers.server_started_at, status.start_at);
        mariadb::answers().await
    })
    .await
}
