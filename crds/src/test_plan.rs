//! TestPlan: what is tested, with which queries, how hard, and what counts as good. Reusable; validated on its own.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    arms::Arm,
    duration::Duration,
    fault::Fault,
    fixture::FixtureUse,
    name::{DatabaseName, Endpoint, HttpUrl, Label, ObjectKey, ObjectName, OneLine, ParameterName, QueryName, StorageLocation},
    observe::Observe,
};

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
    /// The Secret with the keys `username` and `password`, in the plan's own namespace. With `trino` the password is sent over TLS only; without TLS the user name stands alone.
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
    /// `verify` (the default) checks the certificate, `insecureSkipVerify` encrypts without checking, `disable` sends in the clear. The results say which was used.
    #[serde(default)]
    pub mode: TlsMode,
}

/// How far the certificate of the system under test is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TlsMode {
    /// Encrypted, certificate checked against the system's authorities.
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
        }
    }
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

fn thirty() -> u32 {
    30
}

fn five_per_cent() -> f64 {
    0.05
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn is_false(value: &bool) -> bool {
    !*value
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
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
