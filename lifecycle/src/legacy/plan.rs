//! The plan of the earlier system: its text read and checked, or everything that is wrong with it.
//!
//! A [`LegacyPlan`] is what the text says and no more; what becomes of it for a run is decided in `translate`. Plans come as
//! YAML or as JSON; [`text_of`] makes the one into the other, so that there is one way in.

mod chaos;
mod environment;
mod execution;
mod fault;
mod mask;

use crucible_crds::{Duration, test_plan::Engine};
use serde_json::Value;

pub use self::{
    chaos::{Experiment, FaultKind, FaultTarget},
    environment::{FixtureUse, SourceMetric, SourceOfMetrics},
    execution::{FailureDetection, ScalingMode},
    mask::{MASK, masked, shown},
};
pub use super::document::decode;
use super::{
    detail::{Detail, Details},
    document,
    field::Fields,
};

/// A plan of the earlier system, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct LegacyPlan {
    /// The word to find its runs by, where it has one.
    pub run_label: Option<String>,
    /// The database that the queries run in.
    pub target_db: String,
    /// What kind of database is tested.
    pub engine: Engine,
    /// Where it answers: `host` or `host:port`.
    pub host: String,
    /// Who logs in.
    pub username: String,
    /// With which password.
    pub password: Password,
    /// How connections are secured. Clients of the earlier system know only plain ones, so that is what silence means.
    pub tls: crucible_crds::test_plan::TlsMode,
    /// Datasets that are loaded before.
    pub fixtures: Vec<FixtureUse>,
    /// What is read from Prometheus afterwards.
    pub sources: Vec<SourceOfMetrics>,
    /// One worker or several.
    pub scaling_mode: ScalingMode,
    /// Virtual users in all.
    pub concurrency: u32,
    /// How long it takes until all of them are there.
    pub ramp_up: Duration,
    /// How long they stay.
    pub hold_for: Duration,
    /// Workloads by id, in the plan's order.
    pub workloads: Vec<String>,
    /// When a hopeless run is ended early.
    pub failure_detection: FailureDetection,
    /// Faults, one after another.
    pub experiments: Vec<Experiment>,
    /// Where k6 also sends its metrics.
    pub remote_write: Option<String>,
}

/// A password, or the mask that stands for one that is kept elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// The password itself.
    Given(String),
    /// The mask: whoever wrote this saw no password and means to keep the one there is.
    Kept,
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Given(_) => "Given([redacted])",
            Self::Kept => "Kept",
        })
    }
}

/// Reads a plan.
///
/// # Errors
/// Everything that is wrong with it, at most [`super::detail::MOST_DETAILS`], each with the path of its field. Where the text
/// is not YAML, or exceeds what is read, that alone.
pub fn parse(text: &str) -> Result<LegacyPlan, Vec<Detail>> {
    let node = document::read(text).map_err(|detail| vec![detail])?;
    let mut details = Details::default();
    let plan = Fields::of_document(&node, &mut details).and_then(|mut document| {
        let plan = read(&mut document, &mut details);
        document.close(&mut details);
        plan
    });
    details.none_or(plan)
}

/// The text of a plan that came as JSON, as it is stored and read from then on. JSON is YAML.
#[must_use]
pub fn text_of(plan: &Value) -> String {
    format!("{plan:#}\n")
}

fn read(document: &mut Fields<'_>, details: &mut Details) -> Option<LegacyPlan> {
    let run_label = document.optional("test_metadata").and_then(|field| {
        let mut metadata = field.fields(details)?;
        let label = metadata.optional("run_label").and_then(|label| label.line(256, details)).map(str::to_owned);
        metadata.close(details);
        label
    });
    let environment = document.required("test_environment", details).and_then(|field| environment::read(&field, details));
    let execution = document.required("execution", details).and_then(|field| execution::read(&field, details));
    let load = execution.as_ref().map(|execution| execution.ramp_up.span() + execution.hold_for.span());
    let experiments = document.optional("chaos_spec").map_or(Some(Vec::new()), |field| chaos::read(&field, load, details));
    let remote_write = document.optional("k6_prometheus_rw_server_url").and_then(|field| field.web_address(details)).map(str::to_owned);
    let environment::Environment { target_db, engine, host, username, password, tls, fixtures, sources } = environment?;
    let execution::Execution { scaling_mode, concurrency, ramp_up, hold_for, workloads, failure_detection } = execution?;
    Some(LegacyPlan {
        run_label,
        target_db,
        engine,
        host,
        username,
        password,
        tls,
        fixtures,
        sources,
        scaling_mode,
        concurrency,
        ramp_up,
        hold_for,
        workloads,
        failure_detection,
        experiments: experiments?,
        remote_write,
    })
}

#[cfg(test)]
mod tests;
