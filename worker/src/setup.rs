//! The beginning: from arguments to a running k6 and a supervisor with everything it speaks to. k6 is started as early
//! as it can be, because nothing else here takes as long.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
};

use crucible_crds::Reason;
use crucible_lifecycle::{
    contract::{CheckIn, Failure, FrozenPlan, PROTOCOL, WorkerState},
    load::is_open,
    run::longest_healing,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    time::Instant,
};

use crate::{
    args::Args,
    check_in::{self, Standing},
    control::{self, Ask},
    course::{Course, Limits},
    engine::{self, EngineError, EnginePlan},
    http::Http,
    invariants::Questions,
    k6::{Call, K6, SCRIPT},
    outcome::{Exit, How, failure},
    record::{self, BACKLOG, Note, ResultPaths},
    resources::Meter,
    supervise::{Identity, Input, Supervisor},
    tail::{Secrets, Tail},
    wire,
};

/// How many reports and questions may wait for the supervisor.
const WAITING: usize = 64;

/// Why a worker could not even begin.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The frozen plan is not where it should be, or is none.
    #[error("failed to read the frozen plan {path}: {why}")]
    Plan {
        /// Where it should be.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The plan was frozen by another version.
    #[error("the frozen plan speaks protocol {0}, this worker speaks {PROTOCOL}")]
    Protocol(u32),
    /// The plan cannot be run by this worker.
    #[error("the frozen plan cannot be run: {0}")]
    Engine(#[from] EngineError),
    /// The token is not where it should be.
    #[error("failed to read the run's token: {0}")]
    Token(io::Error),
    /// The scratch directory cannot be written to.
    #[error("failed to prepare the scratch directory: {0}")]
    Scratch(io::Error),
    /// The control API or a signal handler could not be set up.
    #[error("failed to listen: {0}")]
    Listen(io::Error),
}

impl SetupError {
    /// The failure that the last word carries.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let reason = match self {
            Self::Plan { .. } => Reason::FrozenPlanMissing,
            Self::Protocol(_) => Reason::ProtocolMismatch,
            Self::Engine(_) => Reason::PlanInvalid,
            Self::Scratch(error) if error.kind() == io::ErrorKind::StorageFull => Reason::WorkerDiskFull,
            Self::Token(_) | Self::Scratch(_) | Self::Listen(_) => Reason::LoadGeneratorFailed,
        };
        failure(reason, format!("The worker could not begin: {self}"))
    }
}

/// A worker that has begun: the supervisor, and what comes in to it.
pub type Begun = (Supervisor, mpsc::Receiver<Input>, mpsc::Receiver<Ask>);

/// Begins.
pub async fn begin(args: Args) -> Result<Begun, SetupError> {
    let begun = Instant::now();
    let Args { plan, token, credentials, scratch, termination_log: _, index, pod_ip, check_in_url, listen, k6: program, k6_address } = args;
    let plan = read_plan(&plan)?;
    let token = std::fs::read_to_string(&token).map_err(SetupError::Token)?.trim_end().to_owned();
    // A missing password is the extension's to report; here it is only a word to strike out.
    let password = std::fs::read_to_string(credentials.join("password")).unwrap_or_default();
    let tail = Arc::new(Mutex::new(Tail::new(Secrets::new([token.clone(), password]))));

    let paths = ResultPaths::new(&scratch, index, plan.spec.results.raw_samples);
    let raw = paths.raw.as_ref().map(|(path, _)| path.as_path());
    let remote_write = plan.spec.results.remote_write.as_ref().map(|to| &*to.url.0);
    let call = Call { program: &program, address: k6_address, scratch: &scratch, run_id: &plan.run.id, plan: &plan.plan_name, index, raw, remote_write };
    let socket_path = scratch.join("k6.sock");
    let engine_plan = EnginePlan::new(&plan, index, &socket_path, &credentials)?;
    let socket = prepare_scratch(&call, &engine_plan, &socket_path).map_err(SetupError::Scratch)?;
    let questions = Questions::of(&plan, index, program.clone(), call.engine());
    let k6 = call.start(tail);

    let (inputs, input) = mpsc::channel(WAITING);
    let (asks, ask) = mpsc::channel(WAITING);
    let (orders, ordered) = mpsc::unbounded_channel();
    let (notes, to_record) = mpsc::channel(BACKLOG);
    let (addresses, to_upload) = mpsc::unbounded_channel();
    let (standing, stands) = watch::channel(Standing { state: WorkerState::Preparing, polled: None });
    tokio::spawn(forward_news(socket, ordered, notes.clone(), inputs.clone()));
    let k6 = watch_k6(k6, &inputs);
    let to_supervisor = inputs.clone();
    let live = record::start(paths.clone(), index, is_open(&plan.spec.load), to_record, move |said| {
        let _ = to_supervisor.blocking_send(Input::Recorder(said));
    });
    let live = live.map_err(SetupError::Listen)?;
    listen_to_signals(&inputs).map_err(SetupError::Listen)?;

    let http = Http::default();
    let listener = TcpListener::bind(listen).await.map_err(SetupError::Listen)?;
    let port = listener.local_addr().map_err(SetupError::Listen)?.port();
    tokio::spawn(control::serve(listener, control::router(&token, asks)));
    if let Some(operator) = check_in_url.filter(|url| !url.is_empty()) {
        let address = std::net::SocketAddr::new(pod_ip, port).to_string();
        let run = &plan.run;
        let check_in = CheckIn { protocol: PROTOCOL, namespace: run.namespace.clone(), run: run.name.clone(), run_uid: run.uid.clone(), index, address };
        let http = http.clone();
        tokio::spawn(async move { check_in::keep(http, &operator, token, check_in, stands).await });
    }
    tracing::info!(run = plan.run.id, index, port, millis = begun.elapsed().as_millis(), "the worker has begun");

    let supervisor = Supervisor {
        identity: Identity { run_uid: plan.run.uid.clone(), index },
        course: Course::new(limits(&plan)),
        begun,
        collect: plan.spec.deadlines.collect.span(),
        http,
        k6_address,
        k6,
        orders,
        notes,
        live,
        paths,
        meter: Meter::default(),
        standing,
        inputs,
        addresses,
        addressed: Some(to_upload),
        questions,
        answers: Vec::new(),
    };
    Ok((supervisor, input, ask))
}

fn read_plan(path: &Path) -> Result<FrozenPlan, SetupError> {
    let unreadable = |why: String| SetupError::Plan { path: path.display().to_string(), why };
    let text = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    // The version is looked at first: the plan of another version may not be readable at all.
    let protocol = serde_json::from_slice::<serde_json::Value>(&text).ok().and_then(|plan| plan["protocol"].as_u64());
    if let Some(other) = protocol.and_then(|protocol| u32::try_from(protocol).ok()).filter(|protocol| *protocol != PROTOCOL) {
        return Err(SetupError::Protocol(other));
    }
    serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))
}

fn prepare_scratch(call: &Call<'_>, engine_plan: &EnginePlan<'_>, socket: &Path) -> io::Result<tokio::net::UnixListener> {
    std::fs::write(call.engine(), serde_json::to_vec(engine_plan)?)?;
    std::fs::write(call.script(), SCRIPT)?;
    wire::listen(socket)
}

fn limits(plan: &FrozenPlan) -> Limits {
    let deadlines = &plan.spec.deadlines;
    Limits {
        barrier: deadlines.barrier.span(),
        load: engine::load(plan),
        drain: engine::drain(plan),
        hand_in: deadlines.drain.span(),
        // The upload is ordered once every fault is healed.
        collect: deadlines.collect.span() + longest_healing(plan),
        raw_samples: plan.spec.results.raw_samples,
    }
}

/// Reports the end of k6; a k6 that could not be started has failed and ended at once.
fn watch_k6(k6: io::Result<K6>, inputs: &mpsc::Sender<Input>) -> Option<crate::k6::Handle> {
    let inputs = inputs.clone();
    match k6 {
        Ok(k6) => {
            let handle = k6.handle();
            tokio::spawn(async move {
                let exit = k6.ended().await;
                let _ = inputs.send(Input::Exited(exit)).await;
            });
            Some(handle)
        }
        Err(error) => {
            tokio::spawn(async move {
                let why = failure(Reason::LoadGeneratorFailed, format!("k6 could not be started: {error}"));
                let _ = inputs.send(Input::Broke(why)).await;
                let _ = inputs.send(Input::Exited(Exit { how: How::Code(-1), last_lines: Vec::new() })).await;
            });
            None
        }
    }
}

async fn forward_news(socket: tokio::net::UnixListener, ordered: mpsc::UnboundedReceiver<wire::ToK6>, notes: mpsc::Sender<Note>, inputs: mpsc::Sender<Input>) {
    let (news, mut heard) = mpsc::channel(1);
    tokio::spawn(wire::carry(socket, ordered, notes, news));
    while let Some(word) = heard.recv().await {
        let _ = inputs.send(Input::K6(word)).await;
    }
}

fn listen_to_signals(inputs: &mpsc::Sender<Input>) -> io::Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind)?;
        let inputs = inputs.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                let _ = inputs.send(Input::Terminated).await;
            }
        });
    }
    Ok(())
}
