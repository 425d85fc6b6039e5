//! A loader as the contract describes it: it asks what to load, says how far it is, and stays until it is told to go.

use crucible_crds::test_run::TableState;
use crucible_lifecycle::contract::{Failure, LoadRecipe, LoadReport, LoaderState, PROTOCOL, TableRecipe, TableReport, WorkerOutcome, WorkerState, exit};
use crucible_operator::{Context, loaders};

use super::{SHOP, World, worker::Habits};

/// How long a loader needs to begin, how long to fill its tables, and how often it speaks.
const PREPARING: f64 = 0.2;
const FILLING: f64 = 1.0;
const EVERY: f64 = 0.25;

/// One loader.
pub struct SimLoader {
    pub run: String,
    pub run_uid: String,
    pub job: String,
    pub pod: String,
    pub killed: bool,
    pub gone: bool,
    born: f64,
    spoke: f64,
    recipe: Option<(f64, LoadRecipe)>,
    tables: Vec<TableReport>,
    stopped: bool,
    files: Option<(&'static str, &'static str)>,
}

impl SimLoader {
    pub fn new(run: &str, run_uid: &str, job: &str, pod: &str, born: f64, habits: &Habits) -> Self {
        let (run, run_uid, job, pod) = (run.to_owned(), run_uid.to_owned(), job.to_owned(), pod.to_owned());
        Self { run, run_uid, job, pod, killed: false, gone: false, born, spoke: 0.0, recipe: None, tables: Vec::new(), stopped: false, files: habits.files }
    }

    /// For how long it has been filling its tables, while it is.
    pub fn filling_for(&self, now: f64) -> Option<f64> {
        let (began, _) = self.recipe.as_ref().filter(|_| !self.gone && !self.killed && !self.is_done())?;
        Some(now - began)
    }

    /// Whether the Job controller makes another in its place.
    pub fn was_lost(&self) -> bool {
        self.gone && self.exit().is_some_and(|(code, _, _)| code == 137)
    }

    /// How its process ended, once it has.
    pub fn exit(&self) -> Option<(i32, &'static str, String)> {
        if self.killed {
            return Some((137, "Error", String::new()));
        }
        let failure = self.failure();
        let (code, state) = match (&failure, self.is_done()) {
            (Some(_), _) => (i32::from(exit::REFUSED), WorkerState::Failed),
            (None, true) => (0, WorkerState::Uploaded),
            (None, false) => (i32::from(exit::STOPPED), WorkerState::Preparing),
        };
        let word = WorkerOutcome { protocol: PROTOCOL, index: 0, state, failure, interrupted: false, files: Vec::new(), answers: Vec::new() };
        self.stopped.then(|| (code, if code == 0 { "Completed" } else { "Error" }, serde_json::to_string(&word).unwrap()))
    }

    fn is_done(&self) -> bool {
        self.recipe.is_some() && self.tables.iter().all(|table| table.state.is_ready())
    }

    fn failure(&self) -> Option<Failure> {
        self.recipe.as_ref()?;
        self.files.map(|(reason, message)| Failure { reason: reason.to_owned(), message: message.to_owned() })
    }

    fn state(&self) -> LoaderState {
        match () {
            () if self.failure().is_some() => LoaderState::Failed,
            () if self.recipe.is_none() => LoaderState::Preparing,
            () if self.is_done() => LoaderState::Done,
            () => LoaderState::Loading,
        }
    }

    /// What it says now, where it is time to say something.
    fn report(&mut self, world: &World, now: f64) -> Option<LoadReport> {
        if self.gone || self.killed || self.stopped || now < self.born + PREPARING || now < self.spoke + EVERY {
            return None;
        }
        self.spoke = now;
        if let Some((began, recipe)) = &self.recipe {
            let mut tables = world.tables.lock().unwrap();
            for (told, recipe) in self.tables.iter_mut().zip(&recipe.tables).filter(|(told, _)| !told.state.is_ready()) {
                let found = tables.get(&recipe.table) == Some(&(recipe.digest.clone(), false));
                match (found, now - began >= FILLING) {
                    (true, _) => *told = ready(recipe, TableState::Found),
                    (false, true) => {
                        tables.insert(recipe.table.clone(), (recipe.digest.clone(), recipe.writes));
                        *told = ready(recipe, TableState::Loaded);
                    }
                    (false, false) => told.state = TableState::Loading,
                }
            }
        }
        let state = self.state();
        Some(LoadReport {
            protocol: PROTOCOL,
            namespace: SHOP.to_owned(),
            run: self.run.clone(),
            run_uid: self.run_uid.clone(),
            state,
            failure: self.failure().filter(|_| state == LoaderState::Failed),
            tables: if state == LoaderState::Failed { Vec::new() } else { self.tables.clone() },
            wants_recipe: self.recipe.is_none(),
            wants_keys: Vec::new(),
        })
    }
}

/// A table as it is once it is ready: a row for each byte of its files.
fn ready(recipe: &TableRecipe, state: TableState) -> TableReport {
    let bytes: u64 = recipe.files.iter().map(|file| file.bytes).sum();
    let (fixture, table) = (recipe.fixture.clone(), recipe.table.clone());
    TableReport { fixture, table, state, files: recipe.files.len() as u64, bytes, rows: bytes, checksum: Some(recipe.digest.clone()) }
}

/// Every loader that has something to say is answered by the operator's own code.
pub async fn speak(world: &World, ctx: &Context) {
    let now = world.clock.seconds();
    let said: Vec<(String, LoadReport)> = {
        let mut loaders = world.loaders.lock().unwrap();
        loaders.iter_mut().filter_map(|(pod, loader)| Some((pod.clone(), loader.report(world, now)?))).collect()
    };
    for (pod, report) in said {
        let Ok(answer) = loaders::answer(ctx, report).await else { continue };
        let mut loaders = world.loaders.lock().unwrap();
        let Some(loader) = loaders.get_mut(&pod) else { continue };
        loader.stopped |= answer.stop;
        if let Some(recipe) = answer.recipe {
            loader.tables = recipe
                .tables
                .iter()
                .map(|table| TableReport { fixture: table.fixture.clone(), table: table.table.clone(), ..TableReport::default() })
                .collect();
            loader.recipe = Some((world.clock.seconds(), recipe));
        }
    }
}
