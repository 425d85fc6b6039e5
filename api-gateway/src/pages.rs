//! Pages for people: the runs and how they go, what came of them, and their early end; two of them side by side; plans and datasets. They are
//! made here, whole, of the same rows that the API's routes are made of, in one namespace, that of the earlier system's routes.
//!
//! A page works without a script; the one script there is keeps what is shown up to date and draws what is live. Nothing comes from
//! elsewhere, and the policy that every page is sent with lets nothing else run ([`answer`]). Who may see what is asked as everywhere
//! ([`crate::access::PAGES`]); a browser shows its token in a cookie that is believed here alone ([`session`]).

mod answer;
mod assets;
mod compare;
mod door;
mod files;
mod fixtures;
mod form;
mod frame;
mod list;
mod plans;
mod report;
mod run;
mod seen;
mod session;
mod stop;
mod words;

use axum::{
    Router,
    response::Redirect,
    routing::{get, post},
};

pub use answer::Asked;
pub use door::door;

use crate::{error::ApiError, state::Gateway};

/// The pages that ask for rights.
pub fn routes() -> Router<Gateway> {
    Router::new()
        .route("/ui/", get(list::list))
        .route("/ui/runs/{run_id}", get(run::run))
        .route("/ui/runs/{run_id}/events", get(run::events))
        .route("/ui/runs/{run_id}/report", get(report::report))
        .route("/ui/runs/{run_id}/files", get(files::file))
        .route("/ui/runs/{run_id}/stop", get(stop::ask).post(stop::stop))
        .route("/ui/compare", get(compare::compare))
        .route("/ui/plans", get(plans::list))
        .route("/ui/plans/{name}", get(plans::object))
        .route("/ui/plans/stored/{name}", get(plans::stored))
        .route("/ui/fixtures", get(fixtures::list))
        .route("/ui/fixtures/{fixture_id}", get(fixtures::files))
}

/// What anybody may have: the way in, and what pages look like.
pub fn open() -> Router<Gateway> {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/ui/") }))
        .route("/ui", get(|| async { Redirect::temporary("/ui/") }))
        .route("/ui/assets/{file}", get(assets::asset))
        .route("/ui/login", get(session::show).post(session::begin))
        .route("/ui/logout", post(session::end))
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed("GET, HEAD, POST".to_owned()) })
}
