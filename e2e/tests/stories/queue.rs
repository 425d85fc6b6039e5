//! One run at a time loads a system under test, whichever namespaces the runs are in.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crucible_crds::{Outcome, Phase};
use crucible_e2e::{Story, tell};

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_on_the_same_system_go_one_after_the_other() -> Result<()> {
    tell("queue", |story: Story| async move {
        story.plan("checkout", &[("steady", 5, 8, true)]).await?;
        let first = story.run("first", "checkout").await?;
        first.reaches(Phase::WaitingRoom, Duration::from_mins(1)).await?;
        let second = story.run("second", "checkout").await?;
        let queued = second.until("it is queued behind the first", Duration::from_secs(20), |status| status.queue.is_some()).await?;
        let queue = queued.queue.context("the second run is not queued")?;
        ensure!(queue.blocked_by == Some(format!("{}/first", story.namespace)) && queue.ahead == 1, "the queue is {queue:?}");
        let one = first.completes(Outcome::Passed, Duration::from_secs(90)).await?;
        let two = second.completes(Outcome::Passed, Duration::from_secs(90)).await?;
        let (ended, began) = (one.last_query_at.context("no last query")?, two.first_query_at.context("no first query")?);
        ensure!(ended.0 <= began.0, "the second run began at {} although the first ended at {}", began.0, ended.0);
        Ok(())
    })
    .await
}
