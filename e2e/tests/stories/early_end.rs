//! Loads that end before their time: stopped, deleted, robbed of a worker; and one that nobody is left to end.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crucible_crds::{Outcome, Phase};
use crucible_e2e::{Story, kubectl::kubectl, mariadb, operator, run::eventually, tell};
use tokio::time::{Instant, sleep};

const SOON: Duration = Duration::from_mins(1);
const TEN: Duration = Duration::from_secs(10);

/// Whether nothing was executed for a second.
async fn silent() -> Result<bool> {
    let before = mariadb::executed().await?;
    sleep(Duration::from_secs(1)).await;
    Ok(mariadb::executed().await? == before)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_run_ends_within_ten_seconds_and_keeps_what_it_measured() -> Result<()> {
    tell("stopped", |story: Story| async move {
        story.plan("long", &[("steady", 120, 8, true)]).await?;
        let run = story.run("nightly", "long").await?;
        run.reaches(Phase::Executing, SOON).await?;
        sleep(Duration::from_secs(4)).await;
        let asked = Instant::now();
        run.stop().await?;
        let status = run.completes(Outcome::Aborted, Duration::from_secs(20)).await?;
        ensure!(asked.elapsed() <= TEN, "it took {:?} from the stop to the end", asked.elapsed());
        let results = status.results.context("the stopped run has no results")?;
        ensure!(results.partial && results.queries > 100, "the results are {results:?}");
        ensure!(status.ended_early.is_some_and(|early| early.reason == "StopRequested"), "the status does not say why the load ended");
        ensure!(silent().await?, "queries go on after the stop");
        run.leaves_nothing(&run.uid().await?, Duration::from_secs(30)).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_deleted_under_load_is_gone_with_everything_of_it() -> Result<()> {
    tell("deleted", |story: Story| async move {
        story.plan("long", &[("steady", 120, 8, true)]).await?;
        let run = story.run("nightly", "long").await?;
        run.reaches(Phase::Executing, SOON).await?;
        let uid = run.uid().await?;
        sleep(Duration::from_secs(2)).await;
        kubectl(&["--namespace", &story.namespace, "delete", "testrun", "nightly", "--wait=false"]).await?;
        let asked = Instant::now();
        eventually("no query is executed any more", TEN, || async { Ok(silent().await?.then_some(())) }).await?;
        run.leaves_nothing(&uid, Duration::from_mins(1)).await?;
        let gone = || async { Ok(story.runs().get_opt("nightly").await?.is_none().then_some(())) };
        eventually("the run is gone", Duration::from_secs(30), gone).await?;
        println!("a deleted run was gone after {:?}", asked.elapsed());
        Ok(())
    })
    .await
}

/// Takes one of two workers away under load.
async fn loses_a_worker(name: &'static str, killed: bool, reason: &'static str) -> Result<()> {
    tell(name, move |story: Story| async move {
        story.plan("long", &[("steady", 60, 8, true)]).await?;
        let run = story.run("nightly", "long").await?;
        run.reaches(Phase::Executing, SOON).await?;
        let uid = run.uid().await?;
        sleep(Duration::from_secs(2)).await;
        if killed {
            eventually("a worker's container runs and can be killed", Duration::from_secs(20), || async {
                let pods = run.pods(&uid).await?;
                let victim = pods.first().context("the run has no pods")?;
                Ok(operator::kill_container(victim).await?.then_some(()))
            })
            .await?;
        } else {
            let pods = run.pods(&uid).await?;
            let victim = pods.first().context("the run has no pods")?;
            let pod = victim.metadata.name.as_deref().unwrap_or_default();
            kubectl(&["--namespace", &story.namespace, "delete", "pod", pod, "--wait=false"]).await?;
        }
        let status = run.ends(Phase::Failed, Duration::from_secs(30)).await?;
        ensure!(status.reason.as_deref() == Some(reason), "the run ended {}", run.in_words().await);
        let outcome = status.verdict.map(|verdict| verdict.outcome);
        ensure!(outcome == Some(Outcome::Invalid), "the verdict is {outcome:?}");
        run.leaves_nothing(&uid, Duration::from_mins(1)).await?;
        ensure!(silent().await?, "the other worker goes on");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_worker_is_killed_under_load_fails_and_says_so() -> Result<()> {
    loses_a_worker("worker-killed", true, "WorkerLost").await
}

/// The pod is told to end, so that its worker can say what became of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_worker_pod_is_deleted_under_load_fails_and_says_so() -> Result<()> {
    loses_a_worker("worker-deleted", false, "WorkerEvicted").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_ends_by_itself_when_nobody_is_left_to_end_it() -> Result<()> {
    tell("alone", |story: Story| async move {
        story.plan("short", &[("steady", 8, 8, true)]).await?;
        let run = story.run("nightly", "short").await?;
        run.reaches(Phase::Executing, SOON).await?;
        operator::scale(&story.client, 0).await?;
        let told = async {
            sleep(TEN).await;
            ensure!(silent().await?, "queries go on after the planned end although no operator is left");
            Ok(())
        };
        let told: Result<()> = told.await;
        operator::scale(&story.client, 1).await?;
        told?;
        // What the workers kept is collected by the operator that comes back.
        run.completes(Outcome::Passed, Duration::from_secs(90)).await.map(|_| ())
    })
    .await
}
