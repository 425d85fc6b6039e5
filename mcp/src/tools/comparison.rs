//! Two runs side by side: the summaries of their results, and what makes them hard to compare.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Run, explanation::rounded};
use crate::{
    argument::Name,
    failure::Failure,
    gateway::{Path, Session},
    tool::{About, Context, Effect, Tool},
};

/// How many queries are compared.
const MOST_QUERIES: usize = 50;
/// Fewer executions than this leave the tail of a distribution to chance.
const FEW: f64 = 1000.0;
const COMPARED: &str = "Summaries of the two runs' results.json: figures of the measured time, without ramp-up. A change is (b - a) / a.";
const NOT_COMPARED: &str = "No confidence intervals and no repetitions: one pair of runs does not show whether a difference is more than chance. As a rule of thumb, repeat \
                            both runs before calling a change below 10 % (p99: 20 %) real. The data in the database and other load on it are not compared either.";

/// Which runs to compare.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareRuns {
    /// The run to compare with: the earlier one, the baseline.
    #[serde(alias = "run_a", alias = "baseline")]
    pub a: Name,
    /// The run that is asked about: the later one.
    #[serde(alias = "run_b", alias = "candidate")]
    pub b: Name,
}

/// Two runs side by side.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Comparison {
    /// The baseline.
    pub a: Side,
    /// The run that is asked about.
    pub b: Side,
    /// What was compared.
    pub compared: String,
    /// What was not, and what that means for reading the changes.
    pub not_compared: String,
    /// What differs besides the figures, or makes them doubtful. Read this first.
    pub cautions: Vec<String>,
    /// Throughput and errors over all, then each query.
    pub changes: Vec<Change>,
    /// Queries that only one of the runs has.
    pub only_in_one: Vec<String>,
}

/// One of the two runs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Side {
    /// The run.
    pub run_id: String,
    /// Its plan.
    pub plan_name: Option<String>,
    /// Its label.
    pub run_label: Option<String>,
    /// Its status.
    pub status: String,
    /// Its verdict, where there is one.
    pub verdict: Option<String>,
    /// When its load began.
    pub started_at: Option<String>,
}

/// One figure of both runs.
#[expect(clippy::struct_field_names, reason = "callers read this name alone")]
#[derive(Debug, Serialize, JsonSchema)]
pub struct Change {
    /// Which query; absent for the run as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// `queries_per_second`, `error_rate`, `p50_ms`, `p95_ms` or `p99_ms`.
    pub metric: String,
    /// In the baseline.
    pub a: f64,
    /// In the run that is asked about.
    pub b: f64,
    /// The change in per cent; null where the baseline is 0.
    pub change_percent: Option<f64>,
    /// Whether more or less of it is good: higher or lower.
    pub better: &'static str,
}

impl Tool for CompareRuns {
    type Output = Comparison;

    const ABOUT: About = About {
        name: "compare_runs",
        title: "Compare two runs",
        description: "Sets two runs that have results side by side: throughput, error rate, and p50, p95 and p99 of every query, each with its change in per cent. It compares the \
                      summaries of two results and no more: no confidence intervals. Read cautions first (another plan, another cluster, an invalid run), then changes.\n\n\
                      Example: {\"a\": \"checkout_20260307-2359_5b54ae4d\", \"b\": \"checkout_20260308-0030_77aa01bc\"} -> {\"cautions\": [], \"changes\": [{\"metric\": \
                      \"queries_per_second\", \"a\": 8003.5, \"b\": 7120.0, \"change_percent\": -11.0, \"better\": \"higher\"}, {\"query\": \"PointLookup\", \"metric\": \"p95_ms\", \
                      \"a\": 3.9, \"b\": 5.2, \"change_percent\": 33.3, \"better\": \"lower\"}, ...], ...}",
        effect: Effect::Reads,
    };

    async fn call(self, context: Context) -> Result<Comparison, Failure> {
        let Self { a, b } = self;
        if a == b {
            return Err(Failure::argument("b", "is the same run as a"));
        }
        let (a, b) = futures::try_join!(Measured::find(&context.session, &a), Measured::find(&context.session, &b))?;
        Ok(compare(&a, &b))
    }
}

/// A run with its results.
struct Measured {
    run: Run,
    results: Value,
}

impl Measured {
    async fn find(session: &Session, run_id: &Name) -> Result<Self, Failure> {
        let path = Path::to("/v1/test-runs").step(run_id.as_str()).step("results");
        let (run, results) = futures::try_join!(Run::find(session, run_id), session.get(&path))?;
        Ok(Self { run, results })
    }

    fn side(&self) -> Side {
        let Run { run_id, plan_name, run_label, status, started_at, .. } = self.run.clone();
        Side { run_id, plan_name, run_label, status, verdict: self.verdict().map(str::to_owned), started_at }
    }

    fn verdict(&self) -> Option<&str> {
        self.results.pointer("/crucible/verdict/outcome")?.as_str()
    }

    fn stat(&self, metric: &str, stat: &str) -> Option<f64> {
        let metrics = self.results["k6"]["metrics"].as_array()?;
        metrics.iter().find(|found| found["name"] == metric)?["stats"][stat].as_f64()
    }

    fn queries(&self) -> Vec<&str> {
        let metrics = self.results["k6"]["metrics"].as_array().into_iter().flatten();
        metrics.filter_map(|metric| metric["name"].as_str()?.strip_prefix("sql_duration_")).collect()
    }
}

fn compare(a: &Measured, b: &Measured) -> Comparison {
    let change = |query: Option<&str>, source: &str, stat: &str, metric: &str, better| {
        let (a, b) = (a.stat(source, stat)?, b.stat(source, stat)?);
        let change_percent = (a != 0.0).then(|| ((b - a) / a * 1000.0).round() / 10.0);
        Some(Change { query: query.map(str::to_owned), metric: metric.to_owned(), a: rounded(a), b: rounded(b), change_percent, better })
    };
    let of_all = [("iterations", "rate", "queries_per_second", "higher"), ("query_errors", "avg", "error_rate", "lower")];
    let mut changes: Vec<Change> = of_all.into_iter().filter_map(|(source, stat, metric, better)| change(None, source, stat, metric, better)).collect();
    let (in_a, in_b) = (a.queries(), b.queries());
    for query in in_a.iter().filter(|query| in_b.contains(query)).take(MOST_QUERIES) {
        let source = format!("sql_duration_{query}");
        let of_query = [("med", "p50_ms"), ("p95", "p95_ms"), ("p99", "p99_ms")];
        changes.extend(of_query.into_iter().filter_map(|(stat, metric)| change(Some(query), &source, stat, metric, "lower")));
    }
    let only = |one: &[&str], other: &[&str], name: &str| {
        one.iter().filter(|query| !other.contains(query)).map(|query| format!("{query} (only in {name})")).collect::<Vec<_>>()
    };
    let only_in_one = [only(&in_a, &in_b, "a"), only(&in_b, &in_a, "b")].concat();
    Comparison {
        a: a.side(),
        b: b.side(),
        compared: COMPARED.to_owned(),
        not_compared: NOT_COMPARED.to_owned(),
        cautions: cautions(a, b),
        changes,
        only_in_one: only_in_one.into_iter().take(MOST_QUERIES).collect(),
    }
}

/// What makes the figures hard to compare.
fn cautions(a: &Measured, b: &Measured) -> Vec<String> {
    let mut cautions = Vec::new();
    for (name, side) in [("a", a), ("b", b)] {
        match side.verdict() {
            Some(bad @ ("Invalid" | "HarnessError")) => cautions.push(format!("The verdict of {name} is {bad}: its figures are not to be used.")),
            Some("Aborted") => cautions.push(format!("{name} was ended early: its figures cover only part of the planned time.")),
            _ if side.run.status != "COMPLETED" => cautions.push(format!("{name} is {}: its figures may be partial.", side.run.status)),
            _ => {}
        }
        if side.stat("iterations", "count").is_some_and(|count| count < FEW) {
            cautions.push(format!("{name} has fewer than {FEW} queries: its percentiles are left to chance."));
        }
    }
    if a.run.plan_name != b.run.plan_name {
        cautions.push("The runs are of different plans.".to_owned());
    }
    let pointers =
        [("the frozen plan (workload text included)", "/crucible/plan/digest"), ("the load", "/crucible/plan/load"), ("the target", "/crucible/plan/target")];
    let differs = |pointer: &str| matches!((a.results.pointer(pointer), b.results.pointer(pointer)), (Some(a), Some(b)) if a != b);
    cautions.extend(pointers.into_iter().filter(|(_, pointer)| differs(pointer)).map(|(what, _)| format!("The runs differ in {what}.")));
    for (what, key) in [("cluster_spec", "cluster_spec"), ("cluster_settings", "cluster_settings")] {
        let (a, b) = (a.run.more.get(key), b.run.more.get(key));
        if a != b {
            cautions.push(format!("The runs differ in {what}; that may be just what is being tested."));
        }
    }
    cautions
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn measured(plan: &str, verdict: &str, p95: f64) -> Measured {
        let run = json!({"run_id": "r", "plan_name": plan, "status": "COMPLETED", "cluster_spec": {"type": "mysql"}});
        let metrics = json!([
            {"name": "sql_duration_PointLookup", "stats": {"count": 5000, "med": 1.0, "p95": p95, "p99": 9.0}},
            {"name": "iterations", "stats": {"count": 5000, "rate": 100.0}}, {"name": "query_errors", "stats": {"avg": 0.0}},
        ]);
        Measured {
            run: serde_json::from_value(run).unwrap(),
            results: json!({"k6": {"metrics": metrics}, "crucible": {"verdict": {"outcome": verdict}, "plan": {"digest": plan}}}),
        }
    }

    #[test]
    fn a_slower_query_shows_as_a_change_of_its_percentile() {
        let comparison = compare(&measured("p", "Passed", 4.0), &measured("p", "Failed", 5.0));
        let changes: Vec<_> = comparison.changes.iter().map(|change| (change.query.as_deref(), change.metric.as_str(), change.change_percent)).collect();
        let expected = [
            (None, "queries_per_second", Some(0.0)),
            (None, "error_rate", None),
            (Some("PointLookup"), "p50_ms", Some(0.0)),
            (Some("PointLookup"), "p95_ms", Some(25.0)),
            (Some("PointLookup"), "p99_ms", Some(0.0)),
        ];
        assert_eq!(changes, expected);
        assert_eq!(comparison.cautions, [""; 0]);
    }

    #[test]
    fn runs_that_should_not_be_compared_say_why() {
        let comparison = compare(&measured("p", "Invalid", 4.0), &measured("q", "Passed", 4.0));
        let expected = [
            "The verdict of a is Invalid: its figures are not to be used.",
            "The runs are of different plans.",
            "The runs differ in the frozen plan (workload text included).",
        ];
        assert_eq!(comparison.cautions, expected);
    }
}
