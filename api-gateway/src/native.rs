//! The routes that speak in the cluster's own objects: plans, runs and fixtures of any namespace, what came of a run, and its progress as it
//! happens. What goes wrong is told as RFC 9457 has it. Whatever can be done here can be done with `kubectl`; here it needs no kubeconfig.

mod artifacts;
mod decision;
mod events;
mod fixtures;
mod log;
mod object;
mod outline;
mod place;
mod plans;
mod problem;
mod runs;

use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use artifacts::sign;
pub(crate) use events::follow;
pub(crate) use object::{Objects, Page, Which};
pub use outline::{RunOutline, outline};
pub(crate) use place::Name;
pub use problem::{Problem, rewrite, sentences, speaks_problems};

use crate::state::Gateway;

/// The routes, all of which ask for rights.
pub fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(plans::list, plans::create))
        .routes(routes!(plans::read, plans::remove))
        .routes(routes!(runs::list, runs::create))
        .routes(routes!(runs::read, runs::remove))
        .routes(routes!(runs::stop))
        .routes(routes!(decision::of_object))
        .routes(routes!(events::events))
        .routes(routes!(artifacts::artifacts))
        .routes(routes!(fixtures::list, fixtures::create))
        .routes(routes!(fixtures::read, fixtures::remove))
        .routes(routes!(decision::of_id))
        .routes(routes!(log::log))
}
