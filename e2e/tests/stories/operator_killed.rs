//! The operator dies without a word, in every phase: the run comes to the end that it would have come to anyway.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crucible_crds::{ConditionType, Outcome, Phase, TestRunStatus, condition};
use crucible_e2e::{Story, operator, tell};
use tokio::time::Instant;

const SOON: Duration = Duration::from_mins(1);

async fn passes_although_killed_in(phase: Phase, name: &'static str) -> Result<()> {
    tell(name, move |story: Story| async move {
        story.plan("checkout", &[("warmup", 1, 4, false), ("steady", 4, 8, true)]).await?;
        let run = story.run("nightly", "checkout").await?;
        run.reaches(phase, SOON).await?;
        let killed = Instant::now();
        operator::kill(&story.client).await?;
        if phase < Phase::Executing {
            run.reaches(Phase::Executing, Duration::from_secs(30)).await?;
            println!("killed in {phase}: under load again after {:?}", killed.elapsed());
            ensure!(killed.elapsed() <= Duration::from_secs(10), "it took {:?} from the operator's death to the load", killed.elapsed());
        }
        let status = run.completes(Outcome::Passed, Duration::from_secs(90)).await?;
        let results = status.results.as_ref().context("the run has no results")?;
        ensure!(results.workers == 2 && !results.partial, "the results are {results:?}");
        let document = story.bucket().await?.get(&format!("{}/results.json", results.prefix.trim_end_matches('/'))).await?;
        ensure!(crucible_lifecycle::plan::sha256_hex(&document) == results.sha256, "results.json is not what the status promises");
        let phases: Vec<Phase> = status.transitions.iter().map(|transition| transition.phase).collect();
        ensure!(phases.is_sorted(), "the run moved backwards: {phases:?}");
        run.leaves_nothing(&run.uid().await?, Duration::from_secs(30)).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_before_admission_costs_nothing() -> Result<()> {
    passes_although_killed_in(Phase::Pending, "killed-pending").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_in_the_waiting_room_costs_nothing() -> Result<()> {
    passes_although_killed_in(Phase::WaitingRoom, "killed-waiting").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_under_load_costs_nothing() -> Result<()> {
    passes_although_killed_in(Phase::Executing, "killed-executing").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_while_collecting_costs_nothing() -> Result<()> {
    passes_although_killed_in(Phase::Collecting, "killed-collecting").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_after_the_end_changes_nothing() -> Result<()> {
    tell("killed-after", |story: Story| async move {
        story.plan("checkout", &[("steady", 3, 8, true)]).await?;
        let run = story.run("nightly", "checkout").await?;
        run.completes(Outcome::Passed, Duration::from_secs(90)).await?;
        run.leaves_nothing(&run.uid().await?, Duration::from_secs(30)).await?;
        let mirrored = |status: &TestRunStatus| condition::find(&status.conditions, ConditionType::Mirrored).is_some_and(|said| said.status == "True");
        run.until("the ledger holds its last status", Duration::from_secs(10), mirrored).await?;
        let before = run.get().await?;
        operator::kill(&story.client).await?;
        operator::ready().await?;
        tokio::time::sleep(Duration::from_secs(10)).await;
        let after = run.get().await?;
        ensure!(before.metadata.resource_version == after.metadata.resource_version, "a finished run was written to by the next operator");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_the_operator_does_not_live_to_carry_out_is_carried_out_by_the_next() -> Result<()> {
    tell("killed-stopping", |story: Story| async move {
        story.plan("long", &[("steady", 90, 8, true)]).await?;
        let run = story.run("nightly", "long").await?;
        run.reaches(Phase::Executing, SOON).await?;
        run.stop().await?;
        operator::kill(&story.client).await?;
        let status = run.completes(Outcome::Aborted, Duration::from_secs(45)).await?;
        ensure!(status.results.is_some_and(|results| results.partial), "the results of a stopped run are not marked partial");
        run.leaves_nothing(&run.uid().await?, Duration::from_secs(30)).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_while_a_run_is_queued_keeps_the_order() -> Result<()> {
    tell("killed-queued", |story: Story| async move {
        story.plan("checkout", &[("steady", 5, 8, true)]).await?;
        let first = story.run("first", "checkout").await?;
        first.reaches(Phase::Executing, SOON).await?;
        let second = story.run("second", "checkout").await?;
        second.until("it is queued", Duration::from_secs(20), |status| status.queue.is_some()).await?;
        operator::kill(&story.client).await?;
        first.completes(Outcome::Passed, Duration::from_secs(90)).await?;
        second.completes(Outcome::Passed, Duration::from_secs(90)).await?;
        Ok(())
    })
    .await
}
