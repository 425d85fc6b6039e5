//! The latencies of a run over time, merged over all workers: one histogram for each query, stage and slot of time. It is
//! what the heat map is drawn from and what a later run is compared with, and it is stored as one interval log that any
//! HDR tool reads. A slot is a whole number of seconds, the longer the longer the load, so that the size is bounded.

use std::collections::BTreeMap;

use crucible_crds::{name::QueryName, test_plan::Stage};

use crate::{
    class::Class,
    histogram::{
        Counts, Histogram, WireError,
        log::{HEADER, LineError, Record},
    },
    statistics::{bootstrap::Sample, steps::Steps},
};

/// The most slots of a series.
const MOST_SLOTS: u64 = 240;
/// The fewest that the most slots come down to where a workload has many queries.
const FEWEST_SLOTS: u64 = 60;
/// About how many histograms a series holds at most.
const MOST_HISTOGRAMS: u64 = 24_000;

/// The answered queries of a run, slot by slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// How many seconds each slot covers.
    pub seconds_per_slot: u64,
    /// One record for each query and stage that had an answer in a slot, in the order of time. A record's second is the first of its slot.
    pub records: Vec<Record>,
}

/// Why a stored series cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeriesError {
    /// A line is none of an interval log.
    #[error("a line {0}")]
    Line(LineError),
    /// A histogram cannot be read.
    #[error("a histogram {0}")]
    Histogram(WireError),
    /// The slots do not have one length.
    #[error("its slots are not of one length")]
    Slots,
}

impl Series {
    /// How many seconds each slot of a load of so many seconds and so many queries covers.
    pub(super) fn slot(seconds: u64, queries: usize) -> u64 {
        let most = (MOST_HISTOGRAMS / (queries as u64).max(1)).clamp(FEWEST_SLOTS, MOST_SLOTS);
        seconds.div_ceil(most).max(1)
    }

    /// The series as an interval log.
    #[must_use]
    pub fn to_log(&self) -> String {
        let mut log = HEADER.to_owned();
        log.extend(self.records.iter().map(|record| record.to_line(self.seconds_per_slot)));
        log
    }

    /// The series that an interval log holds, every line checked.
    ///
    /// # Errors
    /// Where the text is not such a log. One without any line is an empty series.
    pub fn parse(log: &str) -> Result<Self, SeriesError> {
        let mut series = Self { seconds_per_slot: 1, records: Vec::new() };
        for line in log.lines() {
            let Some((record, seconds)) = Record::parse_with_length(line).map_err(SeriesError::Line)? else { continue };
            if series.records.is_empty() {
                series.seconds_per_slot = seconds.max(1);
            } else if series.seconds_per_slot != seconds {
                return Err(SeriesError::Slots);
            }
            Counts::decode(&record.histogram).map_err(SeriesError::Histogram)?;
            series.records.push(record);
        }
        Ok(series)
    }

    /// The measured time of one query, or of all of them, as a comparison needs it: stage by stage, slots without an
    /// answer included.
    #[must_use]
    pub fn sample(&self, stages: &[Stage], query: Option<&QueryName>) -> Sample {
        let width = self.seconds_per_slot.max(1);
        let mut start = std::time::Duration::ZERO;
        let mut sample = Sample::default();
        for stage in stages {
            let end = start + stage.duration.span();
            let (first, last) = (start.as_secs() / width, end.saturating_sub(std::time::Duration::from_nanos(1)).as_secs() / width);
            start = end;
            if !stage.measured {
                continue;
            }
            let mut slots = vec![Steps::default(); usize::try_from(last - first + 1).unwrap_or(0)];
            let of_stage = self.records.iter().filter(|record| record.stage == *stage.name && query.is_none_or(|query| record.query == **query));
            for record in of_stage {
                // A query that began in the stage may have ended after it: it counts in the stage's last slot.
                let slot = (record.second / width).clamp(first, last) - first;
                let histogram = Histogram::decode(&record.histogram).unwrap_or_default();
                if let Some(steps) = usize::try_from(slot).ok().and_then(|slot| slots.get_mut(slot)) {
                    steps.add(&Steps::of(&histogram));
                }
            }
            sample.seconds += stage.duration.span().as_secs_f64();
            sample.stages.push(slots);
        }
        sample
    }

    /// All queries of all stages together: for each slot that had an answer, its first second and its latencies.
    #[must_use]
    pub fn columns(&self) -> BTreeMap<u64, Histogram> {
        let mut columns: BTreeMap<u64, Histogram> = BTreeMap::new();
        for record in &self.records {
            if let Ok(counts) = Counts::decode(&record.histogram) {
                columns.entry(record.second).or_default().add_counts(&counts);
            }
        }
        columns
    }
}

/// The slot that can still change, while logs are merged.
#[derive(Debug, Default)]
pub(super) struct OpenSlot {
    start: u64,
    cells: BTreeMap<(usize, usize), Histogram>,
}

impl OpenSlot {
    /// Counts answers of a query in a stage; what the slot before held is written down first.
    pub(super) fn count(&mut self, second: u64, cell: (usize, usize), counts: &Counts, series: &mut Series, names: &impl Fn(usize, usize) -> (String, String)) {
        let start = second - second % series.seconds_per_slot.max(1);
        if start != self.start {
            self.close(series, names);
            self.start = start;
        }
        self.cells.entry(cell).or_default().add_counts(counts);
    }

    /// Writes down what the slot holds.
    pub(super) fn close(&mut self, series: &mut Series, names: &impl Fn(usize, usize) -> (String, String)) {
        for ((query, stage), histogram) in std::mem::take(&mut self.cells) {
            let (query, stage) = names(query, stage);
            let max_micros = histogram.max().unwrap_or(0);
            series.records.push(Record { query, stage, class: Class::Ok, service: false, second: self.start, max_micros, histogram: histogram.encode() });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::results::sample::{line, merge, plan};

    #[test]
    fn slots_grow_with_the_load_and_with_the_number_of_queries() {
        let cases = [(10, 2, 1), (240, 2, 1), (241, 2, 2), (3600, 2, 15), (86_400, 2, 360), (240, 200, 2), (3600, 4000, 60)];
        for (seconds, queries, expected) in cases {
            assert_eq!(Series::slot(seconds, queries), expected, "{seconds} s, {queries} queries");
        }
    }

    #[test]
    fn the_series_of_all_workers_is_one_log_that_is_read_back() {
        let plan = plan(json!({}));
        let logs = [
            vec![line("PointLookup|steady|ok", 2, &[1000, 2000]), line("CountAll|steady|timeout", 2, &[9]), line("PointLookup|peak|ok", 5, &[500])],
            vec![line("PointLookup|steady|ok", 2, &[3000]), line("CountAll|steady|ok", 3, &[70])],
        ];
        let series = merge(&plan, &logs, false).series;
        let told: Vec<_> = series
            .records
            .iter()
            .map(|record| (record.second, record.query.as_str(), record.stage.as_str(), Histogram::decode(&record.histogram).unwrap().count()))
            .collect();
        assert_eq!(told, [(2, "PointLookup", "steady", 3), (3, "CountAll", "steady", 1), (5, "PointLookup", "peak", 1)]);
        assert!(series.to_log().contains("Tag=PointLookup|steady|ok,2.000,1.000,3.001,HIST"), "{}", series.to_log());
        assert_eq!(Series::parse(&series.to_log()), Ok(series));
    }

    #[test]
    fn a_sample_has_every_slot_of_every_measured_stage() {
        let plan = plan(json!({}));
        let log = vec![line("PointLookup|warmup|ok", 1, &[9]), line("PointLookup|steady|ok", 2, &[1000, 2000]), line("CountAll|steady|ok", 6, &[70])];
        let series = merge(&plan, &[log, vec![]], false).series;
        let totals = |query: Option<&QueryName>| {
            let sample = series.sample(&plan.spec.load.stages, query);
            sample.stages.iter().map(|slots| slots.iter().map(Steps::total).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        assert_eq!(totals(Some(&"PointLookup".into())), [vec![2, 0, 0], vec![0; 5]]);
        assert_eq!(totals(None), [vec![2, 0, 1], vec![0; 5]], "what ended late counts in its stage's last slot");
        assert_eq!(series.columns().into_iter().map(|(second, histogram)| (second, histogram.count())).collect::<Vec<_>>(), [(1, 1), (2, 2), (6, 1)]);
    }

    #[test]
    fn what_is_no_series_is_refused() {
        assert_eq!(Series::parse("hello"), Err(SeriesError::Line(LineError::Tag)));
        assert_eq!(Series::parse("Tag=A|b|ok,0.000,1.000,1.000,HIST"), Err(SeriesError::Histogram(WireError::NotAHistogram)));
        let one = line("A|b|ok", 0, &[1]);
        let other = one.replace(",1.000,0.000,", ",2.000,0.000,");
        assert_eq!(Series::parse(&format!("{one}{other}")), Err(SeriesError::Slots));
        assert_eq!(Series::parse(""), Ok(Series { seconds_per_slot: 1, records: vec![] }));
    }
}
