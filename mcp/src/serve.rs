//! The process from start to end: over stdio until the caller closes it, over HTTP until it is told to stop.

use std::time::Duration;

use anyhow::Context;
use rmcp::{ServiceExt, transport::stdio};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Server,
    args::{AuthKind, HttpConfig},
    gateway::Gateway,
    http,
    server::Settings,
};

/// How long open requests may take to end.
const CLOSING: Duration = Duration::from_secs(3);

/// Serves until the caller is gone or the process is told to stop. What was submitted goes on without it.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let Config { api_url, api_token, remote_write_url, http, log: _ } = config;
    let gateway = Gateway::new(&api_url)?;
    match http {
        Some(http) => serve_http(gateway, Settings { own_token: lent(&http, api_token), remote_write_url }, http).await,
        None => serve_stdio(Server::new(gateway, Settings { own_token: api_token, remote_write_url })).await,
    }
}

async fn serve_stdio(server: Server) -> anyhow::Result<()> {
    tracing::info!("serving over standard input and output");
    let running = server.serve(stdio()).await.context("failed to begin the conversation")?;
    running.waiting().await.context("the conversation broke off")?;
    Ok(())
}

async fn serve_http(gateway: Gateway, settings: Settings, config: HttpConfig) -> anyhow::Result<()> {
    let stop = stop_on_signal()?;
    let listener = TcpListener::bind(config.address).await.with_context(|| format!("failed to listen on {}", config.address))?;
    tracing::info!(address = %config.address, "serving streamable HTTP at /mcp");
    let routes = http::routes(gateway, settings, &config, stop.clone());
    let serving = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
    let closed = async {
        stop.cancelled().await;
        tokio::time::sleep(CLOSING).await;
    };
    tokio::select! {
        ended = serving.into_future() => ended.context("failed to serve"),
        () = closed => Ok(()),
    }
}

/// The server's own token, where callers over HTTP may act with it.
fn lent(http: &HttpConfig, token: Option<crate::gateway::Token>) -> Option<crate::gateway::Token> {
    match http.auth {
        AuthKind::Bearer => None,
        AuthKind::None => {
            tracing::warn!(own_token = token.is_some(), "callers are not told apart: whoever reaches the port may do everything that this server may");
            token
        }
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
        tracing::info!("stopping");
        cancel.cancel();
    });
    Ok(stop)
}
