//! The supervisor: one loop that everything reports to. It feeds the course and carries out what the course says;
//! nothing is decided here.

use std::time::Duration;

use crucible_lifecycle::contract::{Failure, InvariantAnswer, PROTOCOL, SignedPut, UploadOrder, WorkerOutcome, WorkerReport, WorkerState};
use nix::sys::signal::Signal;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use crate::{
    barrier,
    check_in::Standing,
    clock,
    control::{Answer, Ask},
    course::{Action, Course, Event, Judgement},
    http::Http,
    invariants::Questions,
    k6::Handle,
    outcome::{Exit, How},
    record::{LiveView, Note, Recorded, ResultPaths},
    resources::Meter,
    upload,
    wire::{FromK6, News, ToK6},
};

/// What the tasks around the supervisor report.
#[derive(Debug)]
pub enum Input {
    /// Something came over k6's socket.
    K6(News),
    /// The k6 process has ended.
    Exited(Exit),
    /// The recorder said something.
    Recorder(Recorded),
    /// k6 was let go, or not.
    Released(Result<(), Failure>),
    /// The invariants were asked.
    Answered(Vec<InvariantAnswer>),
    /// The upload ended.
    Uploaded(Result<(), Failure>),
    /// Something could not be begun.
    Broke(Failure),
    /// SIGTERM or SIGINT.
    Terminated,
}

/// Which worker of which run this is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The run's uid.
    pub run_uid: String,
    /// The worker's index.
    pub index: u32,
}

/// Everything that the supervisor speaks to.
pub struct Supervisor {
    /// Who this is.
    pub identity: Identity,
    /// How far it is.
    pub course: Course,
    /// When it began; the course's clock.
    pub begun: Instant,
    /// `deadlines.collect`.
    pub collect: Duration,
    /// The requests of this process.
    pub http: Http,
    /// k6's REST interface.
    pub k6_address: std::net::SocketAddr,
    /// The k6 process; none where it could not be started.
    pub k6: Option<Handle>,
    /// Orders to the extension.
    pub orders: mpsc::UnboundedSender<ToK6>,
    /// Notes to the recorder.
    pub notes: mpsc::Sender<Note>,
    /// The live seconds.
    pub live: LiveView,
    /// Where the result files lie.
    pub paths: ResultPaths,
    /// Processor time and memory.
    pub meter: Meter,
    /// Tells the check-in how the worker stands.
    pub standing: watch::Sender<Standing>,
    /// For the tasks that the supervisor starts.
    pub inputs: mpsc::Sender<Input>,
    /// Addresses for the result files, to the upload.
    pub addresses: mpsc::UnboundedSender<Vec<SignedPut>>,
    /// The upload's end of it, until the upload runs.
    pub addressed: Option<mpsc::UnboundedReceiver<Vec<SignedPut>>>,
    /// The invariants that this worker asks before it uploads.
    pub questions: Option<Questions>,
    /// What came of them.
    pub answers: Vec<InvariantAnswer>,
}

impl Supervisor {
    /// Runs until the worker leaves; returns its last word.
    pub async fn run(mut self, mut inputs: mpsc::Receiver<Input>, mut asks: mpsc::Receiver<Ask>) -> WorkerOutcome {
        loop {
            let alarm = self.course.alarm().map(|at| self.begun + at);
            let left = tokio::select! {
                Some(input) = inputs.recv() => self.take(input),
                Some(ask) = asks.recv() => self.answer(ask),
                () = sleep_until(alarm.unwrap_or_else(Instant::now)), if alarm.is_some() => self.feed(Event::Alarm),
            };
            if left {
                return self.outcome();
            }
        }
    }

    fn take(&mut self, input: Input) -> bool {
        match input {
            Input::K6(News::Opened) => self.feed(Event::HungOn),
            Input::K6(News::Said(word)) => {
                match word {
                    FromK6::Stopping { .. } => {
                        self.meter.read(self.k6_id());
                    }
                    FromK6::Finished(_) => self.meter.end(self.k6_id()),
                    FromK6::Started { first_query_unix_nanos, late_nanos } => tracing::info!(first_query_unix_nanos, late_nanos, "the load has begun"),
                    FromK6::Preflight(_) | FromK6::Ready {} | FromK6::Interval(_) | FromK6::Errors { .. } | FromK6::Unknown => {}
                }
                self.feed(Event::Said(word))
            }
            Input::K6(News::Closed(why)) => {
                if let Some(why) = why {
                    tracing::warn!(why, "k6's socket was closed");
                }
                self.feed(Event::HungUp)
            }
            Input::Exited(exit) => {
                match exit.how {
                    How::Code(0) => tracing::info!("k6 has ended"),
                    // Where k6 had said its last word before, this line is all that comes of it.
                    How::Code(_) | How::Signal(_) => tracing::warn!(how = ?exit.how, "k6 has ended"),
                }
                self.feed(Event::Exited(exit))
            }
            Input::Recorder(Recorded::Sealed(files)) => self.feed(Event::Sealed(files)),
            Input::Released(Ok(())) => false,
            // The answer of k6 was lost, its effect was not.
            Input::Released(Err(_)) if self.course.first_query().is_some() => false,
            Input::Answered(answers) => {
                self.answers = answers;
                false
            }
            Input::Uploaded(Ok(())) => self.feed(Event::Uploaded),
            Input::Recorder(Recorded::Broke(failure)) | Input::Released(Err(failure)) | Input::Uploaded(Err(failure)) | Input::Broke(failure) => {
                self.feed(Event::Broke(failure))
            }
            Input::Terminated => {
                tracing::info!("asked to end");
                self.feed(Event::Terminated)
            }
        }
    }

    fn answer(&mut self, ask: Ask) -> bool {
        match ask {
            Ask::Status { after, answer } => {
                let report = self.report(after);
                let left = self.feed(Event::Polled);
                self.standing.send_modify(|standing| standing.polled = Some(Instant::now()));
                let _ = answer.send(report);
                left
            }
            Ask::Start { at, answer } => {
                let in_ = at.saturating_duration_since(Instant::now());
                let judgement = self.course.judge_start();
                self.obey(judgement, Event::StartOrdered(in_), answer)
            }
            Ask::Stop { order, answer } => {
                tracing::info!(reason = order.reason, "ordered to stop");
                self.obey(Judgement::Accepted, Event::StopOrdered, answer)
            }
            Ask::Upload { order: UploadOrder { objects }, answer } => {
                let judgement = self.course.judge_upload();
                // Only the upload listens, and it does not outlive the worker.
                let _ = self.addresses.send(objects);
                self.obey(judgement, Event::UploadOrdered, answer)
            }
        }
    }

    fn obey(&mut self, judgement: Judgement, order: Event, answer: oneshot::Sender<Answer>) -> bool {
        let left = judgement == Judgement::Accepted && self.feed(order);
        let _ = answer.send(Answer { judgement, state: self.course.state() });
        left
    }

    /// Tells the course what has happened and does what it says; true when the worker leaves.
    fn feed(&mut self, event: Event) -> bool {
        let before = self.course.state();
        let actions = self.course.on(self.begun.elapsed(), event);
        if self.course.state() != before {
            self.entered(self.course.state());
        }
        let mut left = false;
        for action in actions {
            left |= self.act(action);
        }
        left
    }

    fn entered(&mut self, state: WorkerState) {
        if let Some(failure) = self.course.failure() {
            tracing::error!(?state, reason = failure.reason, message = failure.message, "the worker has failed");
        } else {
            tracing::info!(?state, "the worker went on");
        }
        if state == WorkerState::Running {
            self.meter.begin(self.k6_id());
        }
        self.standing.send_modify(|standing| standing.state = state);
    }

    fn act(&mut self, action: Action) -> bool {
        match action {
            Action::Release(at) => self.release(self.begun + at),
            Action::TellStop => {
                // A socket that is closed is news of its own.
                let _ = self.orders.send(ToK6::Stop);
            }
            Action::Terminate => self.signal(Signal::SIGTERM),
            Action::Kill => self.signal(Signal::SIGKILL),
            Action::Seal => self.note(Note::Seal),
            Action::Upload => self.upload(),
            Action::Leave => return true,
        }
        false
    }

    fn release(&self, at: Instant) {
        self.note(Note::Begin { start_unix_nanos: clock::unix_nanos_at(at) });
        let (http, address, orders, inputs) = (self.http.clone(), self.k6_address, self.orders.clone(), self.inputs.clone());
        tokio::spawn(async move {
            let released = barrier::release(&http, address, &orders, at).await;
            let _ = inputs.send(Input::Released(released)).await;
        });
    }

    fn signal(&self, signal: Signal) {
        if let Some(k6) = &self.k6 {
            tracing::info!(signal = signal.as_str(), "signalling k6");
            k6.send(signal);
        }
    }

    /// The recorder may be waiting for its disk; the supervisor does not wait for the recorder.
    fn note(&self, note: Note) {
        let notes = self.notes.clone();
        tokio::spawn(async move {
            let _ = notes.send(note).await;
        });
    }

    /// One upload runs at most; it takes later addresses by itself. It is ordered once every fault is healed, so what has to be
    /// asked of the data is asked now.
    fn upload(&mut self) {
        let Some(orders) = self.addressed.take() else { return };
        let task = upload::Task { files: self.course.files().to_vec(), paths: self.paths.clone(), until: Instant::now() + self.collect, orders };
        let (http, inputs) = (self.http.clone(), self.inputs.clone());
        let questions = self.questions.take();
        tokio::spawn(async move {
            if let Some(questions) = questions {
                let _ = inputs.send(Input::Answered(questions.ask().await)).await;
            }
            let uploaded = upload::upload(http, task).await;
            let _ = inputs.send(Input::Uploaded(uploaded)).await;
        });
    }

    fn k6_id(&self) -> Option<u32> {
        self.k6.as_ref().and_then(Handle::id)
    }

    fn report(&mut self, after: Option<u64>) -> WorkerReport {
        let reading = self.meter.recent(self.k6_id());
        let finished = self.course.finished().filter(|_| self.course.state() >= WorkerState::Finished);
        WorkerReport {
            protocol: PROTOCOL,
            run_uid: self.identity.run_uid.clone(),
            index: self.identity.index,
            state: self.course.state(),
            failure: self.course.failure().cloned(),
            now_unix_nanos: clock::unix_nanos_at(Instant::now()),
            server_version: self.course.server_version().map(ToOwned::to_owned),
            first_query_unix_nanos: self.course.first_query().map(|(at, _)| at),
            late_nanos: self.course.first_query().map(|(_, late)| late),
            last_query_unix_nanos: finished.map(|finished| finished.last_query_unix_nanos).filter(|at| *at > 0),
            interrupted: finished.is_some_and(|finished| finished.interrupted),
            seconds: self.live.after(after),
            files: self.course.files().to_vec(),
            answers: self.answers.clone(),
            cpu_seconds: reading.cpu_seconds,
            memory_bytes: reading.memory_bytes,
            throttled_seconds: reading.throttled_seconds,
            gc_nanos: finished.and_then(|finished| finished.gc_nanos),
            server_started_nanos: finished.and_then(|finished| finished.server_started_nanos),
        }
    }

    fn outcome(&self) -> WorkerOutcome {
        WorkerOutcome {
            protocol: PROTOCOL,
            index: self.identity.index,
            state: self.course.state(),
            failure: self.course.failure().cloned(),
            interrupted: self.course.finished().is_some_and(|finished| finished.interrupted),
            files: self.course.files().to_vec(),
            answers: self.answers.clone(),
        }
    }
}
