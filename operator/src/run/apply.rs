//! Apply: carries out what was decided. Writes only; nothing is decided here.
//!
//! The order is: ensure, notices, status, remove, order, collect. What has to exist is made before the status says so, so that
//! the status never promises too much. Notices come before the status because the status is what makes a decision not be
//! taken again: told afterwards, they would be lost with an operator that dies in between. Their names follow from their
//! content, so telling them twice tells them once; and the run is looked at once more before, so that nobody is told what
//! was decided from an old copy of it. The evidence is written before what produced it is removed. Orders and
//! collection live in memory and come last: they are given again by every pass for as long as they hold.

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use crucible_crds::{Phase, TestRun, TestRunStatus};
use crucible_lifecycle::{
    build::{
        labels,
        names::{self, Role},
    },
    chaos::Kind,
    run::{Child, Decision, Gone, Order},
    wake::Wake,
};
use k8s_openapi::api::{
    batch::v1::Job,
    coordination::v1::Lease,
    core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::observe;
use crate::{
    chaos::{Chaos, Made},
    context::{Context, FIELD_MANAGER, RunKey},
    notices,
    token::Token,
    workers::Mission,
};

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(10);

/// Which part of a decision could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A child could not be made or read.
    #[error("failed to ensure {object}")]
    Ensure {
        /// Kind, namespace and name.
        object: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// The status could not be written.
    #[error("failed to write the status of {object}")]
    Status {
        /// Kind, namespace and name.
        object: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// Something that must not exist any more could not be removed.
    #[error("failed to remove {object}")]
    Remove {
        /// Kind, namespace and name.
        object: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// An object of the child's name exists and belongs to somebody else.
    #[error("failed to adopt {object}: it belongs to somebody else")]
    NotOurs {
        /// Kind, namespace and name.
        object: String,
    },
    /// Somebody else wrote in between: what was decided is out of date.
    #[error("failed to write {object}: it has changed since it was read")]
    Outdated {
        /// Kind, namespace and name.
        object: String,
    },
    /// The API server did not answer. Whether the write was made will be seen.
    #[error("failed to write {object}: the API server did not answer in time")]
    TimedOut {
        /// Kind, namespace and name.
        object: String,
    },
}

impl Error {
    /// Whether somebody else was faster.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Outdated { .. })
    }
}

/// Carries out a decision about `run`, as it was read. Returns when to look again.
pub async fn apply(ctx: &Context, run: &TestRun, decision: Decision) -> Result<Wake, Error> {
    // No `..`: a new part of the decision must be carried out here, or this does not compile.
    let Decision { ensure, status, remove, order, collect, notices, wake } = decision;
    let key = RunKey::of(run);
    let hand = Hand { ctx, key: &key };
    let mut current = run.clone();
    let mut confirmed = false;
    for child in ensure {
        confirmed = hand.ensure(child, &mut current, confirmed).await?;
    }
    if !notices.is_empty() && !confirmed {
        hand.confirm(&current).await?;
    }
    for notice in &notices {
        notices::tell(ctx, &current, notice).await;
    }
    hand.write_status(&mut current, &status).await?;
    let is_last = status.phase.is_some_and(Phase::is_terminal) && order == Order::None || remove.contains(&Gone::Finalizer);
    for gone in remove {
        hand.remove(gone, &current).await?;
    }
    hand.order(order, &status).await;
    if let Some(request) = collect {
        ctx.collections.start(&key, *request);
    }
    if is_last {
        ctx.forget(&key.uid);
    }
    Ok(wake)
}

/// Whoever writes for one run.
struct Hand<'a> {
    ctx: &'a Context,
    key: &'a RunKey,
}

impl Hand<'_> {
    /// Makes sure that the run is still what was decided about, before anything is made or told for it: what a run that has
    /// ended meanwhile no longer needs must not be made again from an old copy of it.
    async fn confirm(&self, run: &TestRun) -> Result<(), Error> {
        let runs: Api<TestRun> = self.api();
        let object = self.run_name();
        let now = timed(&object, runs.get_metadata_opt(&self.key.name)).await?.map_err(|source| Error::Ensure { object: object.clone(), source })?;
        let same = now.is_some_and(|now| now.metadata.uid == run.metadata.uid && now.metadata.resource_version == run.metadata.resource_version);
        if same { Ok(()) } else { Err(Error::Outdated { object }) }
    }

    /// Makes sure that one child exists. Returns whether the run is confirmed to be what was decided about.
    async fn ensure(&self, child: Child, run: &mut TestRun, confirmed: bool) -> Result<bool, Error> {
        // Marking is made against the version that was read, which confirms it by itself.
        let marked = match &child {
            Child::Mark { labels, finalizers } => self.mark(labels, finalizers, run).await?,
            Child::FrozenPlan(_) | Child::Token(_) | Child::Lease { .. } | Child::Loader(_) | Child::Workers(_) | Child::Fault { .. } => false,
        };
        if !marked && !confirmed {
            self.confirm(run).await?;
        }
        match child {
            Child::Mark { .. } => {}
            Child::FrozenPlan(map) => {
                let map = self.create_or_adopt::<ConfigMap>(*map).await?;
                if let Ok(plan) = observe::plan_in(&map, &self.key.uid) {
                    self.ctx.memory.keep_frozen(&self.key.uid, plan);
                }
            }
            Child::Token(secret) => {
                let secret = self.create_or_adopt::<Secret>(*secret).await?;
                if let Some(token) = Token::in_secret(&secret) {
                    self.ctx.memory.keep_token(&self.key.uid, token);
                }
            }
            Child::Lease { lease, replaces } => self.take_lease(*lease, replaces).await?,
            Child::Loader(job) => {
                self.create_or_adopt::<Job>(*job).await?;
            }
            Child::Workers(job) => {
                let job = self.create_or_adopt::<Job>(*job).await?;
                self.ctx.memory.keep_job(&self.key.uid, observe::job_view(&job, self.ctx.clock.now()));
            }
            Child::Fault { kind, object } => self.make_fault(kind, &object).await?,
        }
        Ok(true)
    }

    /// Makes the Chaos Mesh object of a fault. One that is refused is remembered, not tried again: the load goes on, and the
    /// fault was not injected.
    async fn make_fault(&self, kind: Kind, object: &Value) -> Result<(), Error> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let label = format!("{} {}/{name}", kind.as_str(), object["metadata"]["namespace"].as_str().unwrap_or_default());
        let made = timed(&label, Chaos::new(&self.ctx.client).make(kind, object)).await?;
        match made.map_err(|source| Error::Ensure { object: label.clone(), source })? {
            Made::There => {}
            Made::Refused(why) => self.ctx.memory.keep_refusal(&self.key.uid, name, why),
            Made::NotOurs => self.ctx.memory.keep_refusal(&self.key.uid, name, format!("{label} belongs to somebody else")),
        }
        Ok(())
    }

    /// Puts our labels and finalizers on the run, where they are missing. A merge patch against the version that was
    /// read: unlike a server-side apply it cannot bring a run into being that was deleted meanwhile. Returns whether
    /// anything was missing.
    async fn mark(&self, labels: &BTreeMap<String, String>, ours: &[&str], run: &mut TestRun) -> Result<bool, Error> {
        let missing: Vec<String> = ours.iter().filter(|one| !run.finalizers().iter().any(|there| there == *one)).map(ToString::to_string).collect();
        let labelled = labels.iter().all(|(name, value)| run.labels().get(name) == Some(value));
        if missing.is_empty() && labelled {
            return Ok(false);
        }
        let finalizers = [run.finalizers(), &missing].concat();
        let patch = json!({"metadata": {"labels": labels, "finalizers": finalizers, "resourceVersion": run.resource_version()}});
        let runs: Api<TestRun> = self.api();
        let object = self.run_name();
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        *run = write(&object, runs.patch(&self.key.name, &params, &Patch::Merge(patch)), ensure_error).await?;
        self.ctx.memory.keep_written(run);
        Ok(true)
    }

    /// Creates a child, or adopts the one that is there if the run owns it. A crash, or an answer that got lost, heals here.
    async fn create_or_adopt<K>(&self, child: K) -> Result<K, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let object = format!("{} {}/{}", K::kind(&()), self.key.namespace, child.name_any());
        let api: Api<K> = self.api();
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match timed(&object, api.create(&params, &child)).await? {
            Ok(created) => Ok(created),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let there = timed(&object, api.get_opt(&child.name_any())).await?.map_err(|source| Error::Ensure { object: object.clone(), source })?;
                match there {
                    Some(there) if there.owner_references().iter().any(|owner| owner.uid == self.key.uid) => Ok(there),
                    Some(_) => Err(Error::NotOurs { object }),
                    None => Err(Error::Outdated { object }),
                }
            }
            Err(source) => Err(Error::Ensure { object, source }),
        }
    }

    /// Takes the right to load the system under test: by creating the lease, or by replacing it against the version that
    /// was read. Of two that try, the API server lets one through.
    async fn take_lease(&self, lease: Lease, replaces: Option<String>) -> Result<(), Error> {
        let leases: Api<Lease> = Api::namespaced(self.ctx.client.clone(), &self.ctx.settings.namespace);
        let (name, object) = (lease.name_any(), format!("Lease {}/{}", self.ctx.settings.namespace, lease.name_any()));
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let taken = match replaces {
            None => timed(&object, leases.create(&params, &lease)).await?,
            Some(_) => timed(&object, leases.replace(&name, &params, &lease)).await?,
        };
        match taken {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_already_exists() || status.is_conflict() || status.is_not_found() => {
                let there = timed(&object, leases.get_opt(&name)).await?.map_err(|source| Error::Ensure { object: object.clone(), source })?;
                let holder = there.as_ref().and_then(|lease| lease.spec.as_ref()?.holder_identity.as_deref());
                if holder == Some(&self.key.uid) { Ok(()) } else { Err(Error::Outdated { object }) }
            }
            Err(source) => Err(Error::Ensure { object, source }),
        }
    }

    /// Writes the status against the version that was read, where it differs. Of two operators the slower one drops its pass here.
    async fn write_status(&self, run: &mut TestRun, status: &TestRunStatus) -> Result<(), Error> {
        if run.status.as_ref() == Some(status) {
            return Ok(());
        }
        let patch = json!({
            "apiVersion": TestRun::api_version(&()),
            "kind": TestRun::kind(&()),
            "metadata": {"name": self.key.name, "resourceVersion": run.resource_version()},
            "status": status,
        });
        let runs: Api<TestRun> = self.api();
        let params = PatchParams::apply(FIELD_MANAGER).force();
        *run = write(&self.run_name(), runs.patch_status(&self.key.name, &params, &Patch::Apply(patch)), |object, source| Error::Status { object, source })
            .await?;
        self.ctx.memory.keep_written(run);
        Ok(())
    }

    async fn remove(&self, gone: Gone, run: &TestRun) -> Result<(), Error> {
        match gone {
            Gone::Workers { name } | Gone::Loader { name } => {
                let background = DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..DeleteParams::default() };
                let jobs: Api<Job> = self.api();
                removed(&format!("Job {}/{name}", self.key.namespace), jobs.delete(&name, &background)).await
            }
            Gone::Fault { kind, namespace, name, by } => {
                let object = format!("{} {namespace}/{name}", kind.as_str());
                let healed = timed(&object, Chaos::new(&self.ctx.client).heal(kind, &namespace, &name, by)).await?;
                healed.map_err(|source| Error::Remove { object, source })
            }
            Gone::Lease { name, holder_uid } => self.give_lease_back(&name, &holder_uid).await,
            Gone::Finalizer => self.let_go(run).await,
            Gone::Run => {
                let this_one =
                    DeleteParams { preconditions: Some(Preconditions { uid: Some(self.key.uid.clone()), resource_version: None }), ..DeleteParams::default() };
                let runs: Api<TestRun> = self.api();
                removed(&self.run_name(), runs.delete(&self.key.name, &this_one)).await
            }
        }
    }

    /// Gives the system under test back, if the run holds it: another run may have taken it over meanwhile.
    async fn give_lease_back(&self, name: &str, holder_uid: &str) -> Result<(), Error> {
        let leases: Api<Lease> = Api::namespaced(self.ctx.client.clone(), &self.ctx.settings.namespace);
        let object = format!("Lease {}/{name}", self.ctx.settings.namespace);
        let there = timed(&object, leases.get_opt(name)).await?.map_err(|source| Error::Remove { object: object.clone(), source })?;
        let Some(lease) = there.filter(|lease| lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) == Some(holder_uid)) else {
            return Ok(());
        };
        let as_read =
            DeleteParams { preconditions: Some(Preconditions { uid: lease.uid(), resource_version: lease.resource_version() }), ..DeleteParams::default() };
        removed(&object, leases.delete(name, &as_read)).await
    }

    /// Takes our finalizer off, and only ours: the patch tests that it stands where it was read.
    async fn let_go(&self, run: &TestRun) -> Result<(), Error> {
        let Some(position) = run.finalizers().iter().position(|one| one == labels::FINALIZER) else { return Ok(()) };
        let path = format!("/metadata/finalizers/{position}");
        let steps = json!([{"op": "test", "path": path, "value": labels::FINALIZER}, {"op": "remove", "path": path}]);
        let steps = serde_json::from_value(steps).map_err(|error| Error::Remove { object: self.run_name(), source: kube::Error::SerdeError(error) })?;
        let runs: Api<TestRun> = self.api();
        match timed(&self.run_name(), runs.patch(&self.key.name, &PatchParams::default(), &Patch::Json::<()>(steps))).await? {
            Ok(_) => Ok(()),
            // Gone, or let go by another pass.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => Ok(()),
            Err(source) => Err(Error::Remove { object: self.run_name(), source }),
        }
    }

    /// Hands the order to the run's workers. The token is read where this process does not know it yet; without it nothing can be told.
    async fn order(&self, order: Order, status: &TestRunStatus) {
        if order == Order::None {
            self.ctx.fleets.forget(&self.key.uid);
            return;
        }
        let Some(token) = self.token().await else { return };
        let expected = status.workers.as_ref().map_or(0, |workers| workers.expected);
        let mission = Mission { order, ends_at: status.ends_at.as_ref().map(|at| at.0) };
        self.ctx.fleets.follow(self.key, expected, &token, mission);
    }

    async fn token(&self) -> Option<Token> {
        if let Some(token) = self.ctx.memory.token(&self.key.uid) {
            return Some(token);
        }
        let secrets: Api<Secret> = self.api();
        let name = names::child(&self.key.name, &self.key.uid, Role::Token);
        let secret = tokio::time::timeout(REQUEST, secrets.get_opt(&name)).await.ok()?.ok()??;
        let token = Token::in_secret(&secret)?;
        self.ctx.memory.keep_token(&self.key.uid, token.clone());
        Some(token)
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.ctx.client.clone(), &self.key.namespace)
    }

    fn run_name(&self) -> String {
        format!("TestRun {}/{}", self.key.namespace, self.key.name)
    }
}

fn ensure_error(object: String, source: kube::Error) -> Error {
    Error::Ensure { object, source }
}

/// Waits for an answer, but not for ever.
async fn timed<T>(object: &str, request: impl Future<Output = kube::Result<T>>) -> Result<kube::Result<T>, Error> {
    tokio::time::timeout(REQUEST, request).await.map_err(|_| Error::TimedOut { object: object.to_owned() })
}

/// A write of the run itself: a conflict means that the decision is out of date, absence that there is nothing left to decide about.
async fn write<T>(object: &str, request: impl Future<Output = kube::Result<T>>, otherwise: impl FnOnce(String, kube::Error) -> Error) -> Result<T, Error> {
    match timed(object, request).await? {
        Ok(written) => Ok(written),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => Err(Error::Outdated { object: object.to_owned() }),
        Err(source) => Err(otherwise(object.to_owned(), source)),
    }
}

/// A removal: absence is success, and so is another object in its place.
async fn removed<T>(object: &str, request: impl Future<Output = kube::Result<T>>) -> Result<(), Error> {
    match timed(object, request).await? {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        Err(source) => Err(Error::Remove { object: object.to_owned(), source }),
    }
}
