//! Postgres goes away with everything in it, at the worst time: runs do not notice, and the rows are right soon after its return.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crucible_crds::{ConditionType, Outcome, Phase, TestRunStatus, condition};
use crucible_e2e::{Run, Story, kubectl::kubectl, ledger, ledger::Ledger, operator, run::eventually, tell};
use futures::FutureExt;
use tokio::time::Instant;

const SOON: Duration = Duration::from_mins(1);
/// How soon after the ledger's return its rows are right.
const RIGHT: Duration = Duration::from_secs(5);

/// Tells a part of a story without the ledger, and brings it back whatever comes of that part.
async fn without_ledger<T>(part: impl Future<Output = Result<T>>) -> Result<(T, Instant)> {
    ledger::set_running(false).await?;
    let told = std::panic::AssertUnwindSafe(part).catch_unwind().await;
    ledger::set_running(true).await?;
    let back = Instant::now();
    match told {
        Ok(told) => Ok((told?, back)),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn said(status: &TestRunStatus, truth: &str) -> bool {
    condition::find(&status.conditions, ConditionType::Mirrored).is_some_and(|condition| condition.status == truth)
}

fn run_id(status: &TestRunStatus) -> Result<String> {
    status.run_id.clone().context("the run has no id")
}

/// Waits until a run's row has this status and every phase of the run's own record.
async fn row_is(run: &Run, id: &str, wanted: &str, steps: usize, limit: Duration) -> Result<()> {
    let rows = Ledger::from_environment()?;
    let what = format!("the row of {id} is {wanted} with {steps} phases");
    eventually(&what, limit, || async {
        let row = rows.row(&run.namespace, id).await?.context("there is no row")?;
        let told = rows.transitions(&run.namespace, id).await?.len();
        ensure!(row.status == wanted && told == steps, "it is {} with {told}", row.status);
        Ok(Some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_begins_and_ends_without_the_ledger_is_in_it_soon_after_its_return() -> Result<()> {
    tell("ledger-away", |story: Story| async move {
        story.plan("checkout", &[("steady", 6, 4, true)]).await?;
        let earlier = story.run("earlier", "checkout").await?;
        let first = earlier.completes(Outcome::Passed, Duration::from_secs(90)).await?;
        earlier.until("the ledger holds its last status", RIGHT, |status| said(status, "True")).await?;
        let run = story.run("nightly", "checkout").await?;
        run.reaches(Phase::Executing, SOON).await?;
        let (status, back) = without_ledger(async {
            let status = run.completes(Outcome::Passed, Duration::from_secs(90)).await?;
            run.until("it says that the ledger does not know", Duration::from_secs(20), |status| said(status, "False")).await?;
            run.leaves_nothing(&run.uid().await?, Duration::from_secs(30)).await?;
            Ok(status)
        })
        .await?;
        row_is(&run, &run_id(&status)?, "COMPLETED", status.transitions.len(), RIGHT.saturating_sub(back.elapsed())).await?;
        println!("the row was right {:?} after the ledger's return", back.elapsed());
        // The ledger came back empty: what it knew before has to come back, too.
        row_is(&earlier, &run_id(&first)?, "COMPLETED", first.transitions.len(), RIGHT.saturating_sub(back.elapsed())).await?;
        run.until("it says that the ledger knows", RIGHT, |status| said(status, "True")).await?;
        let row = Ledger::from_environment()?.row(&run.namespace, &run_id(&status)?).await?.context("there is no row")?;
        ensure!(row.verdict.as_deref() == Some("Passed") && row.sut_type.as_deref() == Some("mysql"), "the row is {row:?}");
        ensure!(row.plan_name.as_deref() == Some("checkout") && row.scaling_mode.as_deref() == Some("inter_node"), "the row is {row:?}");
        ensure!(row.completed_at == status.completed_at.map(|at| at.0), "the row is {row:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_deleted_without_the_ledger_is_held_until_its_end_is_told() -> Result<()> {
    tell("ledger-held", |story: Story| async move {
        story.plan("long", &[("steady", 90, 4, true)]).await?;
        let run = story.run("nightly", "long").await?;
        let status = run.reaches(Phase::Executing, SOON).await?;
        let uid = run.uid().await?;
        let (steps, back) = without_ledger(async {
            kubectl(&["--namespace", &run.namespace, "delete", "testrun", &run.name, "--wait=false"]).await?;
            run.leaves_nothing(&uid, SOON).await?;
            eventually("the mirror alone holds the run", SOON, || async {
                Ok((run.get().await?.metadata.finalizers == Some(vec!["crucible.dev/mirror".to_owned()])).then_some(()))
            })
            .await?;
            // The next operator knows of nothing but what it finds.
            operator::kill(&story.client).await?;
            operator::ready().await?;
            // The system under test is free while the deleted run is held.
            story.plan("checkout", &[("steady", 2, 4, true)]).await?;
            story.run("next", "checkout").await?.completes(Outcome::Passed, Duration::from_secs(90)).await?;
            Ok(run.status().await?.transitions.len())
        })
        .await?;
        eventually("the run is let go", RIGHT.saturating_sub(back.elapsed()), || async {
            let runs = story.runs();
            Ok(runs.get_opt(&run.name).await?.is_none().then_some(()))
        })
        .await?;
        println!("the run was let go {:?} after the ledger's return", back.elapsed());
        row_is(&run, &run_id(&status)?, "FAILED", steps + 1, RIGHT).await
    })
    .await
}
