//! The control API: what the operator reads and orders. Every route but the health check wants the run's token.

use std::{io, sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, Query, Request, State, rejection::JsonRejection},
    http::{StatusCode, header::AUTHORIZATION},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use crucible_lifecycle::contract::{StartOrder, StopOrder, UploadOrder, WorkerReport, WorkerState};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, timeout},
};

use crate::{clock, course::Judgement};

/// Signed addresses of three files are a few kilobytes.
const LONGEST_BODY: usize = 64 << 10;
const LONGEST_REQUEST: Duration = Duration::from_secs(5);
const LONGEST_HEADER: Duration = Duration::from_secs(15);
const CONNECTIONS: usize = 64;

/// No load is agreed upon further ahead than this.
const FURTHEST_START: Duration = Duration::from_hours(1);

/// What the operator wants. Each is answered by the supervisor.
#[derive(Debug)]
pub enum Ask {
    /// How far the worker is.
    Status {
        /// Only seconds after this one.
        after: Option<u64>,
        /// Takes the answer.
        answer: oneshot::Sender<WorkerReport>,
    },
    /// The load is to start.
    Start {
        /// When.
        at: Instant,
        /// Takes the answer.
        answer: oneshot::Sender<Answer>,
    },
    /// The load is to end.
    Stop {
        /// Why, for the log.
        order: StopOrder,
        /// Takes the answer.
        answer: oneshot::Sender<Answer>,
    },
    /// The results are to be handed in.
    Upload {
        /// Where to.
        order: UploadOrder,
        /// Takes the answer.
        answer: oneshot::Sender<Answer>,
    },
}

/// The answer to an order.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Whether it counts.
    pub judgement: Judgement,
    /// How far the worker is now.
    pub state: WorkerState,
}

/// What is wrong with a request.
#[derive(Debug)]
enum Refusal {
    Token,
    Body(JsonRejection),
    TooFarAhead,
    State(WorkerState),
    Late,
    Leaving,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::Token => (StatusCode::UNAUTHORIZED, "the token is missing or wrong".to_owned()),
            Self::Body(rejection) => (rejection.status(), rejection.body_text()),
            Self::TooFarAhead => (StatusCode::BAD_REQUEST, format!("inNanos is further ahead than {} s", FURTHEST_START.as_secs())),
            Self::State(state) => (StatusCode::CONFLICT, format!("not in state {state:?}")),
            Self::Late => (StatusCode::REQUEST_TIMEOUT, "the request took too long".to_owned()),
            Self::Leaving => (StatusCode::SERVICE_UNAVAILABLE, "the worker is leaving".to_owned()),
        };
        (status, Json(json!({"error": error}))).into_response()
    }
}

type Asks = mpsc::Sender<Ask>;

/// When a request arrived, its body not yet read.
#[derive(Clone, Copy)]
struct Arrived(Instant);

/// The routes.
pub fn router(token: &str, asks: mpsc::Sender<Ask>) -> Router {
    let digest = Arc::new(Sha256::digest(token));
    let guarded = Router::new()
        .route("/status", get(status))
        .route("/start", post(start))
        .route("/stop", post(stop))
        .route("/upload", post(upload))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(from_fn_with_state(digest, check_token))
        .with_state(asks);
    Router::new().route("/healthz", get(async || "ok")).merge(guarded).layer(from_fn(in_time))
}

/// Serves the routes for as long as the process lives.
pub async fn serve(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(LONGEST_HEADER).max_buf_size(16 << 10);
            if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "a connection to the control API ended early");
            }
            drop(place);
        });
    }
}

/// Out of file descriptors, most likely; the next try would fail the same way at once.
async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "failed to accept a connection to the control API");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

async fn in_time(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Arrived(Instant::now()));
    timeout(LONGEST_REQUEST, next.run(request)).await.unwrap_or_else(|_| Refusal::Late.into_response())
}

async fn check_token(State(digest): State<Arc<sha2::digest::Output<Sha256>>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    match given {
        Some(given) if same(&Sha256::digest(given), &digest) => next.run(request).await,
        Some(_) | None => Refusal::Token.into_response(),
    }
}

/// Takes as long whatever the texts are. They are digests, so that not even a length is told.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && std::hint::black_box(one.iter().zip(other).fold(0, |difference, (one, other)| difference | (one ^ other))) == 0
}

#[derive(Deserialize)]
struct After {
    after: Option<u64>,
}

async fn status(State(asks): State<Asks>, Query(After { after }): Query<After>) -> Result<Json<WorkerReport>, Refusal> {
    ask(&asks, |answer| Ask::Status { after, answer }).await.map(Json)
}

async fn start(
    State(asks): State<Asks>,
    Extension(Arrived(arrived)): Extension<Arrived>,
    order: Result<Json<StartOrder>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(StartOrder { in_nanos, at_unix_nanos }) = order.map_err(Refusal::Body)?;
    let ahead = Duration::from_nanos(in_nanos);
    if ahead > FURTHEST_START {
        return Err(Refusal::TooFarAhead);
    }
    let at = at_unix_nanos.map_or(arrived + ahead, |nanos| clock::nearer_word(arrived + ahead, nanos));
    answered(ask(&asks, |answer| Ask::Start { at, answer }).await?)
}

async fn stop(State(asks): State<Asks>, order: Result<Json<StopOrder>, JsonRejection>) -> Result<Response, Refusal> {
    let Json(order) = order.map_err(Refusal::Body)?;
    answered(ask(&asks, |answer| Ask::Stop { order, answer }).await?)
}

async fn upload(State(asks): State<Asks>, order: Result<Json<UploadOrder>, JsonRejection>) -> Result<Response, Refusal> {
    let Json(order) = order.map_err(Refusal::Body)?;
    answered(ask(&asks, |answer| Ask::Upload { order, answer }).await?)
}

async fn ask<T>(asks: &Asks, build: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Refusal> {
    let (answer, answered) = oneshot::channel();
    asks.send(build(answer)).await.map_err(|_| Refusal::Leaving)?;
    answered.await.map_err(|_| Refusal::Leaving)
}

fn answered(Answer { judgement, state }: Answer) -> Result<Response, Refusal> {
    match judgement {
        Judgement::Accepted | Judgement::Repeated => Ok(Json(json!({"state": state})).into_response()),
        Judgement::Refused => Err(Refusal::State(state)),
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;

    use super::*;

    /// Answers every order with this judgement.
    fn app(judgement: Judgement) -> Router {
        let (asks, mut asked) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(ask) = asked.recv().await {
                match ask {
                    Ask::Status { .. } => {}
                    Ask::Start { answer, .. } | Ask::Stop { answer, .. } | Ask::Upload { answer, .. } => {
                        answer.send(Answer { judgement, state: WorkerState::Ready }).unwrap();
                    }
                }
            }
        });
        router("s3cret", asks)
    }

    async fn status_of(judgement: Judgement, method: &str, path: &str, token: Option<&str>, body: impl Into<Body>) -> u16 {
        let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        app(judgement).oneshot(request.body(body.into()).unwrap()).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn nothing_but_the_health_check_is_answered_without_the_token() {
        let accepted = Judgement::Accepted;
        assert_eq!(status_of(accepted, "GET", "/healthz", None, "").await, 200);
        for path in ["/status", "/start", "/stop", "/upload"] {
            let method = if path == "/status" { "GET" } else { "POST" };
            for token in [None, Some("Bearer s3cre"), Some("Bearer s3cret "), Some("bearer"), Some("Basic s3cret"), Some("")] {
                assert_eq!(status_of(accepted, method, path, token, "{}").await, 401, "{path} {token:?}");
            }
        }
    }

    #[tokio::test]
    async fn an_order_that_does_not_fit_the_state_is_a_conflict() {
        let body = r#"{"inNanos":1}"#;
        for (judgement, status) in [(Judgement::Accepted, 200), (Judgement::Repeated, 200), (Judgement::Refused, 409)] {
            assert_eq!(status_of(judgement, "POST", "/start", Some("Bearer s3cret"), body).await, status);
        }
    }

    #[tokio::test]
    async fn a_bad_body_is_refused_before_anybody_is_asked() {
        let start = async |body: String| status_of(Judgement::Accepted, "POST", "/start", Some("Bearer s3cret"), body).await;
        assert_eq!(start("{".to_owned()).await, 400);
        assert_eq!(start(r#"{"inNanos":-1}"#.to_owned()).await, 422);
        assert_eq!(start(r#"{"inNanos":18446744073709551615}"#.to_owned()).await, 400);
        assert_eq!(start(format!(r#"{{"inNanos":1,"x":"{}"}}"#, "x".repeat(70_000))).await, 413);
        assert_eq!(status_of(Judgement::Accepted, "GET", "/status?after=-1", Some("Bearer s3cret"), "").await, 400);
    }

    #[tokio::test]
    async fn a_worker_that_is_leaving_says_so() {
        let (asks, asked) = mpsc::channel(1);
        drop(asked);
        let request = Request::builder().uri("/status").header("authorization", "Bearer s3cret").body(Body::empty()).unwrap();
        assert_eq!(router("s3cret", asks).oneshot(request).await.unwrap().status().as_u16(), 503);
    }
}
