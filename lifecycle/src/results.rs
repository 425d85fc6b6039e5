//! What the results of a run say, once the workers' logs are merged: numbers first, then the verdict on them, then the
//! files that are written from both.

mod chaos_events;
mod html;
mod json;
mod junit;
mod markdown;
mod merge;
pub mod observability;
mod resilience;
mod rounds;
#[cfg(test)]
pub(crate) mod sample;
mod samples;
mod series;
mod windows;

/// What reports are made of, for other pages that are to look like them.
pub mod pieces {
    pub use super::html::{
        STYLE, chart, markup,
        verdict::{check_table, class, in_words, mark, sentence},
    };
}

pub use chaos_events::{FaultRecord, chaos_events};
pub use merge::{MergeError, MergeProblem, Merger};
pub use resilience::{Baseline, Recovery, Resilience, resilience};
pub use rounds::{RoundRows, Spread, SpreadRow, spreads};
pub use samples::{ErrorSample, SampleGroup, add_up_reconnects, group_samples};
pub use series::{Series, SeriesError};
pub use windows::{Part, Window, WindowRow, windows};

use std::collections::BTreeMap;

use crucible_crds::{
    Verdict,
    name::{Label, QueryName},
    test_run::EndedEarly,
};
use jiff::Timestamp;

use crate::{
    class::Class,
    comparison::{Comparison, Trend},
    contract::{FrozenPlan, InvariantAnswer},
    histogram::{Histogram, arrivals::ArrivalCounts},
};
use observability::SourceReading;

/// Everything that was measured, merged over all workers.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// All queries over the measured stages.
    pub headline: Row,
    /// Each query over the measured stages, in the plan's order.
    pub queries: Vec<Row>,
    /// All queries in each stage, in the plan's order; those that are not measured too.
    pub stages: Vec<Row>,
    /// Each query in each stage, by query, then by stage.
    pub cells: Vec<Row>,
    /// The figures of each round of a load that is carried out several times; empty for any other.
    pub rounds: Vec<RoundRows>,
    /// All rounds of each of the plan's stages together, under the name that it has in the plan: all queries, then each one. Empty where there are no rounds.
    pub over_rounds: Vec<Row>,
    /// All queries in the time of each fault and of the recovery from it.
    pub windows: Vec<WindowRow>,
    /// What became of each stage's arrivals in the open model, in the plan's order; empty in the closed model.
    pub arrivals: Vec<ArrivalCounts>,
    /// How the latencies of each query's answers are spread, in the plan's order.
    pub spectra: Vec<Spectrum>,
    /// Second by second.
    pub timeline: Timeline,
    /// The latencies of each query over time.
    pub series: Series,
    /// What each worker's log held, by index.
    pub workers: Vec<WorkerRow>,
    /// In how many seconds a query of any worker ended.
    pub active_seconds: u64,
    /// Whether the load ended before the plan's last stage did.
    pub ended_early: bool,
}

/// One row of the results.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The query; nothing for all of them.
    pub query: Option<QueryName>,
    /// The stage; nothing for all measured ones.
    pub stage: Option<Label>,
    /// Whether the row counts in headline and verdict.
    pub measured: bool,
    /// How long the load of this row lasted, in seconds: as planned, or up to where it ended early.
    pub seconds: f64,
    /// Queries answered without error.
    pub ok: u64,
    /// Queries that ended in an error or a time-out, by class; only classes that occurred.
    pub errors: BTreeMap<Class, u64>,
    /// How long answered queries took; nothing where none was answered. In the open model the time begins when the arrival was due.
    pub latency: Option<Latency>,
    /// In the open model, how long the system under test took for answered queries, from when they were sent. Not of windows.
    pub service: Option<Latency>,
    /// How long failed queries took, by class; only classes that occurred.
    pub failed: BTreeMap<Class, Latency>,
    /// How long all queries took, however they ended; nothing where none ended.
    pub total: Option<Latency>,
}

impl Row {
    /// Queries that ended in an error or a time-out.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Queries that ended, however they did.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ok + self.failures()
    }

    /// Queries answered without error per second; 0 where the row's load never began.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        per(self.ok, self.seconds)
    }

    /// Failures as a share of all queries; 0 where there were none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share; counts stay exact up to 2^53")]
    pub fn error_rate(&self) -> f64 {
        per(self.failures(), self.ended() as f64)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate; counts stay exact up to 2^53")]
fn per(count: u64, of: f64) -> f64 {
    if of > 0.0 { count as f64 / of } else { 0.0 }
}

/// How long queries took, in microseconds. Percentiles are those of the union of all workers, to 3 digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// How many queries this is about; at least one.
    pub count: u64,
    /// The fastest.
    pub min: u64,
    /// The mean.
    pub mean: f64,
    /// What half of them did not exceed.
    pub p50: u64,
    /// What 90 % of them did not exceed.
    pub p90: u64,
    /// What 95 % of them did not exceed.
    pub p95: u64,
    /// What 99 % of them did not exceed.
    pub p99: u64,
    /// What 99.9 % of them did not exceed.
    pub p999: u64,
    /// The slowest.
    pub max: u64,
}

impl Latency {
    /// What a histogram says; nothing where it is empty.
    #[must_use]
    pub fn of(histogram: &Histogram) -> Option<Self> {
        Some(Self {
            count: Some(histogram.count()).filter(|count| *count > 0)?,
            min: histogram.min()?,
            mean: histogram.mean()?,
            p50: histogram.quantile(500)?,
            p90: histogram.quantile(900)?,
            p95: histogram.quantile(950)?,
            p99: histogram.quantile(990)?,
            p999: histogram.quantile(999)?,
            max: histogram.max()?,
        })
    }
}

/// The percentiles of a spectrum, in hundred thousandths: closer together the nearer they come to the slowest query.
const PERCENTILES: [u32; 19] =
    [1_000, 5_000, 10_000, 25_000, 50_000, 75_000, 90_000, 95_000, 97_500, 99_000, 99_500, 99_750, 99_900, 99_950, 99_975, 99_990, 99_995, 99_999, 100_000];

/// How the latencies of a query's answers are spread over the measured stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spectrum {
    /// The query; nothing for all of them.
    pub query: Option<QueryName>,
    /// Percentiles in hundred thousandths with their latencies in microseconds, as far as there are queries to tell them apart.
    pub points: Vec<(u32, u64)>,
    /// The same of how long the system under test took, in the open model.
    pub service: Vec<(u32, u64)>,
}

impl Spectrum {
    fn points_of(histogram: &Histogram) -> Vec<(u32, u64)> {
        let told_apart = |percentile: u32| percentile == 100_000 || u128::from(100_000 - percentile) * u128::from(histogram.count()) >= 100_000;
        PERCENTILES.into_iter().filter(|percentile| told_apart(*percentile)).filter_map(|at| Some((at, histogram.quantile_of(at, 100_000)?))).collect()
    }
}

/// The load over time, warm-up included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// How many seconds each point covers; 1 unless the load is so long that neighbouring seconds are merged.
    pub seconds_per_point: u64,
    /// The points without gaps, from the start to the last second in which a query ended or an arrival was due.
    pub points: Vec<Point>,
}

/// One point in time: the queries that ended then, all together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Point {
    /// Its first second, counted from the start of the load.
    pub second: u64,
    /// Queries answered without error.
    pub ok: u64,
    /// Queries that ended in an error or a time-out, by class; only classes that occurred.
    pub errors: BTreeMap<Class, u64>,
    /// How long answered queries took; nothing where none was answered.
    pub latency: Option<Latency>,
    /// How often a virtual user got a new connection after it had lost its own.
    pub reconnects: u64,
    /// What became of arrivals in the open model.
    pub arrivals: ArrivalCounts,
}

impl Timeline {
    /// Takes in how often virtual users got new connections, by second.
    pub fn add_reconnects(&mut self, seconds: &BTreeMap<u64, u64>) {
        for (second, count) in seconds {
            let index = usize::try_from(second / self.seconds_per_point.max(1)).unwrap_or(usize::MAX);
            if let Some(point) = self.points.get_mut(index) {
                point.reconnects = point.reconnects.saturating_add(*count);
            }
        }
    }
}

/// What the log of one worker held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerRow {
    /// Queries answered without error.
    pub ok: u64,
    /// Queries that ended in an error or a time-out.
    pub failures: u64,
    /// The last second in which one of its queries ended; nothing where none did.
    pub last_second: Option<u64>,
    /// In how many seconds a query of its ended.
    pub active_seconds: u64,
}

impl WorkerRow {
    /// Queries of its that ended, however they did.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ok + self.failures
    }
}

/// The measured stages of a run in one row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headline {
    /// Queries answered without error.
    pub ok: u64,
    /// Queries that ended in an error or a time-out.
    pub errors: u64,
    /// Queries answered without error per second of the measured stages.
    pub throughput: f64,
    /// Errors as a share of all queries; 0 where there were none.
    pub error_rate: f64,
    /// The 95th percentile of the answered queries' latency, in microseconds.
    pub p95_micros: Option<u64>,
}

impl Summary {
    /// What became of the arrivals of the measured stages; nothing in the closed model.
    #[must_use]
    pub fn measured_arrivals(&self) -> Option<ArrivalCounts> {
        let mut sum = ArrivalCounts::default();
        for (counts, _) in self.arrivals.iter().zip(&self.stages).filter(|(_, row)| row.measured) {
            sum.add(counts);
        }
        (!self.arrivals.is_empty()).then_some(sum)
    }
}

impl From<&Summary> for Headline {
    fn from(summary: &Summary) -> Self {
        let row = &summary.headline;
        Self {
            ok: row.ok,
            errors: row.failures(),
            throughput: row.throughput(),
            error_rate: row.error_rate(),
            p95_micros: row.latency.map(|latency| latency.p95),
        }
    }
}

/// What the verdict needs to know beyond the measurements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// How many workers the plan asks for.
    pub expected_workers: u32,
    /// Of how many workers results are merged.
    pub merged_workers: u32,
    /// The time between the first queries of the first and the last worker, in microseconds.
    pub start_skew_micros: Option<i64>,
    /// How many processors the busiest worker used: 1 is one of them all the time.
    pub worker_cpu_share: Option<f64>,
    /// The largest share of the load in which the kernel held any worker back.
    pub throttled_share: Option<f64>,
    /// The largest share of its processor time that any worker spent on collecting garbage.
    pub garbage_collection_share: Option<f64>,
    /// By how much the first query of the last worker was late against the agreed start, in microseconds.
    pub late_start_micros: Option<i64>,
    /// The largest difference between any worker's clock and the operator's, in milliseconds.
    pub clock_offset_millis: Option<i64>,
    /// The version that the system under test gave.
    pub server_version: Option<String>,
    /// When the system under test that answered after the load had been started; nothing where that is not known.
    pub server_started_at: Option<Timestamp>,
    /// When the load began.
    pub started_at: Option<Timestamp>,
    /// Why the load ended before its time, where it did.
    pub ended_early: Option<EndedEarly>,
    /// Workers that handed in results without the raw samples that the plan asks for.
    pub without_raw_samples: Vec<u32>,
    /// What became of each fault, in the plan's order.
    pub faults: Vec<FaultFact>,
    /// Whether each invariant holds, in the plan's order.
    pub invariants: Vec<InvariantFact>,
    /// What the tables of the plan's fixtures held when the load began, in the plan's order.
    pub fixtures: Vec<FixtureFact>,
}

/// What a table of a fixture held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixtureFact {
    /// The table.
    pub table: String,
    /// Its rows, where they are known.
    pub rows: Option<u64>,
    /// The checksum of what is in it; where there is none, the digest of the files that it was loaded from.
    pub content: String,
}

/// Whether an invariant holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvariantFact {
    /// Its name in the plan.
    pub name: String,
    /// What the plan expects.
    pub expected: String,
    /// What came of asking; nothing where no worker has told.
    pub answer: Option<InvariantAnswer>,
}

/// What became of a fault.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultFact {
    /// Its name in the plan.
    pub name: String,
    /// The kind of Chaos Mesh object that injected it.
    pub kind: String,
    /// Whether Chaos Mesh confirmed that every target was hit.
    pub confirmed: bool,
    /// How many targets there were.
    pub targets: u32,
    /// When the first target was hit, in seconds since the start of the load; nothing where none was.
    pub from: Option<f64>,
    /// When the last target was healed, in seconds since the start of the load.
    pub to: Option<f64>,
    /// What there is to say about it.
    pub message: Option<String>,
}

impl FaultFact {
    /// Its first second and the first one after it, counted from the start of the load; nothing where it was never on.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a load, at most a day and not below zero")]
    pub fn seconds(&self) -> Option<(u64, u64)> {
        let from = self.from?.max(0.0);
        Some((from.floor() as u64, self.to.map_or(from, |to| to.max(from)).ceil() as u64))
    }
}

/// Everything that the files of a run are written from.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The plan that was run.
    pub plan: &'a FrozenPlan,
    /// What was measured.
    pub summary: &'a Summary,
    /// What it means.
    pub verdict: &'a Verdict,
    /// What else is known.
    pub facts: &'a Facts,
    /// What errors looked like.
    pub samples: &'a [SampleGroup],
    /// What Prometheus servers said, one for each source of the plan.
    pub sources: &'a [SourceReading],
    /// How it compares with an earlier run, where the plan asks for that.
    pub comparison: Option<&'a Comparison>,
    /// Earlier runs of the plan, where the plan asks for a comparison.
    pub trend: Option<&'a Trend>,
    /// When the results were put together.
    pub collected_at: Timestamp,
}

impl Report<'_> {
    /// `results.json`: the shape that existing clients rely on, and our sections under the key `crucible`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json::results(self)
    }

    /// `report.html`: the whole answer as one page.
    #[must_use]
    pub fn to_html(&self) -> String {
        html::page(self)
    }

    /// `junit.xml`: one case for each check, for build servers.
    #[must_use]
    pub fn to_junit(&self) -> String {
        junit::suite(self)
    }

    /// `summary.md`: verdict and deciding checks first, then the numbers.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        markdown::summary(self)
    }
}
