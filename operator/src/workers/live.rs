//! Adds up what the workers report each second. A second counts when every worker has reported it.

use std::collections::{BTreeMap, VecDeque};

use crucible_lifecycle::{
    contract::{LiveArrivals, LiveSecond},
    histogram::Histogram,
    run::observed::{FleetSecond, LiveView, SecondLatency},
};

/// How many complete seconds are kept.
const KEPT: usize = 3600;
/// How far one worker may be behind the others before the seconds that it owes are given up.
const WAITED_FOR: usize = 180;
/// Over how many complete seconds the live percentile is taken.
const RECENT: usize = 5;

/// The load as the whole fleet sees it, second by second.
#[derive(Debug, Default)]
pub struct Live {
    workers: usize,
    /// By worker, the last second that it reported.
    last: BTreeMap<u32, u64>,
    waiting: BTreeMap<u64, Partial>,
    recent: VecDeque<Histogram>,
    complete: VecDeque<FleetSecond>,
    p95_micros: Option<u64>,
}

/// A second that some workers still owe.
#[derive(Debug, Default)]
struct Partial {
    reported: usize,
    ok: u64,
    errors: u64,
    latencies: Histogram,
    arrivals: Option<LiveArrivals>,
}

impl Live {
    /// For a fleet of so many workers.
    #[must_use]
    pub fn of(workers: usize) -> Self {
        Self { workers, ..Self::default() }
    }

    /// The last second that a worker has reported: what comes after it is new.
    #[must_use]
    pub fn last_of(&self, worker: u32) -> Option<u64> {
        self.last.get(&worker).copied()
    }

    /// Adds a worker's seconds. What was added before, or cannot be read, is left out.
    pub fn absorb(&mut self, worker: u32, seconds: &[LiveSecond]) {
        for second in seconds {
            if self.last.get(&worker).is_some_and(|last| second.second <= *last) {
                continue;
            }
            self.last.insert(worker, second.second);
            let partial = self.waiting.entry(second.second).or_default();
            partial.reported += 1;
            partial.ok += second.ok;
            partial.errors += second.errors;
            if let Some(LiveArrivals { due, waiting }) = second.arrivals {
                let sum = partial.arrivals.get_or_insert_default();
                sum.due = sum.due.saturating_add(due);
                sum.waiting = sum.waiting.saturating_add(waiting);
            }
            // A histogram that cannot be read costs this second's share of the live percentile, never the results.
            if let Err(error) = partial.latencies.add_encoded(&second.histogram) {
                tracing::warn!(worker, second = second.second, %error, "failed to read a live histogram");
            }
        }
        self.complete_seconds();
        while self.waiting.len() > WAITED_FOR {
            self.waiting.pop_first();
        }
    }

    /// What is complete so far.
    #[must_use]
    pub fn view(&self) -> LiveView {
        LiveView { seconds: self.complete.iter().copied().collect(), p95_micros: self.p95_micros }
    }

    fn complete_seconds(&mut self) {
        let done: Vec<u64> = self.waiting.iter().filter(|(_, partial)| partial.reported >= self.workers).map(|(second, _)| *second).collect();
        let any = !done.is_empty();
        for second in done {
            let Some(Partial { reported: _, ok, errors, latencies, arrivals }) = self.waiting.remove(&second) else { continue };
            push_bounded(&mut self.complete, FleetSecond { second, ok, errors, arrivals, latency: latency_of(&latencies) }, KEPT);
            push_bounded(&mut self.recent, latencies, RECENT);
        }
        if any {
            let mut union = Histogram::new();
            for latencies in &self.recent {
                union.add(latencies);
            }
            self.p95_micros = union.quantile(950);
        }
    }
}

fn latency_of(latencies: &Histogram) -> Option<SecondLatency> {
    let [p50_micros, p95_micros, p99_micros] = [500, 950, 990].map(|thousandths| latencies.quantile(thousandths));
    Some(SecondLatency { p50_micros: p50_micros?, p95_micros: p95_micros?, p99_micros: p99_micros? })
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, bound: usize) {
    if queue.len() == bound {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: u64, ok: u64, errors: u64, micros: &[u64]) -> LiveSecond {
        let mut histogram = Histogram::new();
        for micros in micros {
            histogram.record(*micros);
        }
        LiveSecond { second, ok, errors, vus: 4, histogram: histogram.encode(), arrivals: None }
    }

    /// Of 100 and 900 us.
    const LATENCY: SecondLatency = SecondLatency { p50_micros: 100, p95_micros: 900, p99_micros: 900 };

    #[test]
    fn a_second_counts_when_every_worker_has_reported_it() {
        let mut live = Live::of(2);
        live.absorb(0, &[second(0, 10, 1, &[100]), second(1, 11, 0, &[100])]);
        assert_eq!(live.view(), LiveView::default());
        live.absorb(1, &[second(0, 5, 0, &[900])]);
        assert_eq!(
            live.view(),
            LiveView { seconds: vec![FleetSecond { second: 0, ok: 15, errors: 1, arrivals: None, latency: Some(LATENCY) }], p95_micros: Some(900) }
        );
    }

    #[test]
    fn arrivals_of_all_workers_are_added_up() {
        let mut live = Live::of(2);
        let with = |due, waiting| LiveSecond { arrivals: Some(LiveArrivals { due, waiting }), ..second(0, 1, 0, &[]) };
        live.absorb(0, &[with(500, 3)]);
        live.absorb(1, &[with(501, 4)]);
        assert_eq!(live.view().seconds[0].arrivals, Some(LiveArrivals { due: 1001, waiting: 7 }));
    }

    #[test]
    fn a_second_that_is_reported_again_is_not_added_again() {
        let mut live = Live::of(1);
        live.absorb(0, &[second(0, 10, 0, &[])]);
        live.absorb(0, &[second(0, 10, 0, &[]), second(1, 7, 0, &[])]);
        let ok: Vec<u64> = live.view().seconds.iter().map(|second| second.ok).collect();
        assert_eq!(ok, [10, 7]);
        assert_eq!(live.last_of(0), Some(1));
    }

    #[test]
    fn the_percentile_forgets_what_is_older_than_five_seconds() {
        let mut live = Live::of(1);
        live.absorb(0, &[second(0, 1, 0, &[50_000])]);
        assert!(live.view().p95_micros.is_some_and(|p95| p95 >= 50_000));
        for n in 1..=5 {
            live.absorb(0, &[second(n, 1, 0, &[100])]);
        }
        assert_eq!(live.view().p95_micros, Some(100));
    }

    #[test]
    fn a_worker_that_has_fallen_silent_does_not_make_the_others_pile_up() {
        let mut live = Live::of(2);
        for n in 0..10_000 {
            live.absorb(0, &[second(n, 1, 0, &[])]);
        }
        assert_eq!(live.waiting.len(), WAITED_FOR);
        assert_eq!(live.view(), LiveView::default());
    }

    #[test]
    fn at_most_an_hour_of_seconds_is_kept() {
        let mut live = Live::of(1);
        for n in 0..4000 {
            live.absorb(0, &[second(n, 1, 0, &[])]);
        }
        let seconds = live.view().seconds;
        assert_eq!((seconds.len(), seconds.first().map(|s| s.second)), (3600, Some(400)));
    }

    #[test]
    fn a_histogram_that_cannot_be_read_does_not_stop_the_count() {
        let mut live = Live::of(1);
        live.absorb(0, &[LiveSecond { second: 0, ok: 3, errors: 0, vus: 1, histogram: "nonsense".to_owned(), arrivals: None }]);
        assert_eq!(live.view().seconds.first().map(|second| second.ok), Some(3));
    }
}
