//! The loader's only words with the operator: how far it is goes out, what to load and signed addresses come back.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crucible_lifecycle::contract::{Failure, FrozenPlan, LOAD_PATH, LoadAnswer, LoadRecipe, LoadReport, LoaderState, MOST_KEYS, PROTOCOL, TableReport};
use hyper::Uri;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep},
};

use super::trouble::Trouble;
use crate::http::{Http, HttpError};

/// How often the operator is told how far the loader is.
const EVERY: Duration = Duration::from_secs(1);
/// How long one exchange may take.
const ONE_TRY: Duration = Duration::from_secs(10);
/// The longest answer: fifty thousand files of a recipe.
const LONGEST_ANSWER: usize = 32 << 20;
/// How long an address is used. The operator signs them for fifteen minutes.
const FRESH: Duration = Duration::from_mins(10);
/// How long the loader stays when nobody hears how it ended.
const PATIENCE: Duration = Duration::from_mins(10);

/// The loader's link to the operator.
pub struct Link {
    http: Http,
    uri: Uri,
    token: String,
    board: Mutex<LoadReport>,
    addresses: Mutex<HashMap<String, (String, Instant)>>,
    /// The keys of all files in the order in which they are read, so that addresses are asked for ahead.
    order: Mutex<Vec<String>>,
    stopped: watch::Sender<bool>,
    /// Something is to be told at once.
    news: Notify,
    /// When the whole of it has to be over.
    deadline: Instant,
    run_id: String,
}

impl Link {
    /// The link of a run's loader.
    pub fn new(http: Http, operator: &str, token: String, plan: &FrozenPlan) -> Result<Self, String> {
        let uri =
            format!("{}{LOAD_PATH}", operator.trim_end_matches('/')).parse().map_err(|error| format!("The operator's address cannot be used: {error}"))?;
        let run = &plan.run;
        let board = LoadReport {
            protocol: PROTOCOL,
            namespace: run.namespace.clone(),
            run: run.name.clone(),
            run_uid: run.uid.clone(),
            state: LoaderState::Preparing,
            failure: None,
            tables: Vec::new(),
            wants_recipe: false,
            wants_keys: Vec::new(),
        };
        Ok(Self {
            http,
            uri,
            token,
            board: Mutex::new(board),
            addresses: Mutex::default(),
            order: Mutex::default(),
            stopped: watch::Sender::new(false),
            news: Notify::new(),
            deadline: Instant::now() + plan.spec.deadlines.fixtures.span(),
            run_id: run.id.clone(),
        })
    }

    /// The run's name for results.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// What the operator wants loaded. It is asked until it says so.
    pub async fn recipe(&self) -> Result<LoadRecipe, Trouble> {
        loop {
            let report = LoadReport { wants_recipe: true, ..self.board().clone() };
            match self.exchange(&report).await {
                Ok(LoadAnswer { recipe: Some(recipe), .. }) => {
                    self.board().tables = recipe
                        .tables
                        .iter()
                        .map(|table| TableReport { fixture: table.fixture.clone(), table: table.table.clone(), ..TableReport::default() })
                        .collect();
                    let keys = recipe.tables.iter().flat_map(|table| table.files.iter().map(|file| file.key.clone()));
                    *lock(&self.order) = keys.collect();
                    return Ok(recipe);
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "failed to ask what to load, trying on"),
            }
            self.pause(EVERY).await?;
        }
    }

    /// A signed address of an object, fresh enough to be used.
    pub async fn address(&self, key: &str) -> Result<String, Trouble> {
        loop {
            if let Some((url, _)) = lock(&self.addresses).get(key).filter(|(_, asked)| asked.elapsed() < FRESH) {
                return Ok(url.clone());
            }
            let asked = Instant::now();
            let report = LoadReport { wants_keys: self.following(key), ..self.board().clone() };
            match self.exchange(&report).await {
                Ok(answer) => {
                    let mut addresses = lock(&self.addresses);
                    addresses.retain(|_, (_, asked)| asked.elapsed() < FRESH);
                    addresses.extend(answer.addresses.into_iter().map(|address| (address.key, (address.url, asked))));
                    if addresses.contains_key(key) {
                        continue;
                    }
                }
                Err(error) => tracing::warn!(%error, "failed to ask for addresses, trying on"),
            }
            self.pause(EVERY).await?;
        }
    }

    /// An address that the bucket does not take is asked for anew.
    pub fn distrust(&self, key: &str) {
        lock(&self.addresses).remove(key);
    }

    /// A key and those that are read after it.
    fn following(&self, key: &str) -> Vec<String> {
        let order = lock(&self.order);
        let at = order.iter().position(|known| known == key).unwrap_or(order.len());
        let next: Vec<String> = order.iter().skip(at).take(MOST_KEYS).cloned().collect();
        if next.is_empty() { vec![key.to_owned()] } else { next }
    }

    /// Changes what is told of a table.
    pub fn tell(&self, table: usize, change: impl FnOnce(&mut TableReport)) {
        if let Some(report) = self.board().tables.get_mut(table) {
            let before = report.state;
            change(report);
            if report.state != before {
                self.news.notify_one();
            }
        }
    }

    /// Changes what is told of the loader.
    pub fn enter(&self, state: LoaderState, failure: Option<Failure>) {
        let mut board = self.board();
        (board.state, board.failure) = (state, failure);
        self.news.notify_one();
    }

    /// Tells the operator how far the loader is, for as long as it lives.
    pub async fn keep_telling(self: std::sync::Arc<Self>) {
        loop {
            let report = self.board().clone();
            if let Err(error) = self.exchange(&report).await {
                tracing::debug!(%error, "failed to tell the operator how far the loader is, trying on");
            }
            tokio::select! { () = sleep(EVERY) => {} () = self.news.notified() => {} }
        }
    }

    /// Waits until the operator has written down how the loading ended: it says so by telling the loader to go.
    pub async fn until_heard(&self) {
        let mut stopped = self.stopped.subscribe();
        let heard = stopped.wait_for(|stopped| *stopped);
        let _ = tokio::time::timeout(PATIENCE, heard).await;
    }

    /// Ends everything.
    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// Whether the loader was told to end.
    pub fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Waits a while; not at all when the loader is to end or its time is over.
    pub async fn pause(&self, span: Duration) -> Result<(), Trouble> {
        if Instant::now() >= self.deadline {
            return Err(Trouble::Again("deadlines.fixtures has passed".to_owned()));
        }
        let mut stopped = self.stopped.subscribe();
        tokio::select! {
            () = sleep(span) => Ok(()),
            _ = stopped.wait_for(|stopped| *stopped) => Err(Trouble::Stopped),
        }
    }

    async fn exchange(&self, report: &LoadReport) -> Result<LoadAnswer, HttpError> {
        let body = serde_json::to_vec(report).unwrap_or_default();
        let answer = self.http.ask(self.uri.clone(), &self.token, body, ONE_TRY, LONGEST_ANSWER).await?;
        let answer: LoadAnswer = serde_json::from_slice(&answer).map_err(|error| HttpError::Connection(format!("the answer cannot be read: {error}")))?;
        if answer.stop {
            self.stop();
        }
        Ok(answer)
    }

    fn board(&self) -> MutexGuard<'_, LoadReport> {
        lock(&self.board)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
