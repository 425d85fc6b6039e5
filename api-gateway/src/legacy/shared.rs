//! The TestPlan and the Secret of a run: one pair for all runs that ask for the same, made by the first of them. A submit is then one
//! write to the cluster, and a thousand runs of a plan leave one plan there.
//!
//! What is to be kept and what goes is decided in `lifecycle::legacy::shared`; here it is seen and done.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crucible_crds::{TestPlan, TestPlanSpec, TestRun};
use crucible_lifecycle::{
    build::labels::{PLAN_CONTENT, UNUSED_SINCE},
    legacy::shared::{Names, Shared, Step, step},
};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, Preconditions},
    core::{ObjectMeta, PartialObjectMeta},
};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::stored;
use crate::{
    error::ApiError,
    state::{Gateway, hex},
};

/// The Secret that holds what names are made with.
const SALT: &str = "crucible-gateway-salt";
/// Between two looks at what is not used any more.
const PAUSE: Duration = Duration::from_mins(5);
/// How many plans are looked at with one request.
const PAGE: u32 = 500;

/// For how long a pair that was seen whole is not looked at again. A plan goes ten minutes after it was marked, so this is on the safe side by far;
/// whoever removes a plan by hand has a second in which runs may still name it.
const FRESH: Duration = Duration::from_secs(1);
/// How many pairs are remembered.
const MOST_REMEMBERED: usize = 1000;

type Plan = PartialObjectMeta<TestPlan>;

/// The pairs that were seen whole a moment ago, by what they were wanted for: many submits of one plan come close together.
#[derive(Debug, Default)]
pub struct RecentPairs(Mutex<HashMap<String, (Names, Instant)>>);

impl RecentPairs {
    /// The pair that was wanted for the same, where that was a moment ago.
    pub fn get(&self, wanted_for: &str) -> Option<Names> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(wanted_for).filter(|(_, seen)| seen.elapsed() < FRESH).map(|(names, _)| names.clone())
    }

    /// Remembers that a pair was seen whole.
    pub fn keep(&self, wanted_for: String, names: Names, seen: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_REMEMBERED {
            all.retain(|_, (_, seen)| seen.elapsed() < FRESH);
        }
        all.insert(wanted_for, (names, seen));
    }
}

/// What a run needs beside itself.
pub struct Pair {
    /// What the two are called.
    pub names: Names,
    plan: TestPlan,
    login: Secret,
}

impl Pair {
    /// The plan of this content, and who logs in with which password. The notes are those of the plan's name.
    pub async fn of(gateway: &Gateway, plan_name: &str, mut spec: TestPlanSpec, login: (&str, &str), notes: Map<String, Value>) -> Result<Self, ApiError> {
        let salt = gateway.salt.get_or_try_init(|| salt(gateway)).await?;
        let names = Names::of(plan_name, &spec, login.0, login.1, salt);
        spec.target.credentials_ref.name = names.login.as_str().into();
        let plan = TestPlan { metadata: stored::metadata(&names.plan, &names.content, notes), spec, status: None };
        let string_data = [("username".to_owned(), login.0.to_owned()), ("password".to_owned(), login.1.to_owned())].into();
        let login = Secret {
            metadata: stored::metadata(&names.login, &names.content, Map::new()),
            type_: Some("Opaque".to_owned()),
            string_data: Some(string_data),
            immutable: Some(true),
            ..Secret::default()
        };
        Ok(Self { names, plan, login })
    }

    /// Sees to it that both are there, and that nobody is about to take them away. The API server alone knows all the rules of a plan, and is asked here:
    /// one that breaks them is answered before there is a run.
    pub async fn ensure(&self, gateway: &Gateway) -> Result<(), ApiError> {
        let (plans, secrets) = (plans(gateway), secrets(gateway));
        // What the API server remembers is good enough: it is never minutes old, and a plan goes ten minutes after it was marked.
        let any = GetParams { resource_version: Some("0".to_owned()) };
        let (plan, login) = tokio::join!(plans.get_metadata_opt_with(&self.names.plan, &any), secrets.get_metadata_opt_with(&self.names.login, &any));
        let plan = plan.map_err(|error| ApiError::of_kube(&error, "the plan of the run"))?;
        let login = login.map_err(|error| ApiError::of_kube(&error, "the login of the run"))?;
        let plan = match plan {
            Some(plan) if is_as_made(&plan) && !is_marked(&plan) => plan,
            Some(plan) if is_as_made(&plan) => match unmark(&plans, &plan).await? {
                Some(plan) => plan,
                None => self.make_plan(&plans).await?,
            },
            Some(changed) => {
                tracing::warn!(name = self.names.plan, "somebody has changed a plan that runs share: it is made anew");
                remove(&plans, &changed.name_any(), Preconditions { uid: changed.uid(), resource_version: None })
                    .await
                    .map_err(|error| ApiError::of_kube(&error, "the plan of the run"))?;
                self.make_plan(&plans).await?
            }
            None => self.make_plan(&plans).await?,
        };
        match login {
            Some(login) if belongs(&login, &plan) => Ok(()),
            // It belonged to a plan that is gone, with which it goes.
            Some(left) => {
                remove(&secrets, &left.name_any(), Preconditions { uid: left.uid(), resource_version: None })
                    .await
                    .map_err(|error| ApiError::of_kube(&error, "the login of the run"))?;
                self.make_login(&secrets, &plan).await
            }
            None => self.make_login(&secrets, &plan).await,
        }
    }

    async fn make_plan(&self, plans: &Api<TestPlan>) -> Result<Plan, ApiError> {
        let failed = |error: kube::Error| ApiError::of_kube(&error, "the plan of the run");
        match plans.create(&PostParams::default(), &self.plan).await {
            Ok(_) => {}
            // Another request for the same was faster.
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            Err(error) => return Err(failed(error)),
        }
        plans.get_metadata(&self.names.plan).await.map_err(failed)
    }

    async fn make_login(&self, secrets: &Api<Secret>, plan: &Plan) -> Result<(), ApiError> {
        let mut login = self.login.clone();
        login.metadata.owner_references = Some(vec![OwnerReference {
            api_version: TestPlan::api_version(&()).into_owned(),
            kind: TestPlan::kind(&()).into_owned(),
            name: plan.name_any(),
            uid: plan.uid().unwrap_or_default(),
            ..OwnerReference::default()
        }]);
        match secrets.create(&PostParams::default(), &login).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            Err(error) => Err(ApiError::of_kube(&error, "the login of the run")),
        }
    }
}

/// What names are made with: drawn once for each installation, and kept where passwords are.
async fn salt(gateway: &Gateway) -> Result<String, ApiError> {
    let secrets = secrets(gateway);
    let failed = |error: kube::Error| ApiError::of_kube(&error, "the gateway's own Secret");
    let read = |secret: Secret| secret.data?.remove("salt").and_then(|bytes| String::from_utf8(bytes.0).ok());
    if let Some(salt) = secrets.get_opt(SALT).await.map_err(failed)?.and_then(read) {
        return Ok(salt);
    }
    let drawn = hex(&gateway.entropy.bytes(), 32);
    let metadata = ObjectMeta { name: Some(SALT.to_owned()), labels: serde_json::from_value(stored::labels()).ok(), ..ObjectMeta::default() };
    let string_data = Some([("salt".to_owned(), drawn.clone())].into());
    let secret = Secret { metadata, type_: Some("Opaque".to_owned()), string_data, ..Secret::default() };
    // Another replica may draw one at the same time: the first is taken.
    match secrets.create(&PostParams::default(), &secret).await {
        Ok(_) => Ok(drawn),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            let kept = secrets.get(SALT).await.map_err(failed)?;
            read(kept).ok_or_else(|| ApiError::Unavailable { what: "the gateway's own Secret", cause: format!("Secret {SALT} has no text under the key salt") })
        }
        Err(error) => Err(failed(error)),
    }
}

/// Looks for plans that no run names any more, again and again until `stop` is done. Two replicas that do it at once do it once.
pub async fn sweep(gateway: Gateway, stop: CancellationToken) {
    loop {
        if let Err(error) = once(&gateway).await {
            tracing::warn!(%error, "plans that no run names any more are looked for later");
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Marks what no run names, and takes away what was marked before.
pub async fn once(gateway: &Gateway) -> kube::Result<()> {
    let plans = plans(gateway);
    let mut page = ListParams::default().labels(PLAN_CONTENT).limit(PAGE);
    loop {
        let listed = plans.list_metadata(&page).await?;
        for plan in &listed.items {
            look_at(gateway, &plans, plan).await?;
        }
        match listed.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => page = page.continue_token(&next),
            None => return Ok(()),
        }
    }
}

async fn look_at(gateway: &Gateway, plans: &Api<TestPlan>, plan: &Plan) -> kube::Result<()> {
    let Some(created) = plan.creation_timestamp() else { return Ok(()) };
    let unused_since = plan.annotations().get(UNUSED_SINCE).map(|since| since.parse().unwrap_or(created.0));
    let known = !gateway.runs.every(&gateway.settings.namespace, |run| run.plan_ref() == plan.name_any()).is_empty();
    let mut seen = Shared { created: created.0, unused_since, used: known };
    let now = gateway.clock.now();
    // The rows here may be late; the cluster's own word is asked for only where it matters.
    if step(seen, now) != Step::Keep && !seen.used {
        seen.used = is_named(gateway, plan).await?;
    }
    let name = plan.name_any();
    match step(seen, now) {
        Step::Keep => Ok(()),
        Step::Mark => mark(plans, plan, Some(now)).await.map(drop),
        Step::Unmark => mark(plans, plan, None).await.map(drop),
        Step::Remove => {
            tracing::info!(name, "a plan that no run names any more is removed with its login");
            // Not where somebody has touched it since it was seen.
            remove(plans, &name, Preconditions { uid: plan.uid(), resource_version: plan.resource_version() }).await
        }
    }
}

/// Whether a run names this plan, by the cluster's own word.
async fn is_named(gateway: &Gateway, plan: &Plan) -> kube::Result<bool> {
    let Some(content) = plan.labels().get(PLAN_CONTENT) else { return Ok(true) };
    let runs = Api::<TestRun>::namespaced(gateway.client.clone(), &gateway.settings.namespace);
    let found = runs.list_metadata(&ListParams::default().labels(&format!("{PLAN_CONTENT}={content}")).limit(1)).await?;
    Ok(!found.items.is_empty())
}

async fn unmark(plans: &Api<TestPlan>, plan: &Plan) -> Result<Option<Plan>, ApiError> {
    mark(plans, plan, None).await.map_err(|error| ApiError::of_kube(&error, "the plan of the run"))
}

/// Puts the mark on or takes it off, so that whoever removes this very version does not. Nothing where the plan is gone.
async fn mark(plans: &Api<TestPlan>, plan: &Plan, since: Option<Timestamp>) -> kube::Result<Option<Plan>> {
    let patch = json!({"metadata": {"uid": plan.uid(), "annotations": {UNUSED_SINCE: since.map(|since| since.to_string())}}});
    match plans.patch_metadata(&plan.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(plan) => Ok(Some(plan)),
        // Gone, or another one of this name by now.
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes an object where it is still as it was seen.
async fn remove<K>(api: &Api<K>, name: &str, seen: Preconditions) -> kube::Result<()>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    match api.delete(name, &DeleteParams { preconditions: Some(seen), ..DeleteParams::default() }).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether nobody has changed the plan: a change of its spec counts its generation up.
fn is_as_made(plan: &Plan) -> bool {
    plan.metadata.generation.is_none_or(|generation| generation == 1) && plan.metadata.deletion_timestamp.is_none()
}

fn is_marked(plan: &Plan) -> bool {
    plan.annotations().contains_key(UNUSED_SINCE)
}

fn belongs(login: &PartialObjectMeta<Secret>, plan: &Plan) -> bool {
    login.owner_references().iter().any(|owner| Some(&owner.uid) == plan.metadata.uid.as_ref())
}

fn plans(gateway: &Gateway) -> Api<TestPlan> {
    Api::namespaced(gateway.client.clone(), &gateway.settings.namespace)
}

fn secrets(gateway: &Gateway) -> Api<Secret> {
    Api::namespaced(gateway.client.clone(), &gateway.settings.namespace)
}
