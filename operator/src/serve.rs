//! The operator's process from start to end: connect, take part in the election, work while leading, stop in order.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use crucible_store::{Ledger, LedgerSettings, PostgresLedger, vault::S3Vault};
use jiff::Timestamp;
use kube::client::ClientBuilder;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Config,
    admin::{self, Admin},
    args::LedgerUrl,
    context::{Abilities, Clock, Context, Entropy},
    leader,
    prometheus::{HttpPrometheus, Observatory},
    run,
    telemetry::Metrics,
    workers::HttpWorkers,
};

/// How long open connections may take to close.
const CLOSING: Duration = Duration::from_secs(3);

/// Serves until the process is told to stop or leadership is lost. The load of live runs goes on without it.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let Config { settings, s3, prometheus, pod_name, watch_namespace, ledger_url, mirror_escape, admin_address, check_in_address, log: _ } = config;
    let metrics = Arc::new(Metrics::default());
    let mut cluster = kube::Config::infer().await.context("failed to find the cluster's configuration")?;
    cluster.connect_timeout = Some(Duration::from_secs(3));
    let client = ClientBuilder::try_from(cluster).context("failed to set up the cluster's client")?.with_layer(&metrics.request_counter()).build();
    let abilities = Abilities {
        client: client.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        vault: Arc::new(S3Vault::new(s3).await),
        workers: Arc::new(HttpWorkers::default()),
        ledger: ledger_url.map(|url| ledger(&url, &settings.namespace)).transpose()?,
        observatory: Observatory { servers: prometheus, client: Arc::new(HttpPrometheus::new().context("failed to find certificate authorities")?) },
    };
    let namespace = settings.namespace.clone();
    let (ctx, woken) = Context::new(abilities, settings, watch_namespace, metrics);
    let ctx = Arc::new(Context { mirror_escape, ..ctx });

    let stop = stop_on_signal()?;
    let (leading, led) = watch::channel(false);
    let health = TcpListener::bind(admin_address).await.with_context(|| format!("failed to listen on {admin_address}"))?;
    let check_in = TcpListener::bind(check_in_address).await.with_context(|| format!("failed to listen on {check_in_address}"))?;
    let served = tokio::spawn(admin::serve(Admin { ctx: Arc::clone(&ctx), leading: led.clone() }, health, check_in, stop.clone()));

    // The election outlives the controllers: the lease is given back when their passes are finished.
    let resign = CancellationToken::new();
    let election = {
        let resign = resign.clone();
        tokio::spawn(async move { leader::take_part(client, &namespace, &pod_name, &leading, &resign).await })
    };
    // Boxed, because four controllers together are large.
    let mut controllers = Box::pin(control(Arc::clone(&ctx), woken, led.clone(), stop.clone()));
    // Where the lease is lost, whoever leads now goes on; a pass in hand is made safe by its preconditions.
    let in_order = tokio::select! {
        () = &mut controllers => true,
        () = lost(led) => false,
    };
    stop.cancel();
    resign.cancel();
    election.await.context("the election broke off")?;
    // Connections that are kept open do not hold the end up.
    if let Ok(ended) = tokio::time::timeout(CLOSING, served).await {
        ended.context("the ports broke off")?.context("failed to serve")?;
    }
    anyhow::ensure!(in_order, "another replica leads");
    Ok(())
}

/// The ledger. Nothing is sent yet: a Postgres that is away holds nothing up.
fn ledger(url: &LedgerUrl, namespace: &str) -> anyhow::Result<Arc<dyn Ledger>> {
    // Short limits and few connections: the mirror asks one thing at a time, and a server that hangs must not cost it the seconds in
    // which rows have to be right again.
    let settings = LedgerSettings {
        max_connections: 2,
        statement_timeout: Duration::from_secs(2),
        acquire_timeout: Duration::from_secs(1),
        ..LedgerSettings::new(namespace)
    };
    let ledger = PostgresLedger::connect(url.reveal(), settings).context("failed to read the ledger's address")?;
    Ok(Arc::new(ledger))
}

/// Runs the controllers from the moment this replica leads.
async fn control(
    ctx: Arc<Context>,
    woken: tokio::sync::mpsc::UnboundedReceiver<crate::context::RunKey>,
    mut led: watch::Receiver<bool>,
    stop: CancellationToken,
) {
    tokio::select! {
        elected = led.wait_for(|leading| *leading) => if elected.is_err() { return },
        () = stop.cancelled() => return,
    }
    crate::chaos::warn_of_versions(&ctx.client).await;
    tokio::join!(
        run::control(Arc::clone(&ctx), woken, stop.clone()),
        crate::plan::control(Arc::clone(&ctx), stop.clone()),
        crate::fixture::control(Arc::clone(&ctx), stop.clone()),
        crate::mirror::control(ctx, stop),
    );
}

/// Done when this replica led and does not lead any more.
async fn lost(mut led: watch::Receiver<bool>) {
    if led.wait_for(|leading| *leading).await.is_ok() {
        // An error means that the election is over, which comes to the same.
        let _ = led.wait_for(|leading| !*leading).await;
    } else {
        std::future::pending::<()>().await;
    }
}

/// Cancelled when the process is told to end.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let cancel = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        tracing::info!("stopping: passes in hand are finished, load goes on");
        cancel.cancel();
    });
    Ok(stop)
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn hex64(&self) -> String {
        use std::fmt::Write;
        let mut bytes = [0_u8; 32];
        if let Err(error) = getrandom::fill(&mut bytes) {
            // Without randomness there are no tokens, and without tokens no runs: better to end than to guess.
            tracing::error!(%error, "the system gives no randomness");
            std::process::abort();
        }
        bytes.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}
