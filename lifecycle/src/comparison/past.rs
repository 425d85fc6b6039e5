//! What is kept of a run for those that come after it: a small object in the bucket, on every shelf that it may be looked
//! for. A run is found there after its TestRun was deleted, and no database is asked.

use crucible_crds::{
    Outcome,
    name::QueryName,
    test_plan::{Baseline, Compare},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Fingerprint;
use crate::{
    contract::FrozenPlan,
    plan::sha256_hex,
    results::{Facts, RoundRows, Row, Summary},
    statistics::bootstrap::Measure,
};

/// A run as later ones see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// The run's name for results.
    pub run_id: String,
    /// The TestRun's namespace.
    pub namespace: String,
    /// The TestRun's name.
    pub name: String,
    /// The run's label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The name of the TestPlan.
    pub plan_name: String,
    /// When its load began.
    pub started_at: Timestamp,
    /// What its results mean.
    pub outcome: Outcome,
    /// What it was asked for.
    pub fingerprint: Fingerprint,
    /// Queries answered without error per second of the measured stages.
    pub throughput: f64,
    /// Errors as a share of all queries.
    pub error_rate: f64,
    /// All queries together, then each one, over the measured stages.
    pub queries: Vec<PastQuery>,
}

/// The latencies of one query of an earlier run, in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastQuery {
    /// The query; nothing for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<QueryName>,
    /// The median.
    pub p50: u64,
    /// The 95th percentile.
    pub p95: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// Median, 95th and 99th percentile of each round that has them; empty where the load has no rounds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<[u64; 3]>,
}

impl Past {
    /// What is kept of a run; nothing where its results are of no use to later ones: measured wrongly, cut short, or
    /// begun at an unknown time.
    #[must_use]
    pub fn of(plan: &FrozenPlan, summary: &Summary, facts: &Facts, outcome: Outcome) -> Option<Self> {
        let valid = matches!(outcome, Outcome::Passed | Outcome::Failed | Outcome::Inconclusive);
        let started_at = facts.started_at.filter(|_| valid && !summary.ended_early)?;
        let rounds = |query: Option<&QueryName>| {
            let of_round = |round: &RoundRows| round.of(query)?.latency.map(|latency| [latency.p50, latency.p95, latency.p99]);
            summary.rounds.iter().filter_map(of_round).collect()
        };
        let query = |row: &Row| {
            let latency = row.latency?;
            Some(PastQuery { query: row.query.clone(), p50: latency.p50, p95: latency.p95, p99: latency.p99, rounds: rounds(row.query.as_ref()) })
        };
        Some(Self {
            run_id: plan.run.id.clone(),
            namespace: plan.run.namespace.clone(),
            name: plan.run.name.clone(),
            label: plan.run.label.clone(),
            plan_name: plan.plan_name.clone(),
            started_at,
            outcome,
            fingerprint: Fingerprint::of(plan, facts),
            throughput: summary.headline.throughput(),
            error_rate: summary.headline.error_rate(),
            queries: std::iter::once(&summary.headline).chain(&summary.queries).filter_map(query).collect(),
        })
    }

    /// A percentile of all queries together, in microseconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "an hour in microseconds is far below 2^53")]
    pub fn micros(&self, measure: Measure) -> Option<f64> {
        let all = self.queries.iter().find(|query| query.query.is_none())?;
        match measure {
            Measure::P50 => Some(all.p50 as f64),
            Measure::P95 => Some(all.p95 as f64),
            Measure::P99 => Some(all.p99 as f64),
            Measure::Throughput => None,
        }
    }

    /// A percentile of a query, or of all of them, in each round, in microseconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "an hour in microseconds is far below 2^53")]
    pub fn rounds(&self, query: Option<&QueryName>, measure: Measure) -> Vec<f64> {
        let of = self.queries.iter().find(|of| of.query.as_ref() == query);
        let figure = |[p50, p95, p99]: &[u64; 3]| match measure {
            Measure::P50 => Some(*p50 as f64),
            Measure::P95 => Some(*p95 as f64),
            Measure::P99 => Some(*p99 as f64),
            Measure::Throughput => None,
        };
        of.into_iter().flat_map(|of| &of.rounds).filter_map(figure).collect()
    }

    /// Every key that the run is kept under.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let passed = (self.outcome == Outcome::Passed).then_some(Shelf::Passed(&self.plan_name));
        let label = self.label.as_deref().map(Shelf::Label);
        let shelves = [Some(Shelf::Plan(&self.plan_name)), Some(Shelf::Run(&self.name)), passed, label];
        shelves.into_iter().flatten().map(|shelf| shelf.prefix(&self.namespace) + &position(self.started_at) + "_" + &self.run_id + ".json").collect()
    }
}

/// Where an earlier run is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf<'a> {
    /// Every run of a plan.
    Plan(&'a str),
    /// Every run of a plan that has passed.
    Passed(&'a str),
    /// Every run with a label.
    Label(&'a str),
    /// Every run of a name.
    Run(&'a str),
}

impl<'a> Shelf<'a> {
    /// The shelf of what a plan wants to be compared with.
    #[must_use]
    pub fn of(asked: &'a Compare, plan_name: &'a str) -> Self {
        match &asked.baseline {
            Some(Baseline { run: Some(run), .. }) => Self::Run(run),
            Some(Baseline { run: None, label: Some(label) }) => Self::Label(label),
            Some(Baseline { run: None, label: None }) | None => Self::Passed(plan_name),
        }
    }

    /// What the keys of the shelf begin with. Below it the newest run comes first.
    #[must_use]
    pub fn prefix(self, namespace: &str) -> String {
        match self {
            Self::Plan(plan) => format!("history/{namespace}/plans/{plan}/"),
            Self::Passed(plan) => format!("history/{namespace}/passed/{plan}/"),
            // A label may hold anything; its digest may stand in a key.
            Self::Label(label) => format!("history/{namespace}/labels/{}/", sha256_hex(label.as_bytes())),
            Self::Run(run) => format!("history/{namespace}/runs/{run}/"),
        }
    }

    /// A key before those of all runs that began earlier than this instant, and after those of all later ones.
    #[must_use]
    pub fn before(self, namespace: &str, started_at: Timestamp) -> String {
        // Every run id begins with a letter or digit, which come before this.
        self.prefix(namespace) + &position(started_at) + "~"
    }
}

/// An instant as 14 digits of which later ones come first.
fn position(at: Timestamp) -> String {
    format!("{:014}", 99_999_999_999_999_i64.saturating_sub(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::results::sample::{line, merge, plan};

    fn past(outcome: Outcome) -> Option<Past> {
        let mut plan = plan(json!({}));
        plan.run.label = Some("night/ly".to_owned());
        let summary = merge(&plan, &[vec![line("PointLookup|steady|ok", 2, &[1000, 3000])], vec![]], false);
        let facts = Facts { started_at: Some("2026-03-08T00:01:30Z".parse().unwrap()), server_version: Some("11.4".to_owned()), ..Facts::default() };
        Past::of(&plan, &summary, &facts, outcome)
    }

    #[test]
    fn a_run_lies_on_every_shelf_that_it_may_be_looked_for_on() {
        let keys = |outcome| past(outcome).unwrap().keys();
        let file = "98227071909999_checkout_20260307-2359_5b54ae4d.json";
        assert_eq!(
            keys(Outcome::Passed),
            [
                format!("history/team-a/plans/checkout/{file}"),
                format!("history/team-a/runs/nightly-7/{file}"),
                format!("history/team-a/passed/checkout/{file}"),
                format!("history/team-a/labels/7fcfd198791c5b4a0692283bae632647084fef5f56cb0b96061a77cbdbcc77f7/{file}"),
            ]
        );
        assert!(keys(Outcome::Failed).iter().all(|key| !key.contains("/passed/")));
    }

    #[test]
    fn what_was_measured_wrongly_or_cut_short_is_no_past() {
        for outcome in [Outcome::Invalid, Outcome::Aborted, Outcome::HarnessError] {
            assert_eq!(past(outcome), None);
        }
    }

    #[test]
    fn the_keys_of_earlier_runs_come_after_those_of_later_ones() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let key = |started_at| Past { started_at, ..past(Outcome::Passed).unwrap() }.keys().remove(0);
        let (early, late) = (key(at("2026-03-08T00:01:30.001Z")), key(at("2026-03-08T00:01:30.002Z")));
        let before = Shelf::Plan("checkout").before("team-a", at("2026-03-08T00:01:30.002Z"));
        assert!(late < before && before < early, "{late} {before} {early}");
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let past = past(Outcome::Failed).unwrap();
        assert_eq!(serde_json::from_value::<Past>(json!(past)).unwrap(), past);
        assert_eq!(past.micros(Measure::P95), Some(3001.0));
        assert_eq!(past.queries.len(), 2, "all queries, and the only one that was answered");
    }
}
