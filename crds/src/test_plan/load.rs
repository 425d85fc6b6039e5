//! The load of a plan: how hard the system is driven, stage by stage, in rounds or in search of its limit.

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{duration::Duration, name::Label};

/// How hard the system is driven, for how long, from how many workers.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("has(self.model) && self.model == 'open' ? self.stages.all(s, has(s.rate) && !has(s.vus)) : self.stages.all(s, has(s.vus) && !has(s.rate))").message("stages have vus in the closed model and rate in the open one"),
    validation = Rule::new("has(self.maxVus) == (has(self.model) && self.model == 'open')").message("the open model needs maxVus, and only it"),
    validation = Rule::new("!has(self.arrivals) || (has(self.model) && self.model == 'open')").message("only the open model has arrivals"),
    validation = Rule::new("has(self.maxVus) ? self.maxVus >= self.workers : self.stages.exists(s, has(s.vus) && s.vus >= self.workers)").message("workers must not be more than the virtual users of the largest stage, or maxVus"),
    validation = Rule::new("has(self.findMax) || self.stages.exists(s, !has(s.measured) || s.measured)").message("at least one stage must be measured"),
    validation = Rule::new("!has(self.findMax) || (has(self.model) && self.model == 'open')").message("only the open model can search for the highest rate"),
    validation = Rule::new("!has(self.findMax) || self.stages.all(s, has(s.measured) && !s.measured)").message("the stages before a search are not measured"),
    validation = Rule::new("self.stages.all(s, self.stages.filter(t, t.name == s.name).size() == 1)").message("stage names must be unique"),
    validation = Rule::new("self.stages.all(s, duration(s.duration) >= duration('1s'))").message("every stage must last at least 1s"),
    validation = Rule::new("self.stages.map(s, duration(s.duration).getSeconds()).sum() * (has(self.repeat) ? self.repeat : 1) <= 86400").message("the stages must not last longer than 24h together, those of all rounds"),
    validation = Rule::new("self.stages.size() * (has(self.repeat) ? self.repeat : 1) <= 128").message("a load has at most 128 stages, those of all rounds together"),
    validation = Rule::new("!has(self.findMax) || !has(self.repeat) || self.repeat == 1").message("a search is not repeated: findMax goes without repeat"),
    validation = Rule::new("duration(self.queryTimeout) > duration('0s') && duration(self.queryTimeout) <= duration('1h')").message("queryTimeout must be above 0s and at most 1h")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Load {
    /// How many worker pods share the load. The shares are exact.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub workers: u32,
    /// `closed`: each virtual user sends its next query when the last one is answered, so that a slow system is asked less. `open`: queries arrive at the stages' `rate`, however slow the system is.
    #[serde(default)]
    pub model: LoadModel,
    /// How arrivals of the open model are spaced: `regular` (the default), or `poisson` as those of many independent clients are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<Arrivals>,
    /// Virtual users of the whole fleet in the open model, each with a connection of its own: the most queries that are under way at once. An arrival that finds none free waits its turn and counts as late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_vus: Option<u32>,
    /// The stages, one after another.
    #[schemars(length(min = 1, max = 32))]
    pub stages: Vec<Stage>,
    /// How often the stages are carried out, one round after another, by the same workers over the same connections: 1 to 20. The stages of a
    /// round are called `steady#1`, `steady#2` and so on; a limit that names a stage is about all rounds of it. Results tell the figures of each round
    /// and how much they differ, which is how much this system varies without being changed. With `compare.arms` it counts pairs of rounds, one of each arm;
    /// the pairs make whole blocks A B B A, so an odd number is rounded up to the next even one: 1 is 2 rounds of each arm, 3 is 4.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schemars(range(min = 1, max = 20))]
    pub repeat: u32,
    /// In the open model, searches for the highest rate that keeps every limit of `slos`: after the stages, which are its warm-up, the rate goes up in steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub find_max: Option<FindMax>,
    /// How long a query may take before it is cancelled and counted as a time-out.
    #[serde(default = "thirty_seconds")]
    pub query_timeout: Duration,
    /// What each worker pod asks for and may use.
    #[serde(default)]
    pub resources: WorkerResources,
}

/// The search for the highest rate that keeps every limit of `slos` about latency, errors or throughput.
///
/// Each step is a stage of its own, `step-1` and so on, with a rate that is the same factor above that of the step before. A step counts
/// where every limit holds of it, the rate was reached and response times did not go on growing. The first one that does not ends
/// the search, and the results say which check it was.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("double(self.from) < double(self.to)").message("a search goes up: from must be below to"),
    validation = Rule::new("duration(self.each) >= duration('6s') && duration(self.each) <= duration('1h')").message("each step must last from 6s to 1h")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FindMax {
    /// The rate of the first step, in arrivals per second.
    #[schemars(range(min = 0.01, max = 1_000_000.0))]
    pub from: f64,
    /// The rate of the last step.
    #[schemars(range(min = 0.01, max = 1_000_000.0))]
    pub to: f64,
    /// How many steps there are. The more there are, the closer the answer.
    #[serde(default = "ten")]
    #[schemars(range(min = 2, max = 64))]
    pub steps: u32,
    /// How long each step lasts.
    #[serde(default = "thirty_seconds")]
    pub each: Duration,
}

/// Whether the next query waits for the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LoadModel {
    /// Each virtual user sends its next query when the last one is answered.
    #[default]
    Closed,
    /// Queries arrive at a given rate. Their response time counts from the instant at which they were due, so that waiting for a slow system is part of it; limits are about response times.
    Open,
}

/// How arrivals are spaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Arrivals {
    /// Evenly.
    #[default]
    Regular,
    /// As those of many clients that do not know of each other. The same run always has the same arrivals.
    Poisson,
}

impl Arrivals {
    /// The name as it stands in a plan.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::Poisson => "poisson",
        }
    }
}

/// One stage of the load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stage {
    /// The stage's name in limits, results and the report.
    pub name: Label,
    /// How long the stage lasts, at least one second.
    pub duration: Duration,
    /// Virtual users of the whole fleet, in the closed model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub vus: Option<u32>,
    /// Arrivals per second at the whole fleet, in the open model; three decimals count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.01, max = 1_000_000.0))]
    pub rate: Option<f64>,
    /// Whether the number of virtual users, or the rate, goes evenly from that of the stage before (0 at first) to this stage's. Otherwise the stage has its own from its first moment.
    #[serde(default)]
    pub ramp: bool,
    /// Whether the stage counts in the headline, in limits without a stage and in the verdict. A warm-up does not.
    #[serde(default = "yes")]
    pub measured: bool,
}

/// Resources of one worker pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkerResources {
    /// Processor time, for example `500m` or `2`. Asked for, not limited: a throttled load generator measures itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^[0-9]+(\.[0-9]{1,3})?m?$"))]
    pub cpu: Option<String>,
    /// Memory, for example `256Mi`. Asked for and limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^[0-9]+(Ki|Mi|Gi)$"))]
    pub memory: Option<String>,
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn is_one(value: &u32) -> bool {
    *value == one()
}

fn ten() -> u32 {
    10
}

fn yes() -> bool {
    true
}

fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}
