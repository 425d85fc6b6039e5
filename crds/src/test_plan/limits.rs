//! The limits of a plan: what is good enough, what a measurement has to show to be believed, and when the load is not worth going on with.

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    duration::Duration,
    name::{Label, OneLine, QueryName},
};

/// What a limit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Metric {
    /// Half of the queries were faster; with `below`.
    P50,
    /// 90 % of the queries were faster; with `below`.
    P90,
    /// 95 % of the queries were faster; with `below`.
    P95,
    /// 99 % of the queries were faster; with `below`.
    P99,
    /// 99.9 % of the queries were faster; with `below`.
    P999,
    /// The slowest query; with `below`.
    Max,
    /// The mean of all queries; with `below`.
    Mean,
    /// The share of queries that ended in an error or a time-out, 0 to 1; with `atMost`.
    ErrorRate,
    /// Queries answered without error per second; with `atLeast`.
    Throughput,
    /// From the healing of a fault to the first 5 seconds in which throughput and p99 are back within a tenth of what they were before it; with `fault` and `below`.
    RecoveryTime,
    /// From the injection of a fault to the first query that failed; with `fault` and `below`.
    TimeToFirstError,
    /// The longest time without an answered query while a fault was on or the system recovered from it; with `fault` and `below`.
    LongestGap,
    /// Every value that Prometheus gives over the time of the load for one of the metrics of `observe`; with `source`, `series`, and `atMost` or `atLeast`.
    Promql,
}

impl Metric {
    /// The name as it stands in a plan.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::P999 => "p999",
            Self::Max => "max",
            Self::Mean => "mean",
            Self::ErrorRate => "errorRate",
            Self::Throughput => "throughput",
            Self::RecoveryTime => "recoveryTime",
            Self::TimeToFirstError => "timeToFirstError",
            Self::LongestGap => "longestGap",
            Self::Promql => "promql",
        }
    }
}

/// One limit on what is measured.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("has(self.below) == !(self.metric in ['errorRate', 'throughput', 'promql'])").message("times need below, and only they"),
    validation = Rule::new("self.metric == 'promql' || has(self.atMost) == (self.metric == 'errorRate')").message("errorRate needs atMost, and only it"),
    validation = Rule::new("self.metric == 'promql' || has(self.atLeast) == (self.metric == 'throughput')").message("throughput needs atLeast, and only it"),
    validation = Rule::new("self.metric != 'errorRate' || !has(self.atMost) || double(self.atMost) <= 1.0").message("an error rate is a share: atMost must be at most 1"),
    validation = Rule::new("self.metric != 'promql' || has(self.atMost) != has(self.atLeast)").message("promql needs one of atMost and atLeast"),
    validation = Rule::new("has(self.source) == (self.metric == 'promql') && has(self.series) == (self.metric == 'promql')").message("promql needs source and series, and only it"),
    validation = Rule::new("has(self.fault) == (has(self.during) || self.metric in ['recoveryTime', 'timeToFirstError', 'longestGap'])").message("during, recoveryTime, timeToFirstError and longestGap need fault, and only they"),
    validation = Rule::new("!has(self.during) || !(self.metric in ['recoveryTime', 'timeToFirstError', 'longestGap', 'promql'])").message("recoveryTime, timeToFirstError, longestGap and promql have no during"),
    validation = Rule::new("!(has(self.fault) || self.metric == 'promql') || (!has(self.query) && !has(self.stage))").message("a limit about a fault has neither query nor stage, and neither has promql")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slo {
    /// What the limit is about.
    pub metric: Metric,
    /// Only this query; without it, all queries together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<QueryName>,
    /// Only this stage, all rounds of it; without it, all measured stages together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Label>,
    /// Which fault the limit is about, for `recoveryTime`, `timeToFirstError`, `longestGap` and `during`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Label>,
    /// Only the time in which the fault was on, or in which the system recovered from it, all queries together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<During>,
    /// For `promql`: the name of one of `observe.prometheus`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<OneLine>,
    /// For `promql`: the name of one of the source's metrics, whose query is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<OneLine>,
    /// The time must be below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<Duration>,
    /// The error rate must be at most this share, 0 to 1; by `promql`, no value may be larger than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1e15))]
    pub at_most: Option<f64>,
    /// The throughput must be at least this many queries per second; by `promql`, no value may be smaller than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1e9))]
    pub at_least: Option<f64>,
}

/// Part of the time around a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum During {
    /// The fault is on: from the first target that was hit to the last one that was healed, as observed.
    Fault,
    /// The system recovers: from there to the next fault or the end of the load.
    Recovery,
}

/// What a measurement has to show to be believed. A run that does not show it is `Invalid`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Validity {
    /// The largest share of its processors that a worker may use, 0 to 1. Above it the load generator may be what was measured. Not checked when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_worker_cpu: Option<f64>,
    /// The largest share of the load in which the kernel may hold a worker back for having used up its limit of processor time, 0 to 1. Not checked when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_throttled: Option<f64>,
    /// The largest share of its processor time that a worker may spend on collecting garbage, 0 to 1. Not checked when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_garbage_collection: Option<f64>,
    /// The longest time by which the first query of any worker may be late against the start that was agreed on. Not checked when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_late_start: Option<Duration>,
    /// The largest difference between the clock of any worker's machine and the operator's. The load does not go by those clocks; instants in results do. Not checked when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_clock_offset: Option<Duration>,
    /// Whether everything that `observe` asks for must have been answered.
    #[serde(default, skip_serializing_if = "is_false")]
    pub complete_metrics: bool,
    /// Whether the system under test may have been started anew during the load without a fault of the plan that explains it: one that began before and ended at most a minute before.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_restarts: bool,
    /// The largest difference between the first queries of any two workers. Not checked when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_start_skew: Option<Duration>,
    /// The largest distance between what a worker sent and its fair share, as a part of that share. A worker far from it had less room than the others. Not checked when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.01, max = 10.0))]
    pub max_imbalance: Option<f64>,
    /// The largest share of the load's seconds in which no query of some worker ended although queries of others did. Queries that last for seconds need a larger one. Not checked when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_silence: Option<f64>,
    /// In the open model, the least share of the arrivals due in the measured stages that queries must have begun while these lasted, 0 to 1. Below it the rate that was asked for was not reached. 0.95 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_achieved_rate: Option<f64>,
    /// In the open model, the largest share of the arrivals due in the measured stages that may be dropped, 0 to 1: those that still waited for a virtual user when the load ended. 0.01 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_dropped: Option<f64>,
    /// In the open model, the largest share of the arrivals that may begin more than 10 ms late although a virtual user was free, 0 to 1. Above it the load generator was too busy. 0.01 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_behind: Option<f64>,
    /// The fewest queries that a check needs to be decided; below it the run is `Inconclusive`.
    #[serde(default = "thirty")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_queries: u32,
}

impl Default for Validity {
    fn default() -> Self {
        Self {
            max_worker_cpu: None,
            max_throttled: None,
            max_garbage_collection: None,
            max_late_start: None,
            max_clock_offset: None,
            complete_metrics: false,
            allow_restarts: false,
            max_start_skew: None,
            max_imbalance: None,
            max_silence: None,
            min_achieved_rate: None,
            max_dropped: None,
            max_behind: None,
            min_queries: thirty(),
        }
    }
}

/// A rule that ends the load early. It is judged on the whole fleet, never on one worker.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("self.metric == 'errorRate' ? has(self.above) && !has(self.slowerThan) : has(self.slowerThan) && !has(self.above)").message("errorRate needs above, a percentile needs slowerThan, and neither goes with the other's")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AbortRule {
    /// What the rule watches.
    pub metric: AbortMetric,
    /// The load ends when the error rate over the window is above this share, 0 to 1; with `errorRate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub above: Option<f64>,
    /// The load ends when the percentile was above this in every second of the window in which queries were answered; with `p50`, `p95` and `p99`. A system that
    /// answers nothing at all is ended by `errorRate`, once its queries time out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slower_than: Option<Duration>,
    /// The sliding window that the metric is taken over.
    #[serde(default = "ten_seconds")]
    pub over: Duration,
    /// The rule is not judged before this much of the load has passed.
    #[serde(default = "ten_seconds")]
    pub after: Duration,
}

/// What an abort rule watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AbortMetric {
    /// The share of queries that ended in an error or a time-out; with `above`.
    ErrorRate,
    /// Half of the queries of a second were faster; with `slowerThan`.
    P50,
    /// 95 % of the queries of a second were faster; with `slowerThan`.
    P95,
    /// 99 % of the queries of a second were faster; with `slowerThan`.
    P99,
}

fn thirty() -> u32 {
    30
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn is_false(value: &bool) -> bool {
    !*value
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}
