//! Earlier runs: found in the bucket by what each run left there for later ones, so that they may be compared with after
//! their objects were deleted.

use crucible_crds::test_plan::Compare;
use crucible_lifecycle::{
    comparison::{Candidate, Comparison, Fingerprint, Found, Past, Shelf, Trend, compare, compare_arms},
    contract::FrozenPlan,
    results::{Facts, Series, Summary},
};
use crucible_store::{Vault, VaultError};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use tokio::io::AsyncReadExt;

use super::Error;

/// Where the merged latencies of a run lie below its results.
pub(super) const SERIES: &str = "histograms/merged.hlog";
/// No series is longer; its number of histograms is bounded.
const LONGEST_SERIES: u64 = 128 * 1024 * 1024;
/// No entry of a shelf is longer.
const LONGEST_ENTRY: u64 = 1024 * 1024;
/// Among so many entries of a shelf one has to be readable.
const LOOKED_AT: u16 = 8;
/// How many earlier runs a trend goes back.
const TREND: u16 = 60;
/// How many entries are read at a time.
const AT_A_TIME: usize = 16;

/// What a plan's question about earlier runs comes to.
pub(super) struct Answer {
    pub comparison: Comparison,
    pub trend: Option<Trend>,
}

/// Compares a run with the one that its plan asks for.
pub(super) async fn answer(vault: &dyn Vault, plan: &FrozenPlan, asked: &Compare, facts: &Facts, summary: &Summary) -> Result<Answer, Error> {
    let found = find(vault, plan, asked, facts).await?;
    let baseline = match &found {
        Found::Run(past, _) => Some((**past).clone()),
        Found::Nothing | Found::Unusable(..) => None,
    };
    let (series, rounds, plan_too, asked_too) = (summary.series.clone(), summary.rounds.clone(), plan.clone(), asked.clone());
    let fingerprint = Fingerprint::of(plan, facts);
    // Resampling takes up to a second of a processor where there are many queries: not on a thread that others wait for.
    let work = move || compare(&asked_too, Candidate { plan: &plan_too, fingerprint: &fingerprint, series: &series, rounds: &rounds }, found);
    let comparison = tokio::task::spawn_blocking(work).await.map_err(|error| Error::Compare(error.to_string()))?;
    let trend = trend(vault, plan, asked, facts, summary, baseline.as_ref()).await?;
    Ok(Answer { comparison, trend })
}

/// Compares the two arms of a run with each other, for which no earlier one is needed.
pub(super) async fn between_arms(plan: &FrozenPlan, asked: &Compare, summary: &Summary) -> Result<Option<Answer>, Error> {
    let (series, rounds, plan, asked) = (summary.series.clone(), summary.rounds.clone(), plan.clone(), asked.clone());
    let work = move || compare_arms(&asked, &plan, &series, &rounds);
    let comparison = tokio::task::spawn_blocking(work).await.map_err(|error| Error::Compare(error.to_string()))?;
    Ok(comparison.map(|comparison| Answer { comparison, trend: None }))
}

/// The earlier run that is asked for: the newest on its shelf that began before this one.
async fn find(vault: &dyn Vault, plan: &FrozenPlan, asked: &Compare, facts: &Facts) -> Result<Found, Error> {
    let Some(started_at) = facts.started_at else { return Ok(Found::Nothing) };
    let shelf = Shelf::of(asked, &plan.plan_name);
    let Some(past) = earlier(vault, shelf, &plan.run.namespace, started_at, LOOKED_AT).await?.into_iter().next() else {
        return Ok(Found::Nothing);
    };
    let key = format!("results/{}/{SERIES}", past.run_id);
    match text(vault, &key, LONGEST_SERIES).await {
        Ok(log) => match Series::parse(&log) {
            Ok(series) => Ok(Found::Run(Box::new(past), series)),
            Err(problem) => Ok(Found::Unusable(Box::new(past), format!("{key} cannot be read: {problem}"))),
        },
        Err(Error::Vault(VaultError::NotFound { .. })) => {
            let why = format!("The latencies of run {} are no longer in the bucket", past.run_id);
            Ok(Found::Unusable(Box::new(past), why))
        }
        Err(error) => Err(error),
    }
}

/// The runs of the same plan up to this one.
async fn trend(
    vault: &dyn Vault,
    plan: &FrozenPlan,
    asked: &Compare,
    facts: &Facts,
    summary: &Summary,
    baseline: Option<&Past>,
) -> Result<Option<Trend>, Error> {
    // What the run itself means is not decided yet; for the trend it only matters that it has results.
    let Some(own) = Past::of(plan, summary, facts, crucible_crds::Outcome::Inconclusive) else { return Ok(None) };
    let runs = earlier(vault, Shelf::Plan(&plan.plan_name), &plan.run.namespace, own.started_at, TREND).await?;
    Ok(Some(Trend::of(asked, own, runs, baseline)))
}

/// The readable entries among the newest ones of a shelf that began before an instant, newest first.
async fn earlier(vault: &dyn Vault, shelf: Shelf<'_>, namespace: &str, before: Timestamp, most: u16) -> Result<Vec<Past>, Error> {
    let entries = vault.list_after(&shelf.prefix(namespace), &shelf.before(namespace, before), most).await?;
    let read = stream::iter(entries).map(|entry| async move { text(vault, &entry.key, LONGEST_ENTRY).await.map(|text| (entry.key, text)) });
    let texts: Vec<_> = read.buffered(AT_A_TIME).collect().await;
    let mut runs = Vec::with_capacity(texts.len());
    for text in texts {
        let (key, text) = match text {
            // Removed between the listing and the reading.
            Err(Error::Vault(VaultError::NotFound { .. })) => continue,
            other => other?,
        };
        match serde_json::from_str(&text) {
            Ok(past) => runs.push(past),
            Err(error) => tracing::warn!(key, %error, "skipped an entry of the history that cannot be read"),
        }
    }
    Ok(runs)
}

async fn text(vault: &dyn Vault, key: &str, longest: u64) -> Result<String, Error> {
    let mut text = String::new();
    let read = vault.get(key).await?.take(longest).read_to_string(&mut text).await;
    read.map_err(|source| Error::Read { key: key.to_owned(), source })?;
    Ok(text)
}
