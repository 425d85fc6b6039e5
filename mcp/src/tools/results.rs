//! The results of a run, short enough to be read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    argument::Name,
    failure::{Failure, cut},
    gateway::Path,
    tool::{About, Context, Effect, Tool},
};

/// How many points of a series are shown unless all are asked for.
const FEW_POINTS: usize = 12;
/// How many points of a series are shown at most.
const MOST_POINTS: usize = 500;
/// How many rows of any other list are shown.
const MOST_ROWS: usize = 100;
/// The longest text that is shown.
const LONGEST_TEXT: usize = 2000;
/// The longest answer, in bytes; series give way first.
const LONGEST_ANSWER: usize = 256 << 10;

/// Whose results to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetTestResults {
    /// The run.
    pub run_id: Name,
    /// Whether time series are shown with up to 500 points each instead of 12. Ask for them only to look at the course over time.
    #[serde(default)]
    pub include_series: bool,
}

/// Results.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Results {
    /// The run.
    pub run_id: String,
    /// Its status.
    #[serde(default)]
    pub status: Option<String>,
    /// When the results were merged.
    #[serde(default)]
    pub collected_at: Option<String>,
    /// What could not be collected.
    #[serde(default)]
    pub collection_error: Option<String>,
    /// Why failure detection ended the load early.
    #[serde(default)]
    pub abort_reason: Option<String>,
    /// metrics: a list of {name, type, stats}.
    #[serde(default)]
    pub k6: Option<Value>,
    /// sources: metrics of the database from Prometheus.
    #[serde(default)]
    pub observability: Option<Value>,
    /// events: the faults as they were observed.
    #[serde(default)]
    pub chaos: Option<Value>,
    /// The verdict, headline, queries, stages and error samples.
    #[serde(default)]
    pub crucible: Option<Value>,
    /// What was left out, and how to get it; empty where everything is shown.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// Whatever else the gateway tells.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Tool for GetTestResults {
    type Output = Results;

    const ABOUT: About = About {
        name: "get_test_results",
        title: "Read results",
        description: concat!(
            "Returns the figures of a run: the metrics of k6, the faults as observed, metrics of the database, and Crucible's own sections. For the verdict in a few lines use \
             explain_run instead. Only while COLLECTING, COMPLETED or FAILED; earlier it is an error of kind conflict. Long series and lists are thinned out; left_out says \
             what is missing.\n\nExample: {\"run_id\": \"checkout_20260307-2359_5b54ae4d\"} -> {\"status\": \"COMPLETED\", \"abort_reason\": null, \"k6\": {\"metrics\": \
             [{\"name\": \"sql_duration_PointLookup\", \"type\": \"trend\", \"stats\": {\"count\": 480211, \"med\": 1.2, \"p95\": 3.9, \"p99\": 7.7, \"rate\": 8003.5, ...}}, \
             ...]}, \"chaos\": {\"events\": []}, ...}\n\n",
            include_str!("../guide/results.md")
        ),
        effect: Effect::Reads,
    };

    async fn call(self, context: Context) -> Result<Results, Failure> {
        let mut results: Value = context.session.get(&Path::to("/v1/test-runs").step(self.run_id.as_str()).step("results")).await?;
        let left_out = shorten(&mut results, self.include_series);
        results["left_out"] = json!(left_out);
        serde_json::from_value(results).map_err(|error| Failure::Unreadable(error.to_string()))
    }
}

/// Thins series and lists out, and says what was left out.
pub fn shorten(results: &mut Value, include_series: bool) -> Vec<String> {
    let mut left_out = Vec::new();
    let points = if include_series { MOST_POINTS } else { FEW_POINTS };
    shorten_at(results, "", points, &mut left_out);
    if results.to_string().len() > LONGEST_ANSWER {
        shorten_at(results, "", FEW_POINTS, &mut left_out);
    }
    // What is still too long has lists in lists: the sections that nobody reads first go.
    for section in ["/crucible/timeline", "/crucible/queriesByStage", "/crucible/errorSamples", "/observability", "/crucible", "/chaos", "/k6"] {
        if results.to_string().len() <= LONGEST_ANSWER {
            break;
        }
        if let Some(value) = results.pointer_mut(section).filter(|value| !value.is_null()) {
            *value = Value::Null;
            left_out.push(format!("{}: too long to be shown; read it from the bucket under results/", dots(section)));
        }
    }
    left_out.truncate(MOST_ROWS);
    left_out
}

fn shorten_at(value: &mut Value, path: &str, points: usize, left_out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                shorten_at(value, &path, points, left_out);
            }
        }
        Value::Array(items) => {
            let most = if is_series(path) { points } else { MOST_ROWS };
            if items.len() > most {
                left_out.push(format!(
                    "{path}: {most} of {} shown{}",
                    items.len(),
                    if is_series(path) { ", evenly spread; include_series shows more" } else { "" }
                ));
                *items = if is_series(path) { spread(items, most) } else { items.drain(..most).collect() };
            }
            for (at, item) in items.iter_mut().enumerate() {
                shorten_at(item, &format!("{path}[{at}]"), points, left_out);
            }
        }
        Value::String(text) => *text = cut(text, LONGEST_TEXT),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_series(path: &str) -> bool {
    path.ends_with(".values") || path.ends_with("timeline.points")
}

/// This many items, evenly spread, the first and the last among them.
fn spread(items: &[Value], most: usize) -> Vec<Value> {
    let last = items.len().saturating_sub(1);
    (0..most).filter_map(|at| items.get(at * last / most.saturating_sub(1).max(1)).cloned()).collect()
}

fn dots(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_keeps_its_ends_and_says_what_it_lost() {
        let values: Vec<Value> = (0..100).map(|at| json!([at, "1"])).collect();
        let mut results = json!({"observability": {"sources": [{"metrics": [{"values": values}]}]}});
        let left_out = shorten(&mut results, false);
        let shown = results["observability"]["sources"][0]["metrics"][0]["values"].as_array().unwrap();
        assert_eq!((shown.len(), &shown[0][0], &shown[11][0]), (12, &json!(0), &json!(99)));
        assert_eq!(left_out, ["observability.sources[0].metrics[0].values: 12 of 100 shown, evenly spread; include_series shows more"]);
    }

    #[test]
    fn no_answer_is_longer_than_its_bound() {
        let row: Vec<Value> = (0..100).map(|_| json!("x".repeat(2000))).collect();
        let mut results = json!({"run_id": "r", "k6": {"metrics": [{"name": "kept"}]}, "crucible": {"verdict": {"outcome": "Passed"}, "errorSamples": row.clone(), "queriesByStage": row}});
        let left_out = shorten(&mut results, true);
        assert!(results.to_string().len() <= LONGEST_ANSWER);
        assert_eq!(results["crucible"]["verdict"]["outcome"], "Passed");
        assert_eq!(left_out, ["crucible.queriesByStage: too long to be shown; read it from the bucket under results/"]);
    }
}
