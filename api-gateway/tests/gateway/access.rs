//! Who may what, whatever the route: nobody without a token, nobody without the right, nobody in another namespace.

use crucible_api_gateway::{
    access::{PAGES, Place, ROUTES, Route},
    args::Settings,
    auth::{Gate, StaticTokens},
};

use super::harness::{Answer, NAMESPACE, World};

async fn world() -> World {
    let world = World::new(Gate::of_reviews("crucible"), Settings { namespace: NAMESPACE.to_owned(), require_cluster_spec: false }).await;
    for who in ["owner", "reader", "stranger"] {
        world.cluster.add_token(&format!("token-of-{who}"), who, "crucible");
    }
    world.cluster.add_token("token-for-another", "owner", "somebody-else");
    for resource in ["testplans", "testruns", "fixtures"] {
        for verb in ["get", "list", "watch"] {
            world.cluster.allow("reader", verb, resource, NAMESPACE);
        }
        for verb in ["get", "list", "watch", "create", "update", "delete"] {
            world.cluster.allow("owner", verb, resource, NAMESPACE);
            world.cluster.allow("stranger", verb, resource, "other");
        }
    }
    world
}

/// A request to a route with everything filled in; what is refused before its body is read needs none.
async fn ask(world: &World, route: &Route, namespace: &str, token: Option<&str>) -> Answer {
    let path = route.path.replace("{namespace}", namespace).replace("{run_id}", "x_20260105-0800_00000001");
    let path: String = path.split('/').map(|step| if step.starts_with('{') { "1" } else { step }).collect::<Vec<_>>().join("/");
    let token = token.map(|token| format!("Bearer {token}"));
    let mut headers: Vec<(&str, &str)> = token.iter().map(|token| ("authorization", token.as_str())).collect();
    // As a browser says it of what our own pages send.
    headers.push(("sec-fetch-site", "same-origin"));
    world.ask(route.method.as_str(), &path, &headers, "").await
}

#[tokio::test]
async fn nobody_gets_in_without_a_token_whatever_the_route() {
    let world = world().await;
    for route in ROUTES.iter().chain(PAGES) {
        let answer = ask(&world, route, NAMESPACE, None).await;
        assert_eq!((answer.status, answer.headers.contains_key("www-authenticate")), (401, true), "{route:?}");
    }
    assert!(world.cluster.writes().is_empty());
    for path in ["/health", "/readyz", "/docs/", "/openapi.json", "/ui/login", "/ui/assets/style.css"] {
        assert_eq!(world.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_stranger_gets_nothing_of_this_namespace_whatever_the_route() {
    let world = world().await;
    for route in ROUTES.iter().chain(PAGES) {
        let answer = ask(&world, route, NAMESPACE, Some("token-of-stranger")).await;
        assert_eq!(answer.status, 403, "{route:?}");
    }
    assert!(world.cluster.writes().is_empty());
}

#[tokio::test]
async fn the_owner_gets_nothing_of_another_namespace() {
    let world = world().await;
    for route in ROUTES.iter().filter(|route| route.rights.iter().all(|right| right.place == Place::Named)) {
        assert_eq!(ask(&world, route, "other", Some("token-of-owner")).await.status, 403, "{route:?}");
    }
}

#[tokio::test]
async fn a_reader_reads_everything_and_writes_nothing() {
    let world = world().await;
    for route in ROUTES.iter().chain(PAGES) {
        let reads = route.rights.iter().all(|right| matches!(right.verb, "get" | "list" | "watch"));
        let answer = ask(&world, route, NAMESPACE, Some("token-of-reader")).await;
        assert_eq!(answer.status == 403, !reads, "{route:?}: {answer:?}");
        assert_ne!(answer.status, 401);
    }
    assert!(world.cluster.writes().is_empty());
}

#[tokio::test]
async fn tokens_that_are_not_for_us_are_none() {
    let world = world().await;
    let long = "a".repeat(20_000);
    for token in ["x", "token-for-another", "", "token of owner", &long] {
        let answer = world.ask("GET", "/v1/test-runs", &[("authorization", &format!("Bearer {token}"))], "").await;
        assert_eq!((answer.status, answer.headers.contains_key("www-authenticate")), (401, true), "{token:.20}");
    }
}

#[tokio::test]
async fn only_one_header_and_no_address_carries_a_token() {
    let world = world().await;
    let status = async |headers: &[(&str, &str)], path: &str| world.ask("GET", path, headers, "").await.status;
    assert_eq!(status(&[("authorization", "Bearer token-of-owner")], "/v1/test-runs").await, 200);
    assert_eq!(status(&[("authorization", "bearer token-of-owner")], "/v1/test-runs").await, 200);
    assert_eq!(status(&[("authorization", "token-of-owner")], "/v1/test-runs").await, 401);
    assert_eq!(status(&[("authorization", "Basic token-of-owner")], "/v1/test-runs").await, 401);
    assert_eq!(status(&[("authorization", "Bearer token-of-owner"), ("authorization", "Bearer token-of-owner")], "/v1/test-runs").await, 401);
    for path in ["/v1/test-runs?token=token-of-owner", "/v1/test-runs?access_token=token-of-owner"] {
        assert_eq!(status(&[], path).await, 401);
    }
    let forged = [("x-forwarded-user", "owner"), ("x-remote-user", "owner"), ("impersonate-user", "owner")];
    assert_eq!(status(&forged, "/v1/test-runs").await, 401);
}

#[tokio::test]
async fn the_api_server_is_asked_once_for_what_it_has_just_answered() {
    let world = world().await;
    for _ in 0..5 {
        assert_eq!(world.ask("GET", "/v1/test-runs", &[("authorization", "Bearer token-of-owner")], "").await.status, 200);
    }
    assert_eq!(world.cluster.reviews(), 2, "one question for the token and one for the right");
}

#[tokio::test]
async fn while_nobody_can_say_who_may_what_nobody_may_anything() {
    let world = world().await;
    world.cluster.set_down(true);
    let answer = world.ask("GET", "/v1/test-runs", &[("authorization", "Bearer token-of-owner")], "").await;
    assert_eq!((answer.status, answer.headers.contains_key("retry-after")), (503, true));
}

#[tokio::test]
async fn tokens_of_a_file_have_the_rights_that_the_cluster_gives_them() {
    // The SHA-256 of `swordfish`.
    let file = "- {sha256: b9f195c5cc7ef6afadbfbc42892ad47d3b24c6bc94bb510c4564a90a14e8b799, user: anna}";
    let settings = Settings { namespace: NAMESPACE.to_owned(), require_cluster_spec: false };
    let world = World::new(Gate::of_tokens(StaticTokens::parse(file).unwrap()), settings).await;
    let status = async |token: &str| world.ask("GET", "/v1/test-runs", &[("authorization", token)], "").await.status;
    assert_eq!(status("Bearer swordfish").await, 403);
    assert_eq!(status("Bearer sword").await, 401);
    world.cluster.allow("anna", "list", "testruns", NAMESPACE);
    // The refusal is believed for a while; another right is asked for anew.
    world.cluster.allow("anna", "get", "testruns", NAMESPACE);
    let answer = world.ask("GET", "/v1/test-runs/x_20260105-0800_00000001/status", &[("authorization", "Bearer swordfish")], "").await;
    assert_eq!(answer.status, 404);
}
