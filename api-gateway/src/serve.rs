//! The gateway's process from start to end: connect, follow the runs, answer, end in order.

use std::sync::Arc;

use anyhow::Context as _;
use crucible_store::{Ledger, LedgerSettings, PostgresLedger, vault::S3Vault};
use jiff::Timestamp;
use kube::{Api, Client};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Config, admin,
    args::AuthConfig,
    auth::{Gate, StaticTokens},
    legacy, listener, router, runs,
    state::{Abilities, Clock, Entropy, Gateway},
};

/// Serves until the process is told to stop; answers under way are given.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let Config { auth, settings, watch_namespace, ledger_url, s3, address, metrics_address, log: _ } = config;
    let gate = gate(&auth)?;
    let client = Client::try_default().await.context("failed to set up the cluster's client")?;
    let ledger = ledger_url.map(|url| PostgresLedger::connect(&url, LedgerSettings::new(&settings.namespace))).transpose()?;
    let ledger = ledger.map(|ledger| Arc::new(ledger) as Arc<dyn Ledger>);
    let vault = Arc::new(S3Vault::new(s3).await);
    let abilities = Abilities { client: client.clone(), ledger, vault, gate, clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) };
    let gateway = Gateway::new(abilities, settings);

    if let Some(namespace) = &watch_namespace {
        gateway.runs.follow_only(namespace);
    }
    let stop = stop_on_signal(gateway.ending.clone())?;
    let api = TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address}"))?;
    let metrics = TcpListener::bind(metrics_address).await.with_context(|| format!("failed to listen on {metrics_address}"))?;
    tracing::info!(%address, %metrics_address, "listening");
    let watched = match &watch_namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let following = tokio::spawn(runs::follow(watched, Arc::clone(&gateway.runs), stop.clone()));
    tokio::join!(
        listener::serve(api, router::routes(gateway.clone()), stop.clone()),
        listener::serve(metrics, admin::routes(gateway.clone()), stop.clone()),
        legacy::sweep(gateway, stop)
    );
    following.await.context("following the runs broke off")
}

fn gate(auth: &AuthConfig) -> anyhow::Result<Gate> {
    Ok(match auth {
        AuthConfig::TokenReview { audience } => Gate::of_reviews(audience),
        AuthConfig::Static { file } => Gate::of_tokens(StaticTokens::read(file)?),
        AuthConfig::None => {
            tracing::warn!("nobody is asked who they are: whoever reaches this port may do whatever the gateway may");
            Gate::open()
        }
    })
}

/// `stop`, cancelled when the process is told to end.
fn stop_on_signal(stop: CancellationToken) -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let cancel = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        tracing::info!("stopping: answers under way are given");
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
    fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        if let Err(error) = getrandom::fill(&mut bytes) {
            // Without randomness two runs could get one id: better to end than to guess.
            tracing::error!(%error, "the system gives no randomness");
            std::process::abort();
        }
        bytes
    }
}
