//! A decision in the making: the run's status as it stood, and what this pass adds to it.

use std::time::Duration;

use crucible_crds::{
    Outcome, Phase, Reason, TestRunStatus, Verdict,
    test_run::{EndedEarly, Transition},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    conditions,
    decision::{Child, CollectRequest, Decision, Gone, Order},
    observed::Observed,
};
use crate::{
    build::names::{self, Role},
    contract::FrozenPlan,
    notice::{Notice, Severity},
    wake::Wake,
};

/// What a step of the decision says: whether this same reading carries the run further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The run came to another phase; look at that one too.
    Moved,
    /// There is nothing more to decide from this reading.
    Stay,
}

/// A decision in the making.
pub struct Draft {
    pub now: Timestamp,
    pub uid: String,
    pub name: String,
    pub status: TestRunStatus,
    pub plan: Option<FrozenPlan>,
    pub ensure: Vec<Child>,
    pub remove: Vec<Gone>,
    pub order: Order,
    pub collect: Option<Box<CollectRequest>>,
    pub notices: Vec<Notice>,
    pub wake: Wake,
}

impl Draft {
    /// The draft that changes nothing yet.
    pub fn new(observed: &Observed) -> Self {
        let mut status = observed.run.status.clone().unwrap_or_default();
        if status.phase.is_none() {
            status.phase = Some(Phase::Pending);
            status.phase_since = Some(MicroTime(observed.now));
            status.transitions = vec![Transition { phase: Phase::Pending, at: MicroTime(observed.now), reason: Reason::AsExpected.to_string() }];
        }
        status.observed_generation = observed.run.metadata.generation;
        Self {
            now: observed.now,
            uid: observed.run.metadata.uid.clone().unwrap_or_default(),
            name: observed.run.metadata.name.clone().unwrap_or_default(),
            status,
            plan: observed.frozen.found().cloned(),
            ensure: Vec::new(),
            remove: Vec::new(),
            order: Order::None,
            collect: None,
            notices: Vec::new(),
            wake: Wake::OnChange,
        }
    }

    /// The phase that the run is in by now.
    pub fn phase(&self) -> Phase {
        self.status.phase.unwrap_or_default()
    }

    /// How long the run has been in its phase.
    pub fn in_phase(&self) -> Duration {
        self.status.phase_since.as_ref().map_or(Duration::ZERO, |since| self.since(since.0))
    }

    /// How long ago an instant was; zero where it is still to come.
    pub fn since(&self, instant: Timestamp) -> Duration {
        Duration::try_from(self.now.duration_since(instant)).unwrap_or(Duration::ZERO)
    }

    /// How long it is until an instant; zero where it has passed.
    pub fn until(&self, instant: Timestamp) -> Duration {
        Duration::try_from(instant.duration_since(self.now)).unwrap_or(Duration::ZERO)
    }

    /// Looks again after a while at the latest.
    pub fn wake_after(&mut self, span: Duration) {
        self.wake = self.wake.sooner(Wake::After(span));
    }

    /// Looks again when the phase has lasted for `limit`, and says whether it already has.
    pub fn past(&mut self, limit: Duration) -> bool {
        let lasted = self.in_phase();
        if lasted < limit {
            self.wake_after(limit.saturating_sub(lasted) + Duration::from_millis(10));
        }
        lasted >= limit
    }

    /// Says why the run is where it is.
    pub fn because(&mut self, reason: Reason, message: impl Into<String>) {
        self.status.reason = Some(reason.to_string());
        self.status.message = Some(bounded(message.into(), 1024));
    }

    /// Moves the run to its next phase. A move that the table forbids is not made.
    pub fn go(&mut self, next: Phase, reason: Reason, message: impl Into<String>) -> Step {
        if !self.phase().may_become(next) {
            return Step::Stay;
        }
        self.status.phase = Some(next);
        self.status.phase_since = Some(MicroTime(self.now));
        self.status.transitions.push(Transition { phase: next, at: MicroTime(self.now), reason: reason.to_string() });
        self.because(reason, message);
        Step::Moved
    }

    /// Tells people what has happened.
    pub fn notice(&mut self, severity: Severity, reason: Reason, message: impl Into<String>) {
        let notice = Notice { severity, reason, message: bounded(message.into(), 1024) };
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// Ends the run without results: says why, gives everything back and ends the load. A fault that is on is healed first.
    pub fn fail(&mut self, reason: Reason, message: impl Into<String>) -> Step {
        if !self.status.faults.iter().any(|fault| fault.phase.is_on()) {
            return self.fail_now(reason, message);
        }
        let message = bounded(message.into(), 1024);
        self.status.failing.get_or_insert(EndedEarly { reason: reason.to_string(), message: message.clone() });
        self.ensure.clear();
        self.order = Order::None;
        self.remove_workers();
        self.wake_after(Duration::from_secs(1));
        let step = self.go(Phase::Stopping, reason, message.clone());
        if step == Step::Moved {
            self.notice(Severity::Warning, reason, message);
        }
        step
    }

    /// Ends the run without results, whatever is on.
    pub fn fail_now(&mut self, reason: Reason, message: impl Into<String>) -> Step {
        let message = bounded(message.into(), 1024);
        let step = self.go(Phase::Failed, reason, message.clone());
        if step == Step::Moved {
            self.notice(Severity::Warning, reason, message.clone());
            self.status.completed_at = Some(MicroTime(self.now));
            self.status.queue = None;
            self.status.verdict = Some(Verdict { outcome: outcome_of(reason), reasons: vec![reason.to_string(), bounded(message, 300)], checks: Vec::new() });
            self.ensure.clear();
            self.order = Order::None;
            self.remove_workers();
            self.status.loading = None;
            // While workers may still be sending queries, or a loader rows, the system under test is not given to the next run.
            if self.status.start_at.is_none() && self.status.fixtures.is_empty() {
                self.release();
            }
        }
        step
    }

    /// Records that the load ends before its time; the first reason is the one that counts.
    pub fn end_early(&mut self, reason: Reason, message: impl Into<String>) -> Step {
        let message = bounded(message.into(), 1024);
        if self.status.ended_early.is_none() {
            self.status.ended_early = Some(EndedEarly { reason: reason.to_string(), message: message.clone() });
        }
        let step = self.go(Phase::Stopping, reason, message.clone());
        if step == Step::Moved {
            self.notice(Severity::Warning, reason, message);
        }
        step
    }

    /// Removes the workers and the loader, where the run came as far as having some.
    pub fn remove_workers(&mut self) {
        let loader = Gone::Loader { name: names::child(&self.name, &self.uid, Role::Loader) };
        if (!self.status.fixtures.is_empty() || self.plan.as_ref().is_some_and(|plan| !plan.spec.fixtures.is_empty())) && !self.remove.contains(&loader) {
            self.remove.push(loader);
        }
        let workers = Gone::Workers { name: names::child(&self.name, &self.uid, Role::Workers) };
        if self.status.plan.is_some() && !self.remove.contains(&workers) {
            self.remove.push(workers);
        }
    }

    /// Gives every system under test back, where the run knows which it is.
    pub fn release(&mut self) {
        for sut in self.status.sut.iter().chain(&self.status.second_sut) {
            self.remove.push(Gone::Lease { name: names::sut_lease(sut), holder_uid: self.uid.clone() });
        }
    }

    /// The decision as it goes out, with the conditions that follow from it.
    pub fn finish(mut self, observed: &Observed) -> Decision {
        self.status.conditions = conditions::of(&self.status, observed);
        Decision {
            ensure: self.ensure,
            status: self.status,
            remove: self.remove,
            order: self.order,
            collect: self.collect,
            notices: self.notices,
            wake: self.wake,
        }
    }
}

/// An instant some time after another; the last one that there is where it would be beyond.
pub fn later(instant: Timestamp, span: Duration) -> Timestamp {
    SignedDuration::try_from(span).ok().and_then(|span| instant.checked_add(span).ok()).unwrap_or(Timestamp::MAX)
}

/// What a run that failed for a reason says about the system under test.
fn outcome_of(reason: Reason) -> Outcome {
    match reason {
        Reason::WorkerLost | Reason::WorkerOutOfMemory | Reason::WorkerEvicted | Reason::LoadGeneratorFailed | Reason::WorkerDiskFull => Outcome::Invalid,
        Reason::StopRequested | Reason::AbortRuleFired | Reason::Deleted => Outcome::Aborted,
        Reason::FixtureNotFound
        | Reason::FixtureUnreadable
        | Reason::FixtureInvalid
        | Reason::FixtureChanged
        | Reason::FixtureTableNotOurs
        | Reason::FixtureLoadFailed
        | Reason::FixturesDeadlineExceeded
        | Reason::ChaosUnavailable
        | Reason::ChaosNotAllowed
        | Reason::ChaosNoTarget
        | Reason::SutUnknownHost
        | Reason::SutUnreachable
        | Reason::SutAuthenticationFailed
        | Reason::SutDatabaseMissing
        | Reason::SutTlsFailed
        | Reason::SutOverloaded
        | Reason::QueryInvalid
        | Reason::PlanInvalid
        | Reason::ClusterSpecMismatch
        | Reason::RunIdRefused
        | Reason::PlanNotFound
        | Reason::WorkloadNotFound
        | Reason::WorkloadInvalid
        | Reason::SecretNotFound
        | Reason::QueueDeadlineExceeded => Outcome::Inconclusive,
        _ => Outcome::HarnessError,
    }
}

/// A text of at most so many bytes, cut between characters.
pub fn bounded(mut text: String, most: usize) -> String {
    if text.len() > most {
        let mut end = most.saturating_sub(3);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("...");
    }
    text
}
