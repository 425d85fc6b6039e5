//! A second run of a plan is compared with the first by what that one left in the bucket, also after it was deleted.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crucible_crds::{Outcome, TestRunStatus};
use crucible_e2e::{Story, kubectl::kubectl, tell, vault::Bucket};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_finds_the_first_as_its_baseline_and_each_has_its_report() -> Result<()> {
    tell("comparison", |story: Story| async move {
        // An interval needs six blocks of the cube root of the measured seconds. The machine is shared: only what is many times slower would be the database's.
        let compared = |plan: &mut Value| plan["spec"]["compare"] = json!({"metric": "p50", "maxSlowdown": 10.0});
        // Earlier tellings of this story are runs of the past, too: this plan is none of theirs.
        let plan = format!("checkout-{}", jiff::Timestamp::now().as_second());
        story.plan_with(&plan, &[("warmup", 1, 4, false), ("steady", 24, 4, true)], compared).await?;
        let bucket = story.bucket().await?;

        let first = story.run("first", &plan).await?.completes(Outcome::Passed, Duration::from_secs(90)).await?;
        let document = results(&bucket, &first).await?;
        let comparison = &document["crucible"]["comparison"];
        ensure!(comparison["obstacle"] == format!("There is no earlier run of plan {plan} that has passed with valid results"), "the first has {comparison}");
        let first_id = document["run_id"].as_str().context("results.json has no run_id")?;
        kubectl(&["--namespace", &story.namespace, "delete", "testrun", "first", "--timeout=60s"]).await?;

        let second = story.run("second", &plan).await?.completes(Outcome::Passed, Duration::from_secs(90)).await?;
        let comparison = &results(&bucket, &second).await?["crucible"]["comparison"];
        ensure!(comparison["baseline"]["runId"] == first_id, "{first_id} is not the baseline: {comparison}");
        ensure!(comparison["change"] == "NoChange", "the second has {comparison}");
        let asked = format!("slowdown of p50 against {first_id}");
        let verdict = second.verdict.as_ref().context("the second run has no verdict")?;
        let check = verdict.checks.iter().find(|check| check.name == asked).with_context(|| format!("no check {asked:?} among {verdict:?}"))?;
        ensure!(check.held && check.decided, "the check is {check:?}");
        println!("{}: {} with limit {}", check.name, check.observed, check.limit);

        for (status, says) in [(&first, "Nothing was compared."), (&second, first_id)] {
            let page = text(&bucket, status, "report.html").await?;
            ensure!(page.starts_with("<!doctype html>") && page.contains("✓ Passed") && page.contains(says), "report.html does not say {says:?}");
            let suite = text(&bucket, status, "junit.xml").await?;
            ensure!(suite.contains("failures=\"0\" errors=\"0\""), "junit.xml is {suite}");
        }
        let suite = text(&bucket, &second, "junit.xml").await?;
        ensure!(suite.contains(&format!("name=\"{asked}\"/>")), "no case {asked:?} in {suite}");
        Ok(())
    })
    .await
}

async fn text(bucket: &Bucket, status: &TestRunStatus, file: &str) -> Result<String> {
    let prefix = &status.results.as_ref().context("the status says nothing about results")?.prefix;
    String::from_utf8(bucket.get(&format!("{}/{file}", prefix.trim_end_matches('/'))).await?).with_context(|| format!("{file} is not text"))
}

async fn results(bucket: &Bucket, status: &TestRunStatus) -> Result<Value> {
    serde_json::from_str(&text(bucket, status, "results.json").await?).context("results.json is not JSON")
}
