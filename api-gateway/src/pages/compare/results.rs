//! What a comparison shows of results: of ours their own sections, of those of the earlier system k6's metrics.

use serde_json::Value;

/// No run is drawn with more points; results have fewer.
const MOST_POINTS: usize = 4_000;
/// No plan has more queries.
const MOST_QUERIES: usize = 1_000;

/// What a run measured.
#[derive(Debug, Default)]
pub struct Measured {
    /// All queries together.
    pub all: Option<Row>,
    /// Each query.
    pub queries: Vec<Row>,
    /// Over time.
    pub points: Vec<Point>,
    /// How it was judged against an earlier run, and against which.
    pub judged: Option<(String, String)>,
    /// Our own sections.
    ours: Value,
}

/// Figures of queries; latencies in microseconds.
#[derive(Debug, Default)]
pub struct Row {
    /// The query's name.
    pub name: String,
    /// Answered per second.
    pub throughput: f64,
    /// The share that failed.
    pub error_rate: Option<f64>,
    /// The median.
    pub p50: Option<f64>,
    /// The 95th percentile.
    pub p95: Option<f64>,
    /// The 99th percentile.
    pub p99: Option<f64>,
}

/// One point in time.
#[derive(Debug)]
pub struct Point {
    /// Seconds after the start.
    pub second: f64,
    /// Answered per second.
    pub per_second: f64,
    /// The 95th percentile of their latency.
    pub p95: Option<f64>,
}

impl Measured {
    /// Results as they lie in the bucket; nothing where they are none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut results: Value = serde_json::from_slice(bytes).ok()?;
        let ours = results.get_mut("crucible").map(Value::take).unwrap_or_default();
        if ours.is_null() {
            return Some(Self { queries: of_k6(results["k6"]["metrics"].as_array()?), ..Self::default() });
        }
        let all = Some(&ours["headline"]).filter(|row| row.is_object()).map(|row| of_row(row, "all queries"));
        let queries =
            ours["queries"].as_array().into_iter().flatten().take(MOST_QUERIES).map(|row| of_row(row, row["query"].as_str().unwrap_or_default())).collect();
        let comparison = &ours["comparison"];
        let judged = comparison["change"].as_str().zip(comparison["baseline"]["runId"].as_str()).map(|(change, run)| (change.to_owned(), run.to_owned()));
        let timeline = &ours["timeline"];
        let step = timeline["secondsPerPoint"].as_f64().filter(|step| *step > 0.0).unwrap_or(1.0);
        let points = timeline["points"].as_array().into_iter().flatten().take(MOST_POINTS).filter_map(|point| {
            let (second, ok) = (number(&point["second"])?, number(&point["ok"])?);
            Some(Point { second, per_second: ok / step, p95: number(&point["latencyMicros"]["p95"]) })
        });
        Some(Self { all, queries, points: points.collect(), judged, ours })
    }

    /// The figures of a query.
    pub fn query(&self, name: &str) -> Option<&Row> {
        self.queries.iter().find(|row| row.name == name)
    }

    /// What two runs have in common or not.
    pub fn facts(&self) -> [(&'static str, String); 6] {
        let said = |value: &Value| match value {
            Value::Null => "–".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let plan = &self.ours["plan"];
        let digest: String = said(&plan["digest"]).chars().take(12).collect();
        [
            ("plan", said(&plan["name"])),
            ("plan digest", digest),
            ("engine", said(&plan["target"]["engine"])),
            ("endpoint", said(&plan["target"]["endpoint"])),
            ("version", said(&self.ours["serverVersion"])),
            ("workers", said(&self.ours["workers"]["expected"])),
        ]
    }
}

/// A number that can be drawn.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite() && *number >= 0.0)
}

fn of_row(row: &Value, name: &str) -> Row {
    let latency = |percentile: &str| number(&row["latencyMicros"][percentile]);
    Row {
        name: name.to_owned(),
        throughput: number(&row["throughput"]).unwrap_or_default(),
        error_rate: number(&row["errorRate"]),
        p50: latency("p50"),
        p95: latency("p95"),
        p99: latency("p99"),
    }
}

/// The queries as k6 summed them up, in milliseconds.
fn of_k6(metrics: &[Value]) -> Vec<Row> {
    let row = |metric: &Value| {
        let name = metric["name"].as_str()?.strip_prefix("sql_duration_")?.to_owned();
        let stats = &metric["stats"];
        let latency = |figure: &str| Some(number(&stats[figure])? * 1e3);
        Some(Row {
            name,
            throughput: number(&stats["rate"]).unwrap_or_default(),
            error_rate: None,
            p50: latency("med"),
            p95: latency("p95"),
            p99: latency("p99"),
        })
    };
    metrics.iter().filter_map(row).take(MOST_QUERIES).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn results_of_the_earlier_system_are_read_in_its_words() {
        let results = json!({"k6": {"metrics": [
            {"name": "sql_duration_Lookup", "stats": {"rate": 40.5, "med": 1.5, "p95": 3.25, "p99": 7.0}}, {"name": "vus", "stats": {"rate": 1.0}}
        ]}});
        let measured = Measured::read(results.to_string().as_bytes()).unwrap();
        let [row] = &measured.queries[..] else { panic!("{measured:?}") };
        assert_eq!((row.name.as_str(), row.throughput, row.p50, row.p95, row.p99), ("Lookup", 40.5, Some(1500.0), Some(3250.0), Some(7000.0)));
        assert!(measured.all.is_none() && measured.points.is_empty());
    }

    #[test]
    fn what_is_no_result_is_told_from_one_in_which_something_is_missing() {
        for nothing in ["", "[]", "{}", "7", "{\"k6\": {\"metrics\": 3}}", "{\"crucible\": null}"] {
            assert!(Measured::read(nothing.as_bytes()).is_none(), "{nothing}");
        }
        let odd = json!({"crucible": {"headline": {"throughput": "many"}, "queries": {}, "timeline": {"secondsPerPoint": 0, "points": [{"second": -1, "ok": 2}, {"second": 1, "ok": 9}]}}});
        let measured = Measured::read(odd.to_string().as_bytes()).unwrap();
        assert_eq!((measured.all.unwrap().p95, measured.queries.len(), measured.points.len()), (None, 0, 1));
    }
}
