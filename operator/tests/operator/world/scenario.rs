//! The stories that are played: objects that users apply, what workers do, what happens when.

use crucible_crds::Phase;

use super::worker::Habits;

/// When something happens.
#[derive(Clone, Debug)]
pub enum When {
    /// So many seconds after the beginning.
    At(f64),
    /// When a run's load has been on for so many seconds.
    Loading { run: &'static str, seconds: f64 },
    /// When a run's loader has been filling its tables for so many seconds.
    Filling { run: &'static str, seconds: f64 },
    /// When a run is in a phase.
    Is(&'static str, Phase),
}

/// What happens.
#[derive(Clone, Debug)]
pub enum Act {
    /// A user creates a run.
    Create(&'static str),
    /// A user stops a run.
    Stop(&'static str),
    /// A user deletes a run.
    Delete(&'static str),
    /// A worker's process is killed.
    Kill(&'static str, u32),
    /// A loader's process is killed.
    KillLoader(&'static str),
    /// An object of the bucket gets another content.
    Rewrite(&'static str),
    /// Object storage goes away, or comes back.
    VaultDown(bool),
    /// The API server goes away, or comes back.
    ApiDown(bool),
    /// The ledger goes away, or comes back.
    LedgerDown(bool),
    /// The ledger loses every row without a word.
    LedgerWiped,
}

/// One story.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub objects: Vec<(&'static str, &'static str)>,
    pub habits: Habits,
    pub script: Vec<(When, Act)>,
    /// Whether there is a ledger.
    pub ledger: bool,
    /// What lies in the bucket from the beginning.
    pub stored: Vec<(&'static str, &'static str)>,
}

/// A plan that looks up one row, with the rest of its spec.
macro_rules! checkout_plan {
    ($rest:literal) => {
        concat!(
            "
apiVersion: crucible.dev/v1alpha1
kind: TestPlan
metadata: {name: checkout}
spec:
  target: {engine: mysql, endpoint: 'mariadb.sut.svc:3306', database: shop, credentialsRef: {name: shop-login}}
  workload:
    source:
      inline: |
        -- @type: sql
        -- @name: PointLookup
        SELECT 1;
",
            $rest
        )
    };
}
pub(crate) use checkout_plan;

pub const SECRET: &str = "
apiVersion: v1
kind: Secret
metadata: {name: shop-login}
stringData: {username: loader, password: hunter2}
";

pub const PLAN: &str = checkout_plan!(
    "  load:
    workers: 2
    stages:
      - {name: warmup, duration: 2s, vus: 4, measured: false}
      - {name: steady, duration: 4s, vus: 8}
  slos: [{metric: p95, below: 200ms}]
  abort: [{metric: errorRate, above: 0.5, over: 2s, after: 2s}]
"
);

pub const PLAN_WITH_FAULTS: &str = checkout_plan!(
    "    invariants: [{name: nothing-lost, sql: SELECT COUNT(*) FROM customers, expect: '100000'}]
  load:
    workers: 2
    stages:
      - {name: warmup, duration: 2s, vus: 4, measured: false}
      - {name: steady, duration: 8s, vus: 8}
  faults:
    - name: cut
      start: {stage: warmup, after: 500ms}
      duration: 8s
      target: {mode: all, pods: {namespaces: [sut], labelSelectors: {app: db}}}
      chaos: {networkChaos: {action: partition, direction: both, peer: {workers: true}}}
    - name: kill
      start: {stage: warmup, after: 600ms}
      duration: 3s
      target: {mode: one, pods: {namespaces: [sut], labelSelectors: {app: db}}}
      chaos: {podChaos: {action: pod-kill}}
"
);

pub const PLAN_WITH_FIXTURES: &str = checkout_plan!(
    "  load:
    workers: 2
    stages:
      - {name: warmup, duration: 2s, vus: 4, measured: false}
      - {name: steady, duration: 4s, vus: 8}
  fixtures:
    - {ref: shop-orders, table: orders}
    - {ref: Shop_items, table: items}
"
);

pub const SUT_NAMESPACE: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: sut, labels: {crucible.dev/chaos: allowed}}
";

pub const SUT_POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: db-0, namespace: sut, labels: {app: db}}
status: {phase: Running, podIP: 10.9.0.1}
";

pub const PLAN_WITHOUT_QUERY: &str = "
apiVersion: crucible.dev/v1alpha1
kind: TestPlan
metadata: {name: checkout}
spec:
  target: {engine: mysql, endpoint: 'mariadb.sut.svc:3306', database: shop, credentialsRef: {name: shop-login}}
  workload:
    source: {inline: '-- @type: sql'}
  load: {workers: 2, stages: [{name: steady, duration: 4s, vus: 8}]}
";

/// Everything that the runs of existing clients need: several objects, raw samples, Prometheus, an id and a cluster of their own.
pub const PLAN_OF_A_CLIENT: &str = "
apiVersion: crucible.dev/v1alpha1
kind: TestPlan
metadata: {name: checkout}
spec:
  target: {engine: mysql, endpoint: 'mariadb.sut.svc:3306', database: shop, credentialsRef: {name: shop-login}}
  workload: {source: {objects: [{key: workloads/lookup}, {key: workloads/old}]}}
  load:
    workers: 2
    stages: [{name: steady, duration: 4s, vus: 8}]
  observe:
    prometheus:
      - {name: engine, url: 'http://prometheus.monitoring.svc:9090/', metrics: [{name: qps, query: up}, {name: wrong, query: nonsense(}], resolution: 1s, maxPoints: 3}
      - {name: late, source: stuck, metrics: [{name: one, query: up}, {name: two, query: up}]}
      - {name: elsewhere, url: 'http://169.254.169.254', metrics: [{name: key, query: up}]}
  results: {rawSamples: true, remoteWrite: {url: 'http://prometheus.monitoring.svc:9090/api/v1/write'}}
";

pub const RUN_OF_A_CLIENT: &str = "
apiVersion: crucible.dev/v1alpha1
kind: TestRun
metadata: {name: run-a}
spec:
  planRef: {name: checkout}
  runId: My.Plan_20260105-0800_0a1b2c3d
  clusterSpec: {type: mysql, backend_node: {replica: 2}}
  clusterSettings: max_connections=500
";

pub const RUN_A: &str = "
apiVersion: crucible.dev/v1alpha1
kind: TestRun
metadata: {name: run-a}
spec: {planRef: {name: checkout}, stop: false}
";

pub const RUN_B: &str = "
apiVersion: crucible.dev/v1alpha1
kind: TestRun
metadata: {name: run-b}
spec: {planRef: {name: checkout}, stop: false}
";

impl Scenario {
    /// One run of a good plan, with nothing else happening.
    pub fn happy() -> Self {
        Self {
            objects: vec![("secrets", SECRET), ("testplans", PLAN), ("testruns", RUN_A)],
            habits: Habits::default(),
            script: Vec::new(),
            ledger: false,
            stored: Vec::new(),
        }
    }

    /// One run of a good plan beside a ledger, with something happening.
    pub fn mirrored(script: &[(When, Act)]) -> Self {
        Self { ledger: true, ..Self::with(script) }
    }

    /// One run of a plan with a partition and a killed pod, with something else happening.
    pub fn faults(script: &[(When, Act)]) -> Self {
        let objects = vec![("namespaces", SUT_NAMESPACE), ("pods", SUT_POD), ("secrets", SECRET), ("testplans", PLAN_WITH_FAULTS), ("testruns", RUN_A)];
        Self { objects, script: script.to_vec(), ..Self::happy() }
    }

    /// One run of a plan with two datasets, with something else happening.
    pub fn fixtures(script: &[(When, Act)]) -> Self {
        let objects = vec![("secrets", SECRET), ("testplans", PLAN_WITH_FIXTURES), ("testruns", RUN_A)];
        let stored =
            vec![("fixtures/shop-orders/part-0.parquet", "rows"), ("fixtures/Shop_items/a.csv.gz", "rows"), ("fixtures/Shop_items/b.csv", "more rows")];
        Self { objects, stored, script: script.to_vec(), ..Self::happy() }
    }

    /// The same with something happening.
    pub fn with(script: &[(When, Act)]) -> Self {
        Self { script: script.to_vec(), ..Self::happy() }
    }

    /// The run of a client that came from the earlier system.
    pub fn of_a_client() -> Self {
        let objects = vec![("secrets", SECRET), ("testplans", PLAN_OF_A_CLIENT), ("testruns", RUN_OF_A_CLIENT)];
        let stored = vec![
            ("workloads/lookup", "-- @type: sql\n-- @name: PointLookup\nSELECT 1;"),
            ("workloads/old", "-- @name: CountAll\nSELECT COUNT(*) FROM orders;"),
        ];
        Self { objects, stored, ..Self::happy() }
    }
}
