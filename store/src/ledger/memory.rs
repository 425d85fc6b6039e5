//! A ledger in memory: for tests, and for nothing else. It keeps the same promises as Postgres and can be told to be down.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};
use jiff::Timestamp;

use super::{
    HistoryRow, LONGEST_PAGE, Ledger, LedgerError, ListRuns, Page, Places, RecordOutcome, Recorded, RunRecord, RunRow, StopOutcome, SubmittedRun,
    TransitionRow, Unfinished, WaitingRoom,
};

/// A ledger that lives as long as the process.
#[derive(Debug)]
pub struct MemoryLedger {
    legacy_namespace: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<String, Kept>,
    rooms: BTreeMap<String, WaitingRoom>,
    transitions: BTreeMap<String, Vec<TransitionRow>>,
    history: BTreeMap<String, HistoryRow>,
    flushes: usize,
    down: bool,
    refuses: Option<String>,
}

#[derive(Clone, Debug)]
struct Kept {
    row: RunRow,
    version: u64,
    stop_requested: bool,
}

impl MemoryLedger {
    /// An empty ledger. Rows without a namespace belong to `legacy_namespace`.
    pub fn new(legacy_namespace: impl Into<String>) -> Self {
        Self { legacy_namespace: legacy_namespace.into(), state: Mutex::default() }
    }

    /// From now on every call answers `Unavailable`, until told otherwise.
    pub fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    /// Loses every row, as a server without a disk does.
    pub fn wipe(&self) {
        let mut state = self.state();
        *state = State { down: state.down, ..State::default() };
    }

    /// From now on a flush with this run in it is refused.
    pub fn refuse(&self, uid: impl Into<String>) {
        self.state().refuses = Some(uid.into());
    }

    /// Puts a row in as another program would.
    pub fn insert(&self, row: RunRow) {
        self.state().rows.insert(row.run_id.clone(), Kept { row, version: 0, stop_requested: false });
    }

    /// Every row, by its id.
    pub fn rows(&self) -> Vec<RunRow> {
        self.state().rows.values().map(|kept| kept.row.clone()).collect()
    }

    /// Every phase that the run of a row went through.
    pub fn steps(&self, row: &RunRow) -> Vec<TransitionRow> {
        row.uid.as_ref().and_then(|uid| self.state().transitions.get(uid).cloned()).unwrap_or_default()
    }

    /// How often records came in.
    pub fn flushes(&self) -> usize {
        self.state().flushes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reachable(&self) -> Result<MutexGuard<'_, State>, LedgerError> {
        let state = self.state();
        if state.down { Err(LedgerError::Unavailable { cause: "told to be down".to_owned() }) } else { Ok(state) }
    }

    fn is_in(&self, row: &RunRow, namespace: &str) -> bool {
        row.namespace.as_deref().unwrap_or(&self.legacy_namespace) == namespace
    }

    fn select(&self, query: &ListRuns) -> Result<Vec<RunRow>, LedgerError> {
        let state = self.reachable()?;
        let wanted = |row: &RunRow| {
            self.is_in(row, &query.namespace)
                && query.label.as_ref().is_none_or(|label| row.run_label.as_ref() == Some(label))
                && query.after.as_ref().is_none_or(|after| row.cursor() < *after)
        };
        let mut rows: Vec<RunRow> = state.rows.values().map(|kept| &kept.row).filter(|row| wanted(row)).cloned().collect();
        rows.sort_by_key(|row| Reverse(row.cursor()));
        Ok(rows)
    }
}

impl State {
    fn record(&mut self, run: &RunRecord) -> RecordOutcome {
        let seen = self.transitions.entry(run.uid.clone()).or_default();
        let known = seen.len();
        seen.extend(run.transitions.iter().skip(known).cloned());
        let id = &run.row.run_id;
        let stop_requested = match self.rows.get(id) {
            Some(old) if old.row.uid.as_ref().is_some_and(|uid| *uid != run.uid) => return RecordOutcome::Taken,
            Some(old) if old.row.uid.is_some() && old.version >= run.resource_version => return RecordOutcome::Superseded,
            Some(old) => old.stop_requested,
            None => false,
        };
        let old = self.rows.get(id).map(|old| old.row.clone());
        let mut row = RunRow { uid: Some(run.uid.clone()), ..run.row.clone() };
        if let Some(old) = old {
            keep_submitted(&mut row, old);
        }
        if stop_requested && !is_terminal(&row.status) {
            "STOPPING".clone_into(&mut row.status);
        }
        self.rows.insert(id.clone(), Kept { row, version: run.resource_version, stop_requested });
        if let Some(room) = &run.waiting_room {
            self.rooms.insert(id.clone(), room.clone());
        }
        if let Some(history) = &run.history {
            self.history.insert(run.uid.clone(), history.clone());
        }
        RecordOutcome::Written
    }
}

/// What only a submit knows is kept where the mirror does not know better.
fn keep_submitted(row: &mut RunRow, old: RunRow) {
    row.task_id = row.task_id.take().or(old.task_id);
    row.plan_name = row.plan_name.take().or(old.plan_name);
    row.plan_key = row.plan_key.take().or(old.plan_key);
    row.run_label = row.run_label.take().or(old.run_label);
    row.sut_type = row.sut_type.take().or(old.sut_type);
    row.scaling_mode = row.scaling_mode.take().or(old.scaling_mode);
    row.cluster_spec = row.cluster_spec.take().or(old.cluster_spec);
    row.cluster_settings = row.cluster_settings.take().or(old.cluster_settings);
}

fn is_terminal(status: &str) -> bool {
    matches!(status, "COMPLETED" | "FAILED")
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn migrate(&self) -> Result<(), LedgerError> {
        self.reachable().map(drop)
    }

    async fn record(&self, runs: &[RunRecord]) -> Result<Vec<Recorded>, LedgerError> {
        let mut state = self.reachable()?;
        if runs.iter().any(|run| Some(&run.uid) == state.refuses.as_ref()) {
            return Err(LedgerError::Refused { code: "told to refuse".to_owned() });
        }
        state.flushes += 1;
        Ok(runs.iter().map(|run| Recorded { uid: run.uid.clone(), outcome: state.record(run) }).collect())
    }

    async fn end_vanished(&self, uids: &[String]) -> Result<u64, LedgerError> {
        let mut state = self.reachable()?;
        let vanished = |row: &RunRow| row.uid.as_ref().is_some_and(|uid| uids.contains(uid)) && !is_terminal(&row.status);
        let State { rows, transitions, .. } = &mut *state;
        let mut ended = 0;
        for kept in rows.values_mut().filter(|kept| vanished(&kept.row)) {
            "FAILED".clone_into(&mut kept.row.status);
            kept.row.phase = Some("Failed".to_owned());
            kept.row.completed_at.get_or_insert(kept.row.submitted_at);
            kept.row.error_detail.get_or_insert_with(|| "The run was deleted before it had ended".to_owned());
            let steps = transitions.entry(kept.row.uid.clone().unwrap_or_default()).or_default();
            let at = steps.last().map_or(kept.row.submitted_at, |last| last.at);
            steps.push(TransitionRow { phase: "Failed".to_owned(), at, reason: "Deleted".to_owned() });
            ended += 1;
        }
        Ok(ended)
    }

    async fn unfinished(&self, namespace: Option<&str>) -> Result<Vec<Unfinished>, LedgerError> {
        let state = self.reachable()?;
        let rows = state.rows.values().map(|kept| &kept.row).filter(|row| !is_terminal(&row.status));
        let of_ours = |row: &RunRow| Some(Unfinished { uid: row.uid.clone()?, namespace: row.namespace.clone()?, name: row.name.clone()? });
        Ok(rows.filter_map(of_ours).filter(|row| namespace.is_none_or(|namespace| row.namespace == namespace)).collect())
    }

    async fn absent(&self, uids: &[String]) -> Result<Vec<String>, LedgerError> {
        let state = self.reachable()?;
        let there = |uid: &String| state.rows.values().any(|kept| kept.row.uid.as_ref() == Some(uid));
        Ok(uids.iter().filter(|uid| !there(uid)).cloned().collect())
    }

    async fn submit(&self, run: &SubmittedRun) -> Result<(), LedgerError> {
        let row = RunRow {
            run_id: run.run_id.clone(),
            task_id: Some(run.uid.clone()),
            plan_name: Some(run.plan_name.clone()),
            plan_key: run.plan_key.clone(),
            run_label: run.run_label.clone(),
            sut_type: run.sut_type.clone(),
            scaling_mode: run.scaling_mode.clone(),
            cluster_spec: run.cluster_spec.clone(),
            cluster_settings: run.cluster_settings.clone(),
            status: "PENDING".to_owned(),
            error_detail: None,
            submitted_at: run.submitted_at,
            started_at: None,
            completed_at: None,
            namespace: Some(run.namespace.clone()),
            name: Some(run.name.clone()),
            uid: Some(run.uid.clone()),
            phase: Some("Pending".to_owned()),
            verdict: None,
            summary: None,
        };
        self.reachable()?.rows.entry(run.run_id.clone()).or_insert(Kept { row, version: 0, stop_requested: false });
        Ok(())
    }

    async fn places(&self, query: &ListRuns) -> Result<Places, LedgerError> {
        let Page { runs, next } = self.list(query).await?;
        Ok(Places { runs: runs.iter().map(RunRow::cursor).collect(), next })
    }

    async fn list(&self, query: &ListRuns) -> Result<Page, LedgerError> {
        let limit = if query.limit == 0 { LONGEST_PAGE } else { query.limit.min(LONGEST_PAGE) } as usize;
        let mut runs = self.select(query)?;
        let more = runs.len() > limit;
        runs.truncate(limit);
        let next = runs.last().filter(|_| more).map(RunRow::cursor);
        Ok(Page { runs, next })
    }

    fn stream(&self, query: ListRuns) -> BoxStream<'_, Result<RunRow, LedgerError>> {
        let rows = match self.select(&query) {
            Ok(rows) => rows.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        stream::iter(rows).boxed()
    }

    async fn active(&self, namespace: &str) -> Result<Vec<RunRow>, LedgerError> {
        let rows = self.select(&ListRuns { namespace: namespace.to_owned(), ..ListRuns::default() })?;
        Ok(rows.into_iter().filter(|row| matches!(row.status.as_str(), "WAITING_ROOM" | "EXECUTING")).take(LONGEST_PAGE as usize).collect())
    }

    async fn find(&self, namespace: &str, run_id: &str) -> Result<Option<RunRow>, LedgerError> {
        let state = self.reachable()?;
        Ok(state.rows.get(run_id).map(|kept| &kept.row).filter(|row| self.is_in(row, namespace)).cloned())
    }

    async fn waiting_room(&self, namespace: &str, run_id: &str) -> Result<Option<WaitingRoom>, LedgerError> {
        let state = self.reachable()?;
        let visible = state.rows.get(run_id).is_some_and(|kept| self.is_in(&kept.row, namespace));
        Ok(state.rooms.get(run_id).filter(|_| visible).cloned())
    }

    async fn transitions(&self, namespace: &str, run_id: &str) -> Result<Vec<TransitionRow>, LedgerError> {
        let state = self.reachable()?;
        let run = state.rows.get(run_id).map(|kept| &kept.row).filter(|row| self.is_in(row, namespace));
        Ok(run.and_then(|row| state.transitions.get(row.uid.as_ref()?)).cloned().unwrap_or_default())
    }

    async fn history(&self, namespace: &str, plan_name: &str, limit: u32) -> Result<Vec<HistoryRow>, LedgerError> {
        let state = self.reachable()?;
        let of_plan = |row: &RunRow| self.is_in(row, namespace) && row.plan_name.as_deref() == Some(plan_name);
        let runs = state.rows.values().map(|kept| &kept.row).filter(|row| of_plan(row));
        let mut rows: Vec<HistoryRow> = runs.filter_map(|row| state.history.get(row.uid.as_ref()?)).cloned().collect();
        rows.sort_by_key(|row| Reverse((row.completed_at, row.run_id.clone())));
        rows.truncate(limit as usize);
        Ok(rows)
    }

    async fn stop(&self, namespace: &str, run_id: &str) -> Result<StopOutcome, LedgerError> {
        let mut state = self.reachable()?;
        let Some(kept) = state.rows.get_mut(run_id).filter(|kept| self.is_in(&kept.row, namespace)) else { return Ok(StopOutcome::NotFound) };
        if is_terminal(&kept.row.status) || kept.row.status == "STOPPING" {
            return Ok(StopOutcome::AlreadyStopped);
        }
        "STOPPING".clone_into(&mut kept.row.status);
        kept.stop_requested = true;
        Ok(StopOutcome::Stopping)
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        self.reachable().map(drop)
    }
}

/// A row as another program writes it: the columns of the earlier system and nothing of ours.
#[must_use]
pub fn foreign_row(run_id: &str, status: &str, submitted_at: Timestamp) -> RunRow {
    RunRow {
        run_id: run_id.to_owned(),
        task_id: None,
        plan_name: Some("imported".to_owned()),
        plan_key: None,
        run_label: None,
        sut_type: Some("mysql".to_owned()),
        scaling_mode: None,
        cluster_spec: None,
        cluster_settings: None,
        status: status.to_owned(),
        error_detail: None,
        submitted_at,
        started_at: None,
        completed_at: None,
        namespace: None,
        name: None,
        uid: None,
        phase: None,
        verdict: None,
        summary: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_600_000 + second).unwrap()
    }

    #[tokio::test]
    async fn rows_of_other_programs_are_listed_and_stopped_in_the_namespace_of_the_earlier_system() {
        let ledger = MemoryLedger::new("crucible");
        ledger.insert(foreign_row("imported_1", "EXECUTING", at(0)));
        ledger.insert(foreign_row("imported_2", "COMPLETED", at(1)));
        let ids = |rows: Vec<RunRow>| rows.into_iter().map(|row| row.run_id).collect::<Vec<_>>();
        assert_eq!(ids(ledger.active("crucible").await.unwrap()), ["imported_1"]);
        assert_eq!(ledger.active("shop").await.unwrap(), []);
        let query = |namespace: &str| ListRuns { namespace: namespace.to_owned(), ..ListRuns::default() };
        assert_eq!(ids(ledger.list(&query("crucible")).await.unwrap().runs), ["imported_2", "imported_1"]);
        assert_eq!(ledger.list(&query("shop")).await.unwrap().runs.len(), 0);
        assert_eq!(ledger.stop("shop", "imported_1").await.unwrap(), StopOutcome::NotFound);
        assert_eq!(ledger.stop("crucible", "imported_1").await.unwrap(), StopOutcome::Stopping);
        assert_eq!(ledger.stop("crucible", "imported_1").await.unwrap(), StopOutcome::AlreadyStopped);
    }

    #[tokio::test]
    async fn a_ledger_that_is_down_says_so() {
        let ledger = MemoryLedger::new("crucible");
        ledger.set_down(true);
        assert!(ledger.ping().await.unwrap_err().is_transient());
        assert!(ledger.stream(ListRuns::default()).next().await.unwrap().is_err());
    }
}
