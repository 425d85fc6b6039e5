//! Pending: the plan is read, checked and frozen.

use std::time::Duration;

use crucible_crds::{Phase, Reason, test_plan::WorkloadSource, test_run::FrozenPlanStatus};

use super::{
    decision::Child,
    draft::{Draft, Step},
    observed::{Observed, PlanView},
};
use crate::{
    build::{
        config_map, labels,
        names::{self, Role},
        token,
    },
    contract::{FrozenPlan, PROTOCOL, RunIdentity},
    notice::Severity,
    plan,
    seen::Seen,
};

/// How long a run waits for something that it names and that does not exist: GitOps applies things in any order.
pub const GRACE: Duration = Duration::from_secs(10);

/// How long admission may take in all, unreadable stores included.
pub const ADMISSION: Duration = Duration::from_mins(5);

/// How soon a missing thing is looked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a run cannot be admitted yet, or at all.
enum Refusal {
    /// Something is missing that may still come.
    Missing(Reason, String),
    /// Something could not be read.
    Unreadable(Reason, String),
    /// What was read is wrong, and no waiting mends it.
    Wrong(Reason, String),
}

/// Reads the plan, freezes it and lets the run into the queue.
pub fn admit(observed: &Observed, draft: &mut Draft) -> Step {
    if observed.run.spec.stop {
        return draft.fail(Reason::StopRequested, "The run was stopped before it was admitted");
    }
    match frozen(observed).and_then(|plan| credentials(observed, &plan).map(|()| plan)) {
        Ok(plan) => freeze(observed, draft, plan),
        Err(Refusal::Wrong(reason, message)) => draft.fail(reason, message),
        Err(Refusal::Missing(reason, message)) => wait(draft, reason, message, GRACE),
        Err(Refusal::Unreadable(reason, message)) => wait(draft, reason, message, ADMISSION),
    }
}

fn wait(draft: &mut Draft, reason: Reason, message: String, limit: Duration) -> Step {
    if draft.past(limit) {
        return draft.fail(reason, message);
    }
    draft.because(reason, message);
    draft.wake_after(AGAIN);
    Step::Stay
}

/// The plan of this run: as it was frozen before, or else as it is now.
fn frozen(observed: &Observed) -> Result<FrozenPlan, Refusal> {
    match &observed.frozen {
        Seen::Found(plan) => Ok(plan.clone()),
        Seen::Absent => resolve(observed),
        Seen::Unreadable(why) => Err(Refusal::Unreadable(Reason::FrozenPlanMissing, format!("The run's frozen plan cannot be read: {why}"))),
    }
}

fn resolve(observed: &Observed) -> Result<FrozenPlan, Refusal> {
    let name = &observed.run.spec.plan_ref.name;
    let view = match &observed.plan {
        Seen::Found(view) => view,
        Seen::Absent => return Err(Refusal::Missing(Reason::PlanNotFound, format!("TestPlan {name} does not exist in the run's namespace"))),
        Seen::Unreadable(why) => return Err(Refusal::Unreadable(Reason::PlanNotFound, format!("TestPlan {name} cannot be read: {why}"))),
    };
    let text = workload(view)?;
    let resolved = plan::resolve(&view.plan.spec, text).map_err(|problems| {
        let reason =
            if problems.iter().all(|problem| problem.path.starts_with("spec.workload.source")) { Reason::WorkloadInvalid } else { Reason::PlanInvalid };
        let listed: Vec<String> = problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
        Refusal::Wrong(reason, format!("TestPlan {name} cannot be run: {}", listed.join("; ")))
    })?;
    let meta = &observed.run.metadata;
    let uid = meta.uid.clone().unwrap_or_default();
    let created = meta.creation_timestamp.as_ref().map_or(observed.now, |created| created.0);
    Ok(FrozenPlan {
        protocol: PROTOCOL,
        run: RunIdentity {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            id: plan::run_id(name, created, &uid),
            uid,
        },
        plan_name: name.to_string(),
        plan_generation: view.plan.metadata.generation.unwrap_or_default(),
        digest: resolved.digest,
        spec: view.plan.spec.clone(),
        queries: resolved.queries,
    })
}

/// The text of the workload, wherever the plan says that it is.
fn workload(view: &PlanView) -> Result<&str, Refusal> {
    let place = place_of(&view.plan.spec.workload.source);
    match &view.workload {
        Seen::Found(text) => Ok(text),
        Seen::Absent => Err(Refusal::Missing(Reason::WorkloadNotFound, format!("The workload does not exist: {place}"))),
        Seen::Unreadable(why) => Err(Refusal::Unreadable(Reason::WorkloadNotFound, format!("The workload cannot be read from {place}: {why}"))),
    }
}

/// Where the text of a workload is, in words.
fn place_of(source: &WorkloadSource) -> String {
    let WorkloadSource { inline: _, config_map, object } = source;
    match (config_map, object) {
        (Some(map), _) => format!("key {} of ConfigMap {}", map.key, map.name),
        (None, Some(object)) => format!("object {} of the bucket", object.key),
        (None, None) => "the plan itself".to_owned(),
    }
}

/// Whether the Secret that the plan names holds what the workers need.
fn credentials(observed: &Observed, plan: &FrozenPlan) -> Result<(), Refusal> {
    let name = format!("{}/{}", plan.run.namespace, plan.spec.target.credentials_ref.name);
    match &observed.credentials {
        Seen::Found(keys) => match ["username", "password"].into_iter().find(|key| !keys.contains(*key)) {
            None => Ok(()),
            Some(key) => Err(Refusal::Missing(Reason::SecretNotFound, format!("Secret {name} has no key {key}"))),
        },
        Seen::Absent => Err(Refusal::Missing(Reason::SecretNotFound, format!("Secret {name} does not exist"))),
        Seen::Unreadable(why) => Err(Refusal::Unreadable(Reason::SecretNotFound, format!("Secret {name} cannot be read: {why}"))),
    }
}

/// Writes the plan down for this run. From here on nothing but the run's own spec can change what it does.
fn freeze(observed: &Observed, draft: &mut Draft, plan: FrozenPlan) -> Step {
    let sut = plan::sut_identity(&plan.spec.target);
    draft.ensure.push(Child::Mark { labels: labels::of_run(&sut), finalizers: labels::finalizers(observed.settings.ledger) });
    if observed.frozen.found().is_none() {
        draft.ensure.push(Child::FrozenPlan(Box::new(config_map::frozen_plan(&observed.run, &plan))));
    }
    if observed.token.found().is_none() {
        draft.ensure.push(Child::Token(Box::new(token::token(&observed.run, &plan.run, &observed.entropy))));
    }
    draft.status.run_id = Some(plan.run.id.clone());
    draft.status.sut = Some(sut);
    draft.status.plan = Some(FrozenPlanStatus {
        name: plan.plan_name.clone(),
        generation: plan.plan_generation,
        digest: plan.digest.clone(),
        config_map: names::child(&plan.run.name, &plan.run.uid, Role::Plan),
        engine: Some(plan.spec.target.engine.as_str().to_owned()),
    });
    let message = format!("TestPlan {} was frozen with {} queries", plan.plan_name, plan.queries.len());
    draft.notice(Severity::Normal, Reason::PlanFrozen, message.clone());
    draft.plan = Some(plan);
    draft.go(Phase::Queued, Reason::PlanFrozen, message)
}
