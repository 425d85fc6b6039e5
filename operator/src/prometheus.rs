//! Reads the Prometheus sources of a plan, once its load has ended. What fails costs only itself: a reading always comes
//! back, with what went wrong in it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use crucible_crds::observe::{Observe, PrometheusSource};
use crucible_lifecycle::results::observability::{Server, SourceReading, Window, server_of};
use futures::future::join_all;
use tokio::time::{Instant, timeout_at};

mod http;

pub use self::http::HttpPrometheus;

/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(10);
/// How long all questions to all sources may take together.
const LONGEST: Duration = Duration::from_secs(30);

/// One question about a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range<'a> {
    /// The question, in `PromQL`.
    pub query: &'a str,
    /// The time that it is about.
    pub window: Window,
    /// The time between two values.
    pub step: Duration,
}

/// Why a question was not answered. No variant holds anything of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The address cannot be asked, or leads where nobody may ask.
    #[error("may not be asked of the address that its host resolves to")]
    Forbidden,
    /// No connection could be made, or it broke.
    #[error("was not answered: the server cannot be reached")]
    Unreachable,
    /// It took too long.
    #[error("was not answered in time")]
    TimedOut,
    /// Another status than success. Redirects are not followed.
    #[error("was refused with status {0}")]
    Refused(u16),
    /// More bytes than are read.
    #[error("was answered at too great a length")]
    TooLong,
}

impl AskError {
    /// Whether the next question to the same server would fare no better.
    const fn is_of_the_server(self) -> bool {
        match self {
            Self::Forbidden | Self::Unreachable | Self::TimedOut => true,
            Self::Refused(_) | Self::TooLong => false,
        }
    }
}

/// Asks Prometheus servers.
#[async_trait]
pub trait Prometheus: Send + Sync + 'static {
    /// `query_range`: the answer as it came.
    async fn query_range(&self, server: &Server, ask: &Range<'_>) -> Result<Bytes, AskError>;
}

/// The servers that may be asked, and the way to ask them.
#[derive(Clone)]
pub struct Observatory {
    /// The operator's list.
    pub servers: Vec<Server>,
    /// The way to ask.
    pub client: Arc<dyn Prometheus>,
}

impl Observatory {
    /// What every source says about a time, in the plan's order, within half of what is left for collecting.
    pub async fn read(&self, observe: &Observe, window: Window, collect: Duration) -> Vec<SourceReading> {
        let until = Instant::now() + LONGEST.min(collect / 2);
        join_all(observe.prometheus.iter().map(|source| self.read_source(source, window, until))).await
    }

    async fn read_source(&self, source: &PrometheusSource, window: Window, until: Instant) -> SourceReading {
        let server = server_of(source, &self.servers);
        let mut reading = SourceReading::of(source, server);
        let Some(server) = server else { return reading };
        let mut down = None;
        for metric in &source.metrics {
            let ask = Range { query: &metric.query, window, step: window.step(source) };
            let answer = match down {
                Some(error) => Err(error),
                None => timeout_at(until.min(Instant::now() + QUESTION), self.client.query_range(server, &ask)).await.unwrap_or(Err(AskError::TimedOut)),
            };
            down = answer.as_ref().err().copied().filter(|error| error.is_of_the_server());
            reading.take(&metric.name, &metric.query, answer.as_deref().map_err(ToString::to_string));
        }
        reading
    }
}
