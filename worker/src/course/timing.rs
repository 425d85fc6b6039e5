//! What time does to a course: deadlines, signals that are due, and when the worker has no reason to stay.

use std::time::Duration;

use crucible_crds::Reason;
use crucible_lifecycle::contract::WorkerState;

use super::{Action, Cause, Course, Socket};
use crate::outcome;

/// Beyond `deadlines.barrier`: the operator is the first to lose patience, this is for when there is none.
const BARRIER_SLACK: Duration = Duration::from_mins(1);
/// Beyond the end of the last stage and the drain time.
const LOAD_SLACK: Duration = Duration::from_secs(5);
/// Beyond `deadlines.collect`, for the same reason.
const COLLECT_SLACK: Duration = Duration::from_mins(1);
/// Between the end of the drain time and the signals: the extension keeps that time itself and says so.
const DRAIN_SLACK: Duration = Duration::from_millis(500);
/// Between the signal that asks and the one that does not.
const KILL_AFTER: Duration = Duration::from_secs(1);
/// A k6 that crashes hangs up a moment before its exit is seen.
const HANG_UP_GRACE: Duration = Duration::from_millis(250);
/// A k6 that ended may have hung on a moment before.
const EXIT_GRACE: Duration = Duration::from_millis(500);
/// How long a worker that is done stays to be heard, at most, and after it was heard.
const LINGER: Duration = Duration::from_secs(30);
const LINGER_HEARD: Duration = Duration::from_secs(3);
/// How long after the instant a load counts as running that has said nothing yet. The extension's word comes before; at the instant
/// itself nobody wakes up to write it down, because workers that share the machine have to begin.
const RUNNING_ANYWAY: Duration = Duration::from_millis(100);
/// How long leaving waits for a killed k6 to be gone.
const LEAVE_ANYWAY: Duration = Duration::from_secs(5);
/// What is kept of the time after SIGTERM for writing the last word.
const LAST_WORD: Duration = Duration::from_secs(1);

impl Course {
    /// When the next [`Event::Alarm`] is due, unless something else happens before.
    #[must_use]
    pub fn alarm(&self) -> Option<Duration> {
        let alarms = [
            self.barrier_deadline(),
            self.running_anyway(),
            self.load_deadline(),
            self.hang_up_deadline(),
            self.exit_deadline(),
            self.terminate_at,
            self.kill_at,
            self.immortal_deadline(),
            self.departure().map(|at| if self.exit.is_none() && self.killed_at.is_some() { at + LEAVE_ANYWAY } else { at }),
        ];
        alarms.into_iter().flatten().min()
    }

    fn running_anyway(&self) -> Option<Duration> {
        self.start.filter(|_| self.state == WorkerState::Armed).map(|at| at + RUNNING_ANYWAY)
    }

    /// When a load that is asked to stop now has to have ended by itself.
    pub(super) fn drained_by(&self, now: Duration) -> Duration {
        now + self.limits.drain + DRAIN_SLACK
    }

    /// When a worker that is asked to end now has to leave: the pod's time is over a moment later.
    pub(super) fn handed_in_by(&self, now: Duration) -> Duration {
        (now + self.limits.hand_in.saturating_sub(LAST_WORD)).max(self.drained_by(now) + KILL_AFTER + LAST_WORD)
    }

    /// Sets when k6 is asked to end, and killed a little later; never later than was set before.
    pub(super) fn schedule_signals(&mut self, terminate_at: Duration) {
        let earlier = |set: Option<Duration>, at: Duration| Some(set.map_or(at, |set| set.min(at)));
        if self.terminated_at.is_none() {
            self.terminate_at = earlier(self.terminate_at, terminate_at);
        }
        self.kill_at = earlier(self.kill_at, terminate_at + KILL_AFTER);
    }

    /// Does what is due.
    pub(super) fn keep_time(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let due = |at: Option<Duration>| at.is_some_and(|at| now >= at);
        if due(self.barrier_deadline()) {
            let waited = self.limits.barrier + BARRIER_SLACK;
            self.fail(now, outcome::failure(Reason::BarrierDeadlineExceeded, format!("No start order came within {} s", waited.as_secs())), actions);
        }
        if due(self.running_anyway()) {
            self.enter(now, WorkerState::Running);
        }
        if due(self.load_deadline()) {
            self.end_load(now, Cause::Overdue, actions);
        }
        if due(self.hang_up_deadline()) {
            self.hung_up_at = None;
            match self.state {
                WorkerState::Preparing | WorkerState::Ready => {
                    self.fail(now, outcome::failure(Reason::LoadGeneratorFailed, "k6 hung up on its worker before the load"), actions);
                }
                WorkerState::Armed | WorkerState::Running | WorkerState::Draining => self.end_load(now, Cause::HungUp, actions),
                WorkerState::Finished | WorkerState::Uploaded | WorkerState::Failed => {}
            }
        }
        self.send_signals(now, actions);
        if due(self.immortal_deadline()) {
            self.fail(now, outcome::failure(Reason::DrainDeadlineExceeded, "k6 was killed but did not end"), actions);
        }
        self.leave(now, actions);
    }

    fn send_signals(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.exit.is_some() {
            (self.terminate_at, self.kill_at) = (None, None);
        }
        if self.terminate_at.is_some_and(|at| now >= at) {
            self.terminate_at = None;
            self.terminated_at = Some(now);
            actions.push(Action::Terminate);
        }
        if self.kill_at.is_some_and(|at| now >= at) {
            self.kill_at = None;
            self.killed_at = Some(now);
            actions.push(Action::Kill);
        }
    }

    fn leave(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let Some(at) = self.departure().filter(|at| now >= *at && !self.left) else { return };
        if self.exit.is_some() || now >= at + LEAVE_ANYWAY {
            self.left = true;
            actions.push(Action::Leave);
        } else if self.killed_at.is_none() {
            (self.terminate_at, self.kill_at) = (None, None);
            self.killed_at = Some(now);
            actions.push(Action::Kill);
        }
    }

    /// When this process has no reason to stay any more.
    fn departure(&self) -> Option<Duration> {
        let done = match self.state {
            WorkerState::Uploaded | WorkerState::Failed => {
                let heard = self.heard.map_or(Duration::MAX, |at| at + LINGER_HEARD);
                Some(heard.min(self.entered + LINGER))
            }
            WorkerState::Finished => Some(self.entered + self.limits.collect + COLLECT_SLACK),
            WorkerState::Preparing | WorkerState::Ready | WorkerState::Armed | WorkerState::Running | WorkerState::Draining => None,
        };
        match (done, self.leave_by) {
            (Some(done), Some(by)) => Some(done.min(by)),
            (done, by) => done.or(by),
        }
        .filter(|_| !self.left)
    }

    /// A k6 that ended without having hung on may have done so a moment before. One that did hang on is read to its end,
    /// however long the disk takes to make room.
    pub(super) fn exit_deadline(&self) -> Option<Duration> {
        let waits = self.socket == Socket::Unopened && self.finished.is_none() && self.state < WorkerState::Finished;
        self.exited_at.filter(|_| waits).map(|at| at + EXIT_GRACE)
    }

    fn barrier_deadline(&self) -> Option<Duration> {
        matches!(self.state, WorkerState::Preparing | WorkerState::Ready).then(|| self.limits.barrier + BARRIER_SLACK)
    }

    fn load_deadline(&self) -> Option<Duration> {
        self.start.filter(|_| self.load_is_on() && self.ending.is_none()).map(|at| at + self.limits.load + self.limits.drain + LOAD_SLACK)
    }

    /// A process that the kernel cannot end, for example in the middle of a write to a dead disk.
    fn immortal_deadline(&self) -> Option<Duration> {
        self.killed_at.filter(|_| self.exit.is_none() && self.load_is_on()).map(|at| at + LEAVE_ANYWAY)
    }

    fn hang_up_deadline(&self) -> Option<Duration> {
        self.hung_up_at.filter(|_| self.exit.is_none() && self.ending.is_none()).map(|at| at + HANG_UP_GRACE)
    }
}
