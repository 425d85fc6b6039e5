//! The samples of TPC-H on MariaDB, PostgreSQL and Trino: eight tables are loaded and proved, eight queries asked, and the next run loads nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crucible_crds::{Outcome, TestRunStatus, test_run::TableState};
use crucible_e2e::{Story, kubectl, ledger, mariadb, tell, trino};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(5);
const TABLES: [&str; 8] = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"];
const QUERIES: [&str; 8] = ["Q1", "Q3", "Q4", "Q5", "Q6", "Q10", "Q12", "Q14"];
/// Of scale 0.01, as the specification counts them.
const LINE_ITEMS: u64 = 60_175;

#[tokio::test(flavor = "multi_thread")]
async fn tpch_is_loaded_once_and_asked_on_mariadb() -> Result<()> {
    tell("tpch-mariadb", |story: Story| async move {
        // An earlier telling may have been ended before its end.
        drop_tables().await?;
        is_loaded_once_and_asked(&story, "mariadb", "mariadb.sut.svc:3306", Value::Null).await?;
        drop_tables().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn tpch_is_loaded_once_and_asked_on_postgres() -> Result<()> {
    tell("tpch-postgres", |story: Story| async move {
        ledger::make_database("tpch").await?;
        is_loaded_once_and_asked(&story, "postgres", "postgres.crucible.svc:5432", json!({"password": ledger::password().await?})).await?;
        ledger::drop_database("tpch").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn tpch_is_loaded_once_and_asked_on_trino() -> Result<()> {
    tell("tpch-trino", |story: Story| async move {
        trino::wake().await?;
        // The sample verifies the certificate, which no authority of the world has signed.
        let login = json!({"password": trino::password().await?, "ca.crt": trino::authority().await?});
        let told = is_loaded_once_and_asked(&story, "trino", trino::ENDPOINT, login).await;
        trino::sleep().await?;
        told
    })
    .await
}

async fn drop_tables() -> Result<()> {
    for table in TABLES {
        mariadb::drop_table(table).await?;
    }
    Ok(())
}

/// The sample of an engine, run twice; `login` is what its Secret holds besides the user, where the story's own will not do.
async fn is_loaded_once_and_asked(story: &Story, engine: &str, endpoint: &str, mut login: Value) -> Result<()> {
    kubectl::create(&story.sample_text("tpch/fixtures.yaml")?).await?;
    kubectl::create(&story.sample_text("tpch/workload.yaml")?).await?;
    if login.is_object() {
        login["username"] = json!("crucible");
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("{engine}-credentials"), "namespace": story.namespace},
            "stringData": login,
        });
        kubectl::create(&secret.to_string()).await?;
    }
    let mut plan: Value = serde_saphyr::from_str(&story.sample_text(&format!("tpch/{engine}.yaml"))?).context("the sample is not YAML")?;
    let spec = &mut plan["spec"];
    spec["target"]["endpoint"] = json!(endpoint);
    spec["load"]["stages"] = json!([{"name": "steady", "duration": "20s", "vus": 2}]);
    // The machine is shared with what it tests: what is fast there is not the question.
    spec["slos"] = json!([{"metric": "errorRate", "atMost": 0}]);
    kubectl::create(&plan.to_string()).await?;

    let name = format!("tpch-{engine}");
    let first = story.run("first", &name).await?.completes(Outcome::Passed, PATIENCE).await?;
    ensure!(first.fixtures.len() == 8 && first.fixtures.iter().all(|fixture| fixture.state == TableState::Loaded), "{:?}", first.fixtures);
    ensure!(first.fixtures.iter().any(|fixture| fixture.table == "lineitem" && fixture.rows == Some(LINE_ITEMS)), "{:?}", first.fixtures);
    all_asked(story, &first).await?;
    let second = story.run("second", &name).await?.completes(Outcome::Passed, PATIENCE).await?;
    let found = second.fixtures.iter().filter(|fixture| fixture.state == TableState::Found).count();
    ensure!(found == 8, "the second run found {found} of 8 tables: {:?}", second.fixtures);
    all_asked(story, &second).await
}

/// Each of the eight queries was answered, and none with an error.
async fn all_asked(story: &Story, status: &TestRunStatus) -> Result<()> {
    let prefix = &status.results.as_ref().context("the status says nothing about results")?.prefix;
    let document = story.bucket().await?.get(&format!("{}/results.json", prefix.trim_end_matches('/'))).await?;
    let document: Value = serde_json::from_slice(&document).context("results.json is not JSON")?;
    let rows = document["crucible"]["queries"].as_array().context("results.json has no queries")?;
    for query in QUERIES {
        let row = rows.iter().find(|row| row["query"] == query).with_context(|| format!("{query} is not in the results"))?;
        ensure!(row["ok"].as_u64() > Some(0) && row["errors"] == 0, "{query} was answered {} times, with {} errors", row["ok"], row["errors"]);
    }
    Ok(())
}
