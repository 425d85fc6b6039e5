//! `execution`: how hard the database is driven, for how long, with which queries, and when that is given up.

use std::time;

use crucible_crds::Duration;

use crate::legacy::{
    detail::Details,
    field::{Field, Fields},
};

/// The most virtual users of a plan.
const MOST_USERS: u32 = 100_000;
/// The most workloads of a plan.
const MOST_WORKLOADS: usize = 64;
/// The longest load, ramp included.
const LONGEST_LOAD: time::Duration = time::Duration::from_hours(24);
/// The longest that failure detection holds still at the start.
const LONGEST_DELAY: time::Duration = time::Duration::from_hours(24);

pub(super) struct Execution {
    pub(super) scaling_mode: ScalingMode,
    pub(super) concurrency: u32,
    pub(super) ramp_up: Duration,
    pub(super) hold_for: Duration,
    pub(super) workloads: Vec<String>,
    pub(super) failure_detection: FailureDetection,
}

/// From how many workers the load comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ScalingMode {
    /// From one.
    #[default]
    IntraNode,
    /// From as many as the system under test has backend nodes.
    InterNode,
}

impl ScalingMode {
    /// The word as it stands in a plan and in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IntraNode => "intra_node",
            Self::InterNode => "inter_node",
        }
    }
}

/// When a hopeless run is ended early.
#[derive(Clone, Debug, PartialEq)]
pub struct FailureDetection {
    /// Whether it ever is.
    pub enabled: bool,
    /// The share of queries that fail, above which it is.
    pub error_rate_threshold: f64,
    /// How long after the start it is looked at first, and over how long it is taken.
    pub abort_delay: Duration,
}

impl Default for FailureDetection {
    fn default() -> Self {
        Self { enabled: true, error_rate_threshold: 0.5, abort_delay: Duration::from_secs(10) }
    }
}

pub(super) fn read(field: &Field<'_>, details: &mut Details) -> Option<Execution> {
    let mut fields = field.fields(details)?;
    let executor = fields.optional("executor").map_or(Some(()), |field| executor(&field, details));
    let modes = [("intra_node", ScalingMode::IntraNode), ("inter_node", ScalingMode::InterNode)];
    let scaling_mode = fields.optional("scaling_mode").map_or(Some(ScalingMode::default()), |field| field.word(&modes, details));
    let concurrency = fields.required("concurrency", details).and_then(|field| field.whole(1, MOST_USERS, details));
    let times = times(&mut fields, details);
    let workloads = fields.required("workload", details).and_then(|field| workloads(&field, details));
    let failure_detection = fields.optional("failure_detection").map_or_else(|| Some(FailureDetection::default()), |field| failure_detection(&field, details));
    fields.close(details);
    executor?;
    let (ramp_up, hold_for) = times?;
    Some(Execution { scaling_mode: scaling_mode?, concurrency: concurrency?, ramp_up, hold_for, workloads: workloads?, failure_detection: failure_detection? })
}

fn executor(field: &Field<'_>, details: &mut Details) -> Option<()> {
    let known = field.word(&[("k6", true), ("locust", false)], details)?;
    if !known {
        field.refuse(details, "executor 'locust' is not available; use k6", "not_available");
    }
    known.then_some(())
}

fn times(fields: &mut Fields<'_>, details: &mut Details) -> Option<(Duration, Duration)> {
    let ramp_up = fields.optional("ramp_up").map_or_else(|| Some(Duration::from_secs(0)), |field| span(&field, LONGEST_LOAD, details));
    let place = fields.at("hold_for");
    let hold_for = fields.required("hold_for", details).and_then(|field| {
        let hold_for = span(&field, LONGEST_LOAD, details)?;
        if hold_for.span().is_zero() {
            field.refuse(details, "the load must last longer than 0s", "greater_than");
            return None;
        }
        Some(hold_for)
    });
    let (ramp_up, hold_for) = (ramp_up?, hold_for?);
    if ramp_up.span() + hold_for.span() > LONGEST_LOAD {
        details.add(&place, "ramp_up and hold_for must not be longer than 24h together", "less_than_equal");
        return None;
    }
    Some((ramp_up, hold_for))
}

fn span(field: &Field<'_>, longest: time::Duration, details: &mut Details) -> Option<Duration> {
    let span = field.duration(details)?;
    if span.span() > longest {
        field.refuse(details, format!("{span} is longer than {}h", longest.as_secs() / 3600), "less_than_equal");
        return None;
    }
    Some(span)
}

fn workloads(field: &Field<'_>, details: &mut Details) -> Option<Vec<String>> {
    let entries = field.some_entries(MOST_WORKLOADS, details)?;
    let read: Vec<_> = entries.iter().map(|entry| workload(entry, details)).collect();
    for (index, (entry, id)) in entries.iter().zip(&read).enumerate() {
        if id.is_some() && read.iter().take(index).any(|earlier| earlier == id) {
            entry.refuse(details, "this workload stands before it already", "value_error");
        }
    }
    read.into_iter().collect()
}

fn workload(field: &Field<'_>, details: &mut Details) -> Option<String> {
    let mut fields = field.fields(details)?;
    let id = fields.required("workload_id", details).and_then(|field| {
        let text = field.line(128, details)?;
        let fits = crate::legacy::ids::is_workload_id(text);
        if !fits {
            field.refuse(details, "the id of a workload begins with a letter or digit and has letters, digits, _ and -", "string_pattern_mismatch");
        }
        fits.then(|| text.to_owned())
    });
    fields.close(details);
    id
}

fn failure_detection(field: &Field<'_>, details: &mut Details) -> Option<FailureDetection> {
    let usual = FailureDetection::default();
    let mut fields = field.fields(details)?;
    let enabled = fields.optional("enabled").map_or(Some(usual.enabled), |field| field.truth(details));
    let threshold = fields.optional("error_rate_threshold").map_or(Some(usual.error_rate_threshold), |field| field.share(details));
    let delay = fields.optional("abort_delay").map_or(Some(usual.abort_delay), |field| span(&field, LONGEST_DELAY, details));
    fields.close(details);
    Some(FailureDetection { enabled: enabled?, error_rate_threshold: threshold?, abort_delay: delay? })
}
