//! Who may do what: the one list of routes with the rights that each needs, and the layer that asks for them.
//!
//! The list is closed: a route that is neither in it nor in the list of pages is not reachable. Rights are those of the cluster, on the objects that stand behind a
//! route; what has no object of its own is counted to the kind that it serves, as a workload is to the plans.

use std::{collections::HashMap, sync::LazyLock};

use axum::{
    extract::{MatchedPath, RawPathParams, Request, State, rejection::RawPathParamsRejection},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{auth, error::ApiError, state::Gateway};

/// A route with the rights that it needs.
#[derive(Clone, Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path as it is registered.
    pub path: &'static str,
    /// Every right that is needed.
    pub rights: &'static [Right],
}

/// A right of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Right {
    /// The verb.
    pub verb: &'static str,
    /// The resource, of our own API group.
    pub resource: &'static str,
    /// Where.
    pub place: Place,
}

/// Where a right is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the namespace of the earlier system's routes.
    Legacy,
    /// In the namespace that the path names.
    Named,
}

const fn legacy(verb: &'static str, resource: &'static str) -> Right {
    Right { verb, resource, place: Place::Legacy }
}

const fn named(verb: &'static str, resource: &'static str) -> Right {
    Right { verb, resource, place: Place::Named }
}

const fn route(method: Method, path: &'static str, rights: &'static [Right]) -> Route {
    Route { method, path, rights }
}

const PLANS: &str = "testplans";
const RUNS: &str = "testruns";
const FIXTURES: &str = "fixtures";

/// Every route of the API that asks for rights.
pub const ROUTES: &[Route] = &[
    route(Method::GET, "/test-plans", &[legacy("list", PLANS)]),
    route(Method::POST, "/test-plans", &[legacy("create", PLANS)]),
    route(Method::POST, "/test-plans/upload", &[legacy("create", PLANS)]),
    route(Method::GET, "/test-plans/{name}", &[legacy("get", PLANS)]),
    route(Method::PUT, "/test-plans/{name}", &[legacy("update", PLANS)]),
    route(Method::DELETE, "/test-plans/{name}", &[legacy("delete", PLANS)]),
    route(Method::PUT, "/test-plans/{name}/upload", &[legacy("update", PLANS)]),
    route(Method::POST, "/v1/test-plans/validate", &[legacy("get", PLANS)]),
    route(Method::POST, "/test-runs/{*filename}", &[legacy("create", RUNS)]),
    route(Method::POST, "/v1/test-runs", &[legacy("create", RUNS), legacy("update", PLANS)]),
    route(Method::POST, "/v1/test-runs/{plan_name}", &[legacy("create", RUNS)]),
    route(Method::GET, "/v1/sut/types", &[legacy("list", RUNS)]),
    route(Method::GET, "/v1/sut/inventory", &[legacy("list", RUNS)]),
    route(Method::GET, "/v1/test-runs", &[legacy("list", RUNS)]),
    route(Method::GET, "/v1/test-runs/{run_id}/status", &[legacy("get", RUNS)]),
    route(Method::POST, "/v1/test-runs/{run_id}/stop", &[legacy("update", RUNS)]),
    route(Method::GET, "/v1/test-runs/{run_id}/artifacts", &[legacy("get", RUNS)]),
    route(Method::GET, "/v1/test-runs/{run_id}/results", &[legacy("get", RUNS)]),
    route(Method::POST, "/v1/workloads", &[legacy("update", PLANS)]),
    route(Method::GET, "/v1/workloads", &[legacy("list", PLANS)]),
    route(Method::GET, "/v1/workloads/{workload_id}", &[legacy("get", PLANS)]),
    route(Method::GET, "/fixtures", &[legacy("list", FIXTURES)]),
    route(Method::GET, "/fixtures/{fixture_id}", &[legacy("get", FIXTURES)]),
    route(Method::DELETE, "/fixtures/{fixture_id}/{file}", &[legacy("delete", FIXTURES)]),
    route(Method::POST, "/fixtures/{fixture_id}/{file}/multipart/init", &[legacy("update", FIXTURES)]),
    // Whoever holds the address may write.
    route(Method::GET, "/fixtures/{fixture_id}/{file}/multipart/{upload_id}/part/{part_number}", &[legacy("update", FIXTURES)]),
    route(Method::POST, "/fixtures/{fixture_id}/{file}/multipart/{upload_id}/complete", &[legacy("update", FIXTURES)]),
    route(Method::GET, "/v1/test-runs/{run_id}/decision", &[legacy("get", RUNS)]),
    route(Method::GET, "/v1/test-runs/{run_id}/logs", &[legacy("get", RUNS)]),
    route(Method::GET, "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/plans", &[named("list", PLANS)]),
    route(Method::POST, "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/plans", &[named("create", PLANS)]),
    route(Method::GET, "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/plans/{name}", &[named("get", PLANS)]),
    route(Method::DELETE, "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/plans/{name}", &[named("delete", PLANS)]),
    route(Method::GET, "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/runs", &[named("list", RUNS)]),
    route(Method::POST, "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/runs", &[named("create", RUNS)]),
    route(Method::GET, "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/runs/{name}", &[named("get", RUNS)]),
    route(Method::DELETE, "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/runs/{name}", &[named("delete", RUNS)]),
    route(Method::POST, "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/runs/{name}/stop", &[named("update", RUNS)]),
    route(Method::GET, "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/runs/{name}/decision", &[named("get", RUNS)]),
    route(Method::GET, "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/runs/{name}/events", &[named("watch", RUNS)]),
    route(Method::GET, "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/runs/{name}/artifacts", &[named("get", RUNS)]),
    route(Method::GET, "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/fixtures", &[named("list", FIXTURES)]),
    route(Method::POST, "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/fixtures", &[named("create", FIXTURES)]),
    route(Method::GET, "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/fixtures/{name}", &[named("get", FIXTURES)]),
    route(Method::DELETE, "/apis/crucible.dev/v1alpha1/namespaces/{namespace}/fixtures/{name}", &[named("delete", FIXTURES)]),
];

/// Every page that asks for rights. They stand apart because no program calls them: they are not in the description of the API.
pub const PAGES: &[Route] = &[
    route(Method::GET, "/ui/", &[legacy("list", RUNS)]),
    route(Method::GET, "/ui/runs/{run_id}", &[legacy("get", RUNS)]),
    route(Method::GET, "/ui/runs/{run_id}/events", &[legacy("watch", RUNS)]),
    route(Method::GET, "/ui/runs/{run_id}/report", &[legacy("get", RUNS)]),
    route(Method::GET, "/ui/runs/{run_id}/files", &[legacy("get", RUNS)]),
    // Whoever may not stop a run is told so before they are asked whether they are sure.
    route(Method::GET, "/ui/runs/{run_id}/stop", &[legacy("update", RUNS)]),
    route(Method::POST, "/ui/runs/{run_id}/stop", &[legacy("update", RUNS)]),
    // The newest runs are offered to choose from.
    route(Method::GET, "/ui/compare", &[legacy("get", RUNS), legacy("list", RUNS)]),
    route(Method::GET, "/ui/plans", &[legacy("list", PLANS)]),
    route(Method::GET, "/ui/plans/{name}", &[legacy("get", PLANS)]),
    route(Method::GET, "/ui/plans/stored/{name}", &[legacy("get", PLANS)]),
    route(Method::GET, "/ui/fixtures", &[legacy("list", FIXTURES)]),
    route(Method::GET, "/ui/fixtures/{fixture_id}", &[legacy("get", FIXTURES)]),
];

static BY_PATH: LazyLock<HashMap<&'static str, Vec<&'static Route>>> = LazyLock::new(|| {
    let mut paths: HashMap<&'static str, Vec<&'static Route>> = HashMap::new();
    for route in ROUTES.iter().chain(PAGES) {
        paths.entry(route.path).or_default().push(route);
    }
    paths
});

/// Asks who calls and whether they may, before anything of the request but its head is read.
pub async fn guard(
    State(gateway): State<Gateway>,
    path: MatchedPath,
    params: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    let known = BY_PATH.get(path.as_str()).map_or(&[][..], Vec::as_slice);
    // What may be read may be asked for without its body.
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let Some(route) = known.iter().find(|route| route.method == *method) else {
        let allowed: Vec<&str> = known.iter().map(|route| route.method.as_str()).collect();
        return ApiError::MethodNotAllowed(allowed.join(", ")).into_response();
    };
    let Ok(params) = params else { return ApiError::NotFound("the address is no text".to_owned()).into_response() };
    let named = params.iter().find(|(name, _)| *name == "namespace").map(|(_, value)| value);
    let caller = match auth::admit(&gateway, request.headers(), route.rights, named).await {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    request.extensions_mut().insert(caller.clone());
    let mut response = next.run(request).await;
    response.extensions_mut().insert(caller);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_needs_a_right_and_none_stands_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for route in ROUTES.iter().chain(PAGES) {
            assert!(!route.rights.is_empty(), "{route:?}");
            assert!(seen.insert((route.method.as_str(), route.path)), "{route:?}");
            for right in route.rights {
                assert_eq!(right.place == Place::Named, route.path.contains("{namespace}"), "{route:?}");
            }
        }
    }

    #[test]
    fn pages_stand_apart_from_the_api() {
        assert!(ROUTES.iter().all(|route| !route.path.starts_with("/ui")));
        assert!(PAGES.iter().all(|route| route.path.starts_with("/ui/")));
    }

    #[test]
    fn whoever_may_only_read_writes_nothing() {
        for route in ROUTES.iter().chain(PAGES) {
            let reads = route.rights.iter().all(|right| matches!(right.verb, "get" | "list" | "watch"));
            assert!(reads || route.rights.iter().all(|right| matches!(right.verb, "create" | "update" | "delete")), "{route:?}");
        }
    }
}
