//! Handing in the results: each file goes to its signed address, streamed from disk, until all are there or the time to
//! collect is over. The files stay on disk throughout.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crucible_crds::Reason;
use crucible_lifecycle::contract::{Failure, ResultFile, SignedPut};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout_at},
};

use crate::{
    http::{Http, HttpError},
    outcome::failure,
    record::ResultPaths,
};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A bucket slower than this is as good as one that hangs.
const SLOWEST_BYTES_PER_SECOND: u64 = 1 << 20;
const SHORTEST_TRY: Duration = Duration::from_secs(30);
/// What a try gets that begins just before the end of the time to collect.
const LAST_TRY: Duration = Duration::from_secs(1);

/// What is to be handed in, and until when.
pub struct Task {
    /// The files.
    pub files: Vec<ResultFile>,
    /// Where they lie.
    pub paths: ResultPaths,
    /// When to give up.
    pub until: Instant,
    /// Addresses for the files. Later ones replace earlier ones: their signatures are fresher.
    pub orders: mpsc::UnboundedReceiver<Vec<SignedPut>>,
}

/// Uploads every file once; returns when all are stored or none can be any more.
pub async fn upload(http: Http, task: Task) -> Result<(), Failure> {
    let Task { files, paths, until, mut orders } = task;
    let mut missing: BTreeSet<String> = files.iter().map(|file| file.name.clone()).collect();
    let mut addresses = BTreeMap::new();
    let mut pause = FIRST_PAUSE;
    let mut obstacle = "no address was given for it".to_owned();
    while !missing.is_empty() {
        while let Ok(objects) = orders.try_recv() {
            addresses.extend(objects.into_iter().map(|object| (object.name.clone(), object)));
        }
        let round: Vec<&ResultFile> = files.iter().filter(|file| missing.contains(&file.name)).collect();
        for file in round {
            let (Some(object), Some(path)) = (addresses.get(&file.name), paths.of(&file.name)) else { continue };
            let patience = SHORTEST_TRY + Duration::from_secs(file.bytes / SLOWEST_BYTES_PER_SECOND);
            let patience = patience.min(until.saturating_duration_since(Instant::now()).max(LAST_TRY));
            match http.put_file(&object.url, &object.headers, path, patience).await {
                Ok(()) => {
                    tracing::info!(file = file.name, bytes = file.bytes, "stored a result file");
                    missing.remove(&file.name);
                }
                Err(error @ (HttpError::Address | HttpError::Header(_) | HttpError::File(_))) => return Err(refused(&file.name, &error.to_string())),
                Err(error @ (HttpError::Connection(_) | HttpError::TooLong | HttpError::Late(_) | HttpError::Refused { .. })) => {
                    tracing::warn!(file = file.name, %error, "failed to store a result file, trying again");
                    obstacle = error.to_string();
                }
            }
        }
        let Some(first) = missing.first() else { break };
        if Instant::now() >= until {
            return Err(refused(first, &obstacle));
        }
        // Fresh addresses are tried soon, but an operator that repeats its order must not set the pace.
        let wait = (Instant::now() + pause).min(until);
        match timeout_at(wait, orders.recv()).await {
            Ok(Some(objects)) => {
                addresses.extend(objects.into_iter().map(|object| (object.name.clone(), object)));
                sleep(FIRST_PAUSE).await;
            }
            Ok(None) => sleep_until(wait).await,
            Err(_) => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
    Ok(())
}

fn refused(name: &str, obstacle: &str) -> Failure {
    failure(Reason::ResultsUploadFailed, format!("The result file {name} could not be stored: {obstacle}"))
}
