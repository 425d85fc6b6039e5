//! The last two minutes of the load, second by second, for whoever watches it while it runs.

use std::collections::VecDeque;

use crucible_lifecycle::{
    class::Class,
    contract::LiveSecond,
    histogram::{Histogram, WireError},
};

use crate::wire::Interval;

/// How many seconds are kept.
const KEPT: usize = 120;
/// How many seconds one report carries.
const REPORTED: usize = 60;

/// A bounded list of seconds, oldest first.
#[derive(Debug, Default)]
pub struct Live {
    seconds: VecDeque<LiveSecond>,
    /// What the newest second's histogram was encoded from, because the same second may come again.
    newest: Histogram,
    /// Whether queries arrive by a schedule.
    open: bool,
}

impl Live {
    /// No second yet, of the open model or of the closed one.
    #[must_use]
    pub fn of(open: bool) -> Self {
        Self { open, ..Self::default() }
    }

    /// Adds one second, or more of the newest one.
    pub fn add(&mut self, interval: &Interval) -> Result<(), WireError> {
        let ok = Class::Ok.as_str();
        if self.seconds.back().is_none_or(|newest| newest.second < interval.second) {
            self.newest.clear();
            self.seconds.push_back(LiveSecond { second: interval.second, ok: 0, errors: 0, vus: 0, histogram: String::new(), arrivals: None });
        }
        for record in interval.records.iter().filter(|record| record.outcome == ok) {
            self.newest.add_encoded(&record.histogram)?;
        }
        if let Some(newest) = self.seconds.back_mut() {
            let counts = |wanted: bool| interval.records.iter().filter(|record| (record.outcome == ok) == wanted).map(|record| record.count).sum::<u64>();
            newest.ok += counts(true);
            newest.errors += counts(false);
            newest.vus = newest.vus.max(interval.vus);
            newest.histogram = self.newest.encode();
            if self.open {
                let arrivals = newest.arrivals.get_or_insert_default();
                arrivals.due += interval.arrivals.iter().map(|of| of.due).sum::<u64>();
                arrivals.waiting = interval.waiting;
            }
        }
        if self.seconds.len() > KEPT {
            self.seconds.pop_front();
        }
        Ok(())
    }

    /// The seconds after one, oldest first, as many as one report carries.
    #[must_use]
    pub fn after(&self, second: Option<u64>) -> Vec<LiveSecond> {
        self.seconds.iter().filter(|live| second.is_none_or(|second| live.second > second)).take(REPORTED).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Record;

    fn record(outcome: &str, latencies: &[u64]) -> Record {
        let mut histogram = Histogram::new();
        for micros in latencies {
            histogram.record(*micros);
        }
        Record {
            query: "PointLookup".to_owned(),
            stage: "steady".to_owned(),
            outcome: outcome.to_owned(),
            count: latencies.len() as u64,
            max_micros: latencies.iter().copied().max().unwrap_or(0),
            histogram: histogram.encode(),
            service: None,
        }
    }

    fn live(intervals: &[(u64, Vec<Record>)]) -> Live {
        let mut live = Live::default();
        for (second, records) in intervals {
            live.add(&Interval { second: *second, records: records.clone(), vus: 8, ..Interval::default() }).unwrap();
        }
        live
    }

    #[test]
    fn a_second_counts_answers_and_errors_apart_and_keeps_the_latencies_of_answers_only() {
        let live = live(&[(0, vec![record("ok", &[100, 200]), record("timeout", &[30_000]), record("ok", &[300])])]);
        let [second] = &live.after(None)[..] else { panic!("one second") };
        assert_eq!((second.second, second.ok, second.errors, second.vus), (0, 3, 1, 8));
        let histogram = Histogram::decode(&second.histogram).unwrap();
        assert_eq!((histogram.count(), histogram.max()), (3, Some(300)));
    }

    #[test]
    fn the_same_second_may_come_again() {
        let live = live(&[(0, vec![record("ok", &[1])]), (1, vec![record("ok", &[100])]), (1, vec![record("ok", &[200]), record("syntax", &[1])])]);
        let [_, second] = &live.after(None)[..] else { panic!("two seconds") };
        assert_eq!((second.second, second.ok, second.errors), (1, 2, 1));
        assert_eq!(Histogram::decode(&second.histogram).unwrap().count(), 2);
    }

    #[test]
    fn the_open_model_tells_what_was_due_and_what_waits() {
        let mut live = Live::of(true);
        let arrivals = |due| ["a", "b"].map(|stage| crate::wire::ArrivalsOf { stage: stage.to_owned(), due, sent: 0, late: 0, behind: 0, begun: 0 });
        live.add(&Interval { second: 0, arrivals: arrivals(3).to_vec(), waiting: 5, ..Interval::default() }).unwrap();
        live.add(&Interval { second: 1, ..Interval::default() }).unwrap();
        let told: Vec<_> = live.after(None).iter().map(|second| second.arrivals.map(|arrivals| (arrivals.due, arrivals.waiting))).collect();
        assert_eq!(told, [Some((6, 5)), Some((0, 0))]);
    }

    #[test]
    fn two_minutes_are_kept_and_one_minute_is_reported() {
        let all: Vec<_> = (0..500).map(|second| (second, vec![])).collect();
        let live = live(&all);
        let seconds = |after| live.after(after).iter().map(|live| live.second).collect::<Vec<_>>();
        assert_eq!(seconds(None), (380..440).collect::<Vec<_>>());
        assert_eq!(seconds(Some(496)), [497, 498, 499]);
        assert_eq!(seconds(Some(499)), [0; 0]);
    }
}
