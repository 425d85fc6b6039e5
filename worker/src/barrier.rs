//! The barrier: k6 was started paused and waits in our extension; a start order lets it go and gives it the instant.

use std::{net::SocketAddr, time::Duration};

use crucible_crds::Reason;
use crucible_lifecycle::contract::Failure;
use hyper::{Method, Uri};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use crate::{http::Http, outcome::failure, wire::ToK6};

/// k6's word for "go on".
const UNPAUSE: &str = r#"{"data":{"type":"status","id":"default","attributes":{"paused":false}}}"#;

/// How long k6 may take to go on, and how long one try and the pause after it last.
const PATIENCE: Duration = Duration::from_secs(5);
const ONE_TRY: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

/// Tells the extension the instant, then lets k6 go. The extension holds its virtual users until the instant, so being
/// early is right; and the countdown does not run while k6 is being spoken to.
pub async fn release(http: &Http, k6: SocketAddr, orders: &mpsc::UnboundedSender<ToK6>, at: Instant) -> Result<(), Failure> {
    // A writer that is gone means a socket that is closed, which the supervisor hears of.
    let _ = orders.send(ToK6::Start(at));
    let begun = Instant::now();
    let mut tries = 0_u32;
    loop {
        let uri = Uri::builder().scheme("http").authority(k6.to_string()).path_and_query("/v1/status").build();
        let uri = uri.map_err(|error| failure(Reason::LoadGeneratorFailed, format!("k6 cannot be addressed: {error}")))?;
        match http.json(Method::PATCH, uri, None, UNPAUSE.into(), ONE_TRY).await {
            Ok(()) => return Ok(()),
            Err(error) if begun.elapsed() > PATIENCE => {
                return Err(failure(Reason::LoadGeneratorFailed, format!("k6 did not go on when it was told to: {error}")));
            }
            Err(error) if tries == 0 => tracing::warn!(%error, "failed to let k6 go, trying on"),
            Err(_) => {}
        }
        tries += 1;
        sleep(PAUSE).await;
    }
}
