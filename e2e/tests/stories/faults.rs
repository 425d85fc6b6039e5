//! Faults under load, injected by the real Chaos Mesh: what the results say of an outage is what the system under test says of itself,
//! the verdict follows the limit on recovery, and nothing is left behind.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crucible_crds::{Outcome, TestRunStatus, fault::FaultPhase};
use crucible_e2e::{
    Run, Story,
    chaos::{self, fault},
    kubectl::create,
    mariadb, tell,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_mins(3);
/// So few virtual users leave Chaos Mesh time on a machine with two processors: what it does starts many processes.
const GENTLY: u32 = 2;
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// `results.json` of a run.
async fn results(story: &Story, status: &TestRunStatus) -> Result<Value> {
    let results = status.results.as_ref().context("the run has no results")?;
    let document = story.bucket().await?.get(&format!("{}/results.json", results.prefix.trim_end_matches('/'))).await?;
    serde_json::from_slice(&document).context("results.json is not JSON")
}

/// A time that is known as precisely as this.
#[derive(Clone, Copy)]
struct Span {
    from: Timestamp,
    to: Timestamp,
}

impl Span {
    /// Somewhere in this second: results count in seconds, and so do Chaos Mesh and the kubelet, which cut the rest off.
    fn second(from: Timestamp) -> Self {
        Self { from, to: from + SECOND }
    }

    /// Exactly then.
    const fn instant(at: Timestamp) -> Self {
        Self { from: at, to: at }
    }

    /// How far two times are apart at least.
    fn apart(self, other: Self) -> SignedDuration {
        other.from.duration_since(self.to).max(self.from.duration_since(other.to)).max(SignedDuration::ZERO)
    }
}

/// The longest time without an answer: the second with the last answer before it, and the one with the first answer after it.
fn outage(results: &Value, start: Timestamp) -> Result<(Span, Span)> {
    let points = results["crucible"]["timeline"]["points"].as_array().context("results.json has no timeline")?;
    let answered: Vec<i64> = points.iter().filter(|point| point["ok"].as_u64() > Some(0)).filter_map(|point| point["second"].as_i64()).collect();
    let longest = answered.windows(2).max_by_key(|pair| pair[1] - pair[0]).context("nothing was ever answered")?;
    ensure!(longest[1] - longest[0] > 1, "there is no second without an answer");
    let second = |second| Span::second(start + SignedDuration::from_secs(second));
    Ok((second(longest[0]), second(longest[1])))
}

/// The seconds of the first and of the last failed query. A container may be back so soon that no whole second is without an answer.
fn failures(results: &Value, start: Timestamp) -> Result<(Span, Span)> {
    let points = results["crucible"]["timeline"]["points"].as_array().context("results.json has no timeline")?;
    let failed: Vec<i64> = points.iter().filter(|point| point["errors"].as_u64() > Some(0)).filter_map(|point| point["second"].as_i64()).collect();
    let second = |second: &i64| Span::second(start + SignedDuration::from_secs(*second));
    Ok((failed.first().map(second).context("no query failed")?, failed.last().map(second).context("no query failed")?))
}

fn within_a_second(what: &str, reported: Span, said: Span) -> Result<()> {
    let told = format!("{what}: the results say {} to {}, the system under test {} to {}", reported.from, reported.to, said.from, said.to);
    println!("{told}");
    ensure!(reported.apart(said) <= SECOND, "{told}");
    Ok(())
}

fn start(status: &TestRunStatus) -> Result<Timestamp> {
    Ok(status.start_at.as_ref().context("the run has no start")?.0)
}

/// Every fault of the run was confirmed and healed.
fn all_healed(status: &TestRunStatus, names: &[&str]) -> Result<()> {
    let told: Vec<&str> = status.faults.iter().map(|fault| fault.name.as_str()).collect();
    ensure!(told == names, "the status tells of the faults {told:?}");
    let healed = status.faults.iter().all(|fault| fault.confirmed && fault.targets > 0 && fault.phase == FaultPhase::Healed);
    ensure!(healed, "not every fault was confirmed and healed: {:?}", status.faults);
    Ok(())
}

/// What the results say of one fault.
fn of_fault<'a>(results: &'a Value, name: &str) -> Result<&'a Value> {
    let faults = results["crucible"]["faults"].as_array().context("results.json has no faults")?;
    faults.iter().find(|fault| fault["name"] == name).with_context(|| format!("results.json does not tell of fault {name}"))
}

/// Creates a sample's plan, changed, in the story's namespace, and a run of it.
async fn sample_run(story: &Story, change: impl FnOnce(&mut Value)) -> Result<Run> {
    let mut plan: Value = serde_saphyr::from_str(&story.sample_text("chaos.yaml")?).context("the sample is not YAML")?;
    change(&mut plan);
    create(&plan.to_string()).await?;
    story.sample("chaos-run.yaml").await?.pop().context("the sample has no run")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outage_of_a_killed_pod_is_where_the_database_says_and_recovery_within_the_limit_passes() -> Result<()> {
    tell("pod-kill", |story: Story| async move {
        chaos::ready().await?;
        mariadb::answers().await?;
        let run = sample_run(&story, |_| ()).await?;
        let status = run.completes(Outcome::Passed, LONG).await?;
        all_healed(&status, &["kill-mariadb"])?;
        let results = results(&story, &status).await?;
        let (last, first) = outage(&results, start(&status)?)?;
        let hit = status.faults[0].injected_at.as_ref().context("the status does not say when the pod was hit")?.0;
        within_a_second("the outage begins", last, Span::second(hit))?;
        within_a_second("the outage ends", first, Span::instant(mariadb::ready_at().await?))?;
        let resilience = &of_fault(&results, "kill-mariadb")?["resilience"];
        ensure!(resilience["errors"].as_u64() > Some(0) && resilience["recovery"]["recovered"] == true, "the results say {resilience}");
        ensure!(resilience["reconnects"].as_u64() >= Some(16), "every virtual user had to connect anew, and the results say {resilience}");
        let checks = status.verdict.as_ref().map(|verdict| verdict.checks.clone()).unwrap_or_default();
        let invariant = checks.iter().find(|check| check.name == "invariant every-customer-is-there").context("the invariant was not judged")?;
        ensure!(invariant.held && invariant.observed == "100000", "the verdict says {invariant:?}");
        println!("a killed pod: {resilience}");
        chaos::leaves_nothing().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_beyond_the_limit_fails_the_run() -> Result<()> {
    tell("container-kill", |story: Story| async move {
        chaos::ready().await?;
        mariadb::answers().await?;
        let run = sample_run(&story, |plan| {
            plan["spec"]["faults"][0]["chaos"] = json!({"podChaos": {"action": "container-kill", "containerNames": ["mariadb"]}});
            // A container is started again at once, here in less than a second: the limit is one that no restart keeps.
            plan["spec"]["slos"] = json!([{"metric": "recoveryTime", "fault": "kill-mariadb", "below": "10ms"}]);
        });
        let status = run.await?.completes(Outcome::Failed, LONG).await?;
        all_healed(&status, &["kill-mariadb"])?;
        let checks = status.verdict.as_ref().map(|verdict| verdict.checks.clone()).unwrap_or_default();
        ensure!(checks.iter().any(|check| !check.held && check.name == "recoveryTime of kill-mariadb"), "no check on the fault failed: {checks:?}");
        let results = results(&story, &status).await?;
        let (first, last) = failures(&results, start(&status)?)?;
        within_a_second("the first query fails", first, Span::second(mariadb::ended_at().await?))?;
        within_a_second("the last query fails", last, Span::instant(mariadb::ready_at().await?))?;
        chaos::leaves_nothing().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_faults_at_once_are_both_seen_and_both_healed() -> Result<()> {
    tell("overlap", |story: Story| async move {
        chaos::ready().await?;
        let both = json!({"cpu": {"workers": 1, "load": 50}, "memory": {"workers": 1, "size": "32MB"}});
        let busy = fault("busy", 3, 16, &json!({"stressChaos": {"stressors": both}}));
        let limit = json!({"action": "bandwidth", "bandwidth": {"rate": "1mbps", "limit": 20_971_520, "buffer": 10_000}});
        let narrow = fault("narrow", 5, 16, &json!({"networkChaos": limit}));
        story.plan_with("both", &[("steady", 30, GENTLY, true)], |plan| plan["spec"]["faults"] = json!([busy, narrow])).await?;
        let run = story.run("nightly", "both").await?;
        let on = |status: &TestRunStatus| status.faults.iter().filter(|fault| fault.phase == FaultPhase::Injected).count() == 2;
        run.until("both faults are on", Duration::from_mins(1), on).await?;
        let status = run.completes(Outcome::Passed, LONG).await?;
        all_healed(&status, &["busy", "narrow"])?;
        let results = results(&story, &status).await?;
        let rows = results["crucible"]["windows"].as_array().context("results.json has no windows")?;
        ensure!(rows.iter().filter(|row| row["part"] == "fault").count() == 2, "the windows are {rows:?}");
        chaos::leaves_nothing().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_follows_a_database_whose_pod_is_made_anew() -> Result<()> {
    tell("replaced", |story: Story| async move {
        chaos::ready().await?;
        mariadb::answers().await?;
        let busy = fault("busy", 3, 45, &json!({"stressChaos": {"stressors": {"cpu": {"workers": 1, "load": 30}}}}));
        let change = |plan: &mut Value| {
            plan["spec"]["faults"] = json!([busy]);
            plan["spec"]["slos"] = json!([{"metric": "longestGap", "fault": "busy", "below": "1m"}]);
            plan["spec"]["abort"] = json!([]);
        };
        story.plan_with("replaced", &[("steady", 55, GENTLY, true)], change).await?;
        let run = story.run("nightly", "replaced").await?;
        run.until("the fault is on", Duration::from_mins(1), |status| status.faults.iter().any(|fault| fault.phase == FaultPhase::Injected)).await?;
        mariadb::replace().await?;
        let followed = |status: &TestRunStatus| status.faults.iter().any(|fault| fault.moves > 0 && fault.phase == FaultPhase::Injected);
        run.until("the fault is on the new pod", Duration::from_mins(1), followed).await?;
        let status = run.completes(Outcome::Passed, LONG).await?;
        all_healed(&status, &["busy"])?;
        let fault = &status.faults[0];
        let lasted = fault.recovered_at.as_ref().zip(fault.injected_at.as_ref()).map(|(to, from)| to.0.as_second() - from.0.as_second());
        ensure!(lasted.is_some_and(|seconds| (40..=50).contains(&seconds)), "the fault was on for {lasted:?} s of 45: {fault:?}");
        chaos::leaves_nothing().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_cut_off_from_the_database_are_answered_again_when_the_cut_is_healed() -> Result<()> {
    tell("partition", |story: Story| async move {
        chaos::ready().await?;
        let cut = fault("cut", 8, 20, &json!({"networkChaos": {"action": "partition", "direction": "both", "peer": {"workers": true}}}));
        let change = |plan: &mut Value| {
            plan["spec"]["faults"] = json!([cut]);
            plan["spec"]["load"]["queryTimeout"] = json!("1s");
            plan["spec"]["slos"] = json!([{"metric": "longestGap", "fault": "cut", "below": "30s"}]);
            plan["spec"]["abort"] = json!([]);
        };
        story.plan_with("cut", &[("steady", 40, GENTLY, true)], change).await?;
        let status = story.run("nightly", "cut").await?.completes(Outcome::Passed, LONG).await?;
        all_healed(&status, &["cut"])?;
        let results = results(&story, &status).await?;
        let resilience = &of_fault(&results, "cut")?["resilience"];
        ensure!(resilience["longestGap"].as_f64() >= Some(3.0), "the results say {resilience}");
        println!("workers cut off for twenty seconds: {resilience}");
        chaos::leaves_nothing().await
    })
    .await
}
