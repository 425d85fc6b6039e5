//! Connections, one task each. hyper is driven by hand because only so can a head that never ends be given up, a head that is
//! too large be refused, and an end of the process wait for answers under way.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long the head of a request may take, an idle connection's wait for the next one included.
const HEAD: Duration = Duration::from_secs(20);
/// No head is larger: a token of the largest kind that is served fits.
const LARGEST_HEAD: usize = 64 << 10;
/// No head has more lines.
const MOST_HEADERS: usize = 100;
/// How long answers under way may take once the process is told to end.
const DRAINING: Duration = Duration::from_secs(8);
/// How long to wait where the system gives no connection, as it does when files are used up.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` is done, then until every answer under way is given or their time is up.
pub async fn serve(listener: TcpListener, routes: Router, stop: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_headers(MOST_HEADERS).max_buf_size(LARGEST_HEAD);
    let service = TowerToHyperService::new(routes);
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        // Answers are small: each is sent when it is whole.
        let _ = stream.set_nodelay(true);
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service.clone()));
        // What goes wrong on a connection is the client's affair and ends it.
        tokio::spawn(async move { drop(connection.await) });
    }
    drop(listener);
    if tokio::time::timeout(DRAINING, connections.shutdown()).await.is_err() {
        tracing::warn!("some answers were not given in time before the end");
    }
}
