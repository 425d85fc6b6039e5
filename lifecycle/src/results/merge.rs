//! Merges the workers' histogram logs line by line: exact, and in memory that depends neither on the length of the
//! load nor on the order in which workers are read.
//!
//! One second is open at a time. The merger says whose next line it wants; a line of a later second waits until every
//! worker is past the open one.

mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Latency, Point, Series, Summary, Timeline, Window, WorkerRow, series::OpenSlot};
use crate::{
    class::Class,
    contract::FrozenPlan,
    histogram::{
        Counts, Histogram, WireError,
        arrivals::{ArrivalCounts, Arrivals},
        log::{LineError, Record},
    },
    load::is_open,
};
use rows::{Rows, window_row};

/// The most points of a timeline. A longer load has points of several seconds.
const MOST_POINTS: u64 = 7200;
/// How much later than planned a query may end: clocks differ, and a machine may stall.
const GRACE_SECONDS: u64 = 60;

/// Why a line cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to merge line {line} of worker {worker}")]
pub struct MergeError {
    /// Whose line it is.
    pub worker: u32,
    /// Which line it is, from 1, comments included.
    pub line: u64,
    /// What is wrong with it.
    #[source]
    pub problem: MergeProblem,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeProblem {
    /// It is no line of an interval log.
    #[error("the line {0}")]
    Line(LineError),
    /// Its histogram cannot be read.
    #[error("the histogram {0}")]
    Histogram(WireError),
    /// It is about an earlier second than the line before.
    #[error("second {second} comes after second {after}")]
    BackInTime {
        /// The line's second.
        second: u64,
        /// The second of the line before.
        after: u64,
    },
    /// It is about a time when no query of the plan can have run any more.
    #[error("second {0} is beyond the end of the plan")]
    BeyondTheEnd(u64),
    /// The plan has no such query.
    #[error("the plan has no query {0:?}")]
    UnknownQuery(String),
    /// The plan has no such stage.
    #[error("the plan has no stage {0:?}")]
    UnknownStage(String),
    /// It was not this worker's turn, or there is no such worker.
    #[error("no line of this worker is wanted now")]
    NotWanted,
}

/// Where a count belongs: query and stage by their positions in the plan.
type Cell = (usize, usize, Class);

/// A line that waits for its second.
#[derive(Debug)]
struct Waiting {
    second: u64,
    content: Content,
}

/// What a line says.
#[derive(Debug)]
enum Content {
    /// How long queries took.
    Times(Cell, Counts),
    /// How long the system under test took for them, in the open model.
    Services(Cell, Counts),
    /// What became of a stage's arrivals.
    Arrivals(usize, ArrivalCounts),
}

/// One worker's log while it is read.
#[derive(Debug, Default)]
struct Log {
    lines: u64,
    reached: Option<u64>,
    waiting: Option<Waiting>,
    row: WorkerRow,
}

/// Merges the logs of a run.
#[derive(Debug)]
pub struct Merger<'a> {
    plan: &'a FrozenPlan,
    queries: HashMap<&'a str, usize>,
    stages: HashMap<&'a str, usize>,
    last_possible: u64,
    logs: Vec<Log>,
    hungry: BTreeSet<u32>,
    waiting: BTreeSet<(u64, u32)>,
    cells: BTreeMap<Cell, Histogram>,
    services: BTreeMap<Cell, Histogram>,
    arrivals: Vec<ArrivalCounts>,
    windows: Vec<(Window, BTreeMap<Class, Histogram>)>,
    open: OpenPoint,
    timeline: Timeline,
    slot: OpenSlot,
    series: Series,
    active_seconds: u64,
    last_active: Option<u64>,
}

/// The point of the timeline that can still change.
#[derive(Debug, Default)]
struct OpenPoint {
    point: Point,
    ok: Histogram,
    used: bool,
}

impl<'a> Merger<'a> {
    /// A merger for the logs of `workers` workers.
    #[must_use]
    pub fn new(plan: &'a FrozenPlan, workers: u32) -> Self {
        let planned: u128 = stage_ends(plan).last().copied().unwrap_or(0);
        let after = u128::from(GRACE_SECONDS) * NANOS + plan.spec.deadlines.drain.span().as_nanos();
        let last_possible = u64::try_from((planned + after).div_ceil(NANOS)).unwrap_or(u64::MAX);
        Self {
            plan,
            queries: plan.queries.iter().enumerate().map(|(index, query)| (&*query.name.0, index)).collect(),
            stages: plan.spec.load.stages.iter().enumerate().map(|(index, stage)| (&*stage.name.0, index)).collect(),
            last_possible,
            logs: (0..workers).map(|_| Log::default()).collect(),
            hungry: (0..workers).collect(),
            waiting: BTreeSet::new(),
            cells: BTreeMap::new(),
            services: BTreeMap::new(),
            arrivals: if is_open(&plan.spec.load) { vec![ArrivalCounts::default(); plan.spec.load.stages.len()] } else { Vec::new() },
            windows: Vec::new(),
            open: OpenPoint::default(),
            timeline: Timeline { seconds_per_point: (last_possible + 1).div_ceil(MOST_POINTS).max(1), points: Vec::new() },
            slot: OpenSlot::default(),
            active_seconds: 0,
            last_active: None,
            series: Series {
                seconds_per_slot: Series::slot(u64::try_from(planned.div_ceil(NANOS)).unwrap_or(u64::MAX), plan.queries.len()),
                records: Vec::new(),
            },
        }
    }

    /// Counts what falls into these windows by itself, too.
    #[must_use]
    pub fn with_windows(self, windows: Vec<Window>) -> Self {
        Self { windows: windows.into_iter().map(|window| (window, BTreeMap::new())).collect(), ..self }
    }

    /// The worker whose next line is wanted; nothing once every log has ended.
    #[must_use]
    pub fn wants(&self) -> Option<u32> {
        self.hungry.first().copied()
    }

    /// Takes the next line of a worker's log. Comments and empty lines count as lines and change nothing.
    ///
    /// # Errors
    /// Where the line cannot be merged. The merger is as it was before, but for the count of lines.
    pub fn push(&mut self, worker: u32, line: &str) -> Result<(), MergeError> {
        let Some(log) = self.logs.get_mut(worker as usize).filter(|_| self.hungry.contains(&worker)) else {
            let line = self.logs.get(worker as usize).map_or(0, |log| log.lines);
            return Err(MergeError { worker, line, problem: MergeProblem::NotWanted });
        };
        log.lines += 1;
        let number = log.lines;
        let read = self.read(worker, line).map_err(|problem| MergeError { worker, line: number, problem })?;
        if let Some((log, waiting)) = self.logs.get_mut(worker as usize).zip(read) {
            self.hungry.remove(&worker);
            self.waiting.insert((waiting.second, worker));
            log.waiting = Some(waiting);
            self.advance();
        }
        Ok(())
    }

    /// Says that a worker's log has no further line.
    pub fn end(&mut self, worker: u32) {
        if self.hungry.remove(&worker) {
            self.advance();
        }
    }

    /// What was measured. `ended_early` tells that the load did not last as long as planned: it then counts up to the
    /// last second in which a query ended. Logs that were not ended are taken as they are.
    #[must_use]
    pub fn finish(mut self, ended_early: bool) -> Summary {
        self.hungry.clear();
        while !self.waiting.is_empty() {
            self.absorb();
        }
        self.close_point();
        self.slot.close(&mut self.series, &names(self.plan));
        let ended = self.logs.iter().filter_map(|log| log.row.last_second).max().map_or(0, |second| second + 1);
        let seconds = stage_seconds(self.plan, ended_early.then_some(ended));
        let rows = Rows { plan: self.plan, cells: &self.cells, services: &self.services, seconds: &seconds };
        let measured: Vec<usize> = (0..self.plan.spec.load.stages.len()).filter(|stage| self.plan.spec.load.stages[*stage].measured).collect();
        let queries: Vec<usize> = (0..self.plan.queries.len()).collect();
        Summary {
            headline: rows.row(None, None, &queries, &measured),
            queries: queries.iter().map(|query| rows.row(Some(*query), None, &[*query], &measured)).collect(),
            stages: (0..seconds.len()).map(|stage| rows.row(None, Some(stage), &queries, &[stage])).collect(),
            cells: queries
                .iter()
                .flat_map(|query| (0..seconds.len()).map(|stage| (*query, stage)))
                .map(|(query, stage)| rows.row(Some(query), Some(stage), &[query], &[stage]))
                .collect(),
            rounds: rows.rounds(&queries),
            over_rounds: rows.over_rounds(&queries),
            windows: self.windows.into_iter().map(|(window, by_class)| window_row(window, by_class, ended)).collect(),
            arrivals: self.arrivals,
            spectra: queries.iter().map(|query| rows.spectrum(Some(*query), &[*query], &measured)).collect(),
            timeline: self.timeline,
            series: self.series,
            workers: self.logs.into_iter().map(|log| log.row).collect(),
            active_seconds: self.active_seconds,
            ended_early,
        }
    }

    fn read(&self, worker: u32, line: &str) -> Result<Option<Waiting>, MergeProblem> {
        if let Some(Arrivals { second, stage, counts }) = Arrivals::parse(line).map_err(MergeProblem::Line)? {
            let stage = self.stage(&stage)?;
            self.in_time(worker, second)?;
            return Ok(Some(Waiting { second, content: Content::Arrivals(stage, counts) }));
        }
        let Some(Record { query, stage, class, service, second, max_micros: _, histogram }) = Record::parse(line).map_err(MergeProblem::Line)? else {
            return Ok(None);
        };
        let query = *self.queries.get(query.as_str()).ok_or_else(|| MergeProblem::UnknownQuery(bounded(&query)))?;
        let cell = (query, self.stage(&stage)?, class);
        self.in_time(worker, second)?;
        let counts = Counts::decode(&histogram).map_err(MergeProblem::Histogram)?;
        let content = if service { Content::Services(cell, counts) } else { Content::Times(cell, counts) };
        Ok(Some(Waiting { second, content }))
    }

    fn stage(&self, name: &str) -> Result<usize, MergeProblem> {
        self.stages.get(name).copied().ok_or_else(|| MergeProblem::UnknownStage(bounded(name)))
    }

    /// That a second is one in which something can have happened, and not before what the worker's log has told.
    fn in_time(&self, worker: u32, second: u64) -> Result<(), MergeProblem> {
        if second > self.last_possible {
            return Err(MergeProblem::BeyondTheEnd(second));
        }
        let after = self.logs.get(worker as usize).and_then(|log| log.reached);
        match after.filter(|after| second < *after) {
            Some(after) => Err(MergeProblem::BackInTime { second, after }),
            None => Ok(()),
        }
    }

    /// Takes in the earliest lines once every worker has shown its next one.
    fn advance(&mut self) {
        while self.hungry.is_empty() && !self.waiting.is_empty() {
            self.absorb();
        }
    }

    /// Takes in one line of the earliest second, and wants the next of its worker.
    fn absorb(&mut self) {
        let Some((second, worker)) = self.waiting.pop_first() else { return };
        let Some(log) = self.logs.get_mut(worker as usize) else { return };
        let Some(Waiting { second: _, content }) = log.waiting.take() else { return };
        log.reached = Some(second);
        self.hungry.insert(worker);
        match content {
            Content::Times(cell, counts) => self.absorb_times(second, worker, cell, &counts),
            Content::Services(cell, counts) => self.services.entry(cell).or_default().add_counts(&counts),
            Content::Arrivals(stage, counts) => {
                self.open_point(second);
                self.open.point.arrivals.add(&counts);
                if let Some(sum) = self.arrivals.get_mut(stage) {
                    sum.add(&counts);
                }
            }
        }
    }

    /// Opens the point of the timeline that a second belongs to; the one before is written down first.
    fn open_point(&mut self, second: u64) {
        let start = second - second % self.timeline.seconds_per_point;
        if self.open.used && self.open.point.second != start {
            self.close_point();
        }
        self.open.used = true;
        self.open.point.second = start;
    }

    fn absorb_times(&mut self, second: u64, worker: u32, cell: Cell, counts: &Counts) {
        let Some(log) = self.logs.get_mut(worker as usize) else { return };
        let (_, _, class) = cell;
        let count = counts.total();
        log.row.active_seconds += u64::from(log.row.last_second != Some(second));
        log.row.last_second = Some(second);
        self.active_seconds += u64::from(self.last_active != Some(second));
        self.last_active = Some(second);
        *if class == Class::Ok { &mut log.row.ok } else { &mut log.row.failures } += count;

        self.open_point(second);
        if class == Class::Ok {
            self.open.point.ok += count;
            self.open.ok.add_counts(counts);
            self.slot.count(second, (cell.0, cell.1), counts, &mut self.series, &names(self.plan));
        } else if count > 0 {
            *self.open.point.errors.entry(class).or_default() += count;
        }
        for (_, by_class) in self.windows.iter_mut().filter(|(window, _)| (window.from..window.to).contains(&second)) {
            by_class.entry(class).or_default().add_counts(counts);
        }
        self.cells.entry(cell).or_default().add_counts(counts);
    }

    /// Writes the open point down, after empty ones for the time in which no query ended.
    fn close_point(&mut self) {
        if !std::mem::take(&mut self.open.used) {
            return;
        }
        let width = self.timeline.seconds_per_point;
        let mut point = std::mem::take(&mut self.open.point);
        point.latency = Latency::of(&self.open.ok);
        self.open.ok.clear();
        let next = self.timeline.points.last().map_or(0, |last| last.second + width);
        let gap = (next..point.second).step_by(usize::try_from(width).unwrap_or(usize::MAX));
        self.timeline.points.extend(gap.map(|second| Point { second, ..Point::default() }));
        self.timeline.points.push(point);
    }
}

const NANOS: u128 = 1_000_000_000;

/// The names of a query and a stage by their positions in the plan.
fn names(plan: &FrozenPlan) -> impl Fn(usize, usize) -> (String, String) {
    |query, stage| {
        let query = plan.queries.get(query).map(|query| query.name.to_string());
        let stage = plan.spec.load.stages.get(stage).map(|stage| stage.name.to_string());
        (query.unwrap_or_default(), stage.unwrap_or_default())
    }
}

/// When each stage ends, in nanoseconds since the start.
fn stage_ends(plan: &FrozenPlan) -> Vec<u128> {
    plan.spec
        .load
        .stages
        .iter()
        .scan(0, |end, stage| {
            *end += stage.duration.span().as_nanos();
            Some(*end)
        })
        .collect()
}

/// How long each stage lasted, in seconds; `ended` is the second at which an early end cut them off.
#[expect(clippy::cast_precision_loss, reason = "at most a day in nanoseconds, less than 2^53")]
fn stage_seconds(plan: &FrozenPlan, ended: Option<u64>) -> Vec<f64> {
    let mut start = 0;
    stage_ends(plan)
        .into_iter()
        .map(|end| {
            let real_end = ended.map_or(end, |ended| end.min(u128::from(ended) * NANOS));
            let nanos = real_end.saturating_sub(start);
            start = end;
            nanos as f64 / 1e9
        })
        .collect()
}

fn bounded(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
