//! What Prometheus servers said over the time of a load: which server a plan means, what it is asked, and what of its
//! answers is kept.
//!
//! A plan names servers, or gives addresses; only those on the operator's own list are asked. What goes wrong with one
//! costs only what it was to answer, and is said in `collection_error`. No text of an answer is ever repeated there.

use std::{collections::BTreeMap, time::Duration};

use crucible_crds::{name::HttpUrl, observe::PrometheusSource};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Number, Value, json};

/// The most series that are kept of one metric.
const MOST_SERIES: usize = 50;
/// The most values that are kept of one source, all of its metrics and series together.
const MOST_VALUES: usize = 50_000;
/// The most values of one series that Prometheus gives.
const MOST_POINTS: u128 = 11_000;

/// A Prometheus server that may be asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// What plans call it.
    pub name: String,
    /// Its address, for example `http://prometheus.monitoring.svc:9090`.
    pub url: HttpUrl,
}

/// The time of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When the first query went out.
    pub from: Timestamp,
    /// When the last query was answered.
    pub to: Timestamp,
}

impl Window {
    /// The time between two values: what the source asks for, and more where the load is too long for that.
    #[must_use]
    pub fn step(&self, source: &PrometheusSource) -> Duration {
        let length = Duration::try_from(self.to.duration_since(self.from)).unwrap_or_default();
        // Both ends have a value: so many points have one step less between them.
        let steps = u128::from(source.max_points).min(MOST_POINTS).saturating_sub(1).max(1);
        let millis = u64::try_from(length.as_millis().div_ceil(steps)).unwrap_or(u64::MAX);
        source.resolution.span().max(Duration::from_millis(millis))
    }
}

/// The server that a source means, where it is on the operator's list.
#[must_use]
pub fn server_of<'a>(source: &PrometheusSource, allowed: &'a [Server]) -> Option<&'a Server> {
    let PrometheusSource { name: _, source, url, metrics: _, resolution: _, max_points: _ } = source;
    match (source, url) {
        (Some(name), None) => allowed.iter().find(|server| server.name == name.0),
        (None, Some(url)) => {
            let url = normalised(url)?;
            allowed.iter().find(|server| normalised(&server.url).as_ref() == Some(&url))
        }
        (Some(_), Some(_)) | (None, None) => None,
    }
}

/// An address in the one way to write it: lower case up to the path, no port that goes without saying, no slash at its end.
fn normalised(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let (authority, path) = rest.find('/').and_then(|slash| rest.split_at_checked(slash)).unwrap_or((rest, ""));
    let usual = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.to_ascii_lowercase();
    let host = authority.strip_suffix(usual).unwrap_or(&authority);
    Some(format!("{scheme}://{host}{}", path.trim_end_matches('/')))
}

/// What one source said.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceReading {
    /// What the plan calls it.
    pub name: String,
    /// The address that was asked; the plan's own where none was.
    pub url: String,
    /// What it said, question by question; a question that was not answered has no values.
    pub series: Vec<Series>,
    /// What went wrong, in sentences.
    pub problems: Vec<String>,
}

/// One series of values.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The metric's name in the plan.
    pub metric: String,
    /// The question.
    pub query: String,
    /// The labels that tell this series from the others of its metric; none where it is the only one.
    pub labels: BTreeMap<String, String>,
    /// Seconds since 1970 and the value, as Prometheus writes them.
    pub values: Vec<(Number, String)>,
}

impl SourceReading {
    /// The reading of a source that has not been asked yet.
    #[must_use]
    pub fn of(source: &PrometheusSource, server: Option<&Server>) -> Self {
        let url = server.map(|server| server.url.to_string()).or_else(|| source.url.as_ref().map(ToString::to_string));
        let mut reading = Self { name: source.name.to_string(), url: url.unwrap_or_default(), series: Vec::new(), problems: Vec::new() };
        if server.is_none() {
            reading.problems.push(format!("Prometheus source {:?} is not on the operator's list.", reading.name));
        }
        reading
    }

    /// Takes in an answer, or why there is none.
    pub fn take(&mut self, metric: &str, query: &str, answer: Result<&[u8], String>) {
        let room = MOST_VALUES.saturating_sub(self.series.iter().map(|series| series.values.len()).sum());
        let (mut series, problem) = match answer.and_then(|body| read(body, room)) {
            Ok((series, cut)) => (series, cut.then(|| "has more values than are kept".to_owned())),
            Err(problem) => (Vec::new(), Some(problem)),
        };
        if series.is_empty() {
            series.push((BTreeMap::new(), Vec::new()));
        }
        let alone = series.len() == 1;
        self.problems.extend(problem.map(|problem| format!("Metric {metric:?} of Prometheus source {:?} {problem}.", self.name)));
        self.series.extend(series.into_iter().map(|(labels, values)| Series {
            metric: metric.to_owned(),
            query: query.to_owned(),
            labels: if alone { BTreeMap::new() } else { labels },
            values,
        }));
    }

    /// The source as it stands in `results.json`.
    pub(super) fn to_json(&self) -> Value {
        let Self { name, url, series, problems: _ } = self;
        json!({"name": name, "url": url, "metrics": series.iter().map(Series::to_json).collect::<Vec<_>>()})
    }
}

impl Series {
    fn to_json(&self) -> Value {
        let Self { metric, query, labels, values } = self;
        let mut fields = Map::from_iter([("name".to_owned(), json!(metric)), ("query".to_owned(), json!(query)), ("values".to_owned(), json!(values))]);
        if !labels.is_empty() {
            fields.insert("labels".to_owned(), json!(labels));
        }
        Value::Object(fields)
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Vec<Matrix>,
}

#[derive(Deserialize)]
struct Matrix {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(Number, String)>,
}

type Found = Vec<(BTreeMap<String, String>, Vec<(Number, String)>)>;

/// The series of an answer to a range query, and whether some of it was cut off.
fn read(body: &[u8], room: usize) -> Result<(Found, bool), String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| "was answered with something that is no range of values".to_owned())?;
    if answer.data.kind != "matrix" {
        return Err("was answered with something that is no range of values".to_owned());
    }
    let mut cut = answer.data.result.len() > MOST_SERIES;
    let mut left = room;
    let kept = answer.data.result.into_iter().take(MOST_SERIES).map(|Matrix { metric, mut values }| {
        cut |= values.len() > left;
        values.truncate(left);
        left -= values.len();
        (metric, values)
    });
    let kept = kept.collect();
    Ok((kept, cut))
}

#[cfg(test)]
mod tests;
