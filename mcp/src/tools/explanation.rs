//! What a run means, in few words: the gateway's decision with the figures that matter beside it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    argument::Name,
    failure::{Failure, cut},
    gateway::{Path, Session},
    tool::{About, Context, Effect, Tool},
};

// Together these keep an explanation below 1,500 tokens.
const MOST_REASONS: usize = 3;
const MOST_CHECKS: usize = 5;
const MOST_QUERIES: usize = 6;
const LONGEST_TEXT: usize = 240;
const LONGEST_COMPARISON: usize = 500;

/// Which run to explain.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainRun {
    /// The run.
    pub run_id: Name,
}

/// What a run means.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Explanation {
    /// The run.
    pub run_id: String,
    /// Its status.
    pub status: String,
    /// Passed, Failed, Inconclusive, Invalid, Aborted or HarnessError; null while there is none.
    pub verdict: Option<String>,
    /// What the verdict means, in one sentence.
    pub meaning: String,
    /// At most three reasons, the deciding ones first.
    pub reasons: Vec<String>,
    /// Checks that did not hold: name, limit, observed, owner (who has to look into it: sut, harness or environment).
    pub failed_checks: Vec<Map<String, Value>>,
    /// How many more checks did not hold.
    pub more_failed_checks: usize,
    /// The figures of the measured time; null where there are no results.
    pub figures: Option<Figures>,
    /// How the run compares with an earlier one; null where the gateway has not compared it.
    pub comparison: Option<Value>,
    /// What to do next.
    pub next_step: String,
}

/// The figures of a run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Figures {
    /// Queries per second over all.
    pub queries_per_second: Option<f64>,
    /// The share of queries that failed; 0.01 is 1 %.
    pub error_rate: Option<f64>,
    /// Latencies, the slowest queries by p95 first.
    pub queries: Vec<QueryFigures>,
    /// How many queries are not shown.
    pub more_queries: usize,
}

/// Latencies of one query, in milliseconds.
#[derive(Debug, Serialize, JsonSchema)]
pub struct QueryFigures {
    /// The query's name in the workload.
    pub query: String,
    /// Half were faster.
    pub p50_ms: f64,
    /// 95 % were faster.
    pub p95_ms: f64,
    /// 99 % were faster.
    pub p99_ms: f64,
}

#[derive(Deserialize)]
struct Decision {
    run_id: String,
    status: String,
    #[serde(default)]
    verdict: Option<String>,
    #[serde(default)]
    reasons: Vec<String>,
    #[serde(default)]
    failed_checks: Vec<Map<String, Value>>,
    #[serde(default)]
    comparison: Option<Value>,
}

impl Tool for ExplainRun {
    type Output = Explanation;

    const ABOUT: About = About {
        name: "explain_run",
        title: "Explain a run",
        description: "Says what a run means in few words: its verdict, at most three reasons, the checks that did not hold with limit and observed value, latencies of the \
                      slowest queries, and what to do next. The first thing to read about a run that has ended; get_test_results has every figure. comparison is null where the \
                      gateway has not compared the run with an earlier one; compare_runs sets any two runs side by side.\n\nExample: {\"run_id\": \
                      \"checkout_20260307-2359_5b54ae4d\"} -> {\"verdict\": \"Failed\", \"reasons\": [\"p99 of PointLookup in steady was 31.2ms, limit < 20ms\"], \
                      \"failed_checks\": [{\"name\": \"p99 of PointLookup in steady\", \"limit\": \"< 20ms\", \"observed\": \"31.2ms\", \"owner\": \"sut\"}], \"figures\": \
                      {\"queries_per_second\": 8003.5, \"error_rate\": 0.0, ...}, \"next_step\": \"...\"}",
        effect: Effect::Reads,
    };

    async fn call(self, context: Context) -> Result<Explanation, Failure> {
        explain(&context.session, &self.run_id).await
    }
}

/// What a run means.
pub async fn explain(session: &Session, run_id: &Name) -> Result<Explanation, Failure> {
    let run = |what: &str| Path::to("/v1/test-runs").step(run_id.as_str()).step(what);
    let decision: Decision = session.get(&run("decision")).await?;
    let figures = match decision.status.as_str() {
        // A run without results is explained without figures.
        "COMPLETED" | "FAILED" => session.get::<Value>(&run("results")).await.ok().and_then(|results| figures(&results)),
        _ => None,
    };
    Ok(compose(decision, figures))
}

fn compose(decision: Decision, figures: Option<Figures>) -> Explanation {
    let Decision { run_id, status, verdict, reasons, failed_checks, comparison } = decision;
    let (meaning, next_step) = words(&status, verdict.as_deref());
    let more_failed_checks = failed_checks.len().saturating_sub(MOST_CHECKS);
    Explanation {
        reasons: reasons.iter().take(MOST_REASONS).map(|reason| cut(reason, LONGEST_TEXT)).collect(),
        failed_checks: failed_checks.into_iter().take(MOST_CHECKS).map(short).collect(),
        more_failed_checks,
        figures,
        comparison: comparison.filter(|comparison| !comparison.is_null()).map(bounded),
        meaning: meaning.to_owned(),
        next_step: next_step.to_owned(),
        run_id: cut(&run_id, LONGEST_TEXT),
        status,
        verdict,
    }
}

/// A comparison as it is, or its beginning as text where it is long.
fn bounded(comparison: Value) -> Value {
    let text = comparison.to_string();
    if text.len() <= LONGEST_COMPARISON { comparison } else { Value::from(cut(&text, LONGEST_COMPARISON)) }
}

/// What a verdict means and what to do about it.
fn words(status: &str, verdict: Option<&str>) -> (&'static str, &'static str) {
    match (status, verdict) {
        (_, Some("Passed")) => (
            "The measurement is valid and every limit held.",
            "Compare with an earlier run of the same plan (compare_runs), or raise the load to find the limit.",
        ),
        (_, Some("Failed")) => (
            "The measurement is valid and the database did not hold a limit.",
            "Look at failed_checks and the slowest queries; compare_runs with the last run that passed shows what changed.",
        ),
        (_, Some("Inconclusive")) => (
            "The measurement cannot decide: too little data, or a fault that was not confirmed.",
            "Run longer or with more users, or mend the fault's target, then repeat.",
        ),
        (_, Some("Invalid")) => (
            "The measurement is not to be trusted: the load generator was at its limit or lost a worker.",
            "Do not use the figures. Take more load generators (inter_node) or fewer users, then repeat.",
        ),
        (_, Some("Aborted")) => {
            ("The load was ended early; the figures cover only the time until then.", "Find out from reasons why it ended, mend that, then repeat.")
        }
        (_, Some("HarnessError")) => {
            ("Crucible or the cluster failed; nothing is said about the database.", "Read crucible://logs/{run_id}, report it, and repeat when it is mended.")
        }
        ("FAILED", _) => ("There are no results to be trusted.", "Mend what reasons says (often host, password, workload or fixtures), then submit again."),
        ("COMPLETED", _) => ("There are results; nobody has judged them.", "Read the figures; get_test_results has all of them."),
        _ => ("The run has not ended yet.", "Call wait_for_run, then this tool again."),
    }
}

fn short(check: Map<String, Value>) -> Map<String, Value> {
    let told = check.into_iter().filter(|(key, _)| matches!(key.as_str(), "name" | "limit" | "observed" | "owner"));
    told.map(|(key, value)| {
        let most = if key == "name" { 100 } else { 64 };
        (key, Value::from(cut(value.as_str().unwrap_or_default(), most)))
    })
    .collect()
}

/// The figures that matter, from k6's metrics.
fn figures(results: &Value) -> Option<Figures> {
    let metrics = results["k6"]["metrics"].as_array()?;
    let stat = |name: &str, stat: &str| metrics.iter().find(|metric| metric["name"] == name)?["stats"][stat].as_f64();
    let mut queries: Vec<QueryFigures> = metrics.iter().filter_map(query).collect();
    queries.sort_by(|a, b| b.p95_ms.total_cmp(&a.p95_ms));
    let more_queries = queries.len().saturating_sub(MOST_QUERIES);
    queries.truncate(MOST_QUERIES);
    Some(Figures { queries_per_second: stat("iterations", "rate").map(rounded), error_rate: stat("query_errors", "avg"), queries, more_queries })
}

fn query(metric: &Value) -> Option<QueryFigures> {
    let stat = |name: &str| metric["stats"][name].as_f64();
    let name = metric["name"].as_str()?.strip_prefix("sql_duration_")?;
    let (p50, p95, p99) = (stat("med")?, stat("p95")?, stat("p99")?);
    (stat("count") != Some(0.0)).then(|| QueryFigures { query: cut(name, 48), p50_ms: rounded(p50), p95_ms: rounded(p95), p99_ms: rounded(p99) })
}

/// Three places: a microsecond of a latency in milliseconds.
pub(super) fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_longest_explanation_stays_below_fifteen_hundred_tokens() {
        let long = "An error of the database, as long as they come. ".repeat(100);
        let check = json!({"name": long, "limit": long, "observed": long, "held": false, "decided": true, "owner": "sut"}).as_object().cloned().unwrap();
        let decision = Decision {
            run_id: "r".repeat(200),
            status: "COMPLETED".into(),
            verdict: Some("Inconclusive".into()),
            reasons: vec![long.clone(); 9],
            failed_checks: vec![check; 128],
            comparison: Some(json!({"text": long})),
        };
        let metrics: Vec<Value> = (0..99)
            .map(
                |at| json!({"name": format!("sql_duration_{}{at}", "Q".repeat(60)), "stats": {"count": 1, "med": 1.23456, "p95": 12345.678, "p99": 99999.999}}),
            )
            .collect();
        let explanation = compose(decision, figures(&json!({"k6": {"metrics": metrics}})));
        let text = serde_json::to_string(&explanation).unwrap();
        // English text has about four characters to a token; names and figures have fewer, so three are reckoned with.
        assert!(text.len() < 3 * 1500, "{} characters", text.len());
        assert_eq!((explanation.reasons.len(), explanation.more_failed_checks, explanation.figures.unwrap().more_queries), (3, 123, 93));
    }

    #[test]
    fn queries_are_told_slowest_first_and_unused_ones_not_at_all() {
        let stats = |count: u32, p95: f64| json!({"count": count, "med": 1.0, "p95": p95, "p99": 9.0});
        let metrics = json!([
            {"name": "sql_duration_Quick", "stats": stats(5, 2.0)}, {"name": "sql_duration_Slow", "stats": stats(5, 7.00049)},
            {"name": "sql_duration_Never", "stats": stats(0, 0.0)}, {"name": "iterations", "stats": {"rate": 12.5}}, {"name": "query_errors", "stats": {"avg": 0.2}},
        ]);
        let figures = figures(&json!({"k6": {"metrics": metrics}})).unwrap();
        let told: Vec<_> = figures.queries.iter().map(|query| (query.query.as_str(), query.p95_ms)).collect();
        assert_eq!(told, [("Slow", 7.0), ("Quick", 2.0)]);
        assert_eq!((figures.queries_per_second, figures.error_rate), (Some(12.5), Some(0.2)));
    }
}
