//! What users get wrong: refused at once, or failed with a reason before any load, never stuck, nothing left running.

use std::time::Duration;

use anyhow::{Result, ensure};
use crucible_crds::Phase;
use crucible_e2e::{Story, kubectl::ask, mariadb, tell};

/// Sample, reason, and a word of the message that helps.
const FAILING: [(&str, &str, &str); 7] = [
    ("missing-secret", "SecretNotFound", "no-such-secret"),
    ("wrong-password", "SutAuthenticationFailed", "crucible"),
    ("connection-refused", "SutUnreachable", "127.0.0.1:3306"),
    ("unknown-host", "SutUnknownHost", "no-such-host"),
    ("unknown-query", "PlanInvalid", "TopSelers"),
    ("sql-error", "QueryInvalid", "LostTable"),
    ("no-queries", "WorkloadInvalid", "no quer"),
];

#[tokio::test(flavor = "multi_thread")]
async fn bad_plans_fail_with_their_reason_before_any_load() -> Result<()> {
    tell("bad-input", |story: Story| async move {
        let before = mariadb::executed().await?;
        let mut runs = Vec::new();
        for (sample, reason, word) in FAILING {
            let mut made = story.sample(&format!("bad/{sample}.yaml")).await?;
            runs.push((made.remove(0), reason, word));
        }
        let mut wrong = Vec::new();
        for (run, reason, word) in &runs {
            let uid = run.uid().await?;
            let status = run.ends(Phase::Failed, Duration::from_secs(90)).await?;
            let message = status.message.unwrap_or_default();
            if status.reason.as_deref() != Some(reason) || !message.to_lowercase().contains(&word.to_lowercase()) {
                wrong.push(format!("{}: expected {reason} with {word:?}, got {}", run.name, run.in_words().await));
            }
            if !run.event_reasons().await?.iter().any(|told| told == reason) {
                wrong.push(format!("{}: no event tells {reason}", run.name));
            }
            if status.verdict.is_some() && status.start_at.is_some() {
                wrong.push(format!("{}: a load was started", run.name));
            }
            if let Err(error) = run.leaves_nothing(&uid, Duration::from_mins(1)).await {
                wrong.push(format!("{error:#}"));
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        ensure!(mariadb::executed().await? - before == 0, "queries were executed for plans that must not run");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_without_workers_is_refused_by_the_api_server() -> Result<()> {
    tell("zero-workers", |story: Story| async move {
        let answer = ask(&["create", "--filename=-"], &story.sample_text("bad/zero-workers.yaml")?).await?;
        ensure!(!answer.ok && answer.error.contains("spec.load.workers"), "kubectl said {answer:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_a_plan_fails_after_a_short_wait() -> Result<()> {
    tell("no-plan", |story: Story| async move {
        let run = story.run("nightly", "never-written").await?;
        let status = run.ends(Phase::Failed, Duration::from_secs(30)).await?;
        ensure!(status.reason.as_deref() == Some("PlanNotFound"), "the run ended {}", run.in_words().await);
        Ok(())
    })
    .await
}
