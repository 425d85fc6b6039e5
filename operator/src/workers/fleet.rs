//! What is known of one run's workers, and what a new word of theirs changes. Pure: the loops around it are in `poll`.

use std::{collections::BTreeMap, time::Duration};

use crucible_lifecycle::{
    contract::{WorkerReport, WorkerState},
    run::{
        Order,
        observed::{Fleet, Heard},
    },
};
use jiff::{SignedDuration, Timestamp};

use super::live::Live;

/// A worker that was not heard of for so long is silent: the run is looked at again.
pub const SILENCE: SignedDuration = SignedDuration::from_secs(2);
/// How many seconds a report holds at most: a full one means that there is more.
const SECONDS_PER_REPORT: usize = 60;
/// How long after the agreed instant the first question comes.
const AFTER_START: Duration = Duration::from_millis(100);
/// The longest time without a question, well below `SILENCE`.
const LONGEST_PEACE: Duration = Duration::from_secs(1);

/// What is known of one run's workers.
#[derive(Debug, Default)]
pub struct FleetState {
    workers: BTreeMap<u32, Worker>,
    live: Live,
}

#[derive(Debug, Default)]
struct Worker {
    address: String,
    heard: Option<Heard>,
    fastest: Option<Duration>,
    clock_offset_nanos: i64,
    silent: bool,
}

/// What a report changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absorbed {
    /// Whether a decision may depend on it.
    pub matters: bool,
    /// Whether the worker has more seconds to tell.
    pub more: bool,
}

/// What a worker is to be told right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Start at the agreed instant.
    Start {
        /// The agreed instant.
        at: Timestamp,
    },
    /// End the load.
    Stop,
    /// Upload the results.
    Upload,
}

impl FleetState {
    /// For a fleet of so many workers.
    #[must_use]
    pub fn of(workers: u32) -> Self {
        Self { workers: BTreeMap::new(), live: Live::of(workers as usize) }
    }

    /// Learns where a worker can be reached. Returns whether that is news.
    pub fn learn(&mut self, index: u32, address: &str) -> bool {
        let worker = self.workers.entry(index).or_default();
        let news = worker.address != address;
        if news {
            address.clone_into(&mut worker.address);
        }
        news
    }

    /// Where a worker can be reached, where that is known.
    #[must_use]
    pub fn address(&self, index: u32) -> Option<String> {
        self.workers.get(&index).map(|worker| worker.address.clone())
    }

    /// The workers whose address is known.
    pub fn known(&self) -> impl Iterator<Item = u32> {
        self.workers.keys().copied()
    }

    /// The last second that a worker has reported.
    #[must_use]
    pub fn last_second(&self, index: u32) -> Option<u64> {
        self.live.last_of(index)
    }

    /// Takes in what a worker said, `round_trip` after it was asked.
    pub fn absorb(&mut self, at: Timestamp, round_trip: Duration, index: u32, mut report: WorkerReport) -> Absorbed {
        let more = report.seconds.len() >= SECONDS_PER_REPORT;
        self.live.absorb(index, &std::mem::take(&mut report.seconds));
        let worker = self.workers.entry(index).or_default();
        let matters = std::mem::take(&mut worker.silent) || worker.heard.as_ref().is_none_or(|before| matters(&before.report, &report));
        if worker.fastest.is_none_or(|fastest| round_trip < fastest) {
            worker.fastest = Some(round_trip);
            worker.clock_offset_nanos = clock_offset(at, round_trip, report.now_unix_nanos);
        }
        worker.heard = Some(Heard { at, clock_offset_millis: worker.clock_offset_nanos / 1_000_000, report });
        Absorbed { matters, more }
    }

    /// Takes in that a worker did not answer. Returns whether it has been silent for long enough to look at the run again; once.
    pub fn missed(&mut self, now: Timestamp, index: u32) -> bool {
        let Some(worker) = self.workers.get_mut(&index) else { return false };
        let quiet = worker.heard.as_ref().is_none_or(|heard| now.duration_since(heard.at) >= SILENCE);
        let first = quiet && !worker.silent;
        worker.silent |= quiet;
        first
    }

    /// How long an order needs to a worker: half of the fastest answer seen.
    #[must_use]
    pub fn way_to(&self, index: u32) -> Duration {
        self.workers.get(&index).and_then(|worker| worker.fastest).unwrap_or_default() / 2
    }

    /// An instant by a worker's own clock, in nanoseconds since 1970, where that clock was seen. A difference that the way of the answer
    /// explains is none: clocks of one cluster are kept together.
    #[must_use]
    pub fn on_its_clock(&self, index: u32, at: Timestamp) -> Option<i64> {
        let worker = self.workers.get(&index)?;
        let doubt = worker.fastest? / 2;
        let ahead = if Duration::from_nanos(worker.clock_offset_nanos.unsigned_abs()) <= doubt { 0 } else { worker.clock_offset_nanos };
        i64::try_from(at.as_nanosecond() + i128::from(ahead)).ok()
    }

    /// Whether every worker of `expected` was heard of lately, or has said its last word: then their own word is the truth,
    /// and nobody else needs to be asked.
    #[must_use]
    pub fn all_heard(&self, expected: u32, now: Timestamp) -> bool {
        let lately = |index| {
            let heard = self.workers.get(&index).and_then(|worker| worker.heard.as_ref());
            heard.is_some_and(|heard| heard.report.state == WorkerState::Uploaded || now.duration_since(heard.at) < SILENCE)
        };
        (0..expected).all(lately)
    }

    /// What decisions see of it.
    #[must_use]
    pub fn view(&self) -> Fleet {
        let heard = |(index, worker): (&u32, &Worker)| worker.heard.clone().map(|heard| (*index, heard));
        Fleet { workers: self.workers.iter().filter_map(heard).collect(), live: self.live.view() }
    }
}

/// How far a clock that showed this is ahead of ours, in nanoseconds: the answer was on its way for half of the round trip.
fn clock_offset(heard: Timestamp, round_trip: Duration, shown_unix_nanos: i64) -> i64 {
    let said = heard.as_nanosecond() - i128::try_from(round_trip.as_nanos() / 2).unwrap_or(0);
    i64::try_from(i128::from(shown_unix_nanos) - said).unwrap_or(i64::MAX)
}

/// Whether a decision may depend on the difference between two reports. Numbers that only grow do not count: the
/// decision itself says when it wants to see them again.
fn matters(before: &WorkerReport, after: &WorkerReport) -> bool {
    before.state != after.state
        || before.failure != after.failure
        || before.files != after.files
        || before.first_query_unix_nanos.is_some() != after.first_query_unix_nanos.is_some()
        || before.interrupted != after.interrupted
        || before.protocol != after.protocol
}

/// What a worker that reported `state` has to be told under `order`. It is told again until its report shows that it has heard.
#[must_use]
pub fn call_for(order: &Order, state: WorkerState) -> Option<Call> {
    use WorkerState::{Armed, Draining, Failed, Finished, Preparing, Ready, Running, Uploaded};
    match (order, state) {
        (Order::Start { at }, Ready) => Some(Call::Start { at: *at }),
        (Order::Stop { .. }, Preparing | Ready | Armed | Running) => Some(Call::Stop),
        (Order::Upload { .. }, Finished) => Some(Call::Upload),
        (Order::None | Order::Listen, _)
        | (Order::Start { .. }, Preparing | Armed | Running | Draining | Finished | Uploaded | Failed)
        | (Order::Stop { .. }, Draining | Finished | Uploaded | Failed)
        | (Order::Upload { .. }, Preparing | Ready | Armed | Running | Draining | Uploaded | Failed) => None,
    }
}

/// How long to wait before a worker is asked again: briefly where people wait for the answer, longer while the load
/// simply runs. A large fleet is asked less often, so that all of it together costs the same.
#[must_use]
fn pace(state: Option<WorkerState>, near_the_end: bool, fleet: u32) -> Duration {
    use WorkerState::{Armed, Draining, Failed, Finished, Preparing, Ready, Running, Uploaded};
    let millis = match state {
        None | Some(Preparing | Ready | Draining | Finished) => 50,
        Some(Running) if near_the_end => 50,
        Some(Armed) => 100,
        Some(Running) => 250,
        Some(Uploaded | Failed) => 1000,
    };
    Duration::from_millis(millis.max(u64::from(fleet)))
}

/// How long to leave a worker in peace before it is asked again. One that waits for an agreed instant is not asked until that has
/// passed: every question takes time from the processors that the workers begin on.
#[must_use]
pub fn rest(state: Option<WorkerState>, order: &Order, now: Timestamp, near_the_end: bool, fleet: u32) -> Duration {
    let pace = pace(state, near_the_end, fleet);
    match (state, order) {
        (Some(WorkerState::Armed), Order::Start { at }) => {
            let wait = Duration::try_from(at.duration_since(now)).map_or(Duration::ZERO, |left| left + AFTER_START);
            wait.clamp(pace, LONGEST_PEACE.max(pace))
        }
        _ => pace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_lifecycle::contract::{LiveSecond, PROTOCOL, ResultFile};

    fn report(state: WorkerState) -> WorkerReport {
        WorkerReport {
            protocol: PROTOCOL,
            run_uid: "uid-a".to_owned(),
            index: 0,
            state,
            failure: None,
            now_unix_nanos: 0,
            server_version: None,
            first_query_unix_nanos: None,
            late_nanos: None,
            last_query_unix_nanos: None,
            interrupted: false,
            seconds: Vec::new(),
            files: Vec::new(),
            answers: Vec::new(),
            cpu_seconds: 0.0,
            memory_bytes: 0,
            throttled_seconds: None,
            gc_nanos: None,
            server_started_nanos: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const FAST: Duration = Duration::from_millis(4);

    #[test]
    fn the_clock_of_a_worker_is_told_by_its_fastest_answer() {
        let mut fleet = FleetState::of(1);
        let shows = |nanos: i64| WorkerReport { now_unix_nanos: nanos, ..report(WorkerState::Ready) };
        let offset = |fleet: &FleetState| fleet.view().workers[&0].clock_offset_millis;
        fleet.absorb(at(100), Duration::from_millis(400), 0, shows(105_000_000_000));
        assert_eq!(offset(&fleet), 5_200);
        fleet.absorb(at(101), FAST, 0, shows(106_000_000_000));
        assert_eq!(offset(&fleet), 5_002);
        fleet.absorb(at(102), Duration::from_millis(900), 0, shows(50_000_000_000));
        assert_eq!(offset(&fleet), 5_002, "a slow answer says less");
    }

    #[test]
    fn an_instant_is_told_by_the_workers_own_clock_unless_the_way_explains_the_difference() {
        let mut fleet = FleetState::of(1);
        let start = at(200).as_second() * 1_000_000_000;
        assert_eq!(fleet.on_its_clock(0, at(200)), None, "its clock was never seen");
        for (round_trip, shown, expected) in [
            (Duration::from_millis(400), 99_950_000_000, start),
            (Duration::from_millis(40), 100_150_000_000, start + 170_000_000),
            (Duration::from_millis(4), 99_998_500_000, start),
            (Duration::from_millis(2), 99_990_000_000, start - 9_000_000),
        ] {
            fleet.absorb(at(100), round_trip, 0, WorkerReport { now_unix_nanos: shown, ..report(WorkerState::Ready) });
            assert_eq!(fleet.on_its_clock(0, at(200)), Some(expected), "{round_trip:?}");
        }
    }

    #[test]
    fn only_what_a_decision_may_depend_on_matters() {
        let calm = report(WorkerState::Running);
        let table = [
            (report(WorkerState::Draining), true),
            (WorkerReport { first_query_unix_nanos: Some(1), ..calm.clone() }, true),
            (WorkerReport { interrupted: true, ..calm.clone() }, true),
            (WorkerReport { protocol: 2, ..calm.clone() }, true),
            (WorkerReport { files: vec![ResultFile { name: "x".to_owned(), bytes: 1, sha256: String::new() }], ..calm.clone() }, true),
            (WorkerReport { cpu_seconds: 3.0, memory_bytes: 9, now_unix_nanos: 7, ..calm.clone() }, false),
            (calm.clone(), false),
        ];
        for (next, expected) in table {
            let mut fleet = FleetState::of(1);
            assert!(fleet.absorb(at(0), FAST, 0, calm.clone()).matters, "the first word always matters");
            assert_eq!(fleet.absorb(at(1), FAST, 0, next.clone()).matters, expected, "{next:?}");
        }
    }

    #[test]
    fn silence_is_noticed_once_and_so_is_its_end() {
        let mut fleet = FleetState::of(1);
        fleet.absorb(at(10), FAST, 0, report(WorkerState::Running));
        let noticed: Vec<bool> = (11..=14).map(|second| fleet.missed(at(second), 0)).collect();
        assert_eq!(noticed, [false, true, false, false]);
        assert!(fleet.absorb(at(15), FAST, 0, report(WorkerState::Running)).matters);
        assert!(!fleet.absorb(at(16), FAST, 0, report(WorkerState::Running)).matters);
    }

    #[test]
    fn the_cluster_is_asked_only_when_some_worker_is_not_heard_of() {
        let mut fleet = FleetState::of(2);
        fleet.absorb(at(10), FAST, 0, report(WorkerState::Running));
        assert!(!fleet.all_heard(2, at(10)), "worker 1 was never heard of");
        fleet.absorb(at(11), FAST, 1, report(WorkerState::Running));
        assert!(fleet.all_heard(2, at(11)));
        assert!(!fleet.all_heard(2, at(12)), "worker 0 has been silent for two seconds");
    }

    #[test]
    fn the_way_to_a_worker_is_half_of_the_fastest_answer() {
        let mut fleet = FleetState::of(1);
        for millis in [9, 4, 30] {
            fleet.absorb(at(0), Duration::from_millis(millis), 0, report(WorkerState::Ready));
        }
        assert_eq!(fleet.way_to(0), Duration::from_millis(2));
        assert_eq!(fleet.way_to(7), Duration::ZERO);
    }

    #[test]
    fn a_full_report_means_that_there_is_more() {
        let seconds = (0..60).map(|second| LiveSecond { second, ok: 1, errors: 0, vus: 1, histogram: String::new(), arrivals: None }).collect();
        let mut fleet = FleetState::of(1);
        assert!(fleet.absorb(at(0), FAST, 0, WorkerReport { seconds, ..report(WorkerState::Running) }).more);
        assert_eq!(fleet.last_second(0), Some(59));
        assert!(fleet.view().workers[&0].report.seconds.is_empty(), "seconds are kept once, in the live view");
    }

    #[test]
    fn a_worker_is_told_until_its_report_shows_that_it_has_heard() {
        use WorkerState::{Armed, Draining, Failed, Finished, Preparing, Ready, Running, Uploaded};
        let start = Order::Start { at: at(5) };
        let stop = Order::Stop { reason: "StopRequested".to_owned() };
        let upload = Order::Upload { run_id: "shop_1".to_owned() };
        // Columns: Preparing Ready Armed Running Draining Finished Uploaded Failed; x marks that it is told.
        let table = [
            (Order::None, ". . . . . . . ."),
            (Order::Listen, ". . . . . . . ."),
            (start, ". x . . . . . ."),
            (stop, "x x x x . . . ."),
            (upload, ". . . . . x . ."),
        ];
        for (order, row) in table {
            for (state, mark) in [Preparing, Ready, Armed, Running, Draining, Finished, Uploaded, Failed].into_iter().zip(row.split(' ')) {
                assert_eq!(call_for(&order, state).is_some(), mark == "x", "{order:?} {state:?}");
            }
        }
    }

    #[test]
    fn a_worker_is_asked_often_where_people_wait_and_a_large_fleet_less_often() {
        assert_eq!(pace(Some(WorkerState::Running), false, 2), Duration::from_millis(250));
        assert_eq!(pace(Some(WorkerState::Running), true, 2), Duration::from_millis(50));
        assert_eq!(pace(Some(WorkerState::Ready), false, 2), Duration::from_millis(50));
        assert_eq!(pace(Some(WorkerState::Ready), false, 1000), Duration::from_secs(1));
    }

    #[test]
    fn a_worker_that_waits_for_the_start_is_left_in_peace() {
        let start = |second| Order::Start { at: at(second) };
        let table = [
            (WorkerState::Armed, start(10), 10, Duration::from_millis(100)),
            (WorkerState::Armed, start(10), 11, Duration::from_millis(100)),
            (WorkerState::Armed, start(10), 5, Duration::from_secs(1)),
            (WorkerState::Ready, start(10), 9, Duration::from_millis(50)),
            (WorkerState::Running, start(10), 9, Duration::from_millis(250)),
        ];
        for (state, order, now, expected) in table {
            assert_eq!(rest(Some(state), &order, at(now), false, 2), expected, "{state:?} at {now}");
        }
        let half = at(9) + SignedDuration::from_millis(500);
        assert_eq!(rest(Some(WorkerState::Armed), &start(10), half, false, 2), Duration::from_millis(600));
    }
}
