//! The mirror: keeps every run in the ledger, beside the controllers and without a say in them.
//!
//! It follows the runs by a watch of its own. What the ledger is to be told is a function of the object
//! (`crucible_lifecycle::mirror`); of a run that changes faster than the ledger can be told, only the newest status waits.
//! One statement tells many runs. A ledger that is away holds nothing up: its tables are made, and everything is told anew,
//! whenever it is back, because what it was told before may be lost. Of the objects the mirror owns one condition and one
//! finalizer, and writes both through [`hand`].

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use crucible_crds::TestRun;
use crucible_lifecycle::{
    mirror::{Duty, Outline, Terms, duty, record},
    wake::Wake,
};
use crucible_store::{LedgerError, ledger::Recorded};
use futures::{
    Stream, StreamExt,
    future::{BoxFuture, OptionFuture},
    stream::FuturesUnordered,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::{
    book::{Book, News},
    errand::{Errand, Report},
    line::{Line, Next},
};
use crate::{context::Context, retry::Attempts};

mod book;
mod errand;
pub mod hand;
mod line;
mod rows;

/// How long one request to the API server may take.
const REQUEST: Duration = Duration::from_secs(5);
/// How many runs are listed at once.
const PAGE: u32 = 100;
/// How many objects are written to at once.
const WRITES: usize = 8;
/// How long the mirror sleeps at most.
const IDLE: Duration = Duration::from_mins(10);
/// How long what is being told may take when the mirror stops.
const FINISHING: Duration = Duration::from_secs(3);

/// A run as it comes from the watch: one that does not fit the schema must not stall the others.
type Guarded = DeserializeGuard<TestRun>;

/// Mirrors runs until `stop` is cancelled; what is being told then is told to its end.
pub async fn control(ctx: Arc<Context>, stop: CancellationToken) {
    let watch = || watcher(ctx.watched::<Guarded>(), watcher::Config::default().page_size(PAGE)).default_backoff();
    follow(Arc::clone(&ctx), watch, stop).await;
}

/// The same over any watch, which is begun anew for each look at all runs. It ends with the watch, too.
pub async fn follow<S>(ctx: Arc<Context>, watch: impl Fn() -> S, stop: CancellationToken)
where
    S: Stream<Item = watcher::Result<Event<Guarded>>>,
{
    let mut mirror = Mirror::new(ctx);
    while mirror.follow(watch(), &stop).await == Turn::Again {}
}

/// How following a watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// All runs have to be looked at anew.
    Again,
    /// For good.
    Over,
}

/// An object that was written to.
struct Written {
    uid: String,
    run: Result<Option<TestRun>, hand::Error>,
}

struct Mirror {
    ctx: Arc<Context>,
    terms: Terms,
    book: Book,
    line: Line,
    errand: Option<Errand>,
    writes: FuturesUnordered<BoxFuture<'static, Written>>,
    writing: HashSet<String>,
    /// When each run's duty is to be looked at.
    due: HashMap<String, Instant>,
    attempts: Attempts,
}

impl Mirror {
    fn new(ctx: Arc<Context>) -> Self {
        Self {
            terms: Terms { ledger: ctx.ledger.is_some(), escape: ctx.mirror_escape },
            ctx,
            book: Book::default(),
            line: Line::new(Instant::now()),
            errand: None,
            writes: FuturesUnordered::new(),
            writing: HashSet::new(),
            due: HashMap::new(),
            attempts: Attempts::default(),
        }
    }

    async fn follow(&mut self, watch: impl Stream<Item = watcher::Result<Event<Guarded>>>, stop: &CancellationToken) -> Turn {
        let mut watch = pin!(watch);
        loop {
            let now = Instant::now();
            self.begin_writes(now);
            let next = self.begin_errand(now).min(self.next_due()).min(now + IDLE);
            tokio::select! {
                () = stop.cancelled() => {
                    self.finish().await;
                    return Turn::Over;
                }
                event = watch.next() => match event {
                    Some(Ok(event)) => self.take(event),
                    Some(Err(error)) => tracing::warn!(%error, "failed to watch runs for the mirror"),
                    None => return Turn::Over,
                },
                Some(report) = OptionFuture::from(self.errand.as_mut()) => {
                    self.errand = None;
                    if self.report(report) == Turn::Again {
                        return Turn::Again;
                    }
                }
                Some(written) = self.writes.next(), if !self.writes.is_empty() => self.written(written),
                () = sleep_until(next) => {}
            }
        }
    }

    /// Tells what is being told to its end.
    async fn finish(&mut self) {
        if let Some(errand) = self.errand.take() {
            let _ = tokio::time::timeout(FINISHING, errand).await;
        }
    }

    fn take(&mut self, event: Event<Guarded>) {
        match event {
            Event::Init => self.book.begin_list(),
            Event::InitApply(run) | Event::Apply(run) => match run.0 {
                Ok(run) => self.see(&run),
                Err(error) => tracing::warn!(error = error.error, "a run does not fit its schema and is not mirrored"),
            },
            Event::InitDone => {
                self.book.end_list();
                self.line.listed(Instant::now());
            }
            Event::Delete(run) => {
                if let Ok(run) = run.0 {
                    self.bury(run);
                }
            }
        }
    }

    fn see(&mut self, run: &TestRun) {
        let Some(outline) = Outline::of(run) else {
            tracing::warn!(name = run.metadata.name, "a run without uid or with a resource version that is no number is not mirrored");
            return;
        };
        self.due.insert(outline.uid.clone(), Instant::now());
        let told = record(run).filter(|_| self.terms.ledger);
        self.book.see(outline, told, self.ctx.clock.now());
        self.note_news();
    }

    /// A run is gone. Whoever took it away, nothing more will be heard of it.
    fn bury(&mut self, mut run: TestRun) {
        run.metadata.deletion_timestamp.get_or_insert_with(|| Time(self.ctx.clock.now()));
        run.metadata.finalizers = None;
        let Some(outline) = Outline::of(&run) else { return };
        self.due.remove(&outline.uid);
        self.attempts.succeeded(&outline.uid);
        let told = record(&run).filter(|_| self.terms.ledger);
        self.book.bury(outline, told, self.ctx.clock.now());
        self.note_news();
    }

    fn note_news(&mut self) {
        if self.book.has_news() {
            self.line.news(Instant::now());
        }
    }

    /// Sends the next errand off, where none is under way. Says when to look again.
    fn begin_errand(&mut self, now: Instant) -> Instant {
        let (Some(ledger), None) = (&self.ctx.ledger, &self.errand) else { return now + IDLE };
        let ledger = Arc::clone(ledger);
        let errand = match self.line.next(now, self.book.has_news()) {
            Next::Prepare => errand::prepare(ledger),
            Next::Tell(most) => errand::tell(ledger, self.book.take(most)),
            Next::Look => errand::look(ledger, self.book.canaries()),
            Next::Sweep => errand::sweep(Arc::clone(&self.ctx), ledger, self.book.existing()),
            Next::Wait(until) => return until,
        };
        self.errand = Some(errand);
        now + IDLE
    }

    /// Goes by what an errand brought back.
    fn report(&mut self, report: Report) -> Turn {
        let turn = self.weigh(report);
        let behind = self.book.behind_since().map(|since| self.ctx.clock.now().duration_since(since));
        self.ctx.metrics.mirror_lags(behind.map_or(0.0, |lag| lag.as_secs_f64().max(0.0)));
        turn
    }

    fn weigh(&mut self, report: Report) -> Turn {
        let now = Instant::now();
        match report {
            Report::Prepared(Ok(())) => {
                if self.line.failures() > 0 {
                    tracing::info!("the ledger answers again");
                }
                if self.line.prepared(now) {
                    self.book.forget_told();
                    return Turn::Again;
                }
            }
            Report::Told(batch, Ok(outcomes)) => self.told(batch, &outcomes, now),
            Report::Told(batch, Err(LedgerError::Refused { code })) => self.refused(batch, &code),
            Report::Told(batch, Err(error)) => {
                self.book.put_back(&batch);
                self.failed(&error, now);
            }
            Report::Looked(Ok(missing)) if missing.is_empty() => self.line.went_well(now),
            Report::Looked(Ok(_)) => {
                tracing::warn!("the ledger has lost rows: everything is told anew");
                self.line.lost_rows();
            }
            Report::Swept(Ok(ended)) => {
                if ended > 0 {
                    tracing::info!(ended, "ended the rows of runs that are gone");
                }
                self.line.swept(now);
            }
            Report::Swept(Err(error)) => {
                self.line.listed(now);
                self.failed(&error, now);
            }
            Report::Prepared(Err(error)) | Report::Looked(Err(error)) => self.failed(&error, now),
        }
        Turn::Over
    }

    fn told(&mut self, batch: Vec<News>, outcomes: &[Recorded], now: Instant) {
        self.ctx.metrics.mirror_told(outcomes.len());
        let about = self.book.told(batch, outcomes);
        self.due.extend(about.into_iter().map(|uid| (uid, now)));
        self.line.told(now, self.book.has_news());
    }

    fn refused(&mut self, mut batch: Vec<News>, code: &str) {
        self.ctx.metrics.mirror_failed();
        let alone = self.line.refused(batch.len());
        match batch.pop().filter(|_| alone) {
            Some(news) => {
                tracing::error!(run = news.run.run_id, code, "the ledger refuses the status of a run");
                self.due.insert(news.run.uid.clone(), Instant::now());
                self.book.refuse(news, format!("The ledger refuses the run's status: {code}"));
            }
            None => self.book.put_back(&batch),
        }
    }

    fn failed(&mut self, error: &LedgerError, now: Instant) {
        self.ctx.metrics.mirror_failed();
        if self.line.failures() == 0 {
            tracing::warn!(%error, "the ledger does not take what it is told; runs go on, and it is told when it does");
        }
        self.line.failed(error, now);
    }

    /// The time of the next look at a run's duty, unless there are as many writes under way as there may be: their end comes first.
    fn next_due(&self) -> Instant {
        let next = if self.writes.len() < WRITES { self.due.values().min() } else { None };
        next.copied().unwrap_or_else(|| Instant::now() + IDLE)
    }

    /// Looks at the duty of every run that is due, and sends off what is to be written.
    fn begin_writes(&mut self, now: Instant) {
        let due: Vec<String> = self.due.iter().filter(|(_, at)| **at <= now).map(|(uid, _)| uid.clone()).collect();
        for uid in due {
            if self.writes.len() >= WRITES {
                return;
            }
            self.due.remove(&uid);
            // Looked at again when the write under way has ended.
            if self.writing.contains(&uid) {
                continue;
            }
            let clock = self.ctx.clock.now();
            let Some((outline, standing)) = self.book.standing(&uid, clock) else { continue };
            let (duty, wake) = duty(outline, &standing, clock, self.terms);
            if let Wake::After(span) = wake {
                self.due.insert(uid.clone(), now + span);
            }
            if duty != Duty::Nothing {
                let outline = outline.clone();
                self.write(uid, outline, duty);
            }
        }
    }

    fn write(&mut self, uid: String, outline: Outline, duty: Duty) {
        let ctx = Arc::clone(&self.ctx);
        self.writing.insert(uid.clone());
        self.writes.push(Box::pin(async move {
            let run = hand::carry_out(&ctx, &outline, duty).await;
            Written { uid, run }
        }));
    }

    fn written(&mut self, Written { uid, run }: Written) {
        self.writing.remove(&uid);
        match run {
            Ok(run) => {
                self.attempts.succeeded(&uid);
                // Of a run that is gone the watch has said more than this answer does.
                if let Some(run) = run.filter(|_| self.book.knows(&uid)) {
                    self.see(&run);
                }
            }
            Err(error) => {
                let again = self.attempts.failed(&uid);
                tracing::debug!(%error, source = std::error::Error::source(&error).map(ToString::to_string), "the mirror's write is tried again");
                if self.book.knows(&uid) {
                    self.due.insert(uid, Instant::now() + again);
                }
            }
        }
    }
}
