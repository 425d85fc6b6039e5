//! Observe: one reading of the world around a run. Reads only, and only what the phase needs.
//!
//! Children are read from the API server itself, never from a cache; what cannot change is read once. Whatever fails to
//! be read becomes `Unreadable`, on which nothing is decided, so a reading itself cannot fail.
//!
//! | reading              | Pending | Queued | Loading, `WaitingRoom` | Executing, Collecting, Stopping | Completed | Failed | deleting |
//! |----------------------|---------|--------|----------------------|---------------------------------|-----------|--------|----------|
//! | plan, credentials    | x       |        |                      |                                 |           |        |          |
//! | namesake             | if asked|        |                      |                                 |           |        |          |
//! | token                | marked  |        |                      |                                 |           |        |          |
//! | frozen plan          | marked  | once   | once                 | once                            |           |        | once     |
//! | lease                | x       | x      |                      |                                 | x         | x      |          |
//! | queue                | x       | x      |                      |                                 |           |        |          |
//! | job                  | marked  |        | unless all heard     | unless all heard                |           | x      |          |
//! | pods                 |         |        | unless all heard     | unless all heard                |           | x      | x        |
//! | fixtures             | while Loading, until it is written down what is loaded                                                     |
//! | loader               | while Loading, Stopping and Failed, and while deleting, where something was written down                   |
//! | faults               | see `faults.rs`                                                                                            |
//! | fleet, collection    | in memory, always                                                                                          |
//!
//! *if asked*: only where the run asks for an id of its own. *marked*: only where our finalizer is on the run; before that nothing of it can exist. *Once*: it cannot change, so
//! it is remembered. *Unless all heard*: while every worker was heard of within two seconds, their own word is the truth.

use std::{collections::BTreeSet, future::Future, time::Duration};

use crucible_crds::{Phase, TestPlan, TestRun, TestRunStatus, name::RunId};
use crucible_lifecycle::{
    build::{
        config_map, labels, loader,
        names::{self, Role},
    },
    contract::{CONTROL_PORT, FrozenPlan},
    fixture::FixtureView,
    plan,
    run::observed::{Contender, HolderState, JobView, LeaseView, LoaderPod, LoaderView, Observed, PlanView, PodView},
    seen::Seen,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    batch::v1::Job,
    coordination::v1::Lease,
    core::v1::{ConfigMap, Event, Pod, Secret},
};
use kube::{Api, ResourceExt, api::ListParams};

use super::{faults, pods, workload::workload};
use crate::{
    context::{Context, RunKey},
    fixtures,
    token::Token,
};

/// How long the fixtures of a plan may take to be looked at.
const LISTING: Duration = Duration::from_secs(30);
/// For how long the last word of a loader is the truth.
const HEARD: SignedDuration = SignedDuration::from_secs(3);
/// How long one reading may take.
const READING: Duration = Duration::from_secs(5);
/// How long a run that has ended may take to give its system under test back.
const GIVING_BACK: SignedDuration = SignedDuration::from_secs(150);

/// What is read in a phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // One column of the table above.
struct Asks {
    plan: bool,
    children: bool,
    frozen: bool,
    lease: bool,
    queue: bool,
    job: bool,
    pods: bool,
}

/// The table above.
fn asks(phase: Phase, deleting: bool, marked: bool, all_heard: bool) -> Asks {
    let nothing = Asks::default();
    if deleting {
        return if marked { Asks { frozen: true, pods: true, ..nothing } } else { nothing };
    }
    match phase {
        Phase::Pending => Asks { plan: true, children: marked, frozen: marked, job: marked, lease: true, queue: true, ..nothing },
        Phase::Queued => Asks { frozen: true, lease: true, queue: true, ..nothing },
        Phase::Loading | Phase::WaitingRoom | Phase::Executing | Phase::Collecting | Phase::Stopping => {
            Asks { frozen: true, job: !all_heard, pods: !all_heard, ..nothing }
        }
        Phase::Completed => Asks { lease: true, ..nothing },
        Phase::Failed => Asks { lease: true, job: true, pods: true, ..nothing },
    }
}

/// Reads what the phase of the run needs.
pub async fn observe(ctx: &Context, run: TestRun) -> Observed {
    let key = RunKey::of(&run);
    let phase = run.status.as_ref().and_then(|status| status.phase).unwrap_or_default();
    let deleting = run.metadata.deletion_timestamp.is_some();
    let marked = run.finalizers().iter().any(|one| one == labels::FINALIZER);
    let expected = run.status.as_ref().and_then(|status| status.workers.as_ref()).map(|workers| workers.expected);
    let all_heard = expected.is_some_and(|expected| ctx.fleets.all_heard(&key.uid, expected));
    let asks = asks(phase, deleting, marked, all_heard);
    let reader = Reader { ctx, key: &key };

    let absent_until_marked = !marked && asks.plan;
    let (frozen, plan, namesake, token) = tokio::join!(
        reader.when(asks.frozen, reader.frozen()),
        reader.when(asks.plan, reader.plan(&run.spec.plan_ref.name)),
        reader.when(asks.plan && run.spec.run_id.is_some(), reader.namesake(run.spec.run_id.as_ref())),
        reader.when(asks.children, reader.token()),
    );
    let spec = frozen.found().map(|frozen| &frozen.spec).or_else(|| plan.found().map(|view| &view.plan.spec));
    let secret = spec.map(|spec| spec.target.credentials_ref.name.to_string());
    let written = run.status.as_ref().and_then(|status| Some((status.sut.clone()?, status.second_sut.clone())));
    let (sut, second_sut) = written.or_else(|| spec.map(plan::suts)).map_or((None, None), |(sut, second)| (Some(sut), second));
    let (credentials, lease, second_lease, queue, pods) = tokio::join!(
        reader.when(asks.plan && secret.is_some(), reader.credentials(secret.as_deref().unwrap_or_default())),
        reader.when(asks.lease && sut.is_some(), reader.lease(sut.as_deref().unwrap_or_default())),
        reader.when(asks.lease && second_sut.is_some(), reader.lease(second_sut.as_deref().unwrap_or_default())),
        reader.when(asks.queue && sut.is_some(), reader.queue(sut.as_deref().unwrap_or_default())),
        reader.when(asks.pods, reader.pods()),
    );
    let short_of_pods = pods.found().is_some_and(|pods| pods.len() < expected.unwrap_or(1) as usize);
    let job = if asks.job { reader.timed(reader.job(short_of_pods)).await } else { ctx.memory.job(&key.uid).map_or_else(Seen::not_asked, Seen::Found) };

    let nothing = Vec::new();
    let statuses = run.status.as_ref().map_or(&nothing, |status| &status.faults);
    let reading = faults::Reading { ctx, key: &key, phase, deleting, plan: faults::faults_of(&frozen, &plan), statuses };
    // A run without faults costs nothing here.
    let faults = tokio::time::timeout(READING, Box::pin(reading.read())).await.unwrap_or_default();

    let (fixtures, loader) = tokio::join!(
        Box::pin(reader.fixtures(phase, deleting, run.status.as_ref(), frozen.found())),
        Box::pin(reader.loader(phase, deleting, run.status.as_ref()))
    );

    Observed {
        now: ctx.clock.now(),
        faults,
        fixtures,
        loader,
        settings: ctx.settings.clone(),
        plan,
        namesake,
        frozen: if absent_until_marked { Seen::Absent } else { frozen },
        credentials,
        token: if absent_until_marked { Seen::Absent } else { token },
        entropy: ctx.entropy.hex64(),
        lease,
        second_lease,
        queue,
        job,
        pods,
        fleet: ctx.fleets.view(&key.uid),
        collection: ctx.collections.view(&key.uid),
        run,
    }
}

/// Reads for one run.
struct Reader<'a> {
    ctx: &'a Context,
    key: &'a RunKey,
}

impl Reader<'_> {
    /// Reads only where the phase asks for it.
    async fn when<T>(&self, asked: bool, reading: impl Future<Output = Seen<T>>) -> Seen<T> {
        if asked { self.timed(reading).await } else { Seen::not_asked() }
    }

    async fn timed<T>(&self, reading: impl Future<Output = Seen<T>>) -> Seen<T> {
        let seen = tokio::time::timeout(READING, reading).await.unwrap_or_else(|_| Seen::Unreadable("the API server did not answer in time".to_owned()));
        if let Seen::Unreadable(why) = &seen {
            tracing::warn!(why, "failed to read something of a run");
        }
        seen
    }

    fn child(&self, role: Role) -> String {
        names::child(&self.key.name, &self.key.uid, role)
    }

    async fn frozen(&self) -> Seen<FrozenPlan> {
        frozen_plan(self.ctx, self.key).await
    }

    async fn plan(&self, name: &str) -> Seen<PlanView> {
        let plans: Api<TestPlan> = Api::namespaced(self.ctx.client.clone(), &self.key.namespace);
        match seen(plans.get_opt(name).await) {
            Seen::Found(plan) => {
                let workload = workload(self.ctx, &self.key.namespace, &plan.spec.workload.source).await;
                Seen::Found(PlanView { plan, workload })
            }
            Seen::Absent => Seen::Absent,
            Seen::Unreadable(why) => Seen::Unreadable(why),
        }
    }

    /// Another run with the id that this one asks for. Every run that was admitted has its id as a label.
    async fn namesake(&self, asked: Option<&RunId>) -> Seen<String> {
        let Some(asked) = asked else { return Seen::Absent };
        let runs: Api<TestRun> = self.ctx.watched();
        let labelled = ListParams::default().labels(&format!("{}={}", labels::RUN_ID, labels::run_id_hash(asked)));
        match runs.list(&labelled).await {
            Ok(list) => list
                .items
                .iter()
                .find(|run| run.uid().as_deref() != Some(self.key.uid.as_str()))
                .map(|run| format!("{}/{}", run.namespace().unwrap_or_default(), run.name_any()))
                .into(),
            Err(error) => Seen::Unreadable(explain(&error)),
        }
    }

    async fn token(&self) -> Seen<()> {
        if self.ctx.memory.token(&self.key.uid).is_some() {
            return Seen::Found(());
        }
        let secrets: Api<Secret> = Api::namespaced(self.ctx.client.clone(), &self.key.namespace);
        match seen(secrets.get_opt(&self.child(Role::Token)).await) {
            Seen::Found(secret) => {
                if let Some(token) = Token::in_secret(&secret) {
                    self.ctx.memory.keep_token(&self.key.uid, token);
                }
                Seen::Found(())
            }
            Seen::Absent => Seen::Absent,
            Seen::Unreadable(why) => Seen::Unreadable(why),
        }
    }

    async fn credentials(&self, name: &str) -> Seen<BTreeSet<String>> {
        secret_keys(self.ctx, &self.key.namespace, name).await
    }

    async fn lease(&self, sut: &str) -> Seen<LeaseView> {
        let leases: Api<Lease> = Api::namespaced(self.ctx.client.clone(), &self.ctx.settings.namespace);
        let lease = match seen(leases.get_opt(&names::sut_lease(sut)).await) {
            Seen::Found(lease) => lease,
            Seen::Absent => return Seen::Absent,
            Seen::Unreadable(why) => return Seen::Unreadable(why),
        };
        let holder_uid = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
        let holder = lease.annotations().get(labels::HOLDER).cloned().unwrap_or_default();
        let holder_state = self.holder_state(&holder_uid, &holder).await;
        Seen::Found(LeaseView { holder_uid, holder, holder_state, resource_version: lease.resource_version().unwrap_or_default() })
    }

    /// Whether the holder can still give the lease back. One that has ended gives it back itself, once its pods are gone;
    /// only if it has not done so for long may others take over.
    async fn holder_state(&self, uid: &str, holder: &str) -> HolderState {
        if uid == self.key.uid {
            return HolderState::Live;
        }
        let Some((namespace, name)) = holder.split_once('/') else { return HolderState::Unknown };
        let runs: Api<TestRun> = Api::namespaced(self.ctx.client.clone(), namespace);
        match runs.get_opt(name).await {
            Ok(Some(run)) if run.uid().as_deref() == Some(uid) && !long_ended(&run, self.ctx.clock.now()) && !has_let_go(&run) => HolderState::Live,
            Ok(_) => HolderState::Gone,
            Err(_) => HolderState::Unknown,
        }
    }

    async fn queue(&self, sut: &str) -> Seen<Vec<Contender>> {
        let runs: Api<TestRun> = self.ctx.watched();
        let labelled = ListParams::default().labels(&format!("{}={}", labels::SUT, names::sut_hash(sut)));
        match runs.list(&labelled).await {
            Ok(list) => Seen::Found(in_order(list.items)),
            Err(error) => Seen::Unreadable(explain(&error)),
        }
    }

    /// The datasets that the plan names, until it is written down what is loaded of them.
    async fn fixtures(&self, phase: Phase, deleting: bool, status: Option<&TestRunStatus>, plan: Option<&FrozenPlan>) -> Vec<FixtureView> {
        let written = status.is_some_and(|status| !status.fixtures.is_empty());
        let Some(plan) = plan.filter(|plan| phase == Phase::Loading && !deleting && !written && !plan.spec.fixtures.is_empty()) else { return Vec::new() };
        tokio::time::timeout(LISTING, fixtures::views(self.ctx, &self.key.namespace, plan)).await.unwrap_or_default()
    }

    /// The loader, where there may be one. While it was heard of lately, its own word is the truth.
    async fn loader(&self, phase: Phase, deleting: bool, status: Option<&TestRunStatus>) -> LoaderView {
        let written = status.is_some_and(|status| !status.fixtures.is_empty());
        if !written || !(deleting || matches!(phase, Phase::Loading | Phase::Stopping | Phase::Failed)) {
            return LoaderView::not_asked();
        }
        let heard = self.ctx.loaders.view(&self.key.uid);
        let lately = heard.as_ref().is_some_and(|heard| self.ctx.clock.now().duration_since(heard.at) < HEARD);
        if lately && phase == Phase::Loading && !deleting {
            return LoaderView { heard, ..LoaderView::not_asked() };
        }
        let pods = self.timed(self.loader_pods()).await;
        let waiting = pods.found().is_some_and(Vec::is_empty);
        let job = self.timed(self.loader_job(waiting)).await;
        LoaderView { job, pods, heard }
    }

    async fn loader_job(&self, without_pods: bool) -> Seen<JobView> {
        let jobs: Api<Job> = Api::namespaced(self.ctx.client.clone(), &self.key.namespace);
        match seen(jobs.get_opt(&self.child(Role::Loader)).await) {
            Seen::Found(job) => {
                let mut view = job_view(&job, self.ctx.clock.now());
                if without_pods {
                    view.create_error = self.create_error(&job.uid().unwrap_or_default()).await;
                }
                Seen::Found(view)
            }
            Seen::Absent => Seen::Absent,
            Seen::Unreadable(why) => Seen::Unreadable(why),
        }
    }

    async fn loader_pods(&self) -> Seen<Vec<LoaderPod>> {
        let pods: Api<Pod> = Api::namespaced(self.ctx.client.clone(), &self.key.namespace);
        let of_loader = format!("{}={},app.kubernetes.io/component={}", labels::RUN_UID, self.key.uid, loader::COMPONENT);
        match pods.list(&ListParams::default().labels(&of_loader)).await {
            Ok(list) => {
                let now = self.ctx.clock.now();
                let view =
                    |pod: &Pod| LoaderPod { name: pod.name_any(), created: pod.creation_timestamp().map_or(now, |created| created.0), state: pods::state(pod) };
                let mut views: Vec<LoaderPod> = list.items.iter().map(view).collect();
                views.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
                Seen::Found(views)
            }
            Err(error) => Seen::Unreadable(explain(&error)),
        }
    }

    async fn job(&self, short_of_pods: bool) -> Seen<JobView> {
        let jobs: Api<Job> = Api::namespaced(self.ctx.client.clone(), &self.key.namespace);
        let job = match seen(jobs.get_opt(&self.child(Role::Workers)).await) {
            Seen::Found(job) => job,
            Seen::Absent => return Seen::Absent,
            Seen::Unreadable(why) => return Seen::Unreadable(why),
        };
        let mut view = job_view(&job, self.ctx.clock.now());
        if short_of_pods {
            view.create_error = self.create_error(&job.uid().unwrap_or_default()).await;
        }
        self.ctx.memory.keep_job(&self.key.uid, view.clone());
        Seen::Found(view)
    }

    /// Why the cluster refuses to create the Job's pods: its newest event that says so.
    async fn create_error(&self, job_uid: &str) -> Option<String> {
        let events: Api<Event> = Api::namespaced(self.ctx.client.clone(), &self.key.namespace);
        let of_job = ListParams::default().fields(&format!("involvedObject.uid={job_uid},reason=FailedCreate"));
        let list = events.list(&of_job).await.ok()?;
        let newest = list.items.into_iter().max_by_key(|event| event.last_timestamp.as_ref().map(|at| at.0))?;
        newest.message
    }

    async fn pods(&self) -> Seen<Vec<PodView>> {
        let pods: Api<Pod> = Api::namespaced(self.ctx.client.clone(), &self.key.namespace);
        let of_run = ListParams::default().labels(&format!("{}={}", labels::RUN_UID, self.key.uid));
        let list = match pods.list(&of_run).await {
            Ok(list) => list,
            Err(error) => return Seen::Unreadable(explain(&error)),
        };
        let now = self.ctx.clock.now();
        let mut views = Vec::with_capacity(list.items.len());
        for pod in &list.items {
            let Some(view) = pods::view(pod, now) else { continue };
            // A worker that could not check in is found by its pod's address.
            if let Some(ip) = pod
                .status
                .as_ref()
                .and_then(|status| status.pod_ip.as_ref())
                .filter(|_| !matches!(view.state, crucible_lifecycle::run::observed::PodState::Ended { .. }))
            {
                self.ctx.fleets.learn_if_unknown(&self.key.uid, view.index, &address(ip));
            }
            views.push(view);
        }
        views.sort_by_key(|view| view.index);
        Seen::Found(views)
    }
}

/// The plan as it was frozen for a run. It cannot change, so it is read once.
pub(crate) async fn frozen_plan(ctx: &Context, key: &RunKey) -> Seen<FrozenPlan> {
    if let Some(plan) = ctx.memory.frozen(&key.uid) {
        return Seen::Found((*plan).clone());
    }
    let maps: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let map = match seen(maps.get_opt(&names::child(&key.name, &key.uid, Role::Plan)).await) {
        Seen::Found(map) => map,
        Seen::Absent => return Seen::Absent,
        Seen::Unreadable(why) => return Seen::Unreadable(why),
    };
    match plan_in(&map, &key.uid) {
        Ok(plan) => {
            ctx.memory.keep_frozen(&key.uid, plan.clone());
            Seen::Found(plan)
        }
        Err(problem) => Seen::Unreadable(format!("ConfigMap {} {problem}", map.name_any())),
    }
}

/// The frozen plan that a ConfigMap holds for a run, or what is wrong with it.
pub(super) fn plan_in(map: &ConfigMap, uid: &str) -> Result<FrozenPlan, String> {
    let text = map.data.as_ref().and_then(|data| data.get(config_map::KEY)).ok_or_else(|| format!("has no key {}", config_map::KEY))?;
    let plan: FrozenPlan = serde_json::from_str(text).map_err(|error| format!("holds no plan: {error}"))?;
    if plan.run.uid == uid { Ok(plan) } else { Err("holds the plan of another run".to_owned()) }
}

/// A Job in the words of decisions.
pub(super) fn job_view(job: &Job, now: Timestamp) -> JobView {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_ref());
    let failed = conditions.into_iter().flatten().find(|condition| condition.type_ == "Failed" && condition.status == "True");
    let why = failed.map(|condition| condition.message.clone().or_else(|| condition.reason.clone()).unwrap_or_default());
    JobView {
        created: job.creation_timestamp().map_or(now, |created| created.0),
        deleting: job.metadata.deletion_timestamp.is_some(),
        create_error: None,
        failed: why,
    }
}

/// The keys of a Secret, never its values.
pub(crate) async fn secret_keys(ctx: &Context, namespace: &str, name: &str) -> Seen<BTreeSet<String>> {
    let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), namespace);
    match seen(secrets.get_opt(name).await) {
        Seen::Found(secret) => Seen::Found(secret.data.unwrap_or_default().into_keys().collect()),
        Seen::Absent => Seen::Absent,
        Seen::Unreadable(why) => Seen::Unreadable(why),
    }
}

/// The runs that have not ended and are not merely kept for the ledger, in the order in which they may have their system under test.
fn in_order(mut runs: Vec<TestRun>) -> Vec<Contender> {
    runs.retain(|run| !has_ended(run) && !has_let_go(run));
    runs.sort_by_key(|run| (run.creation_timestamp().map(|created| created.0), run.uid()));
    let contender =
        |run: &TestRun| Contender { uid: run.uid().unwrap_or_default(), name: format!("{}/{}", run.namespace().unwrap_or_default(), run.name_any()) };
    runs.iter().map(contender).collect()
}

/// Whether a deleted run is only kept until the ledger knows of its end: it has given everything back, and holds nobody up.
fn has_let_go(run: &TestRun) -> bool {
    run.metadata.deletion_timestamp.is_some() && !run.finalizers().iter().any(|one| one == labels::FINALIZER)
}

fn has_ended(run: &TestRun) -> bool {
    run.status.as_ref().and_then(|status| status.phase).is_some_and(Phase::is_terminal)
}

/// Whether a run ended so long ago that it should have given everything back.
fn long_ended(run: &TestRun, now: Timestamp) -> bool {
    let ended = run.status.as_ref().and_then(|status| status.completed_at.as_ref());
    has_ended(run) && ended.is_none_or(|ended| now.duration_since(ended.0) >= GIVING_BACK)
}

/// Where the control API of a pod is.
fn address(ip: &str) -> String {
    if ip.contains(':') { format!("[{ip}]:{CONTROL_PORT}") } else { format!("{ip}:{CONTROL_PORT}") }
}

pub(crate) fn seen<T>(answer: kube::Result<Option<T>>) -> Seen<T> {
    match answer {
        Ok(found) => found.into(),
        Err(error) => Seen::Unreadable(explain(&error)),
    }
}

/// What an error of the API means to people.
fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("the API server answered {} {}", status.code, status.reason),
        _ => "the API server cannot be reached".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_crds::{TestRunSpec, TestRunStatus, test_run::PlanRef};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn letters(asks: Asks) -> String {
        let Asks { plan, children, frozen, lease, queue, job, pods } = asks;
        let columns = [(plan, 'p'), (children, 'c'), (frozen, 'f'), (lease, 'l'), (queue, 'q'), (job, 'j'), (pods, 'o')];
        columns.iter().filter(|(asked, _)| *asked).map(|(_, letter)| *letter).collect()
    }

    #[test]
    fn each_phase_reads_what_it_needs() {
        // phase, new, marked, marked and all workers heard
        let table = [
            (Phase::Pending, "plq", "pcflqj", "pcflqj"),
            (Phase::Queued, "flq", "flq", "flq"),
            (Phase::Loading, "fjo", "fjo", "f"),
            (Phase::WaitingRoom, "fjo", "fjo", "f"),
            (Phase::Executing, "fjo", "fjo", "f"),
            (Phase::Collecting, "fjo", "fjo", "f"),
            (Phase::Stopping, "fjo", "fjo", "f"),
            (Phase::Completed, "l", "l", "l"),
            (Phase::Failed, "ljo", "ljo", "ljo"),
        ];
        for (phase, new, marked, heard) in table {
            let read = [asks(phase, false, false, false), asks(phase, false, true, false), asks(phase, false, true, true)].map(letters);
            assert_eq!(read, [new, marked, heard], "{phase}");
            assert_eq!(letters(asks(phase, true, true, false)), "fo", "{phase}, deleting");
            assert_eq!(letters(asks(phase, true, false, false)), "", "{phase}, deleting, let go");
        }
    }

    #[test]
    fn the_queue_is_by_creation_then_uid_and_without_those_that_have_ended() {
        let run = |uid: &str, created: i64, phase: Phase| {
            let spec = TestRunSpec {
                plan_ref: PlanRef { name: "checkout".into() },
                label: None,
                run_id: None,
                cluster_spec: None,
                cluster_settings: None,
                stop: false,
                ttl_after_finished: None,
            };
            let mut run = TestRun::new(&format!("run-{uid}"), spec);
            run.metadata.namespace = Some("shop".to_owned());
            run.metadata.uid = Some(uid.to_owned());
            run.metadata.creation_timestamp = Some(Time(Timestamp::from_second(created).unwrap()));
            run.status = Some(TestRunStatus { phase: Some(phase), ..TestRunStatus::default() });
            run
        };
        let runs = vec![run("c", 20, Phase::Queued), run("b", 10, Phase::Queued), run("a", 10, Phase::Executing), run("d", 5, Phase::Completed)];
        let names: Vec<String> = in_order(runs).into_iter().map(|contender| contender.name).collect();
        assert_eq!(names, ["shop/run-a", "shop/run-b", "shop/run-c"]);
    }

    #[test]
    fn a_deleted_run_that_is_only_kept_for_the_ledger_holds_nobody_up() {
        let spec = TestRunSpec {
            plan_ref: PlanRef { name: "checkout".into() },
            label: None,
            stop: false,
            run_id: None,
            cluster_spec: None,
            cluster_settings: None,
            ttl_after_finished: None,
        };
        let mut run = TestRun::new("run-a", spec);
        run.metadata.finalizers = Some(vec!["crucible.dev/run".to_owned(), "crucible.dev/mirror".to_owned()]);
        assert!(!has_let_go(&run));
        run.metadata.deletion_timestamp = Some(Time(Timestamp::from_second(5).unwrap()));
        assert_eq!(in_order(vec![run.clone()]).len(), 1, "its pods may still be ending");
        run.metadata.finalizers = Some(vec!["crucible.dev/mirror".to_owned()]);
        assert_eq!(in_order(vec![run]).len(), 0);
    }

    #[test]
    fn an_address_is_written_as_urls_want_it() {
        assert_eq!(address("10.1.2.3"), "10.1.2.3:7070");
        assert_eq!(address("fd00::3"), "[fd00::3]:7070");
    }
}
