//! The open model on a real cluster: an exact schedule where the database keeps up with it, and late and dropped
//! arrivals that are counted where it cannot.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crucible_crds::Outcome;
use crucible_e2e::{Run, Story, tell};
use serde_json::{Value, json};

/// Our sections of a run's results.
async fn results(story: &Story, run: &Run) -> Result<Value> {
    let prefix = run.status().await?.results.context("the status says nothing about results")?.prefix;
    let document = story.bucket().await?.get(&format!("{}/results.json", prefix.trim_end_matches('/'))).await?;
    let mut document: Value = serde_json::from_slice(&document).context("results.json is not JSON")?;
    Ok(document["crucible"].take())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_that_the_database_keeps_up_with_is_sent_to_the_last_arrival() -> Result<()> {
    tell("open", |story: Story| async move {
        story
            .plan_with("steady-rate", &[], |plan| {
                plan["spec"]["load"] = json!({"workers": 2, "model": "open", "maxVus": 16, "queryTimeout": "5s", "stages": [
                    {"name": "warmup", "duration": "2s", "rate": 25, "measured": false}, {"name": "steady", "duration": "8s", "rate": 50.5},
                ]});
                // Wide limits: a check without data would leave the run inconclusive.
                plan["spec"]["validity"] = json!({"maxThrottled": 1.0, "maxGarbageCollection": 1.0, "maxLateStart": "10s", "maxClockOffset": "1m", "maxBehind": 0.5, "minAchievedRate": 0.9});
            })
            .await?;
        let run = story.run("keeps-up", "steady-rate").await?;
        let live = run.until("the live numbers say what arrives", Duration::from_mins(1), |status| {
            status.live.as_ref().is_some_and(|live| !live.arrivals_per_second.is_empty())
        });
        println!("live: {:?}", live.await?.live);
        run.completes(Outcome::Passed, Duration::from_mins(2)).await?;

        let results = results(&story, &run).await?;
        let arrivals = &results["arrivals"];
        ensure!(arrivals["measured"]["due"] == 404 && arrivals["measured"]["sent"] == 404, "50.5 arrivals a second for 8 s are 404: {arrivals}");
        ensure!(arrivals["stages"][0]["due"] == 50 && arrivals["stages"][0]["sent"] == 50, "25 arrivals a second for 2 s are 50: {arrivals}");
        let headline = &results["headline"];
        ensure!(headline["ok"] == 404, "every arrival is a query: {headline}");
        let (response, service) = (headline["latencyMicros"]["p50"].as_u64(), headline["serviceMicros"]["p50"].as_u64());
        ensure!(service > Some(0) && response >= service, "a response takes at least as long as the database: {headline}");
        println!("response p50 {response:?} us, service p50 {service:?} us, {arrivals}");
        run.leaves_nothing(&run.uid().await?, Duration::from_secs(20)).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_that_is_too_high_makes_the_run_invalid_and_shows_in_response_times_alone() -> Result<()> {
    tell("open-too-slow", |story: Story| async move {
        story
            .plan_with("too-much", &[], |plan| {
                // Four virtual users of 100 ms a query answer 40 a second; 80 arrive.
                plan["spec"]["workload"] = json!({"source": {"inline": "-- @type: sql\n-- @name: Slow\nSELECT SLEEP(0.1)\n"}});
                plan["spec"]["slos"] = json!([{"metric": "errorRate", "atMost": 0.001}]);
                plan["spec"]["validity"] = json!({"maxBehind": 0.5});
                plan["spec"]["load"] =
                    json!({"workers": 2, "model": "open", "maxVus": 4, "queryTimeout": "5s", "stages": [{"name": "steady", "duration": "10s", "rate": 80}]});
            })
            .await?;
        let run = story.run("too-slow", "too-much").await?;
        let status = run.completes(Outcome::Invalid, Duration::from_mins(2)).await?;
        let verdict = status.verdict.context("the status has no verdict")?;
        for word in ["RateNotAchieved", "ArrivalsDropped"] {
            ensure!(verdict.reasons.iter().any(|reason| reason.starts_with(word)), "{word} is missing among {:?}", verdict.reasons);
        }

        let results = results(&story, &run).await?;
        let measured = &results["arrivals"]["measured"];
        let number = |name: &str| measured[name].as_u64().unwrap_or_default();
        ensure!(number("due") == 800, "80 arrivals a second for 10 s are 800: {measured}");
        ensure!((300..=410).contains(&number("sent")) && number("dropped") == 800 - number("sent"), "40 of 80 a second can be sent: {measured}");
        ensure!(number("late") >= number("sent") / 2, "most arrivals found no free virtual user: {measured}");
        let p99 = |times: &str| results["headline"][times]["p99"].as_u64().unwrap_or_default();
        ensure!(p99("serviceMicros") < 1_000_000 && p99("latencyMicros") > 3_000_000, "waiting is part of the response time alone: {}", results["headline"]);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_the_highest_rate_that_eight_slow_queries_at_a_time_can_take() -> Result<()> {
    tell("find-max", |story: Story| async move {
        story
            .plan_with("highest", &[], |plan| {
                // Eight virtual users of 50 ms a query answer at most 160 a second.
                plan["spec"]["workload"] = json!({"source": {"inline": "-- @type: sql\n-- @name: Slow\nSELECT SLEEP(0.05)\n"}});
                plan["spec"]["slos"] = json!([{"metric": "p95", "below": "400ms"}, {"metric": "errorRate", "atMost": 0.001}]);
                // The machine is shared with what is measured: being late by its fault is not the question here.
                plan["spec"]["validity"] = json!({"maxBehind": 1.0});
                plan["spec"]["load"] = json!({
                    "workers": 2, "model": "open", "maxVus": 8, "queryTimeout": "5s", "stages": [{"name": "warmup", "duration": "2s", "rate": 60, "measured": false}],
                    "findMax": {"from": 60, "to": 480, "steps": 4, "each": "6s"},
                });
            })
            .await?;
        let run = story.run("search", "highest").await?;
        run.completes(Outcome::Passed, Duration::from_mins(2)).await?;
        let search = &results(&story, &run).await?["search"];
        println!("{search}");
        let rate = |name: &str| search[name].as_f64().unwrap_or_default();
        ensure!((rate("highestRate") - 120.0).abs() < 0.5, "120 of at most 160 a second hold, and 240 do not: {search}");
        ensure!(search["limitedBy"] == "system under test", "the search was ended by something else: {search}");
        ensure!(rate("kneeRate") >= 60.0 && rate("kneeRate") <= 240.5, "the knee is elsewhere: {search}");
        ensure!(search["steps"].as_array().is_some_and(|steps| steps.len() == 4), "there are four steps: {search}");
        Ok(())
    })
    .await
}
