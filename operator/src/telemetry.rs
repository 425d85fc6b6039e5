//! Logs and metrics. Labels of metrics are the words of our own enums, never names or messages.

use std::{
    sync::atomic::AtomicU64,
    task::{Context as Poll, Poll as Ready},
    time::Duration,
};

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
use tower::{Layer, Service};

use crate::{context::Memory, workers::fleet::Call};

/// Begins to log: one JSON object per line on standard output.
pub fn init(filter: &str) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)?;
    tracing_subscriber::fmt().json().with_env_filter(filter).with_current_span(true).with_span_list(false).try_init().map_err(anyhow::Error::from_boxed)
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    /// Everything that was decided was carried out.
    Done,
    /// Somebody else was faster; the pass was dropped.
    Dropped,
    /// Something could not be carried out.
    Failed,
}

/// How a poll of a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum PollOutcome {
    /// It answered.
    Answered,
    /// It did not answer in time.
    TimedOut,
    /// No connection.
    Unreachable,
    /// It answered something else than the contract says.
    Refused,
    /// A worker of another run answered.
    Stranger,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPollOutcome {
    outcome: PollOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCall {
    call: CallLabel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum CallLabel {
    Start,
    Stop,
    Upload,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByVerb {
    verb: Verb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPhase {
    phase: &'static str,
}

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    passes: Family<ByOutcome, Counter>,
    pass_seconds: Histogram,
    api_requests: Family<ByVerb, Counter>,
    polls: Family<ByPollOutcome, Counter>,
    orders: Family<ByCall, Counter>,
    runs: Family<ByPhase, Gauge>,
    mirror_lag: Gauge<f64, AtomicU64>,
    mirror_told: Counter,
    mirror_failures: Counter,
    mirror_escapes: Counter,
    leading: Gauge<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("crucible_operator"),
            passes: Family::default(),
            pass_seconds: Histogram::new(exponential_buckets(0.001, 4.0, 8)),
            api_requests: Family::default(),
            polls: Family::default(),
            orders: Family::default(),
            runs: Family::default(),
            mirror_lag: Gauge::default(),
            mirror_told: Counter::default(),
            mirror_failures: Counter::default(),
            mirror_escapes: Counter::default(),
            leading: Gauge::default(),
        };
        metrics.registered()
    }
}

impl Metrics {
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("reconciles", "Passes over objects, by how they ended", self.passes.clone());
        registry.register("reconcile_seconds", "How long passes took", self.pass_seconds.clone());
        registry.register("api_requests", "Requests to the Kubernetes API, by verb", self.api_requests.clone());
        registry.register("worker_polls", "Polls of workers, by how they ended", self.polls.clone());
        registry.register("worker_orders", "Orders sent to workers", self.orders.clone());
        registry.register("runs", "Live runs, by phase", self.runs.clone());
        registry.register("mirror_lag_seconds", "For how long the ledger has been behind the cluster", self.mirror_lag.clone());
        registry.register("mirror_rows", "Statuses of runs that the ledger was told", self.mirror_told.clone());
        registry.register("mirror_failures", "Questions and statements that the ledger did not answer or refused", self.mirror_failures.clone());
        registry.register("mirror_escapes", "Deleted runs that were let go before the ledger knew of their end", self.mirror_escapes.clone());
        registry.register("leading", "1 while this replica is the leader", self.leading.clone());
        self
    }

    /// Counts a pass.
    pub fn passed(&self, outcome: Outcome, took: Duration) {
        self.passes.get_or_create(&ByOutcome { outcome }).inc();
        self.pass_seconds.observe(took.as_secs_f64());
    }

    /// Counts a poll of a worker.
    pub fn polled(&self, outcome: PollOutcome) {
        self.polls.get_or_create(&ByPollOutcome { outcome }).inc();
    }

    /// Counts an order to a worker.
    pub fn told(&self, call: Call) {
        let call = match call {
            Call::Start { .. } => CallLabel::Start,
            Call::Stop => CallLabel::Stop,
            Call::Upload => CallLabel::Upload,
        };
        self.orders.get_or_create(&ByCall { call }).inc();
    }

    /// Says for how long the ledger has been behind, in seconds.
    pub fn mirror_lags(&self, seconds: f64) {
        self.mirror_lag.set(seconds);
    }

    /// Counts statuses that the ledger was told.
    pub fn mirror_told(&self, statuses: usize) {
        self.mirror_told.inc_by(statuses as u64);
    }

    /// Counts what the ledger did not answer or refused.
    pub fn mirror_failed(&self) {
        self.mirror_failures.inc();
    }

    /// Counts a deleted run that was let go before the ledger knew of its end.
    pub fn mirror_escaped(&self) {
        self.mirror_escapes.inc();
    }

    /// Says whether this replica leads.
    pub fn leads(&self, leading: bool) {
        self.leading.set(u64::from(leading));
    }

    /// Everything in the text format of Prometheus.
    pub fn render(&self, memory: &Memory) -> Result<String, std::fmt::Error> {
        let phases = memory.phases();
        for phase in crucible_crds::Phase::ALL {
            self.runs.get_or_create(&ByPhase { phase: phase.as_str() }).set(phases.get(&phase).copied().unwrap_or(0));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// A layer under the Kubernetes client that counts its requests.
    pub fn request_counter(&self) -> RequestCounter {
        RequestCounter { requests: self.api_requests.clone() }
    }
}

/// Counts the requests of the Kubernetes client.
#[derive(Clone)]
pub struct RequestCounter {
    requests: Family<ByVerb, Counter>,
}

impl<S> Layer<S> for RequestCounter {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, requests: self.requests.clone() }
    }
}

/// A service whose requests are counted.
#[derive(Clone)]
pub struct Counted<S> {
    inner: S,
    requests: Family<ByVerb, Counter>,
}

impl<S, B> Service<http::Request<B>> for Counted<S>
where
    S: Service<http::Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Poll<'_>) -> Ready<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let verb = match request.method().as_str() {
            "POST" => Verb::Post,
            "PUT" => Verb::Put,
            "PATCH" => Verb::Patch,
            "DELETE" => Verb::Delete,
            _ => Verb::Get,
        };
        self.requests.get_or_create(&ByVerb { verb }).inc();
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_speak_in_the_words_of_enums() {
        let metrics = Metrics::default();
        metrics.passed(Outcome::Dropped, Duration::from_millis(3));
        metrics.polled(PollOutcome::TimedOut);
        metrics.told(Call::Stop);
        metrics.leads(true);
        metrics.mirror_lags(2.5);
        metrics.mirror_told(3);
        let text = metrics.render(&Memory::default()).unwrap();
        for line in [
            "crucible_operator_reconciles_total{outcome=\"Dropped\"} 1",
            "crucible_operator_worker_polls_total{outcome=\"TimedOut\"} 1",
            "crucible_operator_worker_orders_total{call=\"Stop\"} 1",
            "crucible_operator_runs{phase=\"Executing\"} 0",
            "crucible_operator_leading 1",
            "crucible_operator_mirror_lag_seconds 2.5",
            "crucible_operator_mirror_rows_total 3",
            "crucible_operator_mirror_failures_total 0",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
