//! The recorder: a thread of its own that writes the numbers down and adds them up for the live view, so that a slow
//! disk holds up neither an order nor a report.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crucible_crds::Reason;
use crucible_lifecycle::contract::{Failure, LiveSecond, ResultFile};
use tokio::sync::mpsc;

use crate::{
    live::Live,
    outcome::failure,
    spool::{self, ErrorSamples, HistogramLog, SpoolError},
    wire::FromK6,
};

/// How many notes may wait: as many seconds of a disk that does not answer.
pub const BACKLOG: usize = 64;

/// What the recorder is told.
#[derive(Debug)]
pub enum Note {
    /// The load starts at this instant of the wall clock.
    Begin {
        /// Nanoseconds since 1970.
        start_unix_nanos: i64,
    },
    /// Numbers of k6.
    Said(FromK6),
    /// Nothing follows; complete the files.
    Seal,
}

/// What the recorder says.
#[derive(Debug)]
pub enum Recorded {
    /// The files are complete.
    Sealed(Vec<ResultFile>),
    /// Nothing can be recorded any more.
    Broke(Failure),
}

/// Where each result file lies on disk, and its name in the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultPaths {
    /// The histogram log.
    pub histograms: (PathBuf, String),
    /// The error samples.
    pub errors: (PathBuf, String),
    /// k6's own CSV, where raw samples are wanted.
    pub raw: Option<(PathBuf, String)>,
}

impl ResultPaths {
    /// The files of one worker.
    #[must_use]
    pub fn new(scratch: &Path, index: u32, raw_samples: bool) -> Self {
        let raw = format!("k6_raw_{index}_0.csv");
        Self {
            histograms: (scratch.join(format!("histograms/worker-{index}.hlog")), format!("histograms/worker-{index}.hlog")),
            errors: (scratch.join(format!("errors-{index}.json")), format!("errors/worker-{index}.json")),
            raw: raw_samples.then(|| (scratch.join(&raw), raw)),
        }
    }

    /// Where the file of a name lies.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&Path> {
        let all = [Some(&self.histograms), Some(&self.errors), self.raw.as_ref()];
        all.into_iter().flatten().find(|(_, known)| known == name).map(|(path, _)| path.as_path())
    }
}

/// The live view of a recorder.
#[derive(Clone, Default)]
pub struct LiveView(Arc<Mutex<Live>>);

impl LiveView {
    /// The seconds after one.
    pub fn after(&self, second: Option<u64>) -> Vec<LiveSecond> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).after(second)
    }
}

/// Starts the recorder. It ends when every sender of notes is gone.
pub fn start(paths: ResultPaths, index: u32, open: bool, mut notes: mpsc::Receiver<Note>, tell: impl Fn(Recorded) + Send + 'static) -> io::Result<LiveView> {
    let view = LiveView(Arc::new(Mutex::new(Live::of(open))));
    let mut recorder = Recorder { paths, log: None, errors: ErrorSamples::of_worker(index), view: view.clone() };
    std::thread::Builder::new().name("recorder".to_owned()).spawn(move || {
        let mut broken = false;
        while let Some(note) = notes.blocking_recv() {
            if broken {
                continue;
            }
            match recorder.take(note) {
                Ok(None) => {}
                Ok(Some(files)) => tell(Recorded::Sealed(files)),
                Err(why) => {
                    broken = true;
                    tell(Recorded::Broke(why));
                }
            }
        }
    })?;
    Ok(view)
}

/// What one signed request can store; S3 itself sets this bound.
const MOST_RAW_BYTES: u64 = 5 << 30;

struct Recorder {
    paths: ResultPaths,
    log: Option<HistogramLog>,
    errors: ErrorSamples,
    view: LiveView,
}

impl Recorder {
    fn take(&mut self, note: Note) -> Result<Option<Vec<ResultFile>>, Failure> {
        match note {
            Note::Begin { start_unix_nanos } => {
                self.begin(start_unix_nanos).map_err(|error| disk_failure("begin the histogram log", &error))?;
                Ok(None)
            }
            Note::Said(FromK6::Interval(interval)) => {
                let live = self.view.0.lock().unwrap_or_else(PoisonError::into_inner).add(&interval);
                live.map_err(|error| failure(Reason::LoadGeneratorFailed, format!("k6 sent a histogram that cannot be read: {error}")))?;
                self.errors.reconnected(interval.second, interval.reconnects);
                if let Some(log) = &mut self.log {
                    log.append(interval).map_err(|error| match error {
                        SpoolError::Write(error) => disk_failure("write the histogram log", &error),
                        SpoolError::Record(_) => failure(Reason::LoadGeneratorFailed, error.to_string()),
                    })?;
                }
                Ok(None)
            }
            Note::Said(FromK6::Errors { samples }) => {
                self.errors.add(samples);
                Ok(None)
            }
            // News; they are the supervisor's.
            Note::Said(FromK6::Preflight(_) | FromK6::Ready {} | FromK6::Started { .. } | FromK6::Stopping { .. } | FromK6::Finished(_) | FromK6::Unknown) => {
                Ok(None)
            }
            Note::Seal => self.seal().map(Some).map_err(|error| disk_failure("complete the result files", &error)),
        }
    }

    fn begin(&mut self, start_unix_nanos: i64) -> io::Result<()> {
        let (path, _) = &self.paths.histograms;
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        self.log = Some(HistogramLog::create(path, start_unix_nanos)?);
        Ok(())
    }

    fn seal(&mut self) -> io::Result<Vec<ResultFile>> {
        let mut files = Vec::new();
        if let Some(log) = self.log.take() {
            files.push(log.seal(self.paths.histograms.1.clone())?);
        }
        let (path, name) = &self.paths.errors;
        files.push(self.errors.write(path, name.clone())?);
        if let Some((path, name)) = &self.paths.raw {
            let bytes = std::fs::metadata(path)?.len();
            if bytes <= MOST_RAW_BYTES {
                files.push(spool::inspect(path, name.clone())?);
            } else {
                // The operator misses it among what is handed in, and the results say so.
                tracing::warn!(bytes, "left the raw samples out: they are more than one request can store");
            }
        }
        Ok(files)
    }
}

fn disk_failure(what: &str, error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Reason::WorkerDiskFull,
        _ => Reason::LoadGeneratorFailed,
    };
    failure(reason, format!("The worker failed to {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_a_reason_of_its_own() {
        assert_eq!(disk_failure("write", &io::Error::from_raw_os_error(28)).reason, "WorkerDiskFull");
        assert_eq!(disk_failure("write", &io::Error::from_raw_os_error(5)).reason, "LoadGeneratorFailed");
    }

    #[test]
    fn raw_samples_that_no_request_can_store_are_left_out() {
        let scratch = tempfile::tempdir().unwrap();
        let paths = ResultPaths::new(scratch.path(), 0, true);
        let raw = std::fs::File::create(&paths.raw.as_ref().unwrap().0).unwrap();
        let mut recorder = Recorder { paths, log: None, errors: ErrorSamples::of_worker(0), view: LiveView::default() };
        // A hole: nothing is written.
        raw.set_len((5 << 30) + 1).unwrap();
        let names = |files: Vec<ResultFile>| files.into_iter().map(|file| file.name).collect::<Vec<_>>();
        assert_eq!(names(recorder.seal().unwrap()), ["errors/worker-0.json"]);
        raw.set_len(17).unwrap();
        assert_eq!(names(recorder.seal().unwrap()), ["errors/worker-0.json", "k6_raw_0_0.csv"]);
    }

    #[test]
    fn every_file_is_found_by_the_name_that_it_is_reported_under() {
        let paths = ResultPaths::new(Path::new("/scratch"), 4, true);
        assert_eq!(paths.of("histograms/worker-4.hlog"), Some(Path::new("/scratch/histograms/worker-4.hlog")));
        assert_eq!(paths.of("errors/worker-4.json"), Some(Path::new("/scratch/errors-4.json")));
        assert_eq!(paths.of("k6_raw_4_0.csv"), Some(Path::new("/scratch/k6_raw_4_0.csv")));
        assert_eq!(paths.of("../etc/passwd"), None);
        assert_eq!(ResultPaths::new(Path::new("/scratch"), 4, false).of("k6_raw_4_0.csv"), None);
    }
}
