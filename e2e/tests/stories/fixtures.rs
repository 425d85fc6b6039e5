//! Datasets on the cluster: loaded once and proved, found the next time, loaded anew after a run that wrote; a loader that is killed; a
//! file that is wrong.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crucible_crds::{ConditionType, Outcome, Phase, TestRunStatus, test_run::TableState};
use crucible_e2e::{Run, Story, kubectl, mariadb, run::eventually, tell};
use serde_json::{Value, json};

const ROWS: u64 = 20_000;
/// Enough that a loader can be found at its work.
const MANY_ROWS: u64 = 1_500_000;
const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_is_loaded_once_and_anew_after_a_run_that_writes() -> Result<()> {
    tell("fixtures", |story: Story| async move {
        let set = Dataset::named("parcels");
        let bucket = story.bucket().await?;
        bucket.put(&set.key("part-0.csv"), rows(1..=ROWS / 2)).await?;
        bucket.put(&set.key("part-1.csv"), rows(ROWS / 2 + 1..=ROWS)).await?;
        kubectl::create(&set.object(&story).to_string()).await?;
        set.plan(&story, "reads", "-- @type: sql\n-- @name: Weigh\nSELECT weight FROM {table} WHERE id = :id;\n").await?;
        set.plan(&story, "writes", "-- @type: sql\n-- @name: Refill\nUPDATE {table} SET weight = weight + 1 WHERE id = :id;\n").await?;

        let first = story.run("first", "reads").await?.completes(Outcome::Passed, PATIENCE).await?;
        set.is(&first, TableState::Loaded, false)?;
        let ready = crucible_crds::condition::find(&first.conditions, ConditionType::FixturesReady);
        ensure!(ready.is_some_and(|condition| condition.status == "True"), "condition FixturesReady is {ready:?}");
        ensure!(mariadb::count(&set.table).await? == ROWS, "the table has other rows than the files");
        let loaded_at = mariadb::created_at(&set.table).await?;
        let row = kubectl::kubectl(&["--namespace", &story.namespace, "get", "fixtures", "--no-headers"]).await?;
        let columns: Vec<&str> = row.split_whitespace().collect();
        ensure!(columns.starts_with(&[&set.name, "Ready", "csv", "2"]) && columns.contains(&&*ROWS.to_string()), "kubectl get fixtures says {row:?}");

        let second = story.run("second", "reads").await?.completes(Outcome::Passed, PATIENCE).await?;
        set.is(&second, TableState::Found, false)?;
        ensure!(mariadb::created_at(&set.table).await? == loaded_at, "the table was made anew although it was proved");

        let third = story.run("third", "writes").await?.completes(Outcome::Passed, PATIENCE).await?;
        set.is(&third, TableState::Found, true)?;
        let fourth = story.run("fourth", "reads").await?.completes(Outcome::Passed, PATIENCE).await?;
        set.is(&fourth, TableState::Loaded, false)?;
        ensure!(mariadb::sum("weight", &set.table).await? == (1..=ROWS).map(weight).sum::<u64>(), "what the third run wrote is still there");

        set.remove().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_that_is_kept_comes_back_after_a_run_that_writes() -> Result<()> {
    tell("fixture-kept", |story: Story| async move {
        let set = Dataset::named("kept");
        // An earlier telling may have been ended before its end.
        for table in mariadb::tables_like("crucible\\_kept\\_").await? {
            mariadb::drop_table(&table).await?;
        }
        story.bucket().await?.put(&set.key("a.csv"), rows(1..=ROWS)).await?;
        let mut object = set.object(&story);
        object["spec"]["reset"] = json!("snapshot");
        kubectl::create(&object.to_string()).await?;
        set.plan(&story, "writes", "-- @type: sql\n-- @name: Refill\nUPDATE {table} SET weight = weight + 1 WHERE id = :id;\n").await?;
        let whole = (1..=ROWS).map(weight).sum::<u64>();

        let first = story.run("first", "writes").await?.completes(Outcome::Passed, PATIENCE).await?;
        set.is(&first, TableState::Loaded, true)?;
        let kept = mariadb::tables_like("crucible\\_kept\\_").await?;
        ensure!(kept.len() == 1, "one table keeps the rows, and there are {kept:?}");
        let kept_at = mariadb::created_at(&kept[0]).await?;
        ensure!(mariadb::sum("weight", &set.table).await? > whole, "the first run wrote nothing");
        ensure!(mariadb::sum("weight", &kept[0]).await? == whole, "the rows that are kept are not those of the files");

        let second = story.run("second", "writes").await?.completes(Outcome::Passed, PATIENCE).await?;
        set.is(&second, TableState::Restored, true)?;
        ensure!(second.fixtures[0].checksum == first.fixtures[0].checksum, "other rows came back: {:?}", second.fixtures[0]);
        ensure!(mariadb::created_at(&kept[0]).await? == kept_at, "the rows were kept anew although they are the same");

        // Nothing is kept of a fixture that does not say so any more.
        let patch = json!({"spec": {"reset": "reload"}}).to_string();
        kubectl::kubectl(&["--namespace", &story.namespace, "patch", "fixture", &set.name, "--type=merge", "--patch", &patch]).await?;
        set.plan(&story, "reads", "-- @type: sql\n-- @name: Weigh\nSELECT weight FROM {table} WHERE id = :id;\n").await?;
        let third = story.run("third", "reads").await?.completes(Outcome::Passed, PATIENCE).await?;
        set.is(&third, TableState::Loaded, false)?;
        ensure!(mariadb::sum("weight", &set.table).await? == whole, "what the second run wrote is still there");
        ensure!(mariadb::tables_like("crucible\\_kept\\_").await?.is_empty(), "the rows are kept although nobody asks for it");
        set.remove().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loader_that_is_killed_is_followed_by_one_that_loads_everything() -> Result<()> {
    tell("loader-killed", |story: Story| async move {
        let set = Dataset::named("killed");
        // An earlier telling may have been ended before its end.
        mariadb::drop_table(&set.table).await?;
        let bucket = story.bucket().await?;
        for part in 0..3 {
            let first = part * MANY_ROWS / 3 + 1;
            bucket.put(&set.key(&format!("part-{part}.csv")), rows(first..=(part + 1) * MANY_ROWS / 3)).await?;
        }
        kubectl::create(&set.object(&story).to_string()).await?;
        set.plan(&story, "reads", "-- @type: sql\n-- @name: Weigh\nSELECT weight FROM {table} WHERE id = :id;\n").await?;
        let run = story.run("nightly", "reads").await?;
        let uid = run.uid().await?;

        let at_work = |status: &TestRunStatus| status.fixtures.iter().any(|fixture| fixture.state == TableState::Loading);
        run.until("a table is being loaded", PATIENCE, at_work).await?;
        let loader = loader_of(&run, &uid).await?;
        kubectl::kubectl(&["--namespace", &story.namespace, "delete", "pod", &loader, "--grace-period=0", "--force"]).await?;
        ensure!(!mariadb::tables_like(&set.table).await?.contains(&set.table), "there was a table under the real name before it was whole");

        let status = run.completes(Outcome::Passed, PATIENCE * 2).await?;
        set.is(&status, TableState::Loaded, false)?;
        ensure!(mariadb::count(&set.table).await? == MANY_ROWS, "the table has other rows than the files");
        ensure!(mariadb::tables_like("crucible\\_").await?.is_empty(), "tables of loaders are left");
        run.leaves_nothing(&uid, Duration::from_secs(20)).await?;
        set.remove().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_wrong_is_named_with_its_row_and_column_and_no_table_is_left() -> Result<()> {
    tell("fixture-wrong", |story: Story| async move {
        let set = Dataset::named("wrong");
        let text = rows(1..=100).replace(&format!("\n41,name 41,{}\n", weight(41)), "\n41,name 41,heavy\n");
        ensure!(text.contains(",heavy"), "the file is right");
        story.bucket().await?.put(&set.key("a.csv"), text).await?;
        kubectl::create(&set.object(&story).to_string()).await?;
        set.plan(&story, "reads", "-- @type: sql\n-- @name: Weigh\nSELECT weight FROM {table} WHERE id = :id;\n").await?;
        let run = story.run("nightly", "reads").await?;
        let uid = run.uid().await?;
        let status = run.ends(Phase::Failed, PATIENCE).await?;
        let said = status.message.clone().unwrap_or_default();
        for word in ["a.csv", "row 41", "weight"] {
            ensure!(said.contains(word), "{word:?} is not in {said:?} with {:?}", status.reason);
        }
        ensure!(run.event_reasons().await?.iter().any(|reason| Some(reason) == status.reason.as_ref()), "no event tells {:?}", status.reason);
        println!("{}: {said}", status.reason.unwrap_or_default());
        ensure!(mariadb::tables_like(&set.table).await?.is_empty() && mariadb::tables_like("crucible\\_").await?.is_empty(), "a table is left");
        run.leaves_nothing(&uid, Duration::from_secs(20)).await
    })
    .await
}

/// A dataset of this telling alone: what an earlier one left behind is none of ours.
struct Dataset {
    name: String,
    table: String,
}

impl Dataset {
    fn named(what: &str) -> Self {
        let tag = jiff::Timestamp::now().as_second();
        Self { name: format!("{what}-{tag}"), table: format!("{what}_{tag}") }
    }

    fn key(&self, file: &str) -> String {
        format!("fixtures/{}/{file}", self.name)
    }

    fn object(&self, story: &Story) -> Value {
        json!({
            "apiVersion": "crucible.dev/v1alpha1", "kind": "Fixture",
            "metadata": {"name": self.name, "namespace": story.namespace},
            "spec": {
                "source": {"prefix": format!("fixtures/{}", self.name)}, "format": "csv", "primaryKey": ["id"],
                "columns": [
                    {"name": "id", "type": "bigint not null"}, {"name": "name", "type": "varchar(40) not null"}, {"name": "weight", "type": "bigint not null"},
                ],
            },
        })
    }

    /// A short plan that names the dataset and sends these queries.
    async fn plan(&self, story: &Story, name: &str, workload: &str) -> Result<()> {
        let workload = workload.replace("{table}", &self.table);
        story
            .plan_with(name, &[("steady", 2, 2, true)], |plan| {
                let spec = &mut plan["spec"];
                spec["fixtures"] = json!([{"ref": self.name, "table": self.table}]);
                spec["workload"] = json!({"source": {"inline": workload}, "parameters": [{"name": "id", "range": [1, ROWS]}]});
                spec["slos"] = json!([{"metric": "errorRate", "atMost": 0}]);
            })
            .await
    }

    fn is(&self, status: &TestRunStatus, state: TableState, writes: bool) -> Result<()> {
        let fixture = status.fixtures.first().context("the status says nothing of the dataset")?;
        let whole = fixture.rows.is_some() && fixture.checksum.is_some() && fixture.table == self.table;
        ensure!(fixture.state == state && fixture.writes == writes && whole, "{state:?} was expected, writing {writes}: {fixture:?}");
        Ok(())
    }

    async fn remove(&self) -> Result<()> {
        mariadb::drop_table(&self.table).await
    }
}

fn weight(id: u64) -> u64 {
    id * 7919 % 1000
}

fn rows(ids: impl Iterator<Item = u64>) -> String {
    ids.fold("id,name,weight\n".to_owned(), |text, id| text + &format!("{id},name {id},{}\n", weight(id)))
}

/// The pod that loads a run's datasets.
async fn loader_of(run: &Run, uid: &str) -> Result<String> {
    eventually("there is a loader", Duration::from_secs(20), || async { Ok(run.pods(uid).await?.into_iter().find_map(|pod| pod.metadata.name)) }).await
}
