//! What becomes of a fault when its run, or the operator, does not live to its end: it is healed all the same.

use std::time::Duration;

use anyhow::{Result, ensure};
use crucible_crds::{Outcome, TestRunStatus, fault::FaultPhase};
use crucible_e2e::{
    Run, Story,
    chaos::{self, fault},
    kubectl::kubectl,
    mariadb, operator,
    run::eventually,
    tell,
};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_mins(1);

/// A run whose workers are cut off from the database for `seconds`, and are right now.
async fn cut_off(story: &Story, seconds: u32) -> Result<Run> {
    chaos::ready().await?;
    let cut = fault("cut", 2, seconds, &json!({"networkChaos": {"action": "partition", "direction": "both", "peer": {"workers": true}}}));
    let change = |plan: &mut Value| {
        plan["spec"]["faults"] = json!([cut]);
        plan["spec"]["load"]["queryTimeout"] = json!("1s");
        plan["spec"]["slos"] = json!([{"metric": "longestGap", "fault": "cut", "below": "60s"}]);
        plan["spec"]["abort"] = json!([]);
    };
    story.plan_with("cut", &[("steady", seconds + 15, 2, true)], change).await?;
    let run = story.run("nightly", "cut").await?;
    run.until("its workers are cut off", SOON, |status| is(status, FaultPhase::Injected)).await?;
    Ok(run)
}

fn is(status: &TestRunStatus, phase: FaultPhase) -> bool {
    status.faults.iter().any(|fault| fault.phase == phase)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_while_a_fault_is_on_is_followed_by_one_that_sees_it_healed() -> Result<()> {
    tell("fault-operator", |story: Story| async move {
        let run = cut_off(&story, 20).await?;
        operator::kill(&story.client).await?;
        let status = run.completes(Outcome::Passed, Duration::from_mins(2)).await?;
        ensure!(is(&status, FaultPhase::Healed) && status.faults[0].confirmed, "the status says {:?}", status.faults);
        chaos::leaves_nothing().await?;
        run.leaves_nothing(&run.uid().await?, Duration::from_secs(30)).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_deleted_while_a_fault_is_on_takes_the_fault_with_it() -> Result<()> {
    tell("fault-deleted", |story: Story| async move {
        let run = cut_off(&story, 120).await?;
        let uid = run.uid().await?;
        kubectl(&["--namespace", &story.namespace, "delete", "testrun", &run.name, "--wait=false"]).await?;
        chaos::leaves_nothing().await?;
        run.leaves_nothing(&uid, SOON).await?;
        let gone = || async { Ok(story.runs().get_opt(&run.name).await?.is_none().then_some(())) };
        eventually("the run is gone", SOON, gone).await?;
        mariadb::answers().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_deleted_while_a_fault_is_on_takes_the_fault_with_it() -> Result<()> {
    tell("fault-namespace", |story: Story| async move {
        cut_off(&story, 120).await?;
        kubectl(&["delete", "namespace", &story.namespace, "--wait=false"]).await?;
        chaos::leaves_nothing().await?;
        let gone = || async { Ok(kubectl(&["get", "namespace", &story.namespace, "--ignore-not-found"]).await?.is_empty().then_some(())) };
        eventually("the namespace is gone", Duration::from_mins(2), gone).await?;
        mariadb::answers().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_stopped_while_a_fault_is_on_ends_when_the_fault_is_healed() -> Result<()> {
    tell("fault-stopped", |story: Story| async move {
        let run = cut_off(&story, 120).await?;
        run.stop().await?;
        let status = run.completes(Outcome::Aborted, SOON).await?;
        ensure!(is(&status, FaultPhase::Healed), "the run ended although its fault is {:?}", status.faults);
        chaos::leaves_nothing().await
    })
    .await
}
