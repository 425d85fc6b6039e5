//! The verdict: what the results of a run mean. It is separate from the phase, which says whether there are results.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The answer that a run gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    /// The measurement is valid and every check held.
    Passed,
    /// The measurement is valid and at least one check of the system under test did not hold.
    Failed,
    /// The measurement cannot decide: for example it held too few queries to judge a check.
    Inconclusive,
    /// The measurement itself is not to be trusted: for example a worker was lost or its load generator was saturated.
    Invalid,
    /// The load was ended early, by an abort rule or by a stop; what was measured until then is kept.
    Aborted,
    /// Crucible or the cluster failed; nothing is said about the system under test.
    HarnessError,
}

impl Outcome {
    /// The name as it stands in status, events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "Passed",
            Self::Failed => "Failed",
            Self::Inconclusive => "Inconclusive",
            Self::Invalid => "Invalid",
            Self::Aborted => "Aborted",
            Self::HarnessError => "HarnessError",
        }
    }
}

/// Who has to look into it when a check did not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Owner {
    /// The system under test: its owner should look.
    Sut,
    /// Crucible itself: its workers, its operator, its storage.
    Harness,
    /// The cluster or the network that both run on, or the plan's own text.
    Environment,
}

/// One check of the verdict: a limit, what was observed, and whether it held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was checked, for example `p99 of PointLookup in steady`.
    #[schemars(length(max = 200))]
    pub name: String,
    /// The limit, with its unit, for example `< 20ms`.
    #[schemars(length(max = 64))]
    pub limit: String,
    /// What was observed, with its unit, for example `12.4ms`; `no data` where nothing was measured.
    #[schemars(length(max = 64))]
    pub observed: String,
    /// Whether the check held.
    pub held: bool,
    /// Whether there was enough data to judge the check.
    pub decided: bool,
    /// Who has to look into it when it did not hold.
    pub owner: Owner,
}

/// What the results mean, with every check that led there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The answer.
    pub outcome: Outcome,
    /// Why, in machine-readable words; the deciding ones first.
    #[schemars(length(max = 32), inner(length(max = 300)))]
    pub reasons: Vec<String>,
    /// Every check with its limit and what was observed.
    #[schemars(length(max = 128))]
    pub checks: Vec<Check>,
}
