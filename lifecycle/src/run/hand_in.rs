//! What a worker hands in when its load is over: by its own word, else by the last word that it left with its pod.

use super::observed::{Observed, PodState};
use crate::contract::{InvariantAnswer, ResultFile, WorkerState};

/// What a worker has written, where its load is over; and whether that is in the bucket.
#[derive(Clone, Copy, Debug)]
pub struct HandIn<'a> {
    /// The files.
    pub files: &'a [ResultFile],
    /// What it was answered to the plan's invariants, where it asked.
    pub answers: &'a [InvariantAnswer],
    /// Whether they are in the bucket.
    pub uploaded: bool,
}

/// What a worker hands in: by its own word, else by the last word that it left with its pod.
pub fn hand_in(observed: &Observed, index: u32) -> Option<HandIn<'_>> {
    let report = observed.fleet.workers.get(&index).map(|heard| &heard.report);
    let told = report.and_then(|report| match report.state {
        WorkerState::Finished => Some(HandIn { files: &report.files, answers: &report.answers, uploaded: false }),
        WorkerState::Uploaded => Some(HandIn { files: &report.files, answers: &report.answers, uploaded: true }),
        _ => None,
    });
    told.filter(|told| told.uploaded).or_else(|| last_word(observed, index)).or(told)
}

fn last_word(observed: &Observed, index: u32) -> Option<HandIn<'_>> {
    let pod = observed.pods.found()?.iter().find(|pod| pod.index == index)?;
    match &pod.state {
        PodState::Ended { outcome: Some(outcome), .. } if outcome.state == WorkerState::Uploaded => {
            Some(HandIn { files: &outcome.files, answers: &outcome.answers, uploaded: true })
        }
        _ => None,
    }
}
