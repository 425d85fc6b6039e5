//! The line to the ledger: whether it is up, when to go again, and how much to carry at once. Time comes in as an argument.

use std::time::Duration;

use crucible_store::LedgerError;
use tokio::time::Instant;

use crate::retry;

/// How long news is gathered before it is told: a run that is admitted is written to several times at once.
pub const GATHER: Duration = Duration::from_millis(300);
/// How often the ledger is asked whether it still has what it was told.
const LOOK: Duration = Duration::from_secs(2);
/// How often rows that have not ended are compared with the cluster, once they were.
const SWEEP: Duration = Duration::from_mins(5);
/// After how many failures in a row the delay grows no more: rows are right within seconds of the ledger's return.
const LONGEST_ATTEMPT: u32 = 4;
/// How many runs are told in one statement at most.
const LARGEST: usize = 100;

/// The line to the ledger.
#[derive(Debug)]
pub struct Line {
    /// The tables are there, as far as is known.
    up: bool,
    /// It was up before: what was told then may be lost.
    was_up: bool,
    failures: u32,
    not_before: Instant,
    /// When the news that waits has been gathered for long enough.
    gathered: Option<Instant>,
    look_at: Instant,
    sweep_at: Option<Instant>,
    largest: usize,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To make the tables.
    Prepare,
    /// To tell at most so many statuses.
    Tell(usize),
    /// To look whether rows are still there.
    Look,
    /// To end the rows of runs that are gone.
    Sweep,
    /// To wait until then.
    Wait(Instant),
}

impl Line {
    /// A line that was not up yet.
    pub fn new(now: Instant) -> Self {
        Self { up: false, was_up: false, failures: 0, not_before: now, gathered: None, look_at: now, sweep_at: None, largest: LARGEST }
    }

    /// There is news.
    pub fn news(&mut self, now: Instant) {
        self.gathered.get_or_insert(now + GATHER);
    }

    /// A list of all runs is complete: rows of runs that are not in it can be found.
    pub fn listed(&mut self, now: Instant) {
        self.sweep_at = Some(now);
    }

    /// What is to be done next.
    pub fn next(&mut self, now: Instant, has_news: bool) -> Next {
        if now < self.not_before {
            return Next::Wait(self.not_before);
        }
        if !self.up {
            return Next::Prepare;
        }
        let tell_at = if has_news { self.gathered } else { None };
        if tell_at.is_some_and(|at| at <= now) {
            return Next::Tell(self.largest);
        }
        // What is waiting may be the very row that would look unfinished.
        if !has_news && self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep_at = None;
            return Next::Sweep;
        }
        if self.look_at <= now {
            return Next::Look;
        }
        let sweep_at = if has_news { None } else { self.sweep_at };
        Next::Wait([tell_at, sweep_at].into_iter().flatten().fold(self.look_at, Instant::min))
    }

    /// The tables are there. Says whether everything has to be told anew.
    pub fn prepared(&mut self, now: Instant) -> bool {
        let again = self.was_up;
        self.up = true;
        self.was_up = true;
        self.went_well(now);
        again
    }

    /// Statuses were told.
    pub fn told(&mut self, now: Instant, has_news: bool) {
        self.largest = (self.largest * 2).min(LARGEST);
        self.gathered = has_news.then_some(now);
        self.went_well(now);
    }

    /// It answered.
    pub fn went_well(&mut self, now: Instant) {
        self.failures = 0;
        self.look_at = now + LOOK;
    }

    /// Rows were compared with the cluster.
    pub fn swept(&mut self, now: Instant) {
        self.sweep_at.get_or_insert(now + SWEEP);
        self.went_well(now);
    }

    /// The rows that it was told are not there: everything has to be told anew.
    pub fn lost_rows(&mut self) {
        self.up = false;
    }

    /// One of so many statuses cannot be told: fewer go at once, until it is alone. Says whether it is.
    pub fn refused(&mut self, of: usize) -> bool {
        self.largest = (of / 2).max(1);
        of <= 1
    }

    /// Something went wrong that may go well later.
    pub fn failed(&mut self, error: &LedgerError, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        // What somebody else wrote at the same time says nothing against the tables.
        if !matches!(error, LedgerError::Conflict { .. }) {
            self.up = false;
        }
        self.not_before = now + retry::delay(&format!("ledger {}", self.failures), self.failures.min(LONGEST_ATTEMPT));
    }

    /// How often it has failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> LedgerError {
        LedgerError::Unavailable { cause: "told to be down".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn tables_come_first_and_news_is_gathered_before_it_is_told() {
        let now = Instant::now();
        let mut line = Line::new(now);
        assert_eq!(line.next(now, false), Next::Prepare);
        assert!(!line.prepared(now), "the first time nothing can have been lost");
        line.news(now);
        line.news(now + GATHER / 2);
        assert_eq!(line.next(now, true), Next::Wait(now + GATHER));
        assert_eq!(line.next(now + GATHER, true), Next::Tell(100));
        line.told(now + GATHER, false);
        assert_eq!(line.next(now + GATHER, false), Next::Wait(now + GATHER + LOOK));
        assert_eq!(line.next(now + GATHER + LOOK, false), Next::Look);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ledger_that_is_away_is_asked_again_within_two_seconds_however_long_it_is_away() {
        let mut now = Instant::now();
        let mut line = Line::new(now);
        line.prepared(now);
        for attempt in 1..200 {
            line.failed(&down(), now);
            let Next::Wait(then) = line.next(now, true) else { panic!("attempt {attempt} follows at once") };
            assert!(then - now >= Duration::from_millis(100) && then - now <= Duration::from_millis(1600), "attempt {attempt}: {:?}", then - now);
            now = then;
            assert_eq!(line.next(now, true), Next::Prepare);
        }
        assert!(line.prepared(now), "what was told before may be lost");
    }

    #[tokio::test(start_paused = true)]
    async fn a_conflict_is_tried_again_without_doubting_the_tables() {
        let now = Instant::now();
        let mut line = Line::new(now);
        line.prepared(now);
        line.news(now);
        line.failed(&LedgerError::Conflict { code: "40P01".to_owned() }, now);
        assert_eq!(line.next(now + Duration::from_secs(1), true), Next::Tell(100));
    }

    #[tokio::test(start_paused = true)]
    async fn one_bad_status_is_found_by_halving_and_the_batch_grows_again() {
        let now = Instant::now();
        let mut line = Line::new(now);
        let mut of = 100;
        let mut halvings = 0;
        while !line.refused(of) {
            of = line.largest;
            halvings += 1;
        }
        assert_eq!(halvings, 6);
        (0..7).for_each(|_| line.told(now, true));
        assert_eq!(line.largest, 100);
    }

    #[tokio::test(start_paused = true)]
    async fn rows_are_compared_with_the_cluster_once_nothing_waits() {
        let now = Instant::now();
        let mut line = Line::new(now);
        line.prepared(now);
        line.news(now);
        line.listed(now);
        assert_eq!(line.next(now, true), Next::Wait(now + GATHER));
        assert_eq!(line.next(now, false), Next::Sweep);
        line.swept(now);
        assert_eq!(line.next(now + Duration::from_mins(4), false), Next::Look);
        line.went_well(now + Duration::from_mins(5));
        assert_eq!(line.next(now + Duration::from_mins(5), false), Next::Sweep);
    }
}
