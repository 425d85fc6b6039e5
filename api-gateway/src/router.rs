//! Every route, in the order in which a request meets what stands before it: the front, then the guard, then the route itself.

use axum::{Router, http::header, middleware, response::IntoResponse, routing::get};
use bytes::Bytes;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{access, admin, error::ApiError, front, legacy, native, openapi, pages, state::Gateway};

/// Every route with its description.
pub fn described() -> OpenApiRouter<Gateway> {
    OpenApiRouter::with_openapi(openapi::Description::openapi()).merge(legacy::open()).merge(guarded())
}

/// The routes that ask for rights.
fn guarded() -> OpenApiRouter<Gateway> {
    legacy::routes().merge(native::routes())
}

/// Everything that the API's port answers.
pub fn routes(gateway: Gateway) -> Router {
    let document = Bytes::from(openapi::document());
    let guarded: Router<Gateway> = guarded().into();
    let guarded = guarded.route_layer(middleware::from_fn_with_state(gateway.clone(), access::guard));
    // Pages pass their own door before the guard.
    let pages = pages::routes().route_layer(middleware::from_fn_with_state(gateway.clone(), access::guard));
    let pages = pages.merge(pages::open()).route_layer(middleware::from_fn(pages::door));
    let open: Router<Gateway> = legacy::open().into();
    let open = open
        .route("/readyz", get(admin::ready))
        .route("/openapi.json", get(move || std::future::ready(as_json(document.clone()))))
        .merge(SwaggerUi::new("/docs").config(Config::new(["/openapi.json"])))
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed("GET, HEAD".to_owned()) });
    open.merge(guarded)
        .merge(pages)
        .fallback(|| async { ApiError::NotFound("there is nothing at this address".to_owned()) })
        .layer(middleware::from_fn_with_state(gateway.clone(), front::front))
        .with_state(gateway)
}

fn as_json(document: Bytes) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document)
}
