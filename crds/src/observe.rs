//! What is read from Prometheus for a run, beside what the load itself measures.

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    duration::Duration,
    name::{HttpUrl, OneLine},
};

/// What is read about the system under test over the time of the load, once that has ended.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("!has(self.prometheus) || self.prometheus.all(s, self.prometheus.filter(t, t.name == s.name).size() == 1)").message("names of Prometheus sources must be unique")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Observe {
    /// Prometheus servers, each with what it is asked. One that fails costs only its own metrics: `collection_error` in the results names it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub prometheus: Vec<PrometheusSource>,
}

impl Observe {
    /// Whether nothing is read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prometheus.is_empty()
    }
}

/// One Prometheus server and what it is asked. Only servers on the operator's own list are asked. Exactly one of `source` and `url`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("has(self.source) != has(self.url)").message("exactly one of source and url must be set"),
    validation = Rule::new("!has(self.resolution) || duration(self.resolution) >= duration('1s')").message("resolution must be at least 1s")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrometheusSource {
    /// What the results call it.
    pub name: OneLine,
    /// The server's name on the operator's list (the chart's `prometheus.sources`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<OneLine>,
    /// The server's address, for plans that know no names. It must be one of the addresses on the operator's list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<HttpUrl>,
    /// What it is asked.
    #[schemars(length(min = 1, max = 32))]
    pub metrics: Vec<PrometheusMetric>,
    /// The least time between two values, at least `1s`.
    #[serde(default = "fifteen_seconds")]
    pub resolution: Duration,
    /// The most values of one series: a long load is read in longer steps.
    #[serde(default = "five_hundred")]
    #[schemars(range(min = 1, max = 11_000))]
    pub max_points: u32,
}

/// One question to a Prometheus server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrometheusMetric {
    /// What the results call it.
    pub name: OneLine,
    /// The question, in `PromQL`. Where several series answer, the results hold each, named by its labels.
    #[schemars(length(min = 1, max = 4096))]
    pub query: String,
}

fn fifteen_seconds() -> Duration {
    Duration::from_secs(15)
}

fn five_hundred() -> u32 {
    500
}
