//! A real Prometheus: what it says of the system under test stands in the results, one bad question costs only itself, and k6's own metrics
//! are there when the plan wants them sent.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crucible_crds::Outcome;
use crucible_e2e::{Story, kubectl::kubectl, run::eventually, tell};
use serde_json::{Value, json};

/// Long enough for several values at the pace at which the development cluster's Prometheus reads.
const SECONDS: u32 = 25;

#[tokio::test(flavor = "multi_thread")]
async fn what_prometheus_says_is_in_the_results_and_k6s_metrics_are_in_prometheus() -> Result<()> {
    tell("prometheus", |story: Story| async move {
        let change = |plan: &mut Value| {
            plan["spec"]["results"] = json!({"remoteWrite": {"url": "http://prometheus.crucible.svc:9090/api/v1/write"}});
            plan["spec"]["observe"] = json!({"prometheus": [{
                "name": "engine", "source": "cluster-prometheus", "resolution": "5s", "metrics": [
                    {"name": "selects", "query": "mysql_global_status_commands_total{command=\"select\"}"},
                    {"name": "up", "query": "up"},
                    {"name": "broken", "query": "sum("},
                ],
            }]});
        };
        story.plan_with("observed", &[("steady", SECONDS, 2, true)], change).await?;
        let run = story.run("nightly", "observed").await?;
        let status = run.completes(Outcome::Passed, Duration::from_mins(2)).await?;
        let results = status.results.as_ref().context("the run has no results")?;
        let document = story.bucket().await?.get(&format!("{}/results.json", results.prefix.trim_end_matches('/'))).await?;
        let document: Value = serde_json::from_slice(&document).context("results.json is not JSON")?;

        let source = &document["observability"]["sources"][0];
        let of = |name: &str| -> Vec<&Value> { source["metrics"].as_array().into_iter().flatten().filter(|metric| metric["name"] == name).collect() };
        ensure!(source["name"] == "engine" && source["url"] == "http://prometheus.crucible.svc:9090", "the results say {source}");
        let selects = of("selects").first().and_then(|metric| metric["values"].as_array()).map_or(0, Vec::len);
        ensure!(selects >= 4, "there are {selects} values of a counter in {SECONDS} s: {source}");
        ensure!(of("up").len() >= 3, "MariaDB, the operator and Prometheus itself are up: {source}");
        let error = document["collection_error"].as_str().unwrap_or_default();
        ensure!(error.contains("engine") && error.contains("broken") && !error.contains("selects"), "collection_error is {error:?}");

        let id = status.run_id.context("the run has no id")?;
        let question = format!("/api/v1/namespaces/crucible/services/prometheus:9090/proxy/api/v1/query?query=%7Brun_id%3D%22{id}%22%7D");
        let names = eventually("k6's metrics are in Prometheus", Duration::from_secs(30), || async {
            let said: Value = serde_json::from_str(&kubectl(&["get", "--raw", &question]).await?).context("Prometheus does not answer in JSON")?;
            let names: Vec<String> =
                said["data"]["result"].as_array().into_iter().flatten().filter_map(|series| Some(series["metric"]["__name__"].as_str()?.to_owned())).collect();
            Ok((!names.is_empty()).then_some(names))
        })
        .await?;
        for metric in ["k6_sql_duration_PointLookup_p99", "k6_query_errors_rate", "k6_iterations_total"] {
            ensure!(names.iter().any(|name| name == metric), "{metric} is not among {names:?}");
        }
        Ok(())
    })
    .await
}
