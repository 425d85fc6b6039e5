//! How a worker is asked and told: the control API of the contract over HTTP, behind a trait that tests play.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use crucible_lifecycle::contract::{StartOrder, StopOrder, UploadOrder, WorkerReport};
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde::Serialize;

use crate::token::Token;

/// How long a worker may take to answer.
const TIMEOUT: Duration = Duration::from_secs(1);
/// No answer of a worker is longer: 60 seconds of histograms and a list of files.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

/// Where a worker is and what it is asked with.
#[derive(Clone, Debug)]
pub struct Peer {
    /// `ip:port` of its control API.
    pub address: String,
    /// The run's token.
    pub token: Token,
}

/// Asks and tells workers.
#[async_trait]
pub trait WorkerClient: Send + Sync + 'static {
    /// `GET /status?after=<second>`.
    async fn status(&self, worker: &Peer, after: Option<u64>) -> Result<WorkerReport, CallError>;
    /// `POST /start`.
    async fn start(&self, worker: &Peer, order: &StartOrder) -> Result<(), CallError>;
    /// `POST /stop`.
    async fn stop(&self, worker: &Peer, order: &StopOrder) -> Result<(), CallError>;
    /// `POST /upload`.
    async fn upload(&self, worker: &Peer, order: &UploadOrder) -> Result<(), CallError>;
}

/// Why a worker was not asked or told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It did not answer in time.
    #[error("the worker did not answer in time")]
    TimedOut,
    /// No connection could be made, or it broke.
    #[error("the worker could not be reached")]
    Unreachable,
    /// It answered with another status than success.
    #[error("the worker answered with status {0}")]
    Refused(u16),
    /// It answered with something that is not in the contract.
    #[error("the worker's answer could not be read")]
    Unreadable,
}

/// Workers over HTTP, with connections kept open.
#[derive(Clone, Debug)]
pub struct HttpWorkers {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Default for HttpWorkers {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(TIMEOUT));
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).pool_max_idle_per_host(1).build(connector);
        Self { client }
    }
}

impl HttpWorkers {
    async fn call(&self, worker: &Peer, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Bytes, CallError> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", worker.address))
            .header(header::AUTHORIZATION, worker.token.bearer())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|_| CallError::Unreachable)?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|_| CallError::Unreachable)?;
            if !answer.status().is_success() {
                return Err(CallError::Refused(answer.status().as_u16()));
            }
            let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await.map_err(|_| CallError::Unreadable)?;
            Ok(body.to_bytes())
        };
        tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or(Err(CallError::TimedOut))
    }

    async fn post(&self, worker: &Peer, path: &str, order: &(impl Serialize + Sync)) -> Result<(), CallError> {
        let body = serde_json::to_vec(order).map_err(|_| CallError::Unreadable)?;
        self.call(worker, Method::POST, path, Some(body)).await.map(|_| ())
    }
}

#[async_trait]
impl WorkerClient for HttpWorkers {
    async fn status(&self, worker: &Peer, after: Option<u64>) -> Result<WorkerReport, CallError> {
        let path = after.map_or_else(|| "/status".to_owned(), |second| format!("/status?after={second}"));
        let body = self.call(worker, Method::GET, &path, None).await?;
        serde_json::from_slice(&body).map_err(|_| CallError::Unreadable)
    }

    async fn start(&self, worker: &Peer, order: &StartOrder) -> Result<(), CallError> {
        self.post(worker, "/start", order).await
    }

    async fn stop(&self, worker: &Peer, order: &StopOrder) -> Result<(), CallError> {
        self.post(worker, "/stop", order).await
    }

    async fn upload(&self, worker: &Peer, order: &UploadOrder) -> Result<(), CallError> {
        self.post(worker, "/upload", order).await
    }
}
