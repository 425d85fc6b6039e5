//! engine.json: the frozen plan as the k6 extension reads it. Pure.

use std::{path::Path, time::Duration};

use crucible_crds::test_plan::{Stage, TlsMode};
use crucible_lifecycle::{
    contract::{FrozenPlan, Query},
    plan::HostPort,
};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The load has to end within ten seconds of a stop, so queries in flight never get more than this.
pub const LONGEST_DRAIN: Duration = Duration::from_secs(8);

/// How long one JavaScript call runs queries for.
const SLICE: Duration = Duration::from_millis(100);

/// What the extension runs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnginePlan<'a> {
    run: Run<'a>,
    socket: &'a Path,
    target: Target<'a>,
    queries: &'a [Query],
    stages: Vec<EngineStage<'a>>,
    query_timeout_nanos: u64,
    drain_nanos: u64,
    slice_nanos: u64,
    seed: u64,
    raw_samples: bool,
}

#[derive(Debug, Serialize)]
struct Run<'a> {
    id: &'a str,
    plan: &'a str,
    worker: u32,
    workers: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Target<'a> {
    engine: &'static str,
    host: String,
    port: u16,
    database: &'a str,
    tls: TlsMode,
    username_file: std::path::PathBuf,
    password_file: std::path::PathBuf,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EngineStage<'a> {
    name: &'a str,
    duration_nanos: u64,
    vus: u32,
    ramp: bool,
    measured: bool,
}

/// Why a frozen plan cannot be run by this worker.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EngineError {
    /// The endpoint was not checked by whoever froze the plan.
    #[error("the endpoint {0:?} is not host or host:port")]
    Endpoint(String),
    /// The Job has more workers than its plan.
    #[error("worker {index} is not one of the plan's {workers}")]
    Index {
        /// The worker's index.
        index: u32,
        /// The plan's number of workers.
        workers: u32,
    },
}

impl<'a> EnginePlan<'a> {
    /// The part of worker `index`. The extension computes the share of the virtual users itself.
    pub fn new(plan: &'a FrozenPlan, index: u32, socket: &'a Path, credentials: &Path) -> Result<Self, EngineError> {
        let workers = plan.spec.load.workers;
        if index >= workers {
            return Err(EngineError::Index { index, workers });
        }
        let target = &plan.spec.target;
        let HostPort { host, port } = HostPort::of(target).map_err(|_| EngineError::Endpoint(target.endpoint.to_string()))?;
        Ok(Self {
            run: Run { id: &plan.run.id, plan: &plan.plan_name, worker: index, workers },
            socket,
            target: Target {
                engine: target.engine.as_str(),
                host,
                port,
                database: &target.database,
                tls: target.tls.mode,
                username_file: credentials.join("username"),
                password_file: credentials.join("password"),
            },
            queries: &plan.queries,
            stages: plan.spec.load.stages.iter().map(engine_stage).collect(),
            query_timeout_nanos: nanos(plan.spec.load.query_timeout.span()),
            drain_nanos: nanos(drain(plan)),
            slice_nanos: nanos(SLICE),
            seed: seed(&plan.run.uid, index),
            raw_samples: plan.spec.results.wants_k6_metrics(),
        })
    }
}

/// How long queries in flight may go on after the end of the load or a stop.
#[must_use]
pub fn drain(plan: &FrozenPlan) -> Duration {
    plan.spec.deadlines.drain.span().min(LONGEST_DRAIN)
}

/// How long the plan's stages last together.
#[must_use]
pub fn load(plan: &FrozenPlan) -> Duration {
    plan.spec.load.stages.iter().map(|stage| stage.duration.span()).sum()
}

/// Whole nanoseconds; half a millennium is enough for every deadline.
#[must_use]
pub fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn engine_stage(stage: &Stage) -> EngineStage<'_> {
    let Stage { name, duration, vus, ramp, measured } = stage;
    EngineStage { name, duration_nanos: nanos(duration.span()), vus: *vus, ramp: *ramp, measured: *measured }
}

/// The same run and worker always draw the same parameters; two workers never do.
fn seed(run_uid: &str, index: u32) -> u64 {
    let digest = Sha256::new().chain_update(run_uid).chain_update(index.to_be_bytes()).finalize();
    digest.iter().take(8).fold(0, |seed, byte| (seed << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_without_a_port_has_the_engines_own() {
        let mut plan = crate::sample::plan();
        plan.spec.target.endpoint = "[fd00::7]".into();
        plan.spec.target.engine = crucible_crds::test_plan::Engine::Postgres;
        let written = EnginePlan::new(&plan, 0, Path::new("s"), Path::new("c")).unwrap();
        assert_eq!((written.target.engine, written.target.host.as_str(), written.target.port), ("postgres", "fd00::7", 5432));
    }

    #[test]
    fn a_seed_is_the_same_for_the_same_worker_and_another_for_every_other_one() {
        assert_eq!(seed("0b1e", 0), seed("0b1e", 0));
        assert_ne!(seed("0b1e", 0), seed("0b1e", 1));
        assert_ne!(seed("0b1e", 0), seed("0b1f", 0));
    }

    #[test]
    fn the_drain_time_is_never_longer_than_eight_seconds() {
        let mut plan = crate::sample::plan();
        assert_eq!(drain(&plan), Duration::from_secs(8));
        plan.spec.deadlines.drain = crucible_crds::Duration::from_secs(3);
        assert_eq!(drain(&plan), Duration::from_secs(3));
    }

    #[test]
    fn the_extension_reads_what_the_plan_says() {
        let plan = crate::sample::plan();
        let written = EnginePlan::new(&plan, 1, Path::new("/scratch/k6.sock"), Path::new("/etc/secret")).unwrap();
        let seed = seed("0b1e7c1d-0000-4000-8000-000000000001", 1);
        assert_eq!(
            serde_json::to_value(written).unwrap(),
            serde_json::json!({
                "run": {"id": "checkout_20260102-0304_0b1e7c1d", "plan": "checkout", "worker": 1, "workers": 2},
                "socket": "/scratch/k6.sock",
                "target": {
                    "engine": "mysql", "host": "mariadb.sut.svc", "port": 3306, "database": "shop", "tls": "insecureSkipVerify",
                    "usernameFile": "/etc/secret/username", "passwordFile": "/etc/secret/password"
                },
                "queries": [
                    {
                        "name": "PointLookup", "sql": "SELECT * FROM orders WHERE id = ? AND city = ?", "weight": 3,
                        "bindings": [{"kind": "intRange", "name": "id", "min": 1, "max": 100}, {"kind": "choice", "name": "city", "values": ["Taipei", "Paris"]}],
                        "expectRows": {"min": 1, "max": null}
                    },
                    {"name": "CountAll", "sql": "SELECT COUNT(*) FROM orders", "weight": 1, "bindings": []}
                ],
                "stages": [
                    {"name": "warmup", "durationNanos": 1_000_000_000_u64, "vus": 4, "ramp": true, "measured": false},
                    {"name": "steady", "durationNanos": 2_000_000_000_u64, "vus": 8, "ramp": false, "measured": true}
                ],
                "queryTimeoutNanos": 30_000_000_000_u64, "drainNanos": 8_000_000_000_u64, "sliceNanos": 100_000_000, "seed": seed, "rawSamples": false
            })
        );
    }

    #[test]
    fn k6s_own_metrics_are_wanted_for_the_csv_and_for_remote_write() {
        let mut plan = crate::sample::plan();
        let wanted = |plan: &FrozenPlan| EnginePlan::new(plan, 0, Path::new("s"), Path::new("c")).unwrap().raw_samples;
        assert!(!wanted(&plan));
        plan.spec.results.remote_write = Some(crucible_crds::test_plan::RemoteWrite { url: "http://prometheus:9090/api/v1/write".into() });
        assert!(wanted(&plan));
        plan.spec.results = crucible_crds::test_plan::ResultsSpec { raw_samples: true, remote_write: None };
        assert!(wanted(&plan));
    }

    #[test]
    fn a_worker_that_the_plan_does_not_have_is_refused() {
        let plan = crate::sample::plan();
        let refused = EnginePlan::new(&plan, 2, Path::new("s"), Path::new("c")).unwrap_err();
        assert_eq!(refused.to_string(), "worker 2 is not one of the plan's 2");
    }
}
