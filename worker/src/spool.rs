//! The result files on the worker's disk: written as the numbers come, in constant memory, and hashed on the way.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::Path,
};

use crucible_lifecycle::{
    class::Class,
    contract::ResultFile,
    histogram::{
        arrivals::{ArrivalCounts, Arrivals},
        log::{HEADER, Record as Line},
    },
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::wire::{ArrivalsOf, ErrorSample, Interval, Record, Service};

/// How many error samples are kept. The exact numbers of errors are in the histogram log.
const KEPT_SAMPLES: usize = 2000;
/// Of how many seconds the new connections are kept. No outage that is worth watching lasts longer.
const KEPT_SECONDS: usize = 7200;

/// A file that is hashed while it is written.
struct Hashed {
    file: File,
    digest: Sha256,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A histogram log that is being written.
pub struct HistogramLog {
    writer: BufWriter<Hashed>,
}

impl HistogramLog {
    /// Begins the log of a load that starts at this instant of the wall clock.
    pub fn create(path: &Path, start_unix_nanos: i64) -> io::Result<Self> {
        let file = File::create(path)?;
        let mut writer = BufWriter::with_capacity(256 << 10, Hashed { file, digest: Sha256::new(), bytes: 0 });
        let start = format!("{}.{:03}", start_unix_nanos / 1_000_000_000, start_unix_nanos / 1_000_000 % 1000);
        let (version, legend) = HEADER.split_once('\n').unwrap_or((HEADER, ""));
        writeln!(writer, "{version}")?;
        writeln!(writer, "#[BaseTime: {start} (seconds since epoch)]")?;
        writeln!(writer, "#[StartTime: {start} (seconds since epoch)]")?;
        writeln!(writer, "#[Histograms are of microseconds, Interval_Max is in milliseconds. Tag=<query>|<stage>|<outcome>]")?;
        write!(writer, "{legend}")?;
        Ok(Self { writer })
    }

    /// Appends one second.
    pub fn append(&mut self, interval: Interval) -> Result<(), SpoolError> {
        for record in interval.records {
            let class = Class::parse(&record.outcome).ok_or(SpoolError::Record("an outcome that is not known"))?;
            let texts = [&record.query, &record.stage, &record.histogram].into_iter().chain(record.service.as_ref().map(|service| &service.histogram));
            if !texts.into_iter().all(|text| is_plain(text)) {
                return Err(SpoolError::Record("a text that does not fit into a line of the log"));
            }
            let Record { query, stage, outcome: _, count: _, max_micros, histogram, service } = record;
            let line = Line { query, stage, class, service: false, second: interval.second, max_micros, histogram };
            self.writer.write_all(line.to_line(1).as_bytes())?;
            if let Some(Service { max_micros, histogram }) = service {
                let line = Line { service: true, max_micros, histogram, ..line };
                self.writer.write_all(line.to_line(1).as_bytes())?;
            }
        }
        for ArrivalsOf { stage, due, sent, late, behind, begun } in interval.arrivals {
            if !is_plain(&stage) {
                return Err(SpoolError::Record("a text that does not fit into a line of the log"));
            }
            let arrivals = Arrivals { second: interval.second, stage, counts: ArrivalCounts { due, sent, late, behind, begun } };
            self.writer.write_all(arrivals.to_line().as_bytes())?;
        }
        Ok(self.writer.flush()?)
    }

    /// Completes the log.
    pub fn seal(self, name: String) -> io::Result<ResultFile> {
        let Hashed { file: _, digest, bytes } = self.writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(ResultFile { name, bytes, sha256: hex(digest) })
    }
}

/// Why a second could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk did not take it.
    #[error("failed to write the histogram log")]
    Write(#[from] io::Error),
    /// The extension sent what no log can hold.
    #[error("k6 sent a record with {0}")]
    Record(&'static str),
}

/// What errors looked like, as a bounded list.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorSamples {
    worker: u32,
    samples: Vec<ErrorSample>,
    /// How many samples there was no room for.
    omitted: u64,
    /// By second, how often a virtual user got a new connection.
    reconnects: BTreeMap<u64, u64>,
}

impl ErrorSamples {
    /// An empty list.
    #[must_use]
    pub fn of_worker(worker: u32) -> Self {
        Self { worker, ..Self::default() }
    }

    /// Adds as many as there is room for.
    pub fn add(&mut self, samples: Vec<ErrorSample>) {
        let room = KEPT_SAMPLES - self.samples.len();
        self.omitted += samples.len().saturating_sub(room) as u64;
        self.samples.extend(samples.into_iter().take(room));
    }

    /// Counts new connections.
    pub fn reconnected(&mut self, second: u64, count: u64) {
        if count > 0 && (self.reconnects.len() < KEPT_SECONDS || self.reconnects.contains_key(&second)) {
            *self.reconnects.entry(second).or_default() += count;
        }
    }

    /// Writes the list down.
    pub fn write(&self, path: &Path, name: String) -> io::Result<ResultFile> {
        let text = serde_json::to_vec(self)?;
        std::fs::write(path, &text)?;
        Ok(ResultFile { name, bytes: text.len() as u64, sha256: hex(Sha256::new().chain_update(&text)) })
    }
}

/// Size and checksum of a file that somebody else wrote.
pub fn inspect(path: &Path, name: String) -> io::Result<ResultFile> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut bytes = 0;
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(ResultFile { name, bytes, sha256: hex(digest) });
        }
        digest.update(&buffer[..read]);
        bytes += read as u64;
    }
}

/// Whether a text stands in a line of the log without changing its shape.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',' && byte != b'|')
}

fn hex(digest: Sha256) -> String {
    format!("{:x}", digest.finalize())
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;

    fn interval(second: u64, query: &str, outcome: &str) -> Interval {
        let record = Record {
            query: query.to_owned(),
            stage: "steady".to_owned(),
            outcome: outcome.to_owned(),
            count: 1,
            max_micros: 12_345,
            histogram: "HISTFAAA".to_owned(),
            service: None,
        };
        Interval { second, records: vec![record], vus: 1, ..Interval::default() }
    }

    #[test]
    fn the_log_has_a_header_one_line_per_record_and_the_checksum_of_its_bytes() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("worker-0.hlog");
        let mut log = HistogramLog::create(&path, 1_700_000_000_123_456_789).unwrap();
        log.append(interval(0, "PointLookup", "ok")).unwrap();
        log.append(interval(7, "CountAll", "timeout")).unwrap();
        let sealed = log.seal("histograms/worker-0.hlog".to_owned()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "#[Histogram log format version 1.3]\n\
             #[BaseTime: 1700000000.123 (seconds since epoch)]\n\
             #[StartTime: 1700000000.123 (seconds since epoch)]\n\
             #[Histograms are of microseconds, Interval_Max is in milliseconds. Tag=<query>|<stage>|<outcome>]\n\
             \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n\
             Tag=PointLookup|steady|ok,0.000,1.000,12.345,HISTFAAA\n\
             Tag=CountAll|steady|timeout,7.000,1.000,12.345,HISTFAAA\n"
        );
        assert_eq!(sealed, inspect(&path, "histograms/worker-0.hlog".to_owned()).unwrap());
        assert_eq!(sealed.bytes, text.len() as u64);
    }

    #[test]
    fn the_open_model_has_service_times_beside_and_a_line_for_each_stages_arrivals() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("worker-0.hlog");
        let mut log = HistogramLog::create(&path, 0).unwrap();
        let mut open = interval(7, "PointLookup", "ok");
        open.records[0].service = Some(Service { max_micros: 45, histogram: "HISTFBBB".to_owned() });
        open.arrivals = vec![ArrivalsOf { stage: "steady".to_owned(), due: 10, sent: 9, late: 4, behind: 1, begun: 8 }];
        log.append(open.clone()).unwrap();
        log.seal(String::new()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.ends_with(
                "Tag=PointLookup|steady|ok,7.000,1.000,12.345,HISTFAAA\n\
                 Tag=PointLookup|steady|ok|service,7.000,1.000,0.045,HISTFBBB\n\
                 #[Arrivals: second=7 stage=steady due=10 sent=9 late=4 behind=1 begun=8]\n"
            ),
            "{text}"
        );
        let entries: Vec<_> = IntervalLogIterator::new(text.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(entries.iter().filter(|entry| matches!(entry, LogEntry::Interval(_))).count(), 2, "any HDR tool reads it");
        open.arrivals[0].stage = "a]b c".to_owned();
        let mut log = HistogramLog::create(&path, 0).unwrap();
        assert!(matches!(log.append(open), Err(SpoolError::Record(_))));
    }

    #[test]
    fn any_hdr_tool_reads_the_log() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("l");
        let mut log = HistogramLog::create(&path, 1_700_000_000_123_456_789).unwrap();
        log.append(interval(0, "PointLookup", "ok")).unwrap();
        log.seal(String::new()).unwrap();
        let text = std::fs::read(&path).unwrap();
        let entries: Vec<_> = IntervalLogIterator::new(&text).map(Result::unwrap).collect();
        let [LogEntry::BaseTime(base), LogEntry::StartTime(start), LogEntry::Interval(line)] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!((base.as_millis(), start.as_millis(), line.duration().as_secs()), (1_700_000_000_123, 1_700_000_000_123, 1));
        assert_eq!(line.tag().unwrap().as_str(), "PointLookup|steady|ok");
    }

    #[test]
    fn a_record_that_would_change_the_shape_of_the_log_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let mut log = HistogramLog::create(&scratch.path().join("l"), 0).unwrap();
        for (query, outcome) in [("A,b", "ok"), ("A\nb", "ok"), ("A|b", "ok"), ("", "ok"), ("A", "fine")] {
            assert!(matches!(log.append(interval(0, query, outcome)), Err(SpoolError::Record(_))), "{query:?} {outcome:?}");
        }
    }

    #[test]
    fn error_samples_are_bounded_and_say_how_many_were_left_out() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("errors-3.json");
        let sample = ErrorSample { second: 1, query: "A".to_owned(), class: "other".to_owned(), code: "1064".to_owned(), message: "no".to_owned(), count: 2 };
        let mut samples = ErrorSamples::of_worker(3);
        samples.add(vec![sample.clone(); 1999]);
        samples.add(vec![sample; 5]);
        let written = samples.write(&path, "errors/worker-3.json".to_owned()).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!((read["worker"].as_u64(), read["samples"].as_array().unwrap().len(), read["omitted"].as_u64()), (Some(3), 2000, Some(4)));
        assert_eq!(read["samples"][0], serde_json::json!({"second": 1, "query": "A", "class": "other", "code": "1064", "message": "no", "count": 2}));
        assert_eq!(written, inspect(&path, "errors/worker-3.json".to_owned()).unwrap());
    }

    #[test]
    fn new_connections_are_counted_by_second_and_for_no_longer_than_there_is_room() {
        let mut errors = ErrorSamples::of_worker(0);
        for second in 0..8000 {
            errors.reconnected(second, second % 2);
            errors.reconnected(second, 1);
        }
        errors.reconnected(3, 5);
        assert_eq!((errors.reconnects.len(), errors.reconnects[&2], errors.reconnects[&3]), (7200, 1, 7));
    }
}
