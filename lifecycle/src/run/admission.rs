//! Pending: the plan is read, checked and frozen.

use std::time::Duration;

use crucible_crds::{Phase, Reason, TestRun, TestRunStatus, test_run::FrozenPlanStatus};

use super::{
    decision::Child,
    draft::{Draft, Step},
    faults,
    observed::{Observed, PlanView},
};
use crate::{
    build::{
        config_map, labels,
        names::{self, Role},
        token,
    },
    contract::{FrozenPlan, PROTOCOL, RunIdentity},
    load::rounds::carried_out,
    notice::Severity,
    plan,
    seen::Seen,
    workload::places,
};

/// How long a run waits for something that it names and that does not exist: GitOps applies things in any order.
pub const GRACE: Duration = Duration::from_secs(10);

/// How long admission may take in all, unreadable stores included.
pub const ADMISSION: Duration = Duration::from_mins(5);

/// The longest that is kept of what a client says about its system under test, as JSON.
const MOST_CLUSTER_BYTES: usize = 16 << 10;

/// How soon a missing thing is looked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a run cannot be admitted yet, or at all.
pub enum Refusal {
    /// Something is missing that may still come.
    Missing(Reason, String),
    /// Something could not be read.
    Unreadable(Reason, String),
    /// What was read is wrong, and no waiting mends it.
    Wrong(Reason, String),
}

/// Takes over what an earlier pass made of a run and could not write down, because somebody changed the run meanwhile: the plan that it froze says which
/// systems under test it may hold and that there may be workers. Otherwise nobody would give them back.
pub fn take_over(observed: &Observed, draft: &mut Draft) {
    if let (None, Some(plan)) = (&draft.status.plan, observed.frozen.found()) {
        identify(&mut draft.status, plan);
    }
}

/// Reads the plan, freezes it and lets the run into the queue.
pub fn admit(observed: &Observed, draft: &mut Draft) -> Step {
    if let (true, Seen::Unreadable(why)) = (observed.run.spec.stop, &observed.frozen) {
        return wait(draft, Reason::FrozenPlanMissing, format!("The run was stopped, and what was made for it cannot be read: {why}"), ADMISSION);
    }
    if observed.run.spec.stop {
        return draft.fail(Reason::StopRequested, "The run was stopped before it was admitted");
    }
    let admitted = frozen(observed).and_then(|plan| credentials(observed, &plan).and_then(|()| faults::admissible(observed, &plan)).map(|()| plan));
    match admitted {
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
    let texts = workload(view)?;
    let resolved = plan::resolve(&view.plan.spec, &texts).map_err(|problems| {
        let reason =
            if problems.iter().all(|problem| problem.path.starts_with("spec.workload.source")) { Reason::WorkloadInvalid } else { Reason::PlanInvalid };
        let listed: Vec<String> = problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
        Refusal::Wrong(reason, format!("TestPlan {name} cannot be run: {}", listed.join("; ")))
    })?;
    cluster(&observed.run, view)?;
    let meta = &observed.run.metadata;
    let uid = meta.uid.clone().unwrap_or_default();
    Ok(FrozenPlan {
        protocol: PROTOCOL,
        run: RunIdentity {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            id: run_id(observed, &uid)?,
            uid,
            label: observed.run.spec.label.clone(),
        },
        plan_name: name.to_string(),
        plan_generation: view.plan.metadata.generation.unwrap_or_default(),
        digest: resolved.digest,
        spec: carried_out(&view.plan.spec),
        queries: resolved.queries,
        arms: resolved.arms,
    })
}

/// The texts of the workload, wherever the plan says that they are.
fn workload(view: &PlanView) -> Result<Vec<&String>, Refusal> {
    let places = places(&view.plan.spec.workload.source);
    let mut texts = Vec::with_capacity(places.len());
    for (place, seen) in places.iter().zip(&view.workload) {
        texts.push(match seen {
            Seen::Found(text) => text,
            Seen::Absent => return Err(Refusal::Missing(Reason::WorkloadNotFound, format!("The workload does not exist: {place}"))),
            Seen::Unreadable(why) => return Err(Refusal::Unreadable(Reason::WorkloadNotFound, format!("The workload cannot be read from {place}: {why}"))),
        });
    }
    Ok(texts)
}

/// Whether what the client says of the system under test goes with the plan.
fn cluster(run: &TestRun, view: &PlanView) -> Result<(), Refusal> {
    let Some(cluster) = &run.spec.cluster_spec else { return Ok(()) };
    let (engine, plan) = (view.plan.spec.target.engine.as_str(), &run.spec.plan_ref.name);
    if cluster.kind != engine {
        let message = format!("spec.clusterSpec.type {} does not match the engine {engine} of TestPlan {plan}", cluster.kind);
        return Err(Refusal::Wrong(Reason::ClusterSpecMismatch, message));
    }
    // A ClusterSpec is JSON already.
    let bytes = serde_json::to_vec(cluster).unwrap_or_default().len();
    if bytes > MOST_CLUSTER_BYTES {
        return Err(Refusal::Wrong(Reason::ClusterSpecMismatch, format!("spec.clusterSpec takes {bytes} bytes; at most {MOST_CLUSTER_BYTES} are kept")));
    }
    Ok(())
}

/// What the run is called: as its client asks, where it does. Results lie under that name, so it must not be able to name
/// those of another run: one that exists is found by its label, and those of runs long gone have other minutes.
fn run_id(observed: &Observed, uid: &str) -> Result<String, Refusal> {
    let TestRun { metadata, spec, .. } = &observed.run;
    let created = metadata.creation_timestamp.as_ref().map_or(observed.now, |created| created.0);
    let Some(asked) = &spec.run_id else { return Ok(plan::run_id(&spec.plan_ref.name, created, uid)) };
    if !plan::is_of_its_time(asked, created) {
        return Err(Refusal::Wrong(Reason::RunIdRefused, format!("spec.runId {asked} does not hold the minute in which the run was created, in UTC")));
    }
    match &observed.namesake {
        Seen::Absent => Ok(asked.to_string()),
        Seen::Found(other) => Err(Refusal::Wrong(Reason::RunIdRefused, format!("spec.runId {asked} is taken by TestRun {other}"))),
        Seen::Unreadable(why) => Err(Refusal::Unreadable(Reason::RunIdRefused, format!("It cannot be told whether another run has the id {asked}: {why}"))),
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
    let sut = identify(&mut draft.status, &plan);
    draft.ensure.push(Child::Mark { labels: labels::of_run(&sut, &plan.run.id), finalizers: labels::finalizers(observed.settings.ledger) });
    if observed.frozen.found().is_none() {
        draft.ensure.push(Child::FrozenPlan(Box::new(config_map::frozen_plan(&observed.run, &plan))));
    }
    if observed.token.found().is_none() {
        draft.ensure.push(Child::Token(Box::new(token::token(&observed.run, &plan.run, &observed.entropy))));
    }
    draft.status.faults = faults::listed(&plan, draft.now);
    let message = format!("TestPlan {} was frozen with {} queries", plan.plan_name, plan.queries.len());
    draft.notice(Severity::Normal, Reason::PlanFrozen, message.clone());
    let overlaps = plan::overlaps(&plan.spec);
    if !overlaps.is_empty() {
        let all = overlaps.join(", ");
        draft.notice(Severity::Warning, Reason::FaultsOverlap, format!("Faults may hit the same target at the same time, which leaves two causes: {all}"));
    }
    draft.plan = Some(plan);
    draft.go(Phase::Queued, Reason::PlanFrozen, message)
}

/// Writes down what a run is by its frozen plan, and answers which system under test it loads.
fn identify(status: &mut TestRunStatus, plan: &FrozenPlan) -> String {
    let (sut, second) = plan::suts(&plan.spec);
    status.run_id = Some(plan.run.id.clone());
    status.sut = Some(sut.clone());
    status.second_sut = second;
    status.plan = Some(FrozenPlanStatus {
        name: plan.plan_name.clone(),
        generation: plan.plan_generation,
        digest: plan.digest.clone(),
        config_map: names::child(&plan.run.name, &plan.run.uid, Role::Plan),
        engine: Some(plan.spec.target.engine.as_str().to_owned()),
    });
    sut
}
