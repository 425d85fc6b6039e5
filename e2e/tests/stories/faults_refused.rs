//! Faults that must not be, or cannot be: refused before any load; and what the controllers say to those that this machine cannot show.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crucible_crds::{Fault, Phase, fault::FaultPhase, fault::FaultStatus};
use crucible_e2e::{
    Story,
    chaos::{self, fault},
    mariadb, tell,
};
use crucible_lifecycle::{build, contract::RunIdentity};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_mins(1);

/// A run with this fault fails with this reason before any load.
async fn fails_before_load(name: &'static str, fault: Value, reason: &'static str, word: &'static str) -> Result<()> {
    tell(name, move |story: Story| async move {
        chaos::ready().await?;
        let before = mariadb::executed().await?;
        story.plan_with("refused", &[("steady", 20, 8, true)], |plan| plan["spec"]["faults"] = json!([fault])).await?;
        let run = story.run("nightly", "refused").await?;
        let uid = run.uid().await?;
        let status = run.ends(Phase::Failed, SOON).await?;
        ensure!(status.reason.as_deref() == Some(reason), "the run ended {}", run.in_words().await);
        let message = status.message.unwrap_or_default();
        ensure!(message.contains(word), "the message does not name {word}: {message}");
        run.leaves_nothing(&uid, SOON).await?;
        ensure!(mariadb::executed().await? == before, "queries were executed for a run that must not begin");
        chaos::leaves_nothing().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_without_a_target_fails_the_run_before_any_load() -> Result<()> {
    let mut fault = fault("kill", 5, 5, &json!({"podChaos": {"action": "pod-kill"}}));
    fault["target"]["pods"]["labelSelectors"] = json!({"app.kubernetes.io/component": "no-such-thing"});
    fails_before_load("fault-no-target", fault, "ChaosNoTarget", "kill").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_a_namespace_that_does_not_allow_it_fails_the_run_before_any_load() -> Result<()> {
    let mut fault = fault("kill", 5, 5, &json!({"podChaos": {"action": "pod-kill"}}));
    fault["target"]["pods"] = json!({"namespaces": ["crucible"], "labelSelectors": {"app.kubernetes.io/component": "operator"}});
    fails_before_load("fault-forbidden", fault, "ChaosNotAllowed", "crucible").await
}

/// One of each kind that cannot be injected here, the kinds that can be included: the controllers' webhooks read every field.
fn kinds() -> Vec<Value> {
    let packets = |action: &str, how: Value| json!({"networkChaos": {"action": action, action: how}});
    vec![
        json!({"podChaos": {"action": "pod-kill"}}),
        packets("delay", json!({"latency": "50ms", "jitter": "10ms"})),
        packets("loss", json!({"loss": "25"})),
        packets("duplicate", json!({"duplicate": "25"})),
        packets("corrupt", json!({"corrupt": "25"})),
        json!({"stressChaos": {"stressors": {"cpu": {"workers": 1, "load": 50}, "memory": {"workers": 1, "size": "100MB"}}}}),
        json!({"ioChaos": {"action": "latency", "volumePath": "/var/lib/mysql", "delay": "20ms", "percent": 50}}),
        json!({"timeChaos": {"timeOffset": "-1h"}}),
        json!({"dnsChaos": {"action": "error", "patterns": ["*.example"]}}),
        json!({"httpChaos": {"target": "Request", "port": 8080, "path": "/*", "delay": "1s"}}),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_controllers_accept_an_object_of_every_kind() -> Result<()> {
    tell("fault-kinds", |_| async move {
        chaos::ready().await?;
        let run = RunIdentity {
            namespace: "shop-tests".to_owned(),
            name: "dry".to_owned(),
            uid: "dry-uid".to_owned(),
            id: "dry_20260101-0000_00000000".to_owned(),
            label: None,
        };
        let mut wrong = Vec::new();
        for (index, kind) in kinds().iter().enumerate() {
            let name = format!("kind-{index}");
            let fault: Fault = serde_json::from_value(fault(&name, 1, 5, kind)).with_context(|| format!("{kind} is no fault"))?;
            let object = build::chaos::chaos(&run, &fault, &status(&name), &fault.duration, &[]);
            let (accepted, said) = chaos::accepted(&object).await?;
            if !accepted {
                wrong.push(format!("{object}: {said}"));
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        chaos::leaves_nothing().await
    })
    .await
}

fn status(name: &str) -> FaultStatus {
    FaultStatus {
        name: name.to_owned(),
        kind: String::new(),
        namespace: "sut".to_owned(),
        object: name.to_owned(),
        phase: FaultPhase::Waiting,
        phase_since: MicroTime(Timestamp::UNIX_EPOCH),
        confirmed: false,
        targets: 1,
        due_at: None,
        injected_at: None,
        recovered_at: None,
        moves: 0,
        over_at: None,
        message: None,
    }
}
