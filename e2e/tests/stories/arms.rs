//! Two variants of a plan are asked in turns by one run, which compares them with each other and says how much each varies by itself.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crucible_crds::{Outcome, TestRunStatus};
use crucible_e2e::{Story, tell};
use serde_json::{Value, json};

/// A query that takes as long as it is told to, so that the answer does not depend on the machine.
const WORKLOAD: &str = "-- @type: sql\n-- @name: Nap\nSELECT SLEEP(:seconds)\n";

#[tokio::test(flavor = "multi_thread")]
async fn two_arms_of_one_run_are_asked_in_turns_and_compared() -> Result<()> {
    tell("arms", |story: Story| async move {
        let plan = |second: &'static str| {
            move |plan: &mut Value| {
                plan["spec"]["workload"] = json!({"source": {"inline": WORKLOAD}, "parameters": [{"name": "seconds", "values": ["0.002"]}]});
                plan["spec"]["slos"] = json!([{"metric": "errorRate", "stage": "steady", "atMost": 0.001}]);
                plan["spec"]["load"]["repeat"] = json!(4);
                let arms = json!([{"name": "now"}, {"name": "next", "parameters": [{"name": "seconds", "values": [second]}]}]);
                plan["spec"]["compare"] = json!({"metric": "p50", "maxSlowdown": 1.0, "arms": arms});
            }
        };
        let stages = [("settle", 1, 4, false), ("steady", 3, 4, true)];
        story.plan_with("slower", &stages, plan("0.020")).await?;
        story.plan_with("alike", &stages, plan("0.002")).await?;

        let slower = story.run("slower", "slower").await?.completes(Outcome::Failed, Duration::from_secs(120)).await?;
        let document = results(&story, &slower).await?;
        let comparison = &document["crucible"]["comparison"];
        ensure!(comparison["change"] == "Slower" && comparison["arms"] == json!(["now", "next"]), "the arms are compared as {comparison}");
        let verdict = slower.verdict.as_ref().context("the run has no verdict")?;
        ensure!(
            verdict.reasons.iter().any(|reason| reason.starts_with("SlowerThanFirstArm: slowdown of p50 of arm next against arm now")),
            "it failed because {verdict:?}"
        );
        let rounds = &document["crucible"]["rounds"];
        let order: Vec<&str> = rounds["rounds"].as_array().context("no rounds")?.iter().filter_map(|round| round["arm"].as_str()).collect();
        ensure!(order == ["now", "next", "next", "now", "now", "next", "next", "now"], "the rounds were {order:?}");
        for round in rounds["rounds"].as_array().context("no rounds")? {
            let (least, p50) = (if round["arm"] == "now" { 2_000 } else { 20_000 }, round["rows"][0]["p50Micros"].as_u64().unwrap_or(0));
            ensure!(p50 >= least, "a round of arm {} had a median of {p50} us", round["arm"]);
        }
        ensure!(rounds["spread"].as_array().is_some_and(|rows| rows.len() == 4), "each arm has the spread of all queries and of its one: {rounds}");

        let alike = story.run("alike", "alike").await?.completes(Outcome::Passed, Duration::from_secs(120)).await?;
        let comparison = &results(&story, &alike).await?["crucible"]["comparison"];
        ensure!(comparison["change"] == "NoChange", "arms that are alike are compared as {comparison}");
        Ok(())
    })
    .await
}

async fn results(story: &Story, status: &TestRunStatus) -> Result<Value> {
    let prefix = &status.results.as_ref().context("the status says nothing about results")?.prefix;
    let bytes = story.bucket().await?.get(&format!("{}/results.json", prefix.trim_end_matches('/'))).await?;
    serde_json::from_slice(&bytes).context("results.json is not JSON")
}
