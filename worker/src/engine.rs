//! engine.json: the frozen plan as the k6 extension reads it. Pure.

use std::{path::Path, time::Duration};

use crucible_crds::test_plan::{self, Arrivals, Stage, TlsMode};
use crucible_lifecycle::{
    contract::{Binding, FrozenArm, FrozenPlan, Query, paths::AUTHORITIES},
    load::{is_open, rate_millis, rounds::arm_of_stage},
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    arms: Vec<EngineArm<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open: Option<Open>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    authorities_file: Option<std::path::PathBuf>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EngineStage<'a> {
    name: &'a str,
    duration_nanos: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    vus: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_millis: Option<u64>,
    ramp: bool,
    measured: bool,
    /// Whom it asks, by position among the arms.
    #[serde(skip_serializing_if = "Option::is_none")]
    arm: Option<usize>,
}

/// One of two variants: where its queries go, and what is bound to each of them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EngineArm<'a> {
    name: &'a str,
    host: String,
    port: u16,
    database: &'a str,
    bindings: &'a [Vec<Binding>],
}

/// What only the open model has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Open {
    arrivals: Arrivals,
    max_vus: u32,
    /// The same for every worker: the fleet has one schedule.
    seed: u64,
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
        let HostPort { host, port } = host_port(target)?;
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
                authorities_file: Some(credentials.join(AUTHORITIES)).filter(|file| file.is_file()),
            },
            queries: &plan.queries,
            stages: plan.spec.load.stages.iter().enumerate().map(|(at, stage)| engine_stage(stage, arm_of_stage(&plan.spec, at))).collect(),
            arms: plan.arms.iter().map(engine_arm).collect::<Result<_, _>>()?,
            open: open(plan),
            query_timeout_nanos: nanos(plan.spec.load.query_timeout.span()),
            drain_nanos: nanos(drain(plan)),
            slice_nanos: nanos(SLICE),
            seed: seed(&plan.run.uid, &index.to_be_bytes()),
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

fn host_port(target: &test_plan::Target) -> Result<HostPort, EngineError> {
    HostPort::of(target).map_err(|_| EngineError::Endpoint(target.endpoint.to_string()))
}

fn engine_arm(arm: &FrozenArm) -> Result<EngineArm<'_>, EngineError> {
    let FrozenArm { name, target, bindings } = arm;
    let HostPort { host, port } = host_port(target)?;
    Ok(EngineArm { name, host, port, database: &target.database, bindings })
}

fn engine_stage(stage: &Stage, arm: Option<usize>) -> EngineStage<'_> {
    let Stage { name, duration, vus, rate, ramp, measured } = stage;
    let rate_millis = rate.is_some().then(|| rate_millis(stage));
    EngineStage { name, duration_nanos: nanos(duration.span()), vus: *vus, rate_millis, ramp: *ramp, measured: *measured, arm }
}

fn open(plan: &FrozenPlan) -> Option<Open> {
    let load = &plan.spec.load;
    is_open(load).then(|| Open { arrivals: load.arrivals.unwrap_or_default(), max_vus: load.max_vus.unwrap_or(0), seed: seed(&plan.run.uid, b"arrivals") })
}

/// The same run always draws the same for the same purpose: the parameters of one worker, or the arrivals of all of them.
fn seed(run_uid: &str, purpose: &[u8]) -> u64 {
    let digest = Sha256::new().chain_update(run_uid).chain_update(purpose).finalize();
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
        let seed = |uid, index: u32| seed(uid, &index.to_be_bytes());
        assert_eq!(seed("0b1e", 0), seed("0b1e", 0));
        assert_ne!(seed("0b1e", 0), seed("0b1e", 1));
        assert_ne!(seed("0b1e", 0), seed("0b1f", 0));
    }

    #[test]
    fn every_worker_of_the_open_model_goes_by_one_schedule() {
        let mut plan = crate::sample::plan();
        plan.spec.load.model = crucible_crds::test_plan::LoadModel::Open;
        plan.spec.load.max_vus = Some(16);
        for (stage, rate) in plan.spec.load.stages.iter_mut().zip([10.0, 2000.25]) {
            (stage.vus, stage.rate) = (None, Some(rate));
        }
        let written = |index| serde_json::to_value(EnginePlan::new(&plan, index, Path::new("s"), Path::new("c")).unwrap()).unwrap();
        let (first, second) = (written(0), written(1));
        assert_eq!(
            first["stages"],
            serde_json::json!([
                {"name": "warmup", "durationNanos": 1_000_000_000_u64, "rateMillis": 10_000, "ramp": true, "measured": false},
                {"name": "steady", "durationNanos": 2_000_000_000_u64, "rateMillis": 2_000_250, "ramp": false, "measured": true}
            ])
        );
        assert_eq!((&first["open"]["arrivals"], &first["open"]["maxVus"]), (&serde_json::json!("regular"), &serde_json::json!(16)));
        assert_eq!(first["open"], second["open"]);
        assert_ne!(first["seed"], second["seed"]);
    }

    #[test]
    fn arms_take_turns_and_each_has_its_own_target_and_parameters() {
        let mut plan = crate::sample::plan();
        plan.spec.compare = serde_json::from_value(serde_json::json!({"arms": [{"name": "now"}, {"name": "next"}]})).unwrap();
        let arm = |name: &str, endpoint: &str, database: &str| FrozenArm {
            name: name.into(),
            target: test_plan::Target { endpoint: endpoint.into(), database: database.into(), ..plan.spec.target.clone() },
            bindings: vec![vec![Binding::IntRange { name: "id".to_owned(), min: 1, max: 2 }], vec![]],
        };
        plan.arms = vec![arm("now", "mariadb.sut.svc:3306", "shop"), arm("next", "next.sut.svc", "shop2")];
        plan.spec = crucible_lifecycle::load::rounds::carried_out(&plan.spec);
        let written = serde_json::to_value(EnginePlan::new(&plan, 0, Path::new("s"), Path::new("c")).unwrap()).unwrap();
        let stages = written["stages"].as_array().unwrap();
        let turns: Vec<_> = stages.iter().map(|stage| (stage["name"].as_str().unwrap(), stage["arm"].as_u64().unwrap())).collect();
        assert_eq!(turns[..4], [("warmup#1", 0), ("steady#1", 0), ("warmup#2", 1), ("steady#2", 1)]);
        assert_eq!(turns[4..], [("warmup#3", 1), ("steady#3", 1), ("warmup#4", 0), ("steady#4", 0)]);
        assert_eq!(
            written["arms"][1],
            serde_json::json!({"name": "next", "host": "next.sut.svc", "port": 3306, "database": "shop2", "bindings": [[{"kind": "intRange", "name": "id", "min": 1, "max": 2}], []]})
        );
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
        let seed = seed("0b1e7c1d-0000-4000-8000-000000000001", &1_u32.to_be_bytes());
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
