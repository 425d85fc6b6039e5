//! A run is made: its TestRun, the Secret and the TestPlan that belong to it alone, its row in the ledger.
//!
//! The TestRun comes first, so that everything else has an owner from its first moment and nothing is left behind however this
//! ends; the operator gives a run ten seconds for its plan to appear. No two runs share a plan: what is submitted later
//! under the same name changes nothing for a run that still waits.

use crucible_crds::{TestPlan, TestRun, TestRunSpec, cluster_spec::ClusterSpec, test_run::PlanRef};
use crucible_lifecycle::{
    build::labels::{PLAN_KEY, PLAN_NAME, SCALING_MODE},
    legacy::{Translation, ids},
};
use crucible_store::ledger::SubmittedRun;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Resource,
    api::{DeleteParams, PostParams},
    core::ObjectMeta,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{REQUEST, once::Once, order::Order, stored};
use crate::{
    error::ApiError,
    state::{Gateway, hex},
};

/// Everything that a run is made of.
pub struct Start<'a> {
    /// What was asked for.
    pub order: &'a Order,
    /// What became of its plan.
    pub translation: Translation,
    /// Who logs in to the system under test is in the translation; with this password.
    pub password: String,
    /// Whether the request had a key.
    pub once: &'a Once,
    /// The plan as it was sent, without its password, where it was sent.
    pub masked_plan: Option<&'a str>,
}

/// Makes the run and answers its id; under a key that has made it before, the same one again.
pub async fn start(gateway: &Gateway, start: Start<'_>) -> Result<String, ApiError> {
    let api = Api::<TestRun>::namespaced(gateway.client.clone(), &gateway.settings.namespace);
    let wanted = run(gateway, &start);
    try_out(gateway, &start, &wanted).await?;
    let made = match api.create(&PostParams::default(), &wanted).await {
        Ok(made) => made,
        Err(kube::Error::Api(status)) if status.is_already_exists() => same(&api, &wanted).await?,
        Err(error) => return Err(ApiError::of_kube(&error, "the run")),
    };
    if let Err(error) = furnish(gateway, &start, &made).await {
        // The run cannot begin without what is missing: whoever asks again gets a new one.
        let name = made.metadata.name.as_deref().unwrap_or_default();
        if let Err(error) = api.delete(name, &DeleteParams::default()).await {
            tracing::warn!(%error, name, "a run that could not be made whole stays until it fails by itself");
        }
        return Err(error);
    }
    gateway.runs.written(&made);
    tell_ledger(gateway, &start, &made).await;
    Ok(run_id(&made))
}

/// The run that the same request made before.
async fn same(api: &Api<TestRun>, wanted: &TestRun) -> Result<TestRun, ApiError> {
    let request = |run: &TestRun| run.metadata.annotations.as_ref().and_then(|all| all.get(REQUEST).cloned());
    let found = api.get(wanted.metadata.name.as_deref().unwrap_or_default()).await.map_err(|error| ApiError::of_kube(&error, "the run"))?;
    if request(wanted).is_some() && request(wanted) == request(&found) {
        return Ok(found);
    }
    Err(ApiError::Conflict("another request was sent with the same Idempotency-Key".to_owned()))
}

/// The rules of faults are many and the API server alone knows them all. It is asked before there is a run, so that a plan which
/// breaks them is answered and not started.
async fn try_out(gateway: &Gateway, start: &Start<'_>, wanted: &TestRun) -> Result<(), ApiError> {
    if start.translation.plan_spec.faults.is_empty() {
        return Ok(());
    }
    let plan = plan(start, wanted, None);
    let plans = Api::<TestPlan>::namespaced(gateway.client.clone(), &gateway.settings.namespace);
    match plans.create(&PostParams { dry_run: true, ..PostParams::default() }, &plan).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        Err(error) => Err(ApiError::of_kube(&error, "the plan")),
    }
}

/// Makes what a run needs. What is there already was made by the same request.
async fn furnish(gateway: &Gateway, start: &Start<'_>, made: &TestRun) -> Result<(), ApiError> {
    let owner = made.owner_ref(&());
    let login = Secret {
        metadata: metadata(&format!("{}-login", name_of(made)), Map::new(), owner.clone()),
        type_: Some("Opaque".to_owned()),
        string_data: Some([("username".to_owned(), start.translation.credentials.username.clone()), ("password".to_owned(), start.password.clone())].into()),
        ..Secret::default()
    };
    ensure(gateway, &login, "the login of the run").await?;
    ensure(gateway, &plan(start, made, owner), "the plan of the run").await
}

async fn ensure<K>(gateway: &Gateway, object: &K, what: &str) -> Result<(), ApiError>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + serde::Serialize,
{
    let api = Api::<K>::namespaced(gateway.client.clone(), &gateway.settings.namespace);
    match api.create(&PostParams::default(), object).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        Err(error) => Err(ApiError::of_kube(&error, what)),
    }
}

fn run(gateway: &Gateway, start: &Start<'_>) -> TestRun {
    let Start { order, translation, once, masked_plan, password: _ } = start;
    let id = ids::run_id(&order.plan_name, gateway.clock.now(), &hex(&gateway.entropy.bytes(), 4));
    let name = once.object().unwrap_or_else(|| ids::run_object_name(&id));
    let mut notes = notes(order, translation);
    if let Some(request) = once.request(&order.outline(*masked_plan)) {
        notes.insert(REQUEST.to_owned(), request.into());
    }
    let mut more = translation.cluster_spec.as_map().clone();
    more.remove("type");
    let spec = TestRunSpec {
        plan_ref: PlanRef { name: name.as_str().into() },
        label: Some(translation.run_label.clone()),
        run_id: Some(id.as_str().into()),
        cluster_spec: Some(ClusterSpec { kind: translation.cluster_spec.kind().to_owned(), more }),
        cluster_settings: order.cluster_settings.clone(),
        stop: false,
        ttl_after_finished: None,
    };
    TestRun { metadata: metadata(&name, notes, None), spec, status: None }
}

fn plan(start: &Start<'_>, run: &TestRun, owner: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference>) -> TestPlan {
    let name = name_of(run);
    let mut spec = start.translation.plan_spec.clone();
    spec.target.credentials_ref.name = format!("{name}-login").as_str().into();
    TestPlan { metadata: metadata(name, notes(start.order, &start.translation), owner), spec, status: None }
}

/// What no field of ours holds and clients of the earlier system ask for.
fn notes(order: &Order, translation: &Translation) -> Map<String, Value> {
    Map::from_iter([
        (PLAN_NAME.to_owned(), order.plan_name.as_str().into()),
        (PLAN_KEY.to_owned(), stored::key(&order.plan_name).into()),
        (SCALING_MODE.to_owned(), translation.scaling_mode.as_str().into()),
    ])
}

fn metadata(name: &str, notes: Map<String, Value>, owner: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference>) -> ObjectMeta {
    // Texts in a map always fit.
    let texts = |value: Value| serde_json::from_value(value).ok();
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: texts(stored::labels()),
        annotations: texts(Value::Object(notes)),
        owner_references: owner.map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

fn name_of(run: &TestRun) -> &str {
    run.metadata.name.as_deref().unwrap_or_default()
}

fn run_id(run: &TestRun) -> String {
    run.spec.run_id.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// The mirror tells the ledger anyhow; here only so that whoever reads its tables right afterwards finds the run.
async fn tell_ledger(gateway: &Gateway, start: &Start<'_>, made: &TestRun) {
    let Some(ledger) = &gateway.ledger else { return };
    let Start { order, translation, .. } = start;
    let submitted = SubmittedRun {
        run_id: run_id(made),
        namespace: gateway.settings.namespace.clone(),
        name: name_of(made).to_owned(),
        uid: made.metadata.uid.clone().unwrap_or_default(),
        plan_name: order.plan_name.clone(),
        plan_key: Some(stored::key(&order.plan_name)),
        run_label: Some(translation.run_label.clone()),
        sut_type: Some(translation.sut_type.clone()),
        scaling_mode: Some(translation.scaling_mode.as_str().to_owned()),
        cluster_spec: Some(json!(translation.cluster_spec.as_map())),
        cluster_settings: order.cluster_settings.clone(),
        submitted_at: made.metadata.creation_timestamp.as_ref().map_or_else(|| gateway.clock.now(), |created| -> Timestamp { created.0 }),
    };
    if let Err(error) = ledger.submit(&submitted).await {
        tracing::warn!(%error, "the ledger hears of a run from the mirror only");
    }
}
