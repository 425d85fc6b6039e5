//! Tells people what has happened: one Kubernetes event for each notice, once.
//!
//! An event's name follows from the run, the reason and the sentence, so that telling it again changes nothing. A notice
//! that cannot be told never holds a run up: the status says the same.

use std::time::Duration;

use crucible_crds::TestRun;
use crucible_lifecycle::{
    build::names,
    notice::{Notice, Severity},
};
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{ObjectMeta, PostParams},
};

use crate::context::{Context, FIELD_MANAGER};

/// How long telling may take.
const TELLING: Duration = Duration::from_secs(3);
/// Who tells.
const REPORTER: &str = "crucible.dev/operator";

/// Tells one notice about a run.
pub async fn tell(ctx: &Context, run: &TestRun, notice: &Notice) {
    let namespace = run.namespace().unwrap_or_default();
    let events: Api<Event> = Api::namespaced(ctx.client.clone(), &namespace);
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let event = event_of(run, notice, MicroTime(ctx.clock.now()));
    match tokio::time::timeout(TELLING, events.create(&params, &event)).await {
        Ok(Ok(_)) => tracing::info!(reason = notice.reason.as_str(), note = notice.message, "told"),
        Ok(Err(kube::Error::Api(status))) if status.is_already_exists() => {}
        Ok(Err(error)) => tracing::warn!(%error, reason = notice.reason.as_str(), "failed to create an event"),
        Err(_) => tracing::warn!(reason = notice.reason.as_str(), "creating an event took too long"),
    }
}

fn event_of(run: &TestRun, notice: &Notice, at: MicroTime) -> Event {
    let Notice { severity, reason, message } = notice;
    let uid = run.uid().unwrap_or_default();
    let identity = names::short_hash(&format!("{uid} {reason} {message}"), 16);
    let readable: String = run.name_any().chars().take(200).collect();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{identity}", readable.trim_end_matches(['.', '-']))),
            namespace: run.namespace(),
            ..ObjectMeta::default()
        },
        regarding: Some(ObjectReference {
            api_version: Some(TestRun::api_version(&()).into_owned()),
            kind: Some(TestRun::kind(&()).into_owned()),
            namespace: run.namespace(),
            name: Some(run.name_any()),
            uid: Some(uid),
            resource_version: run.resource_version(),
            ..ObjectReference::default()
        }),
        type_: Some(
            match severity {
                Severity::Normal => "Normal",
                Severity::Warning => "Warning",
            }
            .to_owned(),
        ),
        reason: Some(reason.to_string()),
        note: Some(message.clone()),
        action: Some("Run".to_owned()),
        event_time: Some(at),
        reporting_controller: Some(REPORTER.to_owned()),
        reporting_instance: Some("operator".to_owned()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_crds::{Reason, TestRunSpec, test_run::PlanRef};
    use jiff::Timestamp;

    #[test]
    fn the_same_notice_has_the_same_name_and_another_one_has_another() {
        let spec = TestRunSpec {
            plan_ref: PlanRef { name: "checkout".into() },
            label: None,
            run_id: None,
            cluster_spec: None,
            cluster_settings: None,
            stop: false,
            ttl_after_finished: None,
        };
        let mut run = TestRun::new("nightly", spec);
        run.metadata.uid = Some("uid-a".to_owned());
        let name = |message: &str, second: i64| {
            let notice = Notice { severity: Severity::Normal, reason: Reason::LoadStarted, message: message.to_owned() };
            event_of(&run, &notice, MicroTime(Timestamp::from_second(second).unwrap())).name_any()
        };
        assert_eq!(name("2 workers", 1), name("2 workers", 2));
        assert_ne!(name("2 workers", 1), name("3 workers", 1));
    }
}
