//! What the pods of a run may do, and who never sees the password.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crucible_crds::{Outcome, Phase};
use crucible_e2e::{OPERATOR_NAMESPACE, Story, kubectl::kubectl, run::eventually, tell};

#[tokio::test(flavor = "multi_thread")]
async fn worker_pods_are_restricted_and_nobody_else_sees_the_password() -> Result<()> {
    tell("secrets", |story: Story| async move {
        let password = story.password().await?;
        story.plan("checkout", &[("steady", 8, 8, true)]).await?;
        let run = story.run("nightly", "checkout").await?;
        run.reaches(Phase::Executing, Duration::from_mins(1)).await?;

        let pods = run.pods(&run.uid().await?).await?;
        ensure!(pods.len() == 2, "there are {} worker pods", pods.len());
        for pod in &pods {
            let spec = pod.spec.as_ref().context("a pod has no spec")?;
            ensure!(spec.automount_service_account_token == Some(false), "a service account's token is mounted");
            let mounts = spec.containers.iter().flat_map(|container| container.volume_mounts.iter().flatten());
            let token = mounts.filter(|mount| mount.mount_path.contains("serviceaccount")).count();
            ensure!(token == 0, "a service account's token is mounted");
        }
        let mut seen = Vec::new();
        // The kubelet gives no logs of a container before it has said that it runs, which can be seconds late.
        let logs = eventually("the logs of the workers can be read", Duration::from_mins(1), || async {
            let arguments = ["--namespace", &story.namespace, "logs", "--selector=app.kubernetes.io/component=worker", "--tail=-1"];
            kubectl(&arguments).await.map(Some)
        })
        .await?;
        seen.push(("the logs of the workers", logs));
        let status = run.completes(Outcome::Passed, Duration::from_secs(90)).await?;
        seen.push(("an object of the namespace", story.everything().await?));
        seen.push(("the operator's log", kubectl(&["--namespace", OPERATOR_NAMESPACE, "logs", "deployment/crucible-operator", "--tail=-1"]).await?));
        let prefix = status.results.context("the run has no results")?.prefix;
        let bucket = story.bucket().await?;
        for key in bucket.list(&prefix).await? {
            seen.push(("an object of the bucket", String::from_utf8_lossy(&bucket.get(&key).await?).into_owned()));
        }
        ensure!(seen.len() >= 7, "only {} things were searched", seen.len());
        for (what, text) in seen {
            ensure!(!text.contains(&password), "{what} holds the password of the system under test");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_account_of_worker_pods_may_do_nothing() -> Result<()> {
    tell("powerless", |story: Story| async move {
        let account = format!("system:serviceaccount:{}:default", story.namespace);
        for (verb, kind) in [("get", "secrets"), ("list", "pods"), ("create", "pods"), ("get", "testruns.crucible.dev"), ("patch", "testruns.crucible.dev")] {
            let arguments = ["auth", "can-i", verb, kind, "--namespace", &story.namespace, "--as", &account];
            let answer = crucible_e2e::kubectl::ask(&arguments, "").await?;
            ensure!(answer.output.trim() == "no", "the worker's account may {verb} {kind}");
        }
        Ok(())
    })
    .await
}
