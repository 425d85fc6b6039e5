//! A run is made: its TestRun, and its row in the ledger. The TestPlan and the Secret that it names are there before it, made for the first run
//! that wanted exactly these ([`super::shared`]).

use std::time::Instant;

use crucible_crds::{TestRun, TestRunSpec, cluster_spec::ClusterSpec, test_run::PlanRef};
use crucible_lifecycle::{
    build::labels::{PLAN_KEY, PLAN_NAME, SCALING_MODE},
    legacy::{LegacyPlan, Translation, ids, shared::Names},
    plan::canonical_digest,
};
use crucible_store::ledger::SubmittedRun;
use jiff::Timestamp;
use kube::{Api, api::PostParams};
use serde_json::{Map, Value, json};

use super::{REQUEST, once::Once, order::Order, shared::Pair, stored};
use crate::{
    error::ApiError,
    state::{Gateway, hex},
};

/// How many ids are drawn for one run.
const MOST_DRAWN: u32 = 5;

/// Everything that a run is made of.
pub struct Start<'a> {
    /// What was asked for.
    pub order: &'a Order,
    /// Its plan.
    pub plan: &'a LegacyPlan,
    /// Which storing of the plan that is, where it was stored before by this gateway.
    pub revision: Option<&'a str>,
    /// Whether the request had a key.
    pub once: &'a Once,
    /// The plan as it was sent, without its password, where it was sent.
    pub masked_plan: Option<&'a str>,
}

/// Makes the run of what became of its plan, and answers its id; under a key that has made it before, the same one again.
pub async fn start(gateway: &Gateway, start: Start<'_>, translation: Translation) -> Result<String, ApiError> {
    let api = Api::<TestRun>::namespaced(gateway.client.clone(), &gateway.settings.namespace);
    let names = shared(gateway, &start, &translation).await?;
    let made = make(gateway, &api, &start, &translation, &names).await?;
    gateway.runs.written(&made);
    tell_ledger(gateway, start.order, &translation, &made).await;
    Ok(run_id(&made))
}

/// Makes the run's object. Eight digits within a minute may be drawn twice where thousands are made: then others are drawn.
async fn make(gateway: &Gateway, api: &Api<TestRun>, start: &Start<'_>, translation: &Translation, names: &Names) -> Result<TestRun, ApiError> {
    let mut drawn = 0;
    loop {
        let id = ids::run_id(&start.order.plan_name, gateway.clock.now(), &hex(&gateway.entropy.bytes(), 4));
        let wanted = run(start, translation, &id, names);
        drawn += 1;
        match api.create(&PostParams::default(), &wanted).await {
            Ok(made) => return Ok(made),
            Err(kube::Error::Api(status)) if status.is_already_exists() && start.once.object().is_some() => return same(api, &wanted).await,
            Err(kube::Error::Api(status)) if status.is_already_exists() && drawn < MOST_DRAWN => {}
            Err(error) => return Err(ApiError::of_kube(&error, "the run")),
        }
    }
}

/// Sees to the plan and the login that runs of this content share. A revision stands for the password, so that what was seen a moment ago under the same
/// one need not be read again.
async fn shared(gateway: &Gateway, start: &Start<'_>, translation: &Translation) -> Result<Names, ApiError> {
    let Start { order, plan, revision, .. } = start;
    let seen_as = revision.map(|revision| canonical_digest(&json!([order.plan_name, revision, translation.plan_spec])));
    if let Some(names) = seen_as.as_ref().and_then(|seen_as| gateway.recent_pairs.get(seen_as)) {
        return Ok(names);
    }
    let seen = Instant::now();
    let password = stored::password(gateway, &order.plan_name, plan).await?;
    let login = (&*translation.credentials.username, &*password);
    let pair = Pair::of(gateway, &order.plan_name, translation.plan_spec.clone(), login, notes(order, translation)).await?;
    pair.ensure(gateway).await?;
    if let Some(seen_as) = seen_as {
        gateway.recent_pairs.keep(seen_as, pair.names.clone(), seen);
    }
    Ok(pair.names)
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

fn run(start: &Start<'_>, translation: &Translation, id: &str, names: &Names) -> TestRun {
    let Start { order, once, masked_plan, plan: _, revision: _ } = start;
    let name = once.object().unwrap_or_else(|| ids::run_object_name(id));
    let mut notes = notes(order, translation);
    if let Some(request) = once.request(&order.outline(*masked_plan)) {
        notes.insert(REQUEST.to_owned(), request.into());
    }
    let mut more = translation.cluster_spec.as_map().clone();
    more.remove("type");
    let spec = TestRunSpec {
        plan_ref: PlanRef { name: names.plan.as_str().into() },
        label: Some(translation.run_label.clone()),
        run_id: Some(id.into()),
        cluster_spec: Some(ClusterSpec { kind: translation.cluster_spec.kind().to_owned(), more }),
        cluster_settings: order.cluster_settings.clone(),
        stop: false,
        ttl_after_finished: None,
    };
    TestRun { metadata: stored::metadata(&name, &names.content, notes), spec, status: None }
}

/// What no field of ours holds and clients of the earlier system ask for.
fn notes(order: &Order, translation: &Translation) -> Map<String, Value> {
    Map::from_iter([
        (PLAN_NAME.to_owned(), order.plan_name.as_str().into()),
        (PLAN_KEY.to_owned(), stored::key(&order.plan_name).into()),
        (SCALING_MODE.to_owned(), translation.scaling_mode.as_str().into()),
    ])
}

fn name_of(run: &TestRun) -> &str {
    run.metadata.name.as_deref().unwrap_or_default()
}

fn run_id(run: &TestRun) -> String {
    run.spec.run_id.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// The mirror tells the ledger anyhow; here only so that whoever reads its tables right afterwards finds the run.
async fn tell_ledger(gateway: &Gateway, order: &Order, translation: &Translation, made: &TestRun) {
    let Some(ledger) = &gateway.ledger else { return };
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
