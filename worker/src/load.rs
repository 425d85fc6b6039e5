//! `crucible-worker load`: brings the datasets of a run's plan into its system under test, and proves them there.
//!
//! ```text
//! operator ── what to load, signed addresses ──▶ link ──▶ object (ranges of files)
//!                                                            │
//!                                    parquet, csv, dump: rows out of files, one after another
//!                                                            │
//!                                       encode (text or binary) + tally (what must come out)
//!                                                            │ chunks, few at a time
//!                                          session (MySQL or PostgreSQL), several at once; or cassandra, or doris
//! ```
//!
//! Trino reads the files itself: `trino` has it copy them, and proves what came of it.
//!
//! Nothing is held but what is on its way, so the size of a dataset makes no difference to memory. Everything may be
//! killed at any moment: rows go into a table beside the one that is meant, which takes its place at once when it is
//! proved, and what was left half done is thrown away by the next loader. Cassandra cannot rename a table, so there the
//! table itself is filled and carries no proof until it is whole.

use std::{path::Path, process::ExitCode, sync::Arc};

use crucible_crds::{Reason, test_plan::Engine};
use crucible_lifecycle::contract::{Failure, FrozenPlan, LoaderState, PROTOCOL, WorkerOutcome, WorkerState, exit};

use crate::{args::LoadArgs, http::Http, outcome};

mod binary;
mod cassandra;
mod civil;
mod csv;
mod doris;
mod dump;
mod encode;
mod engine;
mod flow;
mod link;
mod measure;
mod mysql;
mod object;
mod parquet;
mod postgres;
mod session;
mod table;
mod tally;
mod text;
mod tls;
mod trino;
mod trouble;
mod value;
mod watch;

use link::Link;
use session::{Endpoint, Login};
use trouble::Trouble;

/// What is loaded: an engine that takes rows, or one that goes its own way.
enum Sut {
    Rows(Endpoint),
    Trino(trino::Server),
}

impl Sut {
    fn of(plan: &FrozenPlan, login: Login) -> Result<Self, Failure> {
        let target = &plan.spec.target;
        match target.engine {
            Engine::Trino => trino::Server::of(target, login).map(Self::Trino),
            Engine::Mysql | Engine::Doris | Engine::Postgres | Engine::Cassandra => Endpoint::of(target, login).map(Self::Rows),
        }
    }
}

/// Loads until everything is in place, or cannot be. The exit code says whether trying again may help.
pub async fn run(args: LoadArgs) -> ExitCode {
    let LoadArgs { plan, token, credentials, termination_log, check_in_url } = args;
    let ended = match begin(&plan, &token, &credentials, &check_in_url) {
        Ok((link, sut)) => work(link, sut).await,
        Err(failure) => Err(Trouble::Refused(failure)),
    };
    let (code, state, failure) = match ended {
        Ok(()) => (0, WorkerState::Uploaded, None),
        Err(Trouble::Refused(failure)) => (exit::REFUSED, WorkerState::Failed, Some(failure)),
        Err(Trouble::Stopped) => (exit::STOPPED, WorkerState::Preparing, None),
        Err(Trouble::Again(why)) => {
            tracing::warn!(why, "the loader gives up for now");
            (1, WorkerState::Preparing, None)
        }
    };
    if let Some(failure) = &failure {
        tracing::error!(reason = failure.reason, message = failure.message, "the fixtures cannot be loaded");
    }
    let word = WorkerOutcome { protocol: PROTOCOL, index: 0, state, failure, interrupted: false, files: Vec::new(), answers: Vec::new() };
    if let Err(error) = std::fs::write(&termination_log, outcome::last_word(word)) {
        tracing::error!(%error, "failed to write the last word");
    }
    ExitCode::from(code)
}

fn begin(plan: &Path, token: &Path, credentials: &Path, operator: &str) -> Result<(Arc<Link>, Sut), Failure> {
    let missing = |what: &str, path: &Path, why: &dyn std::fmt::Display| {
        outcome::failure(Reason::FrozenPlanMissing, format!("The loader could not begin: failed to read {what} {}: {why}", path.display()))
    };
    let text = std::fs::read_to_string(plan).map_err(|error| missing("the frozen plan", plan, &error))?;
    let frozen: FrozenPlan = serde_json::from_str(&text).map_err(|error| missing("the frozen plan", plan, &error))?;
    if frozen.protocol != PROTOCOL {
        let message = format!("The frozen plan speaks protocol {}, this loader {PROTOCOL}: use images of one release", frozen.protocol);
        return Err(outcome::failure(Reason::ProtocolMismatch, message));
    }
    let token = std::fs::read_to_string(token).map_err(|error| missing("the run's token", token, &error))?.trim_end().to_owned();
    let sut = Sut::of(&frozen, Login::read(credentials)?)?;
    let link = Link::new(Http::default(), operator, token, &frozen).map_err(|why| outcome::failure(Reason::FixtureLoadFailed, why))?;
    Ok((Arc::new(link), sut))
}

/// Loads every table, and stays until the operator has written down how it ended.
async fn work(link: Arc<Link>, sut: Sut) -> Result<(), Trouble> {
    let telling = tokio::spawn(Arc::clone(&link).keep_telling());
    let stop = tokio::spawn(terminated(Arc::clone(&link)));
    let ended = match sut {
        Sut::Rows(endpoint) => table::load_all(&link, endpoint).await,
        Sut::Trino(server) => trino::load_all(&link, server).await,
    };
    match &ended {
        Ok(()) => link.enter(LoaderState::Done, None),
        Err(Trouble::Refused(failure)) => link.enter(LoaderState::Failed, Some(failure.clone())),
        Err(Trouble::Again(_) | Trouble::Stopped) => {}
    }
    if !matches!(ended, Err(Trouble::Again(_))) {
        link.until_heard().await;
    }
    telling.abort();
    stop.abort();
    ended
}

/// Ends everything when the pod is told to go.
async fn terminated(link: Arc<Link>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else { return };
    tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
    tracing::info!("asked to end");
    link.stop();
}
