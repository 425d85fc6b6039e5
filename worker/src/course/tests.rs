//! Stories of one worker: each test says what happens when, and what the worker does about it.

use std::time::Duration;

use crucible_lifecycle::contract::WorkerState::{self, Armed, Draining, Failed, Finished as Done, Preparing, Ready, Running, Uploaded};

use super::*;
use crate::{outcome::How, wire::Preflight};

/// One worker with a load of 60 s, and its clock in milliseconds.
struct Story {
    course: Course,
    now: u64,
}

const LOAD: u64 = 60_000;

impl Story {
    fn new() -> Self {
        Self::with(false)
    }

    fn with(raw_samples: bool) -> Self {
        let seconds = Duration::from_secs;
        let limits = Limits { barrier: seconds(300), load: seconds(60), drain: seconds(8), hand_in: seconds(30), collect: seconds(300), raw_samples };
        Self { course: Course::new(limits), now: 0 }
    }

    /// Time passes, with every alarm ringing when it is due; returns what was done on the way, with the moments.
    fn until(&mut self, millis: u64) -> Vec<(u64, Action)> {
        let mut done = Vec::new();
        while let Some(alarm) = self.course.alarm().filter(|at| *at <= Duration::from_millis(millis)) {
            self.now = self.now.max(u64::try_from(alarm.as_millis()).unwrap());
            let actions = self.course.on(Duration::from_millis(self.now), Event::Alarm);
            assert!(!actions.is_empty() || self.course.alarm() != Some(alarm), "an alarm that changes nothing rings for ever");
            done.extend(actions.into_iter().map(|action| (self.now, action)));
        }
        self.now = millis;
        done
    }

    fn on(&mut self, event: Event) -> Vec<Action> {
        self.course.on(Duration::from_millis(self.now), event)
    }

    fn ready() -> Self {
        Self::ready_with(false)
    }

    fn ready_with(raw_samples: bool) -> Self {
        let mut story = Self::with(raw_samples);
        assert_eq!(story.on(Event::HungOn), []);
        assert_eq!(story.on(passed()), []);
        assert_eq!(story.on(Event::Said(FromK6::Ready {})), []);
        assert_eq!(story.state(), Ready);
        story
    }

    /// The start was ordered at 0 for 100 ms.
    fn armed() -> Self {
        Self::armed_with(false)
    }

    fn armed_with(raw_samples: bool) -> Self {
        let mut story = Self::ready_with(raw_samples);
        let start = Duration::from_millis(100);
        assert_eq!(story.on(Event::StartOrdered(start)), [Action::Release(start)]);
        assert_eq!(story.state(), Armed);
        story
    }

    /// The load is on since 100 ms; it is one second later.
    fn running() -> Self {
        Self::running_with(false)
    }

    fn running_with(raw_samples: bool) -> Self {
        let mut story = Self::armed_with(raw_samples);
        assert_eq!(story.until(101), []);
        assert_eq!(story.on(started()), []);
        assert_eq!(story.state(), Running);
        assert_eq!(story.until(1100), []);
        story
    }

    fn finished() -> Self {
        let mut story = Self::running();
        assert_eq!(story.until(100 + LOAD), []);
        assert_eq!(story.on(stopping()), []);
        assert_eq!(story.on(finished(false)), [Action::Seal]);
        assert_eq!(story.on(Event::Sealed(vec![file()])), []);
        assert_eq!(story.on(Event::HungUp), []);
        assert_eq!(story.on(exited(How::Code(0))), []);
        assert_eq!(story.state(), Done);
        story
    }

    fn uploaded() -> Self {
        let mut story = Self::finished();
        assert_eq!(story.on(Event::UploadOrdered), [Action::Upload]);
        assert_eq!(story.on(Event::Uploaded), []);
        assert_eq!(story.state(), Uploaded);
        story
    }

    fn state(&self) -> WorkerState {
        self.course.state()
    }

    fn reason(&self) -> &str {
        self.course.failure().map_or("", |failure| &failure.reason)
    }
}

fn passed() -> Event {
    Event::Said(FromK6::Preflight(Preflight {
        ok: true,
        server_version: Some("10.11".to_owned()),
        reason: String::new(),
        query: String::new(),
        message: String::new(),
    }))
}

fn refused() -> Event {
    Event::Said(FromK6::Preflight(Preflight {
        ok: false,
        server_version: None,
        reason: "SutUnreachable".to_owned(),
        query: String::new(),
        message: "connection refused".to_owned(),
    }))
}

fn started() -> Event {
    Event::Said(FromK6::Started { first_query_unix_nanos: 1_700, late_nanos: 42 })
}

fn stopping() -> Event {
    Event::Said(FromK6::Stopping { why: "end".to_owned() })
}

fn finished(interrupted: bool) -> Event {
    Event::Said(FromK6::Finished(Finished { queries: 9, errors: 0, last_query_unix_nanos: 1_800, interrupted, gc_nanos: None, server_started_nanos: None }))
}

fn exited(how: How) -> Event {
    Event::Exited(Exit { how, last_lines: vec![] })
}

fn file() -> ResultFile {
    ResultFile { name: "histograms/worker-0.hlog".to_owned(), bytes: 1, sha256: "00".to_owned() }
}

fn broken(reason: Reason) -> Event {
    Event::Broke(outcome::failure(reason, "it broke"))
}

#[test]
fn a_run_without_trouble_goes_from_preparing_to_uploaded_and_leaves_when_it_was_heard() {
    let mut story = Story::uploaded();
    assert_eq!(story.course.server_version(), Some("10.11"));
    assert_eq!(story.course.first_query(), Some((1_700, 42)));
    assert_eq!(story.course.files(), [file()]);
    story.now += 500;
    assert_eq!(story.on(Event::Polled), []);
    let heard = story.now;
    assert_eq!(story.until(heard + 10_000), [(heard + 3_000, Action::Leave)]);
}

#[test]
fn an_uploaded_worker_that_nobody_hears_leaves_after_thirty_seconds() {
    let mut story = Story::uploaded();
    let uploaded = story.now;
    assert_eq!(story.until(uploaded + 600_000), [(uploaded + 30_000, Action::Leave)]);
}

#[test]
fn a_poll_before_the_upload_does_not_count_as_having_heard_of_it() {
    let mut story = Story::finished();
    let _ = story.on(Event::Polled);
    let _ = story.on(Event::UploadOrdered);
    let _ = story.on(Event::Uploaded);
    let uploaded = story.now;
    assert_eq!(story.until(uploaded + 600_000), [(uploaded + 30_000, Action::Leave)]);
}

#[test]
fn the_load_is_running_a_moment_after_the_agreed_instant_even_if_no_query_went_out_yet() {
    let mut story = Story::armed();
    assert_eq!(story.until(199), []);
    assert_eq!(story.state(), Armed);
    assert_eq!(story.until(200), []);
    assert_eq!(story.state(), Running);
}

#[test]
fn orders_are_judged_by_the_state() {
    use Judgement::{Accepted, Refused, Repeated};
    let mut failed = Story::new();
    let _ = failed.on(refused());
    let mut draining = Story::running();
    let _ = draining.on(Event::StopOrdered);
    let table = [
        (Story::new(), Preparing, Refused, Refused),
        (Story::ready(), Ready, Accepted, Refused),
        (Story::armed(), Armed, Repeated, Refused),
        (Story::running(), Running, Repeated, Refused),
        (draining, Draining, Repeated, Refused),
        (Story::finished(), Done, Repeated, Accepted),
        (Story::uploaded(), Uploaded, Repeated, Repeated),
        (failed, Failed, Refused, Refused),
    ];
    for (story, state, start, upload) in table {
        assert_eq!((story.state(), story.course.judge_start(), story.course.judge_upload()), (state, start, upload));
    }
}

#[test]
fn orders_that_do_not_count_change_nothing() {
    let mut story = Story::running();
    assert_eq!(story.on(Event::StartOrdered(Duration::from_secs(5))), []);
    assert_eq!(story.on(Event::UploadOrdered), []);
    assert_eq!(story.state(), Running);
    let mut uploaded = Story::uploaded();
    assert_eq!(uploaded.on(Event::UploadOrdered), []);
    assert_eq!(uploaded.on(Event::StopOrdered), []);
    assert_eq!(uploaded.state(), Uploaded);
}

#[test]
fn a_preflight_that_refuses_fails_the_worker_at_once_and_ends_k6() {
    let mut story = Story::new();
    let _ = story.on(Event::HungOn);
    assert_eq!(story.on(refused()), [Action::TellStop, Action::Terminate]);
    assert_eq!((story.state(), story.reason()), (Failed, "SutUnreachable"));
    let _ = story.on(exited(How::Code(104)));
    assert_eq!(story.reason(), "SutUnreachable", "the first failure counts");
    let _ = story.on(Event::Polled);
    assert_eq!(story.until(20_000), [(3_000, Action::Leave)]);
}

#[test]
fn a_stop_before_the_load_fails_the_worker_as_stopped() {
    for mut story in [Story::new(), Story::ready()] {
        assert_eq!(story.on(Event::StopOrdered), [Action::TellStop, Action::Terminate]);
        assert_eq!((story.state(), story.reason()), (Failed, "StopRequested"));
        assert_eq!(story.on(Event::StopOrdered), []);
    }
}

#[test]
fn a_stop_during_the_load_lets_the_extension_drain_and_finish() {
    for mut story in [Story::armed(), Story::running()] {
        assert_eq!(story.on(Event::StopOrdered), [Action::TellStop]);
        assert_eq!(story.state(), Draining);
        assert_eq!(story.on(Event::StopOrdered), [], "repeating it changes nothing");
        assert_eq!(story.on(finished(true)), [Action::Seal]);
        assert_eq!(story.on(Event::Sealed(vec![file()])), []);
        assert_eq!(story.state(), Done);
        assert!(story.course.finished().unwrap().interrupted);
    }
}

#[test]
fn a_k6_that_ignores_the_stop_is_terminated_then_killed_within_ten_seconds() {
    let mut story = Story::running();
    let stop = story.now;
    assert_eq!(story.on(Event::StopOrdered), [Action::TellStop]);
    assert_eq!(story.until(stop + 10_000), [(stop + 8_500, Action::Terminate), (stop + 9_500, Action::Kill)]);
    let _ = story.on(exited(How::Signal(9)));
    let _ = story.on(Event::HungUp);
    assert_eq!((story.state(), story.reason()), (Failed, "DrainDeadlineExceeded"));
}

#[test]
fn a_k6_that_even_survives_being_killed_does_not_keep_the_worker_from_failing() {
    let mut story = Story::running();
    let stop = story.now;
    let _ = story.on(Event::StopOrdered);
    let _ = story.until(stop + 15_000);
    assert_eq!((story.state(), story.reason()), (Failed, "DrainDeadlineExceeded"));
    let done = story.until(stop + 120_000);
    assert_eq!(done.last(), Some(&(stop + 14_500 + 35_000, Action::Leave)));
}

#[test]
fn sigterm_before_the_load_fails_the_worker_as_evicted() {
    let mut story = Story::ready();
    assert_eq!(story.on(Event::Terminated), [Action::TellStop, Action::Terminate]);
    assert_eq!((story.state(), story.reason()), (Failed, "WorkerEvicted"));
    let _ = story.on(exited(How::Code(105)));
    assert_eq!(story.until(60_000), [(29_000, Action::Leave)], "the kubelet kills after thirty seconds");
}

#[test]
fn sigterm_during_the_load_drains_it_and_leaves_time_to_hand_in_the_results() {
    let mut story = Story::running();
    let at = story.now;
    assert_eq!(story.on(Event::Terminated), [Action::TellStop]);
    let _ = story.on(finished(true));
    let _ = story.on(exited(How::Code(0)));
    let _ = story.on(Event::Sealed(vec![file()]));
    assert_eq!(story.state(), Done);
    assert_eq!(story.until(at + 60_000), [(at + 29_000, Action::Leave)]);
}

#[test]
fn sigterm_with_nothing_left_to_do_leaves_at_once() {
    for mut story in [Story::finished(), Story::uploaded()] {
        assert_eq!(story.on(Event::Terminated), [Action::Leave]);
        assert_eq!(story.on(Event::Terminated), [], "one leaves once");
    }
}

#[test]
fn sigterm_in_the_middle_of_an_upload_lets_it_go_on() {
    let mut story = Story::finished();
    let at = story.now;
    let _ = story.on(Event::UploadOrdered);
    assert_eq!(story.on(Event::Terminated), []);
    assert_eq!(story.until(at + 60_000), [(at + 29_000, Action::Leave)]);
}

#[test]
fn a_second_sigterm_leaves_at_once_and_kills_what_is_in_the_way() {
    let mut story = Story::running();
    assert_eq!(story.on(Event::Terminated), [Action::TellStop]);
    assert_eq!(story.on(Event::Terminated), [Action::Kill]);
    let _ = story.on(Event::HungUp);
    assert!(story.on(exited(How::Signal(9))).contains(&Action::Leave));
}

#[test]
fn a_crash_of_k6_is_explained_by_its_exit_code_whichever_is_seen_first() {
    for first in [Event::HungUp, exited(How::Code(109))] {
        let mut story = Story::running();
        let at = story.now;
        let second = if first == Event::HungUp { exited(How::Code(109)) } else { Event::HungUp };
        assert_eq!(story.on(first), []);
        assert_eq!(story.until(at + 100), []);
        let _ = story.on(second);
        assert_eq!((story.state(), story.reason()), (Failed, "LoadGeneratorFailed"));
        assert!(story.course.failure().unwrap().message.contains("109"));
    }
}

#[test]
fn a_k6_that_ends_before_it_ever_hung_on_fails_the_worker_after_a_moment() {
    let mut story = Story::new();
    assert_eq!(story.on(exited(How::Code(107))), []);
    assert_eq!(story.state(), Preparing);
    assert_eq!(story.until(500), []);
    assert_eq!((story.state(), story.reason()), (Failed, "LoadGeneratorFailed"));
}

#[test]
fn what_k6_said_before_it_ended_is_read_however_long_that_takes() {
    let mut story = Story::running();
    let at = story.now;
    let _ = story.on(exited(How::Code(0)));
    assert_eq!(story.until(at + 5_000), []);
    assert_eq!(story.on(finished(false)), [Action::Seal]);
}

#[test]
fn a_k6_that_the_kernel_killed_is_out_of_memory() {
    let mut story = Story::running();
    let _ = story.on(exited(How::Signal(9)));
    let _ = story.on(Event::HungUp);
    assert_eq!(story.reason(), "WorkerOutOfMemory");
}

#[test]
fn a_k6_that_hangs_up_in_the_middle_of_the_load_is_ended() {
    let mut story = Story::running();
    let at = story.now;
    assert_eq!(story.on(Event::HungUp), []);
    let done = story.until(at + 9_000);
    assert_eq!(done, [(at + 250, Action::TellStop), (at + 250, Action::Terminate), (at + 8_250, Action::Kill)]);
    let _ = story.on(exited(How::Signal(9)));
    assert_eq!((story.state(), story.reason()), (Failed, "LoadGeneratorFailed"));
}

#[test]
fn a_load_that_goes_on_beyond_its_end_is_ended() {
    let mut story = Story::running();
    let due = 100 + LOAD + 8_000 + 5_000;
    assert_eq!(story.until(due + 8_000), [(due, Action::TellStop), (due, Action::Terminate), (due + 8_000, Action::Kill)]);
    let _ = story.on(Event::HungUp);
    let _ = story.on(exited(How::Signal(9)));
    assert_eq!((story.state(), story.reason()), (Failed, "ExecutionDeadlineExceeded"));
}

#[test]
fn a_load_that_finishes_after_it_was_cut_off_is_finished_all_the_same() {
    let mut story = Story::running();
    let _ = story.until(100 + LOAD + 13_000);
    assert_eq!(story.on(finished(true)), [Action::Seal]);
}

#[test]
fn a_worker_that_no_operator_ever_starts_gives_up() {
    for mut story in [Story::new(), Story::ready()] {
        assert_eq!(story.until(360_000), [(360_000, Action::TellStop), (360_000, Action::Terminate)]);
        assert_eq!((story.state(), story.reason()), (Failed, "BarrierDeadlineExceeded"));
        let _ = story.on(exited(How::Code(105)));
        assert_eq!(story.until(600_000), [(390_000, Action::Leave)]);
    }
}

#[test]
fn results_that_nobody_asks_for_are_given_up_after_the_time_to_collect() {
    let mut story = Story::finished();
    let at = story.now;
    assert_eq!(story.until(at + 1_000_000), [(at + 360_000, Action::Leave)]);
    assert_eq!(story.state(), Done);
}

#[test]
fn a_k6_that_does_not_end_after_its_last_word_is_ended_behind_the_finished_worker() {
    let mut story = Story::running();
    let at = story.now;
    assert_eq!(story.on(finished(false)), [Action::Seal]);
    let _ = story.on(Event::Sealed(vec![file()]));
    assert_eq!(story.until(at + 20_000), [(at + 8_000, Action::Terminate), (at + 9_000, Action::Kill)]);
    let _ = story.on(exited(How::Signal(9)));
    assert_eq!(story.state(), Done, "everything that counts was said before");
}

#[test]
fn raw_samples_are_sealed_only_when_k6_has_written_them_out() {
    let mut story = Story::running_with(true);
    assert_eq!(story.on(finished(false)), []);
    assert_eq!(story.state(), Draining);
    assert_eq!(story.on(exited(How::Code(0))), [Action::Seal]);
}

#[test]
fn a_full_disk_fails_the_worker_and_ends_the_load() {
    let mut story = Story::running();
    assert_eq!(story.on(broken(Reason::WorkerDiskFull)), [Action::TellStop, Action::Terminate]);
    assert_eq!((story.state(), story.reason()), (Failed, "WorkerDiskFull"));
}

#[test]
fn an_upload_that_fails_for_good_fails_the_worker() {
    let mut story = Story::finished();
    let _ = story.on(Event::UploadOrdered);
    assert_eq!(story.on(broken(Reason::ResultsUploadFailed)), []);
    assert_eq!((story.state(), story.reason()), (Failed, "ResultsUploadFailed"));
}

#[test]
fn a_k6_that_finishes_before_it_was_started_has_failed() {
    let mut story = Story::ready();
    let _ = story.on(finished(true));
    assert_eq!((story.state(), story.reason()), (Failed, "LoadGeneratorFailed"));
}

/// Whatever happens, in whatever order: the state never goes back and a worker that failed once stays so.
#[test]
fn a_worker_only_moves_forward() {
    let events = || {
        vec![
            Event::HungOn,
            passed(),
            refused(),
            Event::Said(FromK6::Ready {}),
            started(),
            stopping(),
            finished(true),
            Event::HungUp,
            exited(How::Code(0)),
            Event::StartOrdered(Duration::from_millis(10)),
            Event::StopOrdered,
            Event::UploadOrdered,
            Event::Polled,
            Event::Sealed(vec![]),
            Event::Uploaded,
            broken(Reason::WorkerDiskFull),
            Event::Terminated,
            Event::Alarm,
        ]
    };
    let count = events().len();
    for seed in 0..20_000_usize {
        let mut story = if seed % 3 == 0 { Story::new() } else { Story::ready() };
        let mut state = story.state();
        let mut dice = seed;
        for step in 0..12 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let event = events().swap_remove((dice >> 33) % count);
            // Only the tasks that the course itself set off report these two.
            if matches!(event, Event::Sealed(_)) && story.state() != Draining || matches!(event, Event::Uploaded) && story.state() != Done {
                continue;
            }
            let _ = story.on(event);
            assert!(story.state() >= state, "seed {seed} step {step}: {state:?} -> {:?}", story.state());
            assert!(state != Uploaded || story.state() == Uploaded);
            assert_eq!(story.state() == Failed, story.course.failure().is_some());
            state = story.state();
            let _ = story.until(story.now + 700);
            assert!(story.state() >= state && (state != Uploaded || story.state() == Uploaded));
            state = story.state();
        }
    }
}
