//! Checking in: telling the operator where this worker is, until the operator reads it there. A worker that was not
//! read for a while checks in again, because the operator that knew of it may be gone.

use std::time::Duration;

use crucible_lifecycle::contract::{CHECK_IN_PATH, CheckIn, WorkerState};
use hyper::{Method, Uri};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::http::Http;

/// How long the operator may be silent before the worker speaks up again.
const SILENCE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const ONE_TRY: Duration = Duration::from_secs(2);

/// How the worker stands, as far as checking in goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How far the worker is.
    pub state: WorkerState,
    /// When the operator last read it.
    pub polled: Option<Instant>,
}

/// When to check in next. Pure.
#[derive(Clone, Copy, Debug)]
struct Rhythm {
    told: Option<WorkerState>,
    last: Option<Instant>,
    pause: Duration,
}

impl Rhythm {
    fn new() -> Self {
        Self { told: None, last: None, pause: FIRST_PAUSE }
    }

    /// At once with news that somebody waits for; otherwise after a pause, and not while the operator is reading.
    fn next(&self, standing: Standing) -> Instant {
        let Some(last) = self.last else { return Instant::now() };
        if self.told != Some(standing.state) && is_news(standing.state) {
            return last;
        }
        let pause = last + self.pause;
        standing.polled.map_or(pause, |polled| pause.max(polled + SILENCE))
    }

    fn did(&mut self, now: Instant, state: WorkerState, polled: Option<Instant>) {
        let heard_of = polled.is_some_and(|polled| now.saturating_duration_since(polled) < SILENCE);
        self.pause = if heard_of || self.last.is_none() { FIRST_PAUSE } else { (self.pause * 5 / 4).min(LONGEST_PAUSE) };
        (self.told, self.last) = (Some(state), Some(now));
    }
}

/// States that the operator acts upon.
fn is_news(state: WorkerState) -> bool {
    match state {
        WorkerState::Ready | WorkerState::Finished | WorkerState::Uploaded | WorkerState::Failed => true,
        WorkerState::Preparing | WorkerState::Armed | WorkerState::Running | WorkerState::Draining => false,
    }
}

/// Checks in for as long as the process lives.
pub async fn keep(http: Http, operator: &str, token: String, check_in: CheckIn, mut standing: watch::Receiver<Standing>) {
    let uri = match format!("{}{CHECK_IN_PATH}", operator.trim_end_matches('/')).parse::<Uri>() {
        Ok(uri) => uri,
        Err(error) => return tracing::error!(%error, "the operator's address cannot be used, waiting to be found"),
    };
    let body = serde_json::to_vec(&check_in).unwrap_or_default();
    let mut rhythm = Rhythm::new();
    let mut complained = false;
    loop {
        let now_standing = *standing.borrow_and_update();
        let at = rhythm.next(now_standing);
        if at > Instant::now() {
            tokio::select! {
                () = sleep_until(at) => {}
                changed = standing.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
            continue;
        }
        match http.json(Method::POST, uri.clone(), Some(&token), body.clone(), ONE_TRY).await {
            Ok(()) => complained = false,
            Err(error) if !complained => {
                complained = true;
                tracing::warn!(%error, "failed to check in, trying on");
            }
            Err(_) => {}
        }
        rhythm.did(Instant::now(), now_standing.state, now_standing.polled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(state: WorkerState, polled: Option<Instant>) -> Standing {
        Standing { state, polled }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_check_in_is_at_once_and_the_pause_grows_to_a_second() {
        let begin = Instant::now();
        let mut rhythm = Rhythm::new();
        let standing = at(WorkerState::Preparing, None);
        assert_eq!(rhythm.next(standing), begin);
        let mut now = begin;
        let mut pauses = Vec::new();
        for _ in 0..12 {
            rhythm.did(now, standing.state, None);
            let next = rhythm.next(standing);
            pauses.push((next - now).as_millis());
            now = next;
        }
        assert_eq!(pauses[..3], [200, 250, 312]);
        assert_eq!(pauses[11], 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn an_operator_that_reads_is_left_alone_until_it_was_silent_for_ten_seconds() {
        let begin = Instant::now();
        let mut rhythm = Rhythm::new();
        rhythm.did(begin, WorkerState::Running, None);
        let polled = begin + Duration::from_millis(100);
        assert_eq!(rhythm.next(at(WorkerState::Running, Some(polled))), polled + SILENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn news_is_told_at_once_and_once() {
        let begin = Instant::now();
        let mut rhythm = Rhythm::new();
        rhythm.did(begin, WorkerState::Preparing, None);
        for (state, news) in [
            (WorkerState::Ready, true),
            (WorkerState::Armed, false),
            (WorkerState::Running, false),
            (WorkerState::Draining, false),
            (WorkerState::Finished, true),
            (WorkerState::Uploaded, true),
            (WorkerState::Failed, true),
        ] {
            let standing = at(state, Some(begin));
            assert_eq!(rhythm.next(standing) == begin, news, "{state:?}");
        }
        rhythm.did(begin, WorkerState::Ready, Some(begin));
        assert_eq!(rhythm.next(at(WorkerState::Ready, Some(begin))), begin + SILENCE);
    }
}
