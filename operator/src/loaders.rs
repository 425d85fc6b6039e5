//! Loaders of fixtures: what they say is heard here, and they are told what to load and where to read it.
//!
//! A loader speaks and is answered; nobody calls it. So an operator that has just begun knows of it within a second, and
//! whatever is kept here can be lost.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crucible_crds::{Phase, Reason, TestRun};
use crucible_lifecycle::{
    contract::{Failure, LoadAnswer, LoadRecipe, LoadReport, LoaderState, MOST_KEYS, SignedGet},
    fixture,
    run::observed::HeardLoader,
    seen::Seen,
};
use crucible_store::vault::GetOnce;
use jiff::Timestamp;
use kube::{Api, ResourceExt};
use tokio::time::timeout;

use crate::{
    context::{Context, RunKey},
    fixtures,
    run::observe,
};

/// How long a signed address may be used. Loaders ask for new ones well before.
const SIGNED_FOR: Duration = Duration::from_mins(15);
/// How long the API server and the bucket may take to answer for a loader.
const ASKING: Duration = Duration::from_secs(8);

/// What is known of the loaders of live runs.
#[derive(Default)]
pub struct Loaders {
    runs: Mutex<HashMap<String, Known>>,
}

#[derive(Clone, Default)]
struct Known {
    heard: Option<HeardLoader>,
    recipe: Option<Arc<LoadRecipe>>,
}

/// A loader could not be answered now; it asks again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the loader cannot be answered right now: {0}")]
pub struct Unanswered(pub String);

impl Loaders {
    /// The last that a run's loader said.
    pub fn view(&self, uid: &str) -> Option<HeardLoader> {
        self.runs().get(uid)?.heard.clone()
    }

    /// Takes in what a loader says; whether a decision may depend on it.
    pub fn hear(&self, uid: &str, at: Timestamp, report: LoadReport) -> bool {
        let mut runs = self.runs();
        let known = runs.entry(uid.to_owned()).or_default();
        let states = |report: &LoadReport| (report.state, report.failure.clone(), report.tables.iter().map(|table| table.state).collect::<Vec<_>>());
        let news = known.heard.as_ref().is_none_or(|heard| states(&heard.report) != states(&report));
        known.heard = Some(HeardLoader { at, report });
        news
    }

    /// Forgets a run's loader.
    pub fn forget(&self, uid: &str) {
        self.runs().remove(uid);
    }

    fn recipe(&self, uid: &str) -> Option<Arc<LoadRecipe>> {
        self.runs().get(uid)?.recipe.clone()
    }

    fn keep_recipe(&self, uid: &str, recipe: LoadRecipe) -> Arc<LoadRecipe> {
        let recipe = Arc::new(recipe);
        self.runs().entry(uid.to_owned()).or_default().recipe = Some(Arc::clone(&recipe));
        recipe
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers a loader whose token was checked.
///
/// # Errors
/// Where something that the answer needs cannot be read now.
pub async fn answer(ctx: &Context, report: LoadReport) -> Result<LoadAnswer, Unanswered> {
    let key = RunKey { namespace: report.namespace.clone(), name: report.run.clone(), uid: report.run_uid.clone() };
    let LoadReport { state, wants_recipe, ref wants_keys, .. } = report;
    let wants_keys: BTreeSet<String> = wants_keys.iter().take(MOST_KEYS).cloned().collect();
    let known = ctx.loaders.recipe(&key.uid);
    let ended = matches!(state, LoaderState::Done | LoaderState::Failed);
    let mut answer = LoadAnswer::default();
    // Whether the run still wants it is looked at where it matters: a loader that is only at work is ended with its pod.
    let run = if ended || wants_recipe || (known.is_none() && !wants_keys.is_empty()) { Some(run_of(ctx, &key).await?) } else { None };
    if let Some(run) = &run
        && !wants_loading(run.as_ref())
    {
        return Ok(LoadAnswer { stop: true, ..answer });
    }
    if ctx.loaders.hear(&key.uid, ctx.clock.now(), report) {
        // The receiver is gone only while the operator ends.
        let _ = ctx.wake.send(key.clone());
    }
    let recipe = match (known, run.flatten()) {
        (None, Some(run)) if !ended => recipe_of(ctx, &key, &run).await?,
        (known, _) => known,
    };
    let Some(recipe) = recipe else { return Ok(answer) };
    for wanted in wants_keys {
        if recipe.tables.iter().any(|table| table.files.iter().any(|file| file.key == wanted)) {
            answer.addresses.push(sign(ctx, wanted).await?);
        }
    }
    answer.recipe = wants_recipe.then(|| (*recipe).clone());
    Ok(answer)
}

/// The run as the API server has it; nothing where it is gone.
async fn run_of(ctx: &Context, key: &RunKey) -> Result<Option<TestRun>, Unanswered> {
    let runs: Api<TestRun> = Api::namespaced(ctx.client.clone(), &key.namespace);
    match timeout(ASKING, runs.get_opt(&key.name)).await {
        Ok(Ok(run)) => Ok(run.filter(|run| run.uid().as_deref() == Some(key.uid.as_str()))),
        Ok(Err(_)) | Err(_) => Err(Unanswered(format!("TestRun {}/{} cannot be read", key.namespace, key.name))),
    }
}

/// Whether a run is still waiting for its fixtures. Nobody answers for one that is being deleted: its loader ends with its pod.
fn wants_loading(run: Option<&TestRun>) -> bool {
    run.is_some_and(|run| {
        let phase = run.status.as_ref().and_then(|status| status.phase).unwrap_or_default();
        phase == Phase::Loading && run.metadata.deletion_timestamp.is_none()
    })
}

/// What the run loads: what was written down when it began, or it is not loaded at all. Nothing while nothing is written down.
async fn recipe_of(ctx: &Context, key: &RunKey, run: &TestRun) -> Result<Option<Arc<LoadRecipe>>, Unanswered> {
    let pinned = run.status.as_ref().map(|status| status.fixtures.as_slice()).unwrap_or_default();
    if pinned.is_empty() {
        return Ok(None);
    }
    let plan = match observe::frozen_plan(ctx, key).await {
        Seen::Found(plan) => plan,
        Seen::Absent => return Err(Unanswered("the frozen plan is gone".to_owned())),
        Seen::Unreadable(why) => return Err(Unanswered(why)),
    };
    let views = timeout(ASKING, fixtures::views(ctx, &key.namespace, &plan)).await.map_err(|_| Unanswered("the fixtures cannot be read".to_owned()))?;
    let changed = match fixture::recipe(&plan, &views, ctx.vault.bucket()) {
        Err(fixture::Obstacle::Wait(_, why)) => return Err(Unanswered(why)),
        Err(fixture::Obstacle::Wrong(_, why)) => why,
        Ok(recipe) => {
            let differs = recipe.tables.iter().zip(pinned).find(|(table, pinned)| table.digest != pinned.digest);
            match differs {
                None => return Ok(Some(ctx.loaders.keep_recipe(&key.uid, recipe))),
                Some((table, _)) => format!("fixture {} is not what it was when the run wrote down what it loads", table.fixture),
            }
        }
    };
    // The loader cannot know, so it is said for it: the run fails, and the loader goes with it.
    let failure = Failure { reason: Reason::FixtureChanged.to_string(), message: format!("The run cannot load what it was going to: {changed}") };
    let said = ctx.loaders.view(&key.uid).map(|heard| heard.report);
    if let Some(report) = said {
        ctx.loaders.hear(&key.uid, ctx.clock.now(), LoadReport { state: LoaderState::Failed, failure: Some(failure), ..report });
        let _ = ctx.wake.send(key.clone());
    }
    Ok(None)
}

async fn sign(ctx: &Context, key: String) -> Result<SignedGet, Unanswered> {
    let name = key.rsplit('/').next().unwrap_or("file");
    let signed = ctx.vault.presign_get(&GetOnce { key: &key, file_name: name, expires: SIGNED_FOR }).await;
    signed.map(|signed| SignedGet { url: signed.url, key: key.clone() }).map_err(|error| Unanswered(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_crds::test_run::TableState;
    use crucible_lifecycle::contract::{PROTOCOL, TableReport};

    fn report(state: LoaderState, table: TableState, rows: u64) -> LoadReport {
        LoadReport {
            protocol: PROTOCOL,
            namespace: "shop".into(),
            run: "run-a".into(),
            run_uid: "uid-a".into(),
            state,
            failure: None,
            tables: vec![TableReport { state: table, rows, ..TableReport::default() }],
            wants_recipe: false,
            wants_keys: Vec::new(),
        }
    }

    #[test]
    fn only_what_a_decision_may_depend_on_is_news() {
        let loaders = Loaders::default();
        let steps = [
            (report(LoaderState::Preparing, TableState::Waiting, 0), true),
            (report(LoaderState::Preparing, TableState::Waiting, 0), false),
            (report(LoaderState::Loading, TableState::Loading, 5), true),
            (report(LoaderState::Loading, TableState::Loading, 900), false),
            (report(LoaderState::Loading, TableState::Loaded, 900), true),
            (report(LoaderState::Done, TableState::Loaded, 900), true),
        ];
        for (report, news) in steps {
            assert_eq!(loaders.hear("uid-a", Timestamp::UNIX_EPOCH, report), news);
        }
        loaders.forget("uid-a");
        assert_eq!(loaders.view("uid-a"), None);
    }
}
