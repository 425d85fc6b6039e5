//! A healthy run, as a user sees it, with every number checked against somebody else's.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crucible_crds::{ConditionType, Outcome, Phase};
use crucible_e2e::{Story, kubectl::kubectl, mariadb, run::eventually, tell};
use crucible_lifecycle::plan::sha256_hex;
use serde_json::Value;

const VUS: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_run_passes_and_its_numbers_are_those_of_the_database() -> Result<()> {
    tell("happy", |story: Story| async move {
        story.plan("checkout", &[("warmup", 2, 4, false), ("steady", 6, 8, true)]).await?;
        let before = mariadb::executed().await?;
        let run = story.run("nightly", "checkout").await?;

        // Name, phase, progress, queries per second, p95, age.
        let whole_row = eventually("kubectl get shows a run under load with all its columns", Duration::from_mins(1), || async {
            let row = kubectl(&["--namespace", &story.namespace, "get", "testruns", "--no-headers"]).await?;
            Ok(Some(row).filter(|row| row.contains("Executing") && row.split_whitespace().count() == 6))
        });
        println!("{}", whole_row.await?.trim_end());

        kubectl(&["--namespace", &story.namespace, "wait", "--for=condition=Complete", "testrun/nightly", "--timeout=90s"]).await?;
        let status = run.completes(Outcome::Passed, Duration::from_secs(5)).await?;
        let after = mariadb::executed().await?;

        let phases: Vec<Phase> = status.transitions.iter().map(|transition| transition.phase).collect();
        let whole = [Phase::Queued, Phase::Loading, Phase::WaitingRoom, Phase::Executing, Phase::Collecting, Phase::Completed];
        ensure!(phases.ends_with(&whole), "the run went through {phases:?}");
        for wanted in [ConditionType::Ready, ConditionType::Complete, ConditionType::Passed] {
            let condition = crucible_crds::condition::find(&status.conditions, wanted);
            ensure!(condition.is_some_and(|condition| condition.status == "True"), "condition {wanted} is {condition:?}");
        }

        let results = status.results.clone().context("the status says nothing about results")?;
        ensure!(results.workers == 2 && !results.partial, "the results are {results:?}");
        let bucket = story.bucket().await?;
        let prefix = results.prefix.trim_end_matches('/');
        let document = bucket.get(&format!("{prefix}/results.json")).await?;
        ensure!(sha256_hex(&document) == results.sha256, "results.json is not what the status promises");
        let keys = bucket.list(&format!("{prefix}/")).await?;
        for name in ["results.json", "summary.md", "histograms/worker-0.hlog", "histograms/worker-1.hlog"] {
            ensure!(keys.contains(&format!("{prefix}/{name}")), "{name} is missing among {keys:?}");
        }

        let document: Value = serde_json::from_slice(&document).context("results.json is not JSON")?;
        let stages = document["crucible"]["stages"].as_array().context("results.json has no stages")?;
        let counted: u64 = stages.iter().map(|stage| stage["ok"].as_u64().unwrap_or_default() + stage["errors"].as_u64().unwrap_or_default()).sum();
        let executed = after - before;
        // At the end of each of the two stages every virtual user has at most one query in flight.
        ensure!(counted > 1000, "only {counted} queries in eight seconds");
        ensure!(counted.abs_diff(executed) <= 2 * VUS, "the workers counted {counted} queries, the database executed {executed}");
        let headline = document["crucible"]["headline"]["ok"].as_u64().context("results.json has no headline")?;
        ensure!(headline == results.queries, "the headline has {headline} queries, the status {}", results.queries);
        let skew = status.workers.as_ref().and_then(|workers| workers.start_skew_micros);
        println!("{counted} queries counted, {executed} executed, start skew {skew:?} us");

        run.leaves_nothing(&run.uid().await?, Duration::from_secs(20)).await
    })
    .await
}
