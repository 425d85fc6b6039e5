//! TestPlan: what is tested, with which queries, how hard, and what counts as good. Reusable; validated on its own.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    duration::Duration,
    fault::Fault,
    fixture::FixtureUse,
    name::{DatabaseName, Endpoint, HttpUrl, Label, ObjectKey, ObjectName, ParameterName, QueryName, StorageLocation},
    observe::Observe,
};

mod compare;
mod limits;
mod load;

pub use compare::{Baseline, Compare, CompareMetric, Factor};
pub use limits::{AbortMetric, AbortRule, During, Metric, Slo, Validity};
pub use load::{Arrivals, FindMax, Load, LoadModel, Stage, WorkerResources};

/// A load test as intent: the system under test, the workload, the load and the limits that the results are judged by.
///
/// A run freezes its plan when it is admitted: editing or deleting the plan afterwards changes nothing for that run.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "crucible.dev",
    version = "v1alpha1",
    kind = "TestPlan",
    plural = "testplans",
    shortname = "tp",
    category = "crucible",
    namespaced,
    status = "TestPlanStatus",
    derive = "PartialEq",
    doc = "A load test as intent: the system under test, the workload, the load and the limits that the results are judged by.",
    crates(kube_core = "::kube_core"),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Accepted')].status",
        description = "Whether the plan can be run."
    ),
    printcolumn(name = "Engine", type_ = "string", json_path = ".spec.target.engine", description = "What kind of database is tested."),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".spec.target.endpoint", description = "Where the database answers."),
    printcolumn(name = "Queries", type_ = "integer", json_path = ".status.queries", description = "How many queries the workload has."),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Accepted')].message",
        priority = 1,
        description = "Why the plan was or was not accepted."
    )
)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("!has(self.faults) || self.faults.all(f, self.faults.filter(g, g.name == f.name).size() == 1)").message("fault names must be unique"),
    validation = Rule::new("!has(self.slos) || self.slos.all(s, !has(s.fault) || (has(self.faults) && self.faults.exists(f, f.name == s.fault)))").message("a limit's fault must be one of the plan's faults"),
    validation = Rule::new("!has(self.compare) || !has(self.compare.arms) || !has(self.load.findMax)").message("arms go without findMax: a search is not repeated"),
    validation = Rule::new("!has(self.compare) || !has(self.compare.arms) || !has(self.faults) || self.faults.size() == 0").message("arms go without faults: a fault would hit one of them alone"),
    validation = Rule::new("!has(self.compare) || !has(self.compare.arms) || !self.compare.arms.exists(a, has(a.endpoint) || has(a.database)) || !has(self.fixtures) || self.fixtures.size() == 0").message("fixtures are loaded into target alone: arms with another endpoint or database go without them"),
    validation = Rule::new("!has(self.compare) || !has(self.compare.arms) || !self.compare.arms.exists(a, has(a.endpoint) || has(a.database)) || !has(self.workload.invariants) || self.workload.invariants.size() == 0").message("invariants are asked of target alone: arms with another endpoint or database go without them"),
    validation = Rule::new("!has(self.compare) || !has(self.compare.arms) || self.load.stages.size() * (((has(self.load.repeat) ? self.load.repeat : 1) + 1) / 2 * 4) <= 128").message("a load has at most 128 stages, those of all rounds of both arms together"),
    validation = Rule::new("!has(self.compare) || !has(self.compare.arms) || self.load.stages.map(s, duration(s.duration).getSeconds()).sum() * (((has(self.load.repeat) ? self.load.repeat : 1) + 1) / 2 * 4) <= 86400").message("the stages must not last longer than 24h together, those of all rounds of both arms")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestPlanSpec {
    /// The system under test.
    pub target: Target,
    /// The queries and how they are mixed.
    pub workload: WorkloadSpec,
    /// How hard the system is driven, for how long, from how many workers.
    pub load: Load,
    /// Datasets that are in the system under test before the load begins. Each is loaded and proved, or found already there as it was loaded. This version loads into `mysql`, `postgres` and `trino`; a plan with another engine that names a dataset is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub fixtures: Vec<FixtureUse>,
    /// Limits on what is measured. A run whose every limit holds has passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub slos: Vec<Slo>,
    /// What a measurement has to show to be believed.
    #[serde(default)]
    pub validity: Validity,
    /// When to end the load early.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub abort: Vec<AbortRule>,
    /// What is broken while the load is on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub faults: Vec<Fault>,
    /// What is read about the system under test besides.
    #[serde(default, skip_serializing_if = "Observe::is_empty")]
    pub observe: Observe,
    /// What the results are compared with, an earlier run or each other's, and how much slower they may be. Without it nothing is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<Compare>,
    /// What is kept of a run.
    #[serde(default)]
    pub results: ResultsSpec,
    /// How long each phase of a run may take.
    #[serde(default)]
    pub deadlines: Deadlines,
}

/// The kind of database, which decides the wire protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The MySQL wire protocol: MySQL, MariaDB, and what speaks like them.
    Mysql,
    /// Apache Doris, over the MySQL wire protocol and by the same code as `mysql`. Doris itself is not part of our tests; MariaDB stands in for it.
    Doris,
    /// PostgreSQL and what speaks its wire protocol.
    Postgres,
    /// Trino, by its HTTP protocol.
    Trino,
    /// Apache Cassandra and what else speaks CQL.
    Cassandra,
}

impl Engine {
    /// Every engine.
    pub const ALL: [Self; 5] = [Self::Mysql, Self::Doris, Self::Postgres, Self::Trino, Self::Cassandra];

    /// The name as it stands in a plan.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Doris => "doris",
            Self::Postgres => "postgres",
            Self::Trino => "trino",
            Self::Cassandra => "cassandra",
        }
    }

    /// Where it answers when an endpoint has no port.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Mysql => 3306,
            Self::Doris => 9030,
            Self::Postgres => 5432,
            Self::Trino => 8080,
            Self::Cassandra => 9042,
        }
    }
}

/// The system under test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// The kind of database.
    pub engine: Engine,
    /// `host:port` where the database answers, as seen from the worker pods. Without a port it is the engine's own: 3306 for `mysql`, 9030 for `doris`, 5432 for `postgres`, 8080 for `trino`, 9042 for `cassandra`.
    pub endpoint: Endpoint,
    /// The database that the queries run in. For `trino` it is a catalog, or `catalog.schema`; for `cassandra` the keyspace.
    pub database: DatabaseName,
    /// The Secret with the keys `username` and `password`, in the plan's own namespace; and with `ca.crt`, certificates in PEM, where the system under test has a certificate of an authority of yours. With `trino` the password is sent over TLS only; without TLS the user name stands alone.
    pub credentials_ref: CredentialsRef,
    /// How connections are secured.
    #[serde(default)]
    pub tls: Tls,
    /// How a system under test that reads fixtures from the bucket itself reaches them. Only `trino` does, and mostly it needs none of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<TargetFiles>,
}

/// How Trino reaches the files of fixtures. Its own catalog holds the credentials of the object storage; Crucible gives it none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetFiles {
    /// The catalog and the schema, `catalog.schema`, in which a table over each fixture's files is made for as long as they are read. The catalog has to be one of the Hive connector. Without it they are made in the plan's own `database`, which is then such a catalog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseName>,
    /// Where that catalog finds the bucket of the fixtures, for example `s3://crucible`. Without it that is `s3://` and the name of the bucket as Crucible's operator knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<StorageLocation>,
}

/// A reference to the Secret that holds `username` and `password`. It is always in the plan's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialsRef {
    /// The name of the Secret.
    pub name: ObjectName,
}

/// How connections to the system under test are secured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// `verify` (the default) checks the certificate, against your own authorities where the Secret of `credentialsRef` holds them as `ca.crt`; `insecureSkipVerify` encrypts without checking, `disable` sends in the clear. The results say which was used.
    #[serde(default)]
    pub mode: TlsMode,
}

/// How far the certificate of the system under test is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TlsMode {
    /// Encrypted, certificate checked against the authorities of the worker's image, and those that the Secret of `credentialsRef` holds as `ca.crt`.
    #[default]
    Verify,
    /// Encrypted, certificate not checked.
    InsecureSkipVerify,
    /// Not encrypted.
    Disable,
}

/// The queries and how they are mixed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkloadSpec {
    /// Where the workload's text is.
    pub source: WorkloadSource,
    /// How often each query is chosen, relative to the others. Without it every query has the weight that its own `-- @weight:` line gives, or 1. With it, only the queries named here run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub mix: Vec<MixEntry>,
    /// Values for the `:name` placeholders of the queries, drawn anew for each execution.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub parameters: Vec<Parameter>,
    /// What the answer of a query has to look like. A wrong answer counts as an error of the class `wrongResult`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub checks: Vec<QueryCheck>,
    /// What must hold of the data after the load, once every fault is healed. An invariant that does not hold fails the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub invariants: Vec<Invariant>,
}

/// What must hold of the data: a query and the one value that it has to answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Invariant {
    /// The invariant's name in the verdict.
    pub name: Label,
    /// The query. Its answer has one row and one column.
    #[schemars(length(min = 1, max = 4096))]
    pub sql: String,
    /// What it has to answer, as a text.
    #[schemars(length(max = 256))]
    pub expect: String,
}

/// Where the workload's text is. Exactly one of the four.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("[has(self.inline), has(self.configMap), has(self.object), has(self.objects)].filter(x, x).size() == 1").message("exactly one of inline, configMap, object and objects must be set"),
    validation = Rule::new("!has(self.objects) || self.objects.all(o, self.objects.filter(p, p.key == o.key).size() == 1)").message("keys of objects must be unique")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkloadSource {
    /// The text itself: `-- @type: sql`, then blocks that begin with `-- @name: QueryName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 262_144))]
    pub inline: Option<String>,
    /// A ConfigMap in the plan's own namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapKey>,
    /// An object in the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectRef>,
    /// Several objects in the bucket. The queries of all of them run; no two may have a query of the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub objects: Option<Vec<ObjectRef>>,
}

/// A key of a ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigMapKey {
    /// The name of the ConfigMap.
    pub name: ObjectName,
    /// The key in it.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// An object in the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectRef {
    /// The object's key, for example `workloads/shop`.
    pub key: ObjectKey,
}

/// How often one query is chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MixEntry {
    /// The query's name in the workload.
    pub query: QueryName,
    /// Its share, relative to the other weights.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub weight: u32,
}

/// Values for one placeholder. Exactly one of `range` and `values`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("has(self.range) != has(self.values)").message("exactly one of range and values must be set"),
    validation = Rule::new("!has(self.range) || self.range[0] <= self.range[1]").message("the first number of range must not be larger than the second")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parameter {
    /// The name that queries use as `:name`.
    pub name: ParameterName,
    /// A whole number drawn evenly from `[first, last]`, both included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 2))]
    pub range: Option<Vec<i64>>,
    /// One of these texts, drawn evenly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), inner(length(max = 1024)))]
    pub values: Option<Vec<String>>,
}

/// What the answer of a query has to look like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueryCheck {
    /// The query's name in the workload.
    pub query: QueryName,
    /// How many rows the answer has to have.
    pub rows: RowsCheck,
}

/// Bounds on the number of rows; at least one of the two.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("has(self.min) || has(self.max)").message("at least one of min and max must be set"),
    validation = Rule::new("!has(self.min) || !has(self.max) || self.min <= self.max").message("min must not be larger than max")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RowsCheck {
    /// The fewest rows that are right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub min: Option<u64>,
    /// The most rows that are right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub max: Option<u64>,
}

/// What is kept of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResultsSpec {
    /// Whether each worker also writes every sample as k6's own CSV, `k6_raw_{segment}_{instance}.csv`. One k6 iteration then runs one query, which costs throughput. A worker has 8 GiB of scratch space and hands in at most 5 GiB.
    #[serde(default)]
    pub raw_samples: bool,
    /// Where k6 also sends its metrics while the load is on. One k6 iteration then runs one query, which costs throughput.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_write: Option<RemoteWrite>,
}

impl ResultsSpec {
    /// Whether k6's own metrics are wanted, for which one k6 iteration has to run one query.
    #[must_use]
    pub const fn wants_k6_metrics(&self) -> bool {
        self.raw_samples || self.remote_write.is_some()
    }
}

/// A receiver of Prometheus remote write. Every series has the labels `run_id`, `plan` and `segment`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemoteWrite {
    /// Its address as worker pods reach it, for example `http://prometheus.monitoring.svc:9090/api/v1/write`. No user, no password.
    pub url: HttpUrl,
}

/// How long each phase of a run may take before the run fails with a reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Deadlines {
    /// How long a run may wait for its system under test.
    pub queue: Duration,
    /// How long the fixtures may take to load.
    pub fixtures: Duration,
    /// How long the workers may take to be ready.
    pub barrier: Duration,
    /// How long queries in flight may go on after the end of the load or a stop, at most 8s of it; the rest is for handing in results.
    pub drain: Duration,
    /// How long results may take to be stored and merged.
    pub collect: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            queue: Duration::from_secs(3600),
            fixtures: Duration::from_secs(7200),
            barrier: Duration::from_secs(300),
            drain: Duration::from_secs(30),
            collect: Duration::from_secs(300),
        }
    }
}

/// What the operator found when it read the plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestPlanStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many queries of the workload would run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queries: Option<u32>,
    /// SHA-256 of the resolved plan, workload text included. Runs of the same digest ask for the same thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub digest: Option<String>,
    /// `Ready`, `Reconciling`, `Stalled` and `Accepted`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_of_the_schema_is_listed() {
        let schema = schemars::schema_for!(Engine);
        let described = schema.get("oneOf").and_then(|kinds| kinds.as_array()).unwrap();
        let in_schema: Vec<_> = described.iter().map(|kind| kind["const"].as_str().unwrap()).collect();
        assert_eq!(Engine::ALL.map(Engine::as_str).to_vec(), in_schema);
    }
}
