//! Logs and metrics. Labels of metrics are the words of our own enums, never names, paths or messages.

use std::time::Duration;

use axum::http::StatusCode;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// Begins to log: one JSON object per line on standard output.
pub fn init(filter: &str) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)?;
    tracing_subscriber::fmt().json().with_env_filter(filter).with_current_span(true).with_span_list(false).try_init().map_err(anyhow::Error::from_boxed)
}

/// What an answer was, by the first digit of its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Class {
    /// What was asked for.
    Answered,
    /// The caller has to ask otherwise.
    Refused,
    /// The caller has to ask again.
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByClass {
    class: Class,
}

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    answered: Counter,
    refused: Counter,
    failed: Counter,
    seconds: Histogram,
    reviews: Counter,
    everybody: Counter,
    runs: Gauge,
    synced: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Family::<ByClass, Counter>::default();
        let of = |class| requests.get_or_create(&ByClass { class }).clone();
        let mut metrics = Self {
            registry: Registry::with_prefix("crucible_gateway"),
            answered: of(Class::Answered),
            refused: of(Class::Refused),
            failed: of(Class::Failed),
            seconds: Histogram::new(exponential_buckets(0.000_1, 4.0, 10)),
            reviews: Counter::default(),
            everybody: Counter::default(),
            runs: Gauge::default(),
            synced: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("requests", "Requests, by what was answered", requests);
        registry.register("request_seconds", "How long answers took to begin", metrics.seconds.clone());
        registry.register("reviews", "Questions to the API server about tokens and rights", metrics.reviews.clone());
        registry.register("unauthenticated_requests", "Requests that were served without asking who sent them", metrics.everybody.clone());
        registry.register("runs", "Runs in the watch cache", metrics.runs.clone());
        registry.register("synced", "1 once the watch cache holds every run", metrics.synced.clone());
        metrics
    }
}

impl Metrics {
    /// Counts an answer.
    pub fn answered(&self, status: StatusCode, took: Duration) {
        let counter = match status.as_u16() {
            ..400 => &self.answered,
            400..500 => &self.refused,
            500.. => &self.failed,
        };
        counter.inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Counts a question to the API server about a token or a right.
    pub fn reviewed(&self) {
        self.reviews.inc();
    }

    /// Counts a request that was served without asking who sent it.
    pub fn served_everybody(&self) {
        self.everybody.inc();
    }

    /// Everything in the text format of Prometheus.
    pub fn render(&self, runs: usize, synced: bool) -> Result<String, std::fmt::Error> {
        self.runs.set(i64::try_from(runs).unwrap_or(i64::MAX));
        self.synced.set(i64::from(synced));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_what_the_caller_has_to_do() {
        let metrics = Metrics::default();
        for status in [200, 204, 302, 404, 503] {
            metrics.answered(StatusCode::from_u16(status).unwrap(), Duration::from_millis(1));
        }
        metrics.served_everybody();
        let text = metrics.render(7, true).unwrap();
        for line in [
            "crucible_gateway_requests_total{class=\"Answered\"} 3",
            "crucible_gateway_requests_total{class=\"Refused\"} 1",
            "crucible_gateway_requests_total{class=\"Failed\"} 1",
            "crucible_gateway_unauthenticated_requests_total 1",
            "crucible_gateway_runs 7",
            "crucible_gateway_synced 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
