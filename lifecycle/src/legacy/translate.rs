//! From a plan of the earlier system to the TestPlan that does what it says.
//!
//! What the earlier plan cannot say, the TestPlan says for it: plain connections unless it asks for others, raw samples,
//! a ramp that is not measured, time-outs wide enough for runs that were written without any.

use crucible_crds::{
    Duration, Fault, TestPlanSpec,
    fixture::FixtureUse,
    name::ObjectName,
    observe::{Observe, PrometheusMetric, PrometheusSource},
    test_plan::{
        AbortMetric, AbortRule, CredentialsRef, Deadlines, Load, LoadModel, ObjectRef, RemoteWrite, ResultsSpec, Stage, Target, Tls, Validity, WorkerResources,
        WorkloadSource, WorkloadSpec,
    },
};

use super::{
    cluster_spec::ClusterSpec,
    detail::Detail,
    plan::{Experiment, FailureDetection, LegacyPlan, Password, ScalingMode, SourceOfMetrics},
};
use crate::plan::MOST_VUS_PER_WORKER;

/// The stage in which the virtual users come, one by one. It is not measured.
pub const RAMP_STAGE: &str = "ramp-up";
/// The stage in which all of them are there.
pub const HOLD_STAGE: &str = "steady";
/// The longest label of a run.
const LONGEST_LABEL: usize = 256;
/// The shortest stage of a TestPlan: whoever asks for less gets this much.
const SHORTEST_STAGE: u32 = 1;
/// How long a query may take. The earlier system knew no limit; without any, one lost answer would hold a run for ever.
const QUERY_TIMEOUT_SECONDS: u32 = 600;

/// What a request says beside the plan.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The name under which the plan is stored.
    pub plan_name: &'a str,
    /// The label that the request gives the run. An empty one is none.
    pub label: Option<&'a str>,
    /// Whether the plan was named rather than sent: then its own label counts.
    pub by_name: bool,
    /// What the request says about the system under test; absent, it stands for the plan's own type.
    pub cluster_spec: Option<&'a ClusterSpec>,
    /// The name of the Secret that will hold the credentials.
    pub secret: &'a str,
}

/// What becomes of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Translation {
    /// The TestPlan's spec.
    pub plan_spec: TestPlanSpec,
    /// What belongs into its Secret.
    pub credentials: Credentials,
    /// The label of the run.
    pub run_label: String,
    /// What kind of system is tested.
    pub sut_type: String,
    /// From how many workers the load comes, in the plan's word.
    pub scaling_mode: ScalingMode,
    /// How many workers that are.
    pub workers: u32,
    /// What is kept with the run about the system under test.
    pub cluster_spec: ClusterSpec,
}

/// Who logs in, and with which password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub username: String,
    /// The password; `None` where the plan has the mask, so that the one that is kept goes on.
    pub password: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let password = if self.password.is_some() { "[redacted]" } else { "[kept]" };
        f.debug_struct("Credentials").field("username", &self.username).field("password", &password).finish()
    }
}

impl LegacyPlan {
    /// The TestPlan that does what this plan says, under the facts of one request.
    ///
    /// # Errors
    /// Where the request contradicts the plan, or asks one worker for more than it can do. Paths begin at the request's field
    /// for what the request says, and at the plan's own for what the plan says.
    pub fn translate(&self, facts: &Facts<'_>) -> Result<Translation, Vec<Detail>> {
        let cluster_spec = facts.cluster_spec.cloned().unwrap_or_else(|| ClusterSpec::of_engine(self.engine));
        if cluster_spec.kind() != self.engine.as_str() {
            let message = format!("cluster_spec type '{}' does not match the plan's component_spec type '{}'", cluster_spec.kind(), self.engine.as_str());
            return Err(vec![Detail::new(vec!["cluster_spec".into(), "type".into()], message, "mismatch")]);
        }
        let run_label = self.run_label(facts)?;
        let workers = match self.scaling_mode {
            ScalingMode::IntraNode => 1,
            ScalingMode::InterNode => cluster_spec.replicas().unwrap_or(1),
        };
        // Every worker runs at least one user: clients ask for one user from two workers and expect both to work.
        let users = self.concurrency.max(workers);
        if users.div_ceil(workers) > MOST_VUS_PER_WORKER {
            let message =
                format!("{users} virtual users are too many for {workers} workers; one can run {MOST_VUS_PER_WORKER}: use inter_node and more backend nodes");
            return Err(vec![Detail::new(vec!["execution".into(), "concurrency".into()], message, "less_than_equal")]);
        }
        let password = match &self.password {
            Password::Given(password) => Some(password.clone()),
            Password::Kept => None,
        };
        Ok(Translation {
            plan_spec: self.plan_spec(facts.secret, workers, users),
            credentials: Credentials { username: self.username.clone(), password },
            run_label,
            sut_type: self.engine.as_str().to_owned(),
            scaling_mode: self.scaling_mode,
            workers,
            cluster_spec,
        })
    }

    fn run_label(&self, facts: &Facts<'_>) -> Result<String, Vec<Detail>> {
        let asked = facts.label.filter(|label| !label.is_empty());
        if let Some(label) = asked.filter(|label| label.chars().count() > LONGEST_LABEL || label.contains(char::is_control)) {
            let message = if label.chars().count() > LONGEST_LABEL { "a label has at most 256 characters" } else { "a label has no control characters" };
            return Err(vec![Detail::new(vec!["label".into()], message, "value_error")]);
        }
        let own = self.run_label.as_deref().filter(|_| facts.by_name);
        Ok(asked.or(own).unwrap_or(facts.plan_name).to_owned())
    }

    fn plan_spec(&self, secret: &str, workers: u32, users: u32) -> TestPlanSpec {
        let objects = self.workloads.iter().map(|id| ObjectRef { key: format!("workloads/{id}").as_str().into() }).collect();
        TestPlanSpec {
            target: Target {
                engine: self.engine,
                endpoint: self.host.as_str().into(),
                database: self.target_db.as_str().into(),
                credentials_ref: CredentialsRef { name: ObjectName::from(secret) },
                tls: Tls { mode: self.tls },
                files: None,
            },
            workload: WorkloadSpec {
                source: WorkloadSource { inline: None, config_map: None, object: None, objects: Some(objects) },
                mix: Vec::new(),
                parameters: Vec::new(),
                checks: Vec::new(),
                invariants: Vec::new(),
            },
            load: Load {
                workers,
                model: LoadModel::Closed,
                arrivals: None,
                max_vus: None,
                stages: self.stages(users),
                repeat: 1,
                find_max: None,
                query_timeout: Duration::from_secs(QUERY_TIMEOUT_SECONDS),
                resources: WorkerResources::default(),
            },
            fixtures: self.fixtures.iter().map(|used| FixtureUse { fixture: used.fixture_id.as_str().into(), table: used.table.as_str().into() }).collect(),
            slos: Vec::new(),
            faults: self.faults(),
            validity: Validity::default(),
            abort: abort_rule(&self.failure_detection).into_iter().collect(),
            observe: Observe { prometheus: self.sources.iter().map(source).collect() },
            results: ResultsSpec { raw_samples: true, remote_write: self.remote_write.as_deref().map(|url| RemoteWrite { url: url.into() }) },
            compare: None,
            deadlines: deadlines(),
        }
    }

    /// Each experiment begins after the end of the one before; a TestPlan counts from the start of a stage.
    fn faults(&self) -> Vec<Fault> {
        let first = if self.ramp_up.span().is_zero() { HOLD_STAGE } else { RAMP_STAGE };
        let mut over = std::time::Duration::ZERO;
        let fault = |experiment: &Experiment| {
            let begins = over + experiment.start_after.span();
            over = begins + experiment.duration.span();
            experiment.fault(first, begins)
        };
        self.experiments.iter().map(fault).collect()
    }

    fn stages(&self, users: u32) -> Vec<Stage> {
        let stage = |name: &str, duration: &Duration, ramp: bool| Stage {
            name: name.into(),
            duration: at_least_a_second(duration),
            vus: Some(users),
            rate: None,
            ramp,
            measured: !ramp,
        };
        let ramp = (!self.ramp_up.span().is_zero()).then(|| stage(RAMP_STAGE, &self.ramp_up, true));
        ramp.into_iter().chain([stage(HOLD_STAGE, &self.hold_for, false)]).collect()
    }
}

fn at_least_a_second(duration: &Duration) -> Duration {
    let shortest = Duration::from_secs(SHORTEST_STAGE);
    if duration.span() < shortest.span() { shortest } else { duration.clone() }
}

/// The earlier system ended a run when the share of failed queries reached the threshold; a rule of ours when it is above.
/// The two differ only where every query has to fail, which no share can be above.
fn abort_rule(detection: &FailureDetection) -> Option<AbortRule> {
    let FailureDetection { enabled, error_rate_threshold, abort_delay } = detection;
    let above = if *error_rate_threshold < 1.0 { *error_rate_threshold } else { 0.999_999 };
    enabled.then(|| AbortRule {
        metric: AbortMetric::ErrorRate,
        above: Some(above),
        slower_than: None,
        over: Duration::from_secs(10),
        after: abort_delay.clone(),
    })
}

fn source(source: &SourceOfMetrics) -> PrometheusSource {
    let SourceOfMetrics { name, url, metrics, resolution, max_points } = source;
    PrometheusSource {
        name: name.as_str().into(),
        source: None,
        url: Some(url.as_str().into()),
        metrics: metrics.iter().map(|metric| PrometheusMetric { name: metric.name.as_str().into(), query: metric.query.clone() }).collect(),
        resolution: resolution.clone(),
        max_points: *max_points,
    }
}

/// Wide enough for runs that were written without deadlines: they queued for a database as long as it took.
fn deadlines() -> Deadlines {
    Deadlines {
        queue: Duration::from_secs(24 * 3600),
        fixtures: Duration::from_secs(24 * 3600),
        barrier: Duration::from_secs(600),
        drain: Duration::from_secs(30),
        collect: Duration::from_secs(1800),
    }
}

#[cfg(test)]
mod tests;
