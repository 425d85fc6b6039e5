//! The progress of a run as it happens: server-sent events out of the watch cache. Each holds the run whole in few words, so that one that was
//! missed is no loss, and whoever comes back begins with how it is now.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, stream};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

use super::{place::Named, problem::Problem};
use crate::{
    access::{Place, Right},
    auth,
    error::ApiError,
    runs::Run,
    state::Gateway,
};

/// Between two signs of life. The caller's right is asked for anew as often.
const BEAT: Duration = Duration::from_secs(10);
/// What watching needs.
const RIGHTS: [Right; 1] = [Right { verb: "watch", resource: "testruns", place: Place::Named }];

/// The progress of a run as it happens.
///
/// `text/event-stream`: an event `run` with the run in few words, at once and whenever it changes; the last one is called `end`. Where a run is
/// removed the last event is `gone`, and where the caller may not look any more it is `denied`. Then the stream closes.
#[utoipa::path(get, path = "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/runs/{name}/events", tag = "native", operation_id = "follow_run_object",
    params(("namespace" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = String, content_type = "text/event-stream"), (status = "4XX", body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn events(State(gateway): State<Gateway>, Named { namespace, name }: Named, request: Request) -> Result<Response, ApiError> {
    follow(gateway, namespace, name, request.headers().clone())
}

/// The progress of a run as it happens, for whoever these headers came from.
pub fn follow(gateway: Gateway, namespace: String, name: String, headers: HeaderMap) -> Result<Response, ApiError> {
    // Listened to before the first look: nothing that happens in between is missed.
    let changes = gateway.runs.subscribe();
    let run = super::runs::known(&gateway, &namespace, &name)?;
    let mut beat = interval_at(Instant::now() + BEAT, BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listener = Listener { gateway, namespace, name, headers, changes, beat, told: None, next: Next::Tell(run) };
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((headers, Body::from_stream(listener.events())).into_response())
}

/// Whoever listens to one run.
struct Listener {
    gateway: Gateway,
    namespace: String,
    name: String,
    /// What the caller showed, to be asked about again.
    headers: HeaderMap,
    changes: Receiver<Arc<Run>>,
    beat: Interval,
    /// What was told last.
    told: Option<Arc<Run>>,
    next: Next,
}

/// What is to be done next.
enum Next {
    /// To tell how the run is.
    Tell(Arc<Run>),
    /// To wait.
    Wait,
    /// To say why nothing follows.
    Close(Why),
    /// Nothing.
    Over,
}

/// Why nothing follows, although the run has not ended.
#[derive(Clone, Copy)]
enum Why {
    /// The run was removed.
    Gone,
    /// The caller may not look any more.
    Denied,
}

impl Listener {
    fn events(self) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
        stream::unfold(self, |mut listener| async move { listener.event().await.map(|event| (Ok(event), listener)) })
    }

    async fn event(&mut self) -> Option<Bytes> {
        loop {
            match std::mem::replace(&mut self.next, Next::Wait) {
                Next::Tell(run) => {
                    self.next = if run.phase().is_terminal() { Next::Over } else { Next::Wait };
                    let text = told(&run);
                    self.told = Some(run);
                    return Some(text);
                }
                Next::Close(why) => {
                    self.next = Next::Over;
                    return Some(Bytes::from_static(why.event()));
                }
                Next::Over => return None,
                Next::Wait => {
                    if let Some(sign) = self.wait().await {
                        return Some(sign);
                    }
                }
            }
        }
    }

    /// Waits for a change or for the time of a sign of life, which it answers.
    async fn wait(&mut self) -> Option<Bytes> {
        tokio::select! {
            change = self.changes.recv() => match change {
                Ok(run) => self.take(&run),
                // Too much happened meanwhile: how it is now is what counts.
                Err(RecvError::Lagged(_)) => self.look(),
                Err(RecvError::Closed) => self.next = Next::Over,
            },
            _ = self.beat.tick() => {
                if auth::admit(&self.gateway, &self.headers, &RIGHTS, Some(&self.namespace)).await.is_err() {
                    self.next = Next::Close(Why::Denied);
                    return None;
                }
                self.look();
                return matches!(self.next, Next::Wait).then(|| Bytes::from_static(b": still here\n\n"));
            }
            () = self.gateway.ending.cancelled() => self.next = Next::Over,
        }
        None
    }

    fn take(&mut self, run: &Arc<Run>) {
        if run.namespace() == self.namespace && run.name() == self.name {
            self.consider(run);
        }
    }

    fn look(&mut self) {
        match self.gateway.runs.by_name(&self.namespace, &self.name) {
            Some(run) => self.consider(&run),
            None => self.next = Next::Close(Why::Gone),
        }
    }

    /// One of the same name that was made anew is another one.
    fn consider(&mut self, run: &Arc<Run>) {
        match &self.told {
            Some(told) if told.uid() != run.uid() => self.next = Next::Close(Why::Gone),
            Some(told) if told.version() >= run.version() => {}
            Some(_) | None => self.next = Next::Tell(Arc::clone(run)),
        }
    }
}

impl Why {
    const fn event(self) -> &'static [u8] {
        match self {
            Self::Gone => b"event: gone\ndata: {\"detail\":\"the run was removed\"}\n\n",
            Self::Denied => b"event: denied\ndata: {\"detail\":\"the caller may not follow this run any more\"}\n\n",
        }
    }
}

fn told(run: &Run) -> Bytes {
    let event = if run.phase().is_terminal() { "end" } else { "run" };
    let outline = run.outline();
    let mut text = Vec::with_capacity(outline.len() + 48);
    text.extend_from_slice(format!("id: {}\nevent: {event}\ndata: ", run.version()).as_bytes());
    text.extend_from_slice(outline);
    text.extend_from_slice(b"\n\n");
    Bytes::from(text)
}
