//! What feeds the rows: one watch of the cluster's objects. A run that does not fit the schema is left out and holds nobody up.

use std::sync::Arc;

use crucible_crds::TestRun;
use futures::StreamExt;
use kube::{
    Api, ResourceExt,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio_util::sync::CancellationToken;

use super::Runs;

type Guarded = DeserializeGuard<TestRun>;

/// How many runs are listed at once: each takes far more memory while it is read than as a row.
const PAGE: u32 = 100;

/// Follows the runs until `stop` is done. What goes wrong is tried again, for ever: until then the rows stay as they are.
pub async fn follow(api: Api<Guarded>, runs: Arc<Runs>, stop: CancellationToken) {
    let mut events = watcher(api, watcher::Config::default().page_size(PAGE)).default_backoff().boxed();
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = stop.cancelled() => return,
        };
        match event {
            Some(Ok(event)) => take(&runs, event),
            Some(Err(error)) => tracing::warn!(%error, "runs cannot be watched right now"),
            None => return,
        }
    }
}

fn take(runs: &Runs, event: Event<Guarded>) {
    match event {
        Event::Init => runs.begin_listing(),
        Event::InitApply(run) | Event::Apply(run) => match run.0 {
            Ok(run) => drop(runs.apply(&run)),
            Err(error) => tracing::warn!(name = error.metadata.name, %error, "a run cannot be read"),
        },
        Event::InitDone => runs.end_listing(),
        Event::Delete(run) => runs.delete(&run.namespace().unwrap_or_default(), &run.name_any(), &run.uid().unwrap_or_default()),
    }
}
