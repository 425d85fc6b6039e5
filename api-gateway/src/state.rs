//! What every route is handed: the few things that reach outside, and the rows of the runs.

use std::{ops::Deref, sync::Arc};

use crucible_store::{Ledger, Vault};
use jiff::Timestamp;
use kube::Client;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::{
    args::Settings,
    auth::Gate,
    front::RequestIds,
    legacy::RecentPairs,
    runs::{Ask, Merged, Runs},
    telemetry::Metrics,
};

/// The gateway's clock. One of the few things that a test replaces.
pub trait Clock: Send + Sync + 'static {
    /// What time it is.
    fn now(&self) -> Timestamp;
}

/// Where ids come from. One of the few things that a test replaces.
pub trait Entropy: Send + Sync + 'static {
    /// 32 fresh random bytes.
    fn bytes(&self) -> [u8; 32];
}

/// The abilities that reach outside, as a test or the process hands them in.
pub struct Abilities {
    /// The Kubernetes API.
    pub client: Client,
    /// What was remembered of runs, where there is a ledger.
    pub ledger: Option<Arc<dyn Ledger>>,
    /// Object storage.
    pub vault: Arc<dyn Vault>,
    /// How callers are told apart.
    pub gate: Gate,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub entropy: Arc<dyn Entropy>,
}

/// Everything that the gateway has, shared by every request.
#[derive(Clone)]
pub struct Gateway(Arc<Shared>);

/// Everything that the gateway has.
pub struct Shared {
    /// The Kubernetes API.
    pub client: Client,
    /// What was remembered of runs, where there is a ledger.
    pub ledger: Option<Arc<dyn Ledger>>,
    /// Object storage.
    pub vault: Arc<dyn Vault>,
    /// How callers are told apart.
    pub gate: Gate,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub entropy: Arc<dyn Entropy>,
    /// What the routes depend on.
    pub settings: Settings,
    /// The runs that the cluster knows.
    pub runs: Arc<Runs>,
    /// The same and what was remembered, as one list.
    pub listed: Merged,
    /// What is counted.
    pub metrics: Metrics,
    /// What the names of shared plans are made with, once it was asked for.
    pub salt: OnceCell<String>,
    /// Which plans were seen in the cluster a moment ago.
    pub recent_pairs: RecentPairs,
    /// Ids of requests.
    pub request_ids: RequestIds,
    /// Done when the process is about to end: streams close, so that nobody waits for them.
    pub ending: CancellationToken,
}

impl Gateway {
    /// Puts the parts together.
    #[must_use]
    pub fn new(abilities: Abilities, settings: Settings) -> Self {
        let Abilities { client, ledger, vault, gate, clock, entropy } = abilities;
        let runs = Arc::new(Runs::default());
        let listed = Merged { runs: Arc::clone(&runs), ledger: ledger.clone(), ask: Arc::new(Ask::default()) };
        let request_ids = RequestIds::new(hex(&entropy.bytes(), 4));
        let (metrics, ending) = (Metrics::default(), CancellationToken::new());
        Self(Arc::new(Shared {
            client,
            ledger,
            vault,
            gate,
            clock,
            entropy,
            settings,
            runs,
            listed,
            metrics,
            salt: OnceCell::new(),
            recent_pairs: RecentPairs::default(),
            request_ids,
            ending,
        }))
    }
}

impl Deref for Gateway {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The first `count` bytes in hex.
#[must_use]
pub fn hex(bytes: &[u8], count: usize) -> String {
    use std::fmt::Write as _;
    bytes.iter().take(count).fold(String::with_capacity(count * 2), |mut text, byte| {
        // Writing into memory does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
