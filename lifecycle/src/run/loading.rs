//! Loading: what the plan names is brought into the system under test and proved there, before any worker starts.
//!
//! What exactly is loaded is written down first; only then is a loader made. It asks the operator what to load and says how
//! far it is, and it stays until the status says that it was heard: so whoever dies in between, nothing is lost.

use std::time::Duration;

use crucible_crds::{
    Phase, Reason,
    test_run::{LoadingStatus, RunFixture, TableState},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    decision::Child,
    draft::{Draft, Step},
    observed::{LoaderView, Observed, PodState},
    queue,
    waiting_room::{CONFIG_GRACE, PULL_GRACE, REJECTED_GRACE},
};
use crate::{
    build::loader,
    contract::{Failure, FrozenPlan, LoadReport, LoaderState, PROTOCOL, TableReport},
    fixture::{self, Obstacle},
    latency::{rate, span},
    notice::Severity,
    problem::name_some,
};

/// How soon to look again while a loader is at work; its own word comes sooner where it matters.
const AGAIN: Duration = Duration::from_secs(2);
/// How soon to look again where the fixtures have not been looked at.
const AT_ONCE: Duration = Duration::from_millis(10);
/// Into how many parts the progress of a long load is cut, so that its writes stay bounded.
const PARTS: u32 = 20;

/// Loads the fixtures of the plan, where it names some.
pub fn load(observed: &Observed, draft: &mut Draft) -> Step {
    let Some(plan) = draft.plan.clone() else {
        return queue::plan_gone(observed, draft);
    };
    if plan.spec.fixtures.is_empty() {
        return open(draft);
    }
    if observed.run.spec.stop {
        return draft.fail(Reason::StopRequested, "The run was stopped while its fixtures were being loaded");
    }
    if draft.status.fixtures.is_empty() {
        return pin(observed, draft, &plan);
    }
    if observed.loader.job.is_absent() {
        draft.ensure.push(Child::Loader(Box::new(loader::loader(&observed.run, &plan, &observed.settings))));
    }
    let report = observed.loader.heard.as_ref().map(|heard| &heard.report);
    if let Some((reason, message)) = refused(observed, draft, report) {
        return draft.fail(reason, message);
    }
    if let Some(report) = report {
        take(draft, report);
        if report.state == LoaderState::Done {
            return done(draft);
        }
    }
    if draft.past(plan.spec.deadlines.fixtures.span()) {
        let waited = late(&observed.loader, &draft.status.fixtures);
        return draft.fail(Reason::FixturesDeadlineExceeded, waited);
    }
    progress(draft, report);
    draft.wake_after(AGAIN);
    Step::Stay
}

/// The way on: every fixture is where it should be, or there is none.
fn open(draft: &mut Draft) -> Step {
    draft.go(Phase::WaitingRoom, Reason::WorkersStarting, "The workers are starting")
}

/// Writes down exactly what is loaded, and makes the loader.
fn pin(observed: &Observed, draft: &mut Draft, plan: &FrozenPlan) -> Step {
    if observed.fixtures.is_empty() {
        draft.wake_after(AT_ONCE);
        return Step::Stay;
    }
    let recipe = match fixture::recipe(plan, &observed.fixtures, &observed.settings.bucket) {
        Ok(recipe) => recipe,
        Err(Obstacle::Wrong(reason, message)) => return draft.fail(reason, message),
        Err(Obstacle::Wait(reason, message)) => {
            if draft.past(plan.spec.deadlines.fixtures.span()) {
                return draft.fail(reason, message);
            }
            draft.because(reason, message);
            draft.wake_after(AGAIN);
            return Step::Stay;
        }
    };
    draft.status.fixtures = recipe
        .tables
        .iter()
        .map(|table| RunFixture {
            name: table.fixture.clone(),
            database: plan.spec.target.database.to_string(),
            table: table.table.clone(),
            state: TableState::Waiting,
            digest: table.digest.clone(),
            files: table.files.len() as u64,
            bytes: table.files.iter().map(|file| file.bytes).sum(),
            writes: table.writes,
            rows: None,
            checksum: None,
            at: None,
        })
        .collect();
    draft.ensure.push(Child::Loader(Box::new(loader::loader(&observed.run, plan, &observed.settings))));
    let files: u64 = draft.status.fixtures.iter().map(|fixture| fixture.files).sum();
    draft.because(Reason::FixturesLoading, format!("{files} files of {} fixtures are to be loaded", draft.status.fixtures.len()));
    draft.past(plan.spec.deadlines.fixtures.span());
    draft.wake_after(AGAIN);
    Step::Stay
}

/// Takes over what the loader says of each table. A table that was ready stays so.
fn take(draft: &mut Draft, report: &LoadReport) {
    let now = MicroTime(draft.now);
    for (fixture, told) in draft.status.fixtures.iter_mut().zip(&report.tables) {
        let same = fixture.name == told.fixture && fixture.table == told.table;
        if !same || fixture.state.is_ready() {
            continue;
        }
        fixture.state = told.state;
        if told.state.is_ready() {
            fixture.rows = Some(told.rows);
            fixture.checksum.clone_from(&told.checksum);
            fixture.at = Some(now.clone());
        }
    }
}

/// Every table is ready, or the loader says so of some that are not.
fn done(draft: &mut Draft) -> Step {
    if let Some(open) = draft.status.fixtures.iter().find(|fixture| !fixture.state.is_ready()) {
        let message = format!("The loader says that it is done, and table {} is not loaded from fixture {}", open.table, open.name);
        return draft.fail(Reason::FixtureVerifyFailed, message);
    }
    draft.status.loading = None;
    draft.status.progress = None;
    let said: Vec<String> = draft.status.fixtures.iter().map(in_words).collect();
    let message = format!("Every fixture is in place: {}", name_some(said.iter().map(String::as_str)));
    draft.notice(Severity::Normal, Reason::FixturesLoaded, message);
    open(draft)
}

fn in_words(fixture: &RunFixture) -> String {
    let RunFixture { table, rows, state, .. } = fixture;
    let how = if *state == TableState::Found { "found as it was loaded" } else { "loaded" };
    format!("{table} {how} with {} rows", rows.unwrap_or_default())
}

/// Why the fixtures can never be loaded, if so.
fn refused(observed: &Observed, draft: &Draft, report: Option<&LoadReport>) -> Option<(Reason, String)> {
    if let Some(report) = report.filter(|report| report.protocol != PROTOCOL) {
        return Some((Reason::ProtocolMismatch, format!("The loader speaks protocol {}, the operator {PROTOCOL}: use images of one release", report.protocol)));
    }
    if let Some(failure) = report.and_then(|report| report.failure.as_ref()) {
        return Some(told(failure));
    }
    let LoaderView { job, pods, heard: _ } = &observed.loader;
    for pod in pods.found().into_iter().flatten() {
        let age = draft.since(pod.created);
        match &pod.state {
            PodState::Ended { outcome: Some(outcome), .. } if outcome.failure.is_some() => return outcome.failure.as_ref().map(told),
            PodState::Ended { reason, .. } if reason == "OOMKilled" => {
                let message =
                    format!("Pod {} was killed for using more memory than its limit of {}; a row group of a file may be too large", pod.name, loader::MEMORY);
                return Some((Reason::FixtureLoaderOutOfMemory, message));
            }
            PodState::ImagePull(why) if age >= PULL_GRACE => {
                return Some((Reason::ImagePull, format!("The image of pod {} cannot be pulled: {why}", pod.name)));
            }
            PodState::ConfigError(why) if age >= CONFIG_GRACE => return Some((Reason::SecretNotFound, format!("Pod {} cannot be started: {why}", pod.name))),
            PodState::Ended { .. }
            | PodState::ImagePull(_)
            | PodState::ConfigError(_)
            | PodState::Starting
            | PodState::Unschedulable(_)
            | PodState::Running
            | PodState::Leaving(_) => {}
        }
    }
    let job = job.found()?;
    if let Some(why) = &job.failed {
        return Some((Reason::FixtureLoaderLost, format!("The loader was lost more often than it is started again: {why}")));
    }
    let why = job.create_error.as_ref()?;
    (draft.since(job.created) >= REJECTED_GRACE).then(|| (Reason::WorkersRejected, format!("The cluster refuses the loader's pod: {why}")))
}

fn told(failure: &Failure) -> (Reason, String) {
    (Reason::parse(&failure.reason).unwrap_or(Reason::FixtureLoadFailed), failure.message.clone())
}

/// Why the deadline passed.
fn late(loader: &LoaderView, fixtures: &[RunFixture]) -> String {
    let pods = loader.pods.found().map(Vec::as_slice).unwrap_or_default();
    let stuck = pods.iter().find_map(|pod| match &pod.state {
        PodState::Unschedulable(why) => Some(format!("; pod {} found no node: {why}", pod.name)),
        PodState::Starting | PodState::ImagePull(_) | PodState::ConfigError(_) | PodState::Running | PodState::Ended { .. } | PodState::Leaving(_) => None,
    });
    let open = fixtures.iter().filter(|fixture| !fixture.state.is_ready()).map(|fixture| fixture.table.as_str());
    format!("deadlines.fixtures has passed and these tables are not ready: {}{}", name_some(open), stuck.unwrap_or_default())
}

/// Writes down how far the loading is, no more often than is of use.
fn progress(draft: &mut Draft, report: Option<&LoadReport>) {
    let Some(report) = report.filter(|report| report.state == LoaderState::Loading) else { return };
    let every = AGAIN.max(draft.in_phase() / PARTS);
    let fresh = draft.status.loading.as_ref().and_then(|loading| loading.at.as_ref()).is_some_and(|at| draft.since(at.0) < every.mul_f64(0.9));
    if fresh {
        return;
    }
    let total: u64 = draft.status.fixtures.iter().map(|fixture| fixture.bytes).sum();
    let files: u64 = draft.status.fixtures.iter().map(|fixture| fixture.files).sum();
    let there = |fixture: &RunFixture, told: &TableReport| if fixture.state.is_ready() { (fixture.files, fixture.bytes) } else { (told.files, told.bytes) };
    let pairs = || draft.status.fixtures.iter().zip(&report.tables);
    let (files_done, bytes_done) = pairs().map(|(fixture, told)| there(fixture, told)).fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    let moved = |(fixture, _): &(&RunFixture, &TableReport)| fixture.state != TableState::Found;
    let sent: u64 = pairs().filter(moved).map(|(_, told)| told.rows).sum();
    let read: u64 = pairs().filter(moved).map(|pair| there(pair.0, pair.1).1).sum();
    let elapsed = draft.in_phase().as_secs_f64();
    let per_second = if elapsed > 0.0 { to_float(read) / elapsed } else { 0.0 };
    let left = to_float(total.saturating_sub(bytes_done));
    draft.status.progress = Some(format!("fixtures {:.0}%", (to_float(bytes_done) / to_float(total.max(1)) * 100.0).min(100.0)));
    draft.status.loading = Some(LoadingStatus {
        files: format!("{files_done}/{files}"),
        rows: sent,
        bytes: read,
        rate: rate(per_second),
        eta: (per_second > 0.0).then(|| span(Duration::from_secs_f64((left / per_second).min(1e9)))),
        at: Some(MicroTime(draft.now)),
    });
}

#[allow(clippy::cast_precision_loss)] // Shares and rates for people.
fn to_float(count: u64) -> f64 {
    count as f64
}
