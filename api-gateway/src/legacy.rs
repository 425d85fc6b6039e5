//! The routes that clients of the earlier system call: their shapes, our behaviour. All of them work in one namespace.

mod artifacts;
mod fixtures;
mod form;
mod inventory;
mod names;
mod objects;
mod once;
mod order;
mod plans;
mod query;
mod runs;
mod service;
mod shared;
mod start;
mod status;
mod stop;
mod stored;
mod submit;
mod workloads;

use axum::http::HeaderName;
use tokio_util::sync::CancellationToken;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use artifacts::MOST_RESULTS;
pub(crate) use fixtures::{FixtureId, PREFIX as FIXTURES};
pub use names::RunId;
pub(crate) use names::param;
pub(crate) use objects::read as object;
pub(crate) use plans::PlanName;
pub(crate) use query::{Asked, limit, read_cursor, write_cursor};
pub(crate) use runs::known;
pub use shared::{RecentPairs, once as sweep_plans};
pub(crate) use status::unknown;
pub(crate) use stop::end;
pub(crate) use stored::{PREFIX as PLANS, text as stored_plan};

use crate::state::Gateway;

/// Clears away what nobody comes back to, until `stop` is done: uploads, and plans that no run names.
pub async fn sweep(gateway: Gateway, stop: CancellationToken) {
    tokio::join!(fixtures::sweep(gateway.clone(), stop.clone()), shared::sweep(gateway, stop));
}

/// On runs: the digest of the request that made them, where that had a key.
pub const REQUEST: &str = "crucible.dev/request";
/// On answers: what could not be asked, so that something may be missing.
pub const INCOMPLETE: HeaderName = HeaderName::from_static("x-crucible-incomplete");

/// The routes that anybody may call.
pub fn open() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(service::health))
}

/// The routes that ask for rights.
pub fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(inventory::types))
        .routes(routes!(inventory::active))
        .routes(routes!(plans::list, plans::create))
        .routes(routes!(plans::upload))
        .routes(routes!(plans::read, plans::replace, plans::remove))
        .routes(routes!(plans::replace_upload))
        .routes(routes!(plans::validate))
        .routes(routes!(runs::list, submit::submit))
        .routes(routes!(submit::trigger))
        .routes(routes!(submit::trigger_by_key))
        .routes(routes!(status::status))
        .routes(routes!(stop::stop))
        .routes(routes!(artifacts::artifacts))
        .routes(routes!(artifacts::results))
        .routes(routes!(workloads::store, workloads::list))
        .routes(routes!(workloads::read))
        .routes(routes!(fixtures::list))
        .routes(routes!(fixtures::files))
        .routes(routes!(fixtures::remove))
        .routes(routes!(fixtures::begin))
        .routes(routes!(fixtures::sign))
        .routes(routes!(fixtures::complete))
}
