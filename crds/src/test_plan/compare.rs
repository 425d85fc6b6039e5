//! The comparison of a plan: whose figures the results are held against, and how much slower they may be.

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{arms::Arm, name::ObjectName};

/// What the results are compared with, and how much slower they may be: with those of an earlier run or, where there are `arms`, with each other.
///
/// Only runs that were asked for the same thing are compared: what differs besides the version of the system under test is
/// named, and unless `mayDiffer` allows it nothing is compared.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("!has(self.arms) || self.arms[0].name != self.arms[1].name").message("the two arms must have different names"),
    validation = Rule::new("!has(self.arms) || !has(self.baseline)").message("arms are compared with each other: they go without baseline"),
    validation = Rule::new("!has(self.arms) || !has(self.mayDiffer) || self.mayDiffer.size() == 0").message("arms are compared with each other: they go without mayDiffer")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Compare {
    /// Two variants that the run itself compares, A and B in this order: its stages are carried out against each in turn, A B B A and so on as `load.repeat` says, so that
    /// what changes over time changes both. Each virtual user has a connection to both before the start. Stages that are not measured are there in every round: a first one
    /// lets the system settle after each switch. The second arm may be slower than the first by `maxSlowdown`. Limits and the headline are about both together. No earlier
    /// run is looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 2))]
    pub arms: Option<Vec<Arm>>,
    /// The earlier run. Without it, it is the newest run of this plan that has passed; the first run of a plan then has nothing to be compared with, which is no failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// The percentile of the latency that decides. The others are compared and shown.
    #[serde(default)]
    pub metric: CompareMetric,
    /// The largest slowdown that is allowed, as a share: 0.05 is 5 %. A run of which it cannot be said whether it is within is `Inconclusive`: measure longer, or allow more.
    #[serde(default = "five_per_cent")]
    #[schemars(range(min = 0.01, max = 10.0))]
    pub max_slowdown: f64,
    /// What may differ between the two runs, besides the version of the system under test: what is being tried out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub may_differ: Vec<Factor>,
}

/// An earlier run of the same namespace whose results are valid. Exactly one of the two.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("has(self.run) != has(self.label)").message("exactly one of run and label must be set")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Baseline {
    /// The run of this name. Its results are enough: the TestRun itself may have been deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<ObjectName>,
    /// The newest earlier run with this label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[^\x00-\x1f\x7f]+$"))]
    pub label: Option<String>,
}

/// The percentile of the latency that decides whether a run is slower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CompareMetric {
    /// The median.
    P50,
    /// The 95th percentile.
    #[default]
    P95,
    /// The 99th percentile. It needs the most queries: 2,000 of each.
    P99,
}

/// What two runs may differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Factor {
    /// The text, weight or parameters of the queries. Queries of the same name are compared.
    Queries,
    /// The kind of database.
    Engine,
    /// Host and port.
    Endpoint,
    /// The database within the system under test.
    Database,
    /// How connections are secured.
    Tls,
    /// What each worker pod asks for.
    Resources,
    /// Whether k6's own metrics were wanted, as raw samples or by remote write.
    Sampling,
    /// What was broken while the load was on, and when.
    Faults,
    /// What the tables of the fixtures held when the load began.
    Fixtures,
}

impl Factor {
    /// The name as it stands in a plan.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queries => "queries",
            Self::Engine => "engine",
            Self::Endpoint => "endpoint",
            Self::Database => "database",
            Self::Tls => "tls",
            Self::Resources => "resources",
            Self::Sampling => "sampling",
            Self::Faults => "faults",
            Self::Fixtures => "fixtures",
        }
    }
}

fn five_per_cent() -> f64 {
    0.05
}
