//! What the runs of existing clients bring along: several workload objects, an id and a cluster of their own, raw samples
//! from every worker, and a Prometheus that nobody allowed.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use crucible_crds::{Outcome, Phase};
use crucible_e2e::{Story, kubectl, tell};
use serde_json::{Value, json};

const LOOKUP: &str = "-- @type: sql\n-- @name: PointLookup\n-- @param: id int 1 100000\nSELECT name, city FROM customers WHERE id = :id\n";
/// As older files are: without a first line that says what they are written in.
const OLD: &str = "-- @name: CountCustomers\nSELECT COUNT(*) FROM customers WHERE id < 100\n";

/// The sums and counts of one CSV, by metric.
fn read(csv: &str) -> Result<BTreeMap<String, (u64, f64)>> {
    let mut lines = csv.lines();
    let header = lines.next().unwrap_or_default();
    ensure!(header.starts_with("metric_name,timestamp,metric_value,"), "the columns are {header}");
    let mut found: BTreeMap<String, (u64, f64)> = BTreeMap::new();
    for line in lines {
        let mut columns = line.split(',');
        let name = columns.next().unwrap_or_default().to_owned();
        let value: f64 = columns.nth(1).context("a row has no value")?.parse().with_context(|| format!("no number in {line}"))?;
        let (count, sum) = found.entry(name).or_default();
        (*count, *sum) = (*count + 1, *sum + value);
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_an_existing_client_has_what_it_relies_on() -> Result<()> {
    tell("clients", |story: Story| async move {
        let bucket = story.bucket().await?;
        bucket.put("workloads/e2e-lookup", LOOKUP).await?;
        bucket.put("workloads/e2e-old", OLD).await?;
        let change = |plan: &mut Value| {
            plan["spec"]["workload"] = json!({"source": {"objects": [{"key": "workloads/e2e-lookup"}, {"key": "workloads/e2e-old"}]}});
            plan["spec"]["results"] = json!({"rawSamples": true});
            plan["spec"]["observe"] =
                json!({"prometheus": [{"name": "elsewhere", "url": "http://169.254.169.254", "metrics": [{"name": "key", "query": "up"}]}]});
        };
        story.plan_with("checkout", &[("steady", 4, 4, true)], change).await?;
        let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M").to_string();
        let id = format!("My.Checkout_{now}_0a1b2c3d");
        let manifest = json!({
            "apiVersion": "crucible.dev/v1alpha1", "kind": "TestRun", "metadata": {"name": "nightly", "namespace": story.namespace},
            "spec": {"planRef": {"name": "checkout"}, "runId": id, "clusterSpec": {"type": "mysql", "backend_node": {"replica": 2}}},
        });
        kubectl::create(&manifest.to_string()).await?;
        let run = story.existing_run("nightly");
        let status = run.completes(Outcome::Passed, Duration::from_secs(90)).await?;
        ensure!(status.run_id.as_deref() == Some(id.as_str()), "the run is called {:?}", status.run_id);

        let document: Value = serde_json::from_slice(&bucket.get(&format!("results/{id}/results.json")).await?).context("results.json is not JSON")?;
        let error = document["collection_error"].as_str().unwrap_or_default();
        ensure!(error == "Prometheus source \"elsewhere\" is not on the operator's list.", "collection_error is {error:?}");
        let metric = |name: &str| document["k6"]["metrics"].as_array().into_iter().flatten().find(|metric| metric["name"] == name).cloned().unwrap_or_default();
        let mut sampled = 0;
        for worker in 0..2 {
            let raw = read(&String::from_utf8(bucket.get(&format!("results/{id}/k6_raw_{worker}_0.csv")).await?)?)?;
            let count = |name: &str| raw.get(name).map_or(0, |(count, _)| *count);
            let queries = count("sql_duration_PointLookup") + count("sql_duration_CountCustomers");
            for name in ["sql_duration_PointLookup", "sql_duration_CountCustomers", "vus"] {
                ensure!(count(name) > 0, "worker {worker} has no samples of {name}: {:?}", raw.keys());
            }
            for name in ["query_errors", "iterations", "iteration_duration", "checks"] {
                ensure!(count(name) == queries, "worker {worker} has {} samples of {name} for {queries} queries", count(name));
            }
            ensure!(raw["query_errors"].1 == 0.0 && raw["sql_duration_PointLookup"].1 > 0.0, "worker {worker} has {raw:?}");
            sampled += queries;
        }
        let merged = metric("iterations")["stats"]["count"].as_u64().unwrap_or_default();
        ensure!(sampled == merged, "the workers have {sampled} samples, the results {merged} iterations");
        println!("{sampled} queries are as many samples and as many iterations");

        let again = json!({
            "apiVersion": "crucible.dev/v1alpha1", "kind": "TestRun", "metadata": {"name": "again", "namespace": story.namespace},
            "spec": {"planRef": {"name": "checkout"}, "runId": id},
        });
        kubectl::create(&again.to_string()).await?;
        let refused = story.existing_run("again").ends(Phase::Failed, Duration::from_secs(10)).await?;
        let message = refused.message.unwrap_or_default();
        ensure!(message.contains("is taken by TestRun") && message.contains("/nightly"), "the second run of that id says {message}");
        Ok(())
    })
    .await
}
