//! The loop of one worker: tell it what it has to know, ask how it is, wait a little.

use std::{sync::Arc, time::Duration};

use crucible_lifecycle::{
    contract::{ResultFile, SignedPut, StartOrder, StopOrder, UploadOrder, WorkerReport, WorkerState},
    run::Order,
};
use crucible_store::vault::PutOnce;
use jiff::SignedDuration;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use super::{
    CallError, Crew, Means, Mission, Peer,
    fleet::{Call, call_for, rest},
};
use crate::telemetry::PollOutcome;

/// How long a signed request may be used.
const SIGNED_FOR: Duration = Duration::from_mins(15);
/// How long an order that got through may go unnoticed before it is repeated.
const REPEAT: Duration = Duration::from_millis(500);
/// How long before its expected end the load is watched closely.
const CLOSELY: SignedDuration = SignedDuration::from_secs(1);

/// Attends to one worker for as long as its run is followed.
pub(super) async fn attend(means: Means, crew: Arc<Crew>, index: u32, nudge: Arc<Notify>) {
    let mut missions = crew.mission.subscribe();
    let mut last: Option<WorkerReport> = None;
    let mut told: Option<Told> = None;
    loop {
        let mission = missions.borrow_and_update().clone();
        let Some(address) = crew.state().address(index) else { return };
        let peer = Peer { address, token: crew.token.clone() };
        let needed = last.as_ref().and_then(|report| Some((report, call_for(&mission.order, report.state)?)));
        if let Some((report, call)) = needed.filter(|(report, _)| told.as_ref().is_none_or(|told| told.is_due(&mission.order, report.state))) {
            let heard = tell(&means, &crew, &peer, &mission.order, call, report).await;
            told = Some(Told { order: mission.order.clone(), state: report.state, at: Instant::now(), heard });
        }
        let Heard { report, more } = ask(&means, &crew, &peer, index).await;
        last = report.or(last);
        let state = last.as_ref().map(|report| report.state);
        let news =
            state.is_some_and(|state| call_for(&mission.order, state).is_some() && !told.as_ref().is_some_and(|told| told.is_about(&mission.order, state)));
        if more || news {
            continue;
        }
        let pause = rest(state, &mission.order, means.clock.now(), near_the_end(&means, &mission), crew.expected);
        tokio::select! {
            () = sleep(pause) => {}
            () = nudge.notified() => {}
            changed = missions.changed() => if changed.is_err() { return },
        }
    }
}

/// What a worker was told last.
struct Told {
    order: Order,
    state: WorkerState,
    at: Instant,
    heard: bool,
}

impl Told {
    fn is_about(&self, order: &Order, state: WorkerState) -> bool {
        self.order == *order && self.state == state
    }

    /// Whether it has to be told (again): it is something else now, it did not get through, or the worker's report has not
    /// shown it for a while.
    fn is_due(&self, order: &Order, state: WorkerState) -> bool {
        !self.is_about(order, state) || !self.heard || self.at.elapsed() >= REPEAT
    }
}

struct Heard {
    report: Option<WorkerReport>,
    more: bool,
}

/// Asks once. Triggers a reconcile where the answer, or its lack, may matter to a decision.
async fn ask(means: &Means, crew: &Crew, peer: &Peer, index: u32) -> Heard {
    let after = crew.state().last_second(index);
    let asked = Instant::now();
    let answer = means.client.status(peer, after).await;
    let now = means.clock.now();
    let (heard, matters) = match answer {
        Ok(report) if report.run_uid == crew.run.uid && report.index == index => {
            means.metrics.polled(PollOutcome::Answered);
            let absorbed = crew.state().absorb(now, asked.elapsed(), index, report.clone());
            (Heard { report: Some(report), more: absorbed.more }, absorbed.matters)
        }
        Ok(_) => {
            means.metrics.polled(PollOutcome::Stranger);
            (Heard { report: None, more: false }, crew.state().missed(now, index))
        }
        Err(error) => {
            means.metrics.polled(match error {
                CallError::TimedOut => PollOutcome::TimedOut,
                CallError::Unreachable => PollOutcome::Unreachable,
                CallError::Refused(_) | CallError::Unreadable => PollOutcome::Refused,
            });
            (Heard { report: None, more: false }, crew.state().missed(now, index))
        }
    };
    if matters {
        // The receiver is gone only while the operator ends.
        let _ = means.wake.send(crew.run.clone());
    }
    heard
}

/// Tells a worker what the order means for it. A failure is only noted: the order is repeated until the worker's own word
/// shows that it was heard. Returns whether it got through.
async fn tell(means: &Means, crew: &Crew, peer: &Peer, order: &Order, call: Call, report: &WorkerReport) -> bool {
    let index = report.index;
    let outcome = match call {
        Call::Start { at } => {
            let (way, at_unix_nanos) = {
                let state = crew.state();
                (state.way_to(index), state.on_its_clock(index, at))
            };
            let left = Duration::try_from(at.duration_since(means.clock.now())).unwrap_or_default().saturating_sub(way);
            means.client.start(peer, &StartOrder { in_nanos: u64::try_from(left.as_nanos()).unwrap_or(u64::MAX), at_unix_nanos }).await
        }
        Call::Stop => {
            let reason = if let Order::Stop { reason } = order { reason.clone() } else { String::new() };
            means.client.stop(peer, &StopOrder { reason }).await
        }
        Call::Upload => {
            let Order::Upload { run_id } = order else { return false };
            let Some(objects) = sign(means, crew, run_id, report).await else { return false };
            means.client.upload(peer, &UploadOrder { objects }).await
        }
    };
    means.metrics.told(call);
    match &outcome {
        Ok(()) => tracing::info!(run_uid = crew.run.uid, index, call = ?call, "told a worker"),
        Err(error) => tracing::warn!(run_uid = crew.run.uid, index, call = ?call, %error, "failed to tell a worker"),
    }
    outcome.is_ok()
}

/// One signed request for each file that a worker has written. Nothing, where the vault cannot sign now.
async fn sign(means: &Means, crew: &Crew, run_id: &str, report: &WorkerReport) -> Option<Vec<SignedPut>> {
    let mut objects = Vec::with_capacity(report.files.len());
    for file in &report.files {
        let Some(sha256) = may_store(report.index, file) else {
            tracing::warn!(run_uid = crew.run.uid, index = report.index, file = file.name, "a worker asked for a file that is not its own");
            continue;
        };
        let put = PutOnce { key: &format!("results/{run_id}/{}", file.name), bytes: file.bytes, sha256, expires: SIGNED_FOR };
        match means.vault.presign_put(&put).await {
            Ok(signed) => objects.push(SignedPut { name: file.name.clone(), url: signed.url, headers: signed.headers }),
            Err(error) => {
                tracing::warn!(run_uid = crew.run.uid, index = report.index, %error, "failed to sign an upload");
                return None;
            }
        }
    }
    Some(objects)
}

/// The digest of a file that worker `index` may store: one of its own, below the run's prefix, with a readable checksum.
fn may_store(index: u32, file: &ResultFile) -> Option<[u8; 32]> {
    let name = file.name.as_str();
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b)) && !name.contains("..") && !name.starts_with('/');
    let stem = name.rsplit('/').next().and_then(|last| last.split('.').next())?;
    let own = stem == format!("worker-{index}") || stem.starts_with(&format!("k6_raw_{index}_"));
    (plain && own).then(|| digest_of(&file.sha256)).flatten()
}

/// The 32 bytes that 64 hex digits stand for.
fn digest_of(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0_u8; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (byte, digits) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(digest)
}

fn near_the_end(means: &Means, mission: &Mission) -> bool {
    mission.ends_at.is_some_and(|ends| ends.duration_since(means.clock.now()) < CLOSELY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_may_store_only_its_own_files() {
        let sha256 = "ab".repeat(32);
        let table = [
            ("histograms/worker-3.hlog", true),
            ("errors/worker-3.json", true),
            ("k6_raw_3_0.csv", true),
            ("histograms/worker-33.hlog", false),
            ("histograms/worker-4.hlog", false),
            ("results.json", false),
            ("../other/worker-3.hlog", false),
            ("/worker-3.hlog", false),
            ("a b/worker-3.hlog", false),
            ("", false),
        ];
        for (name, expected) in table {
            let file = ResultFile { name: name.to_owned(), bytes: 1, sha256: sha256.clone() };
            assert_eq!(may_store(3, &file).is_some(), expected, "{name}");
        }
    }

    #[test]
    fn a_checksum_is_64_hex_digits() {
        assert_eq!(digest_of(&"0f".repeat(32)), Some([15; 32]));
        for text in ["", "0f", &"zz".repeat(32), &"é".repeat(32)] {
            assert_eq!(digest_of(text), None, "{text}");
        }
    }
}
