//! What the results of a run say, once the workers' logs are merged.

use crucible_crds::test_run::EndedEarly;

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

/// What the verdict needs to know beyond the measurements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// How many workers the plan asks for.
    pub expected_workers: u32,
    /// Of how many workers results are merged.
    pub merged_workers: u32,
    /// The time between the first queries of the first and the last worker, in microseconds.
    pub start_skew_micros: Option<i64>,
    /// The largest share of its processors that any worker used, 0 to 1.
    pub worker_cpu_share: Option<f64>,
    /// Why the load ended before its time, where it did.
    pub ended_early: Option<EndedEarly>,
}
