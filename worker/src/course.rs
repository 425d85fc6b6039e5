//! The course of one worker: what has happened goes in, how far the worker is and what to do next comes out.
//!
//! Pure: moments are spans since the worker began, given by the caller. The tasks around it only carry messages.
//! Two rules shape it. A worker only moves forward, and the first failure is the one that counts.

use std::time::Duration;

use crucible_crds::Reason;
use crucible_lifecycle::contract::{Failure, ResultFile, WorkerState};

use crate::{
    outcome::{self, Exit},
    wire::{Finished, FromK6},
};

/// The spans that the frozen plan sets.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `deadlines.barrier`.
    pub barrier: Duration,
    /// All stages together.
    pub load: Duration,
    /// How long queries in flight may go on.
    pub drain: Duration,
    /// `deadlines.drain`: how long the pod has from SIGTERM to its end.
    pub hand_in: Duration,
    /// `deadlines.collect`.
    pub collect: Duration,
    /// Whether k6 writes a file of its own, which is whole only when k6 has ended.
    pub raw_samples: bool,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// k6 connected to the socket.
    HungOn,
    /// k6 said something.
    Said(FromK6),
    /// The socket is closed; nothing that k6 said is left unread.
    HungUp,
    /// The k6 process has ended.
    Exited(Exit),
    /// The operator ordered the start, so long after this moment, and [`Course::judge_start`] accepted it.
    StartOrdered(Duration),
    /// The operator ordered the end.
    StopOrdered,
    /// The operator ordered the upload, and [`Course::judge_upload`] accepted it.
    UploadOrdered,
    /// The operator has read the state.
    Polled,
    /// The result files are complete.
    Sealed(Vec<ResultFile>),
    /// The result files are in the bucket.
    Uploaded,
    /// Something that this process does has failed for good.
    Broke(Failure),
    /// This process was asked to end, or interrupted.
    Terminated,
    /// Nothing but the time has changed.
    Alarm,
}

/// What is to be done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Let k6 go, and have the load begin at this moment.
    Release(Duration),
    /// Tell the extension to stop.
    TellStop,
    /// SIGTERM to k6.
    Terminate,
    /// SIGKILL to k6.
    Kill,
    /// Complete the result files.
    Seal,
    /// Upload what is missing.
    Upload,
    /// Write the last word and exit.
    Leave,
}

/// What an order is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It counts.
    Accepted,
    /// It was carried out before; nothing changes.
    Repeated,
    /// It cannot be carried out in this state.
    Refused,
}

/// Why the load is ended before k6 ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Ordered,
    Terminated,
    Overdue,
    HungUp,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Socket {
    Unopened,
    Open,
    Closed,
}

/// How far one worker is.
#[derive(Clone, Debug)]
pub struct Course {
    limits: Limits,
    state: WorkerState,
    entered: Duration,
    heard: Option<Duration>,
    failure: Option<Failure>,
    socket: Socket,
    exit: Option<Exit>,
    start: Option<Duration>,
    finished: Option<Finished>,
    sealing: bool,
    uploading: bool,
    ending: Option<Cause>,
    hung_up_at: Option<Duration>,
    exited_at: Option<Duration>,
    terminate_at: Option<Duration>,
    kill_at: Option<Duration>,
    terminated_at: Option<Duration>,
    killed_at: Option<Duration>,
    leave_by: Option<Duration>,
    left: bool,
    server_version: Option<String>,
    first_query: Option<(i64, i64)>,
    files: Vec<ResultFile>,
}

impl Course {
    /// The course at its beginning: k6 is being started.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: WorkerState::Preparing,
            entered: Duration::ZERO,
            heard: None,
            failure: None,
            socket: Socket::Unopened,
            exit: None,
            start: None,
            finished: None,
            sealing: false,
            uploading: false,
            ending: None,
            hung_up_at: None,
            exited_at: None,
            terminate_at: None,
            kill_at: None,
            terminated_at: None,
            killed_at: None,
            leave_by: None,
            left: false,
            server_version: None,
            first_query: None,
            files: Vec::new(),
        }
    }

    /// How far the worker is.
    #[must_use]
    pub fn state(&self) -> WorkerState {
        self.state
    }

    /// Why it cannot go on.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// What it wrote.
    #[must_use]
    pub fn files(&self) -> &[ResultFile] {
        &self.files
    }

    /// The version that the system under test gave.
    #[must_use]
    pub fn server_version(&self) -> Option<&str> {
        self.server_version.as_deref()
    }

    /// When the first query went out and how late that was, in nanoseconds.
    #[must_use]
    pub fn first_query(&self) -> Option<(i64, i64)> {
        self.first_query
    }

    /// The extension's last word, once the load is over.
    #[must_use]
    pub fn finished(&self) -> Option<Finished> {
        self.finished
    }

    /// Whether the load may be using processor time: from the start order to the extension's last word.
    #[must_use]
    pub fn load_is_on(&self) -> bool {
        matches!(self.state, WorkerState::Armed | WorkerState::Running | WorkerState::Draining) && self.finished.is_none()
    }

    /// Whether a start order would count now.
    #[must_use]
    pub fn judge_start(&self) -> Judgement {
        match self.state {
            WorkerState::Ready => Judgement::Accepted,
            WorkerState::Preparing | WorkerState::Failed => Judgement::Refused,
            WorkerState::Armed | WorkerState::Running | WorkerState::Draining | WorkerState::Finished | WorkerState::Uploaded => Judgement::Repeated,
        }
    }

    /// Whether an upload order would count now. A repeated one counts too: its signatures may be fresher.
    #[must_use]
    pub fn judge_upload(&self) -> Judgement {
        match self.state {
            WorkerState::Finished => Judgement::Accepted,
            WorkerState::Uploaded => Judgement::Repeated,
            WorkerState::Preparing | WorkerState::Ready | WorkerState::Armed | WorkerState::Running | WorkerState::Draining | WorkerState::Failed => {
                Judgement::Refused
            }
        }
    }

    /// Takes one event in and says what is to be done.
    #[must_use]
    pub fn on(&mut self, now: Duration, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::HungOn => self.socket = Socket::Open,
            Event::Said(word) => self.hear(now, word, &mut actions),
            Event::HungUp => {
                self.socket = Socket::Closed;
                self.hung_up_at = Some(now).filter(|_| self.finished.is_none());
            }
            Event::Exited(exit) => {
                self.exit = Some(exit);
                self.exited_at = Some(now);
            }
            Event::StartOrdered(in_) => self.arm(now, in_, &mut actions),
            Event::StopOrdered => self.stop(now, Cause::Ordered, &mut actions),
            Event::UploadOrdered => {
                if self.judge_upload() == Judgement::Accepted {
                    self.uploading = true;
                    actions.push(Action::Upload);
                }
            }
            Event::Polled => {
                self.heard.get_or_insert(now);
            }
            Event::Sealed(files) => {
                self.files = files;
                self.enter(now, WorkerState::Finished);
            }
            Event::Uploaded => self.enter(now, WorkerState::Uploaded),
            Event::Broke(failure) => self.fail(now, failure, &mut actions),
            Event::Terminated => self.terminated(now, &mut actions),
            Event::Alarm => {}
        }
        self.conclude(now, &mut actions);
        self.keep_time(now, &mut actions);
        actions
    }

    fn hear(&mut self, now: Duration, word: FromK6, actions: &mut Vec<Action>) {
        match word {
            FromK6::Preflight(preflight) if preflight.ok => self.server_version = preflight.server_version,
            FromK6::Preflight(preflight) => self.fail(now, outcome::refusal(&preflight), actions),
            FromK6::Ready {} => self.enter(now, WorkerState::Ready),
            FromK6::Started { first_query_unix_nanos, late_nanos } => {
                self.first_query.get_or_insert((first_query_unix_nanos, late_nanos));
                self.enter_from_armed(now, WorkerState::Running);
            }
            FromK6::Stopping { why: _ } => self.enter_from_armed(now, WorkerState::Draining),
            FromK6::Finished(finished) => {
                self.finished.get_or_insert(finished);
                self.enter_from_armed(now, WorkerState::Draining);
                // k6 has nothing left to do. It gets the drain time to see that.
                self.schedule_signals(now + self.limits.drain);
            }
            // Numbers are the recorder's.
            FromK6::Interval(_) | FromK6::Errors { .. } | FromK6::Unknown => {}
        }
    }

    fn arm(&mut self, now: Duration, in_: Duration, actions: &mut Vec<Action>) {
        if self.judge_start() == Judgement::Accepted {
            self.start = Some(now + in_);
            self.enter(now, WorkerState::Armed);
            actions.push(Action::Release(now + in_));
        }
    }

    fn stop(&mut self, now: Duration, cause: Cause, actions: &mut Vec<Action>) {
        match self.state {
            WorkerState::Preparing | WorkerState::Ready => {
                let failure = match cause {
                    Cause::Terminated => outcome::failure(Reason::WorkerEvicted, "The worker was asked to end before its load began"),
                    Cause::Ordered | Cause::Overdue | Cause::HungUp | Cause::Failed => {
                        outcome::failure(Reason::StopRequested, "The worker was stopped before its load began")
                    }
                };
                self.fail(now, failure, actions);
            }
            WorkerState::Armed | WorkerState::Running | WorkerState::Draining if self.finished.is_none() => self.end_load(now, cause, actions),
            WorkerState::Armed | WorkerState::Running | WorkerState::Draining | WorkerState::Finished | WorkerState::Uploaded | WorkerState::Failed => {}
        }
    }

    /// Asks the extension first: it ends the queries in flight, and its numbers are complete. The signals follow when
    /// it has had its time, or at once where asking is no use.
    fn end_load(&mut self, now: Duration, cause: Cause, actions: &mut Vec<Action>) {
        if self.ending.is_some() && cause != Cause::Failed {
            return;
        }
        self.ending.get_or_insert(cause);
        actions.push(Action::TellStop);
        match cause {
            Cause::Ordered | Cause::Terminated => {
                self.enter_from_armed(now, WorkerState::Draining);
                self.schedule_signals(self.drained_by(now));
            }
            Cause::Overdue | Cause::HungUp | Cause::Failed => {
                self.enter_from_armed(now, WorkerState::Draining);
                self.terminate_at = Some(now);
                self.kill_at = Some(self.kill_at.map_or(now + self.limits.drain, |at| at.min(now + self.limits.drain)));
            }
        }
    }

    /// SIGTERM. A load that is on is drained and what is left of the pod's time is for handing in its results; a
    /// worker that has nothing to hand in leaves at once. Asking twice means at once.
    fn terminated(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let in_time = self.handed_in_by(now);
        let by = match self.state {
            _ if self.leave_by.is_some() => now,
            WorkerState::Finished if self.uploading => in_time,
            WorkerState::Finished | WorkerState::Uploaded | WorkerState::Failed => now,
            WorkerState::Preparing | WorkerState::Ready | WorkerState::Armed | WorkerState::Running | WorkerState::Draining => in_time,
        };
        self.leave_by = Some(by);
        self.stop(now, Cause::Terminated, actions);
    }

    fn fail(&mut self, now: Duration, failure: Failure, actions: &mut Vec<Action>) {
        match self.state {
            WorkerState::Failed | WorkerState::Uploaded => return,
            WorkerState::Preparing | WorkerState::Ready | WorkerState::Armed | WorkerState::Running | WorkerState::Draining | WorkerState::Finished => {}
        }
        self.failure = Some(failure);
        self.enter(now, WorkerState::Failed);
        if self.exit.is_none() && self.killed_at.is_none() {
            self.end_load(now, Cause::Failed, actions);
        }
    }

    /// Draws the conclusions of everything that is known: seal the results, or find that there will be none.
    fn conclude(&mut self, now: Duration, actions: &mut Vec<Action>) {
        match self.state {
            WorkerState::Finished | WorkerState::Uploaded | WorkerState::Failed => return,
            WorkerState::Preparing | WorkerState::Ready | WorkerState::Armed | WorkerState::Running | WorkerState::Draining => {}
        }
        if self.finished.is_some() {
            let whole = !self.limits.raw_samples || self.exit.is_some();
            if self.state == WorkerState::Draining && whole && !self.sealing {
                self.sealing = true;
                actions.push(Action::Seal);
            }
            // A load that ended before it was ordered leaves nothing to hand in.
            if matches!(self.state, WorkerState::Preparing | WorkerState::Ready) {
                self.fail(now, outcome::failure(Reason::LoadGeneratorFailed, "k6 ended before it was told to start"), actions);
            }
            return;
        }
        let all_is_read = self.socket == Socket::Closed || self.exit_deadline().is_some_and(|at| now >= at);
        if all_is_read && let Some(exit) = &self.exit {
            let failure = self.explain(exit);
            self.fail(now, failure, actions);
        }
    }

    /// Why there is an exit but no last word.
    fn explain(&self, exit: &Exit) -> Failure {
        let by_us = self.terminated_at.is_some() || self.killed_at.is_some();
        match self.ending {
            Some(Cause::Overdue) => outcome::failure(Reason::ExecutionDeadlineExceeded, "The load went on beyond its planned end and the time to drain"),
            Some(Cause::HungUp) if by_us => outcome::failure(Reason::LoadGeneratorFailed, "k6 hung up on its worker in the middle of the load"),
            Some(Cause::Ordered | Cause::Terminated) if by_us => {
                outcome::failure(Reason::DrainDeadlineExceeded, "k6 did not end within the time to drain and was killed")
            }
            Some(Cause::Ordered | Cause::Terminated | Cause::HungUp | Cause::Failed) | None => outcome::failure_of(exit),
        }
    }

    fn enter(&mut self, now: Duration, state: WorkerState) {
        if state > self.state && self.state != WorkerState::Uploaded {
            self.state = state;
            self.entered = now;
            self.heard = None;
        }
    }

    /// The load's own states follow only upon an accepted order.
    fn enter_from_armed(&mut self, now: Duration, state: WorkerState) {
        if self.start.is_some() {
            self.enter(now, state);
        }
    }
}

#[cfg(test)]
mod tests;
mod timing;
