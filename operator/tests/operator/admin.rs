//! The operator's ports, asked without a socket.

use std::sync::Arc;

use axum::{Router, body::Body};
use crucible_operator::{
    admin::{Admin, check_in_routes, health_routes},
    context::Context,
};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt;

use crate::world::{SHOP, World, context, scenario::Scenario};

const TOKEN: &str = "
apiVersion: v1
kind: Secret
metadata: {name: run-a-c1b41cff-token}
stringData: {token: open-sesame}
";

/// An operator with the token of one run in its cluster.
fn admin(leading: bool) -> (Admin, Arc<Context>) {
    let world = World::of(&Scenario { objects: vec![("secrets", TOKEN)], ..Scenario::happy() });
    let (ctx, _) = context(&world, &world.line(None, false));
    let ctx = Arc::new(ctx);
    (Admin { ctx: Arc::clone(&ctx), leading: watch::Sender::new(leading).subscribe() }, ctx)
}

fn check_in(run: &str, address: &str) -> Value {
    json!({"protocol": 1, "namespace": SHOP, "run": run, "runUid": "uid-a", "index": 1, "address": address})
}

async fn post(routes: Router, token: &str, body: String) -> StatusCode {
    let request = Request::post("/v1/check-in").header("authorization", token).header("content-type", "application/json").body(Body::from(body)).unwrap();
    routes.oneshot(request).await.unwrap().status()
}

#[tokio::test(start_paused = true)]
async fn a_check_in_is_answered_by_who_asks_and_who_is_asked() {
    let (run, token, address) = ("run-a", "Bearer open-sesame", "10.0.0.7:7070");
    let table = [
        (true, token, check_in(run, address).to_string(), StatusCode::NO_CONTENT),
        (true, "Bearer guess", check_in(run, address).to_string(), StatusCode::UNAUTHORIZED),
        (true, "", check_in(run, address).to_string(), StatusCode::UNAUTHORIZED),
        (true, token, check_in("run-z", address).to_string(), StatusCode::NOT_FOUND),
        (true, token, check_in(run, "localhost").to_string(), StatusCode::BAD_REQUEST),
        (true, token, "{}".to_owned(), StatusCode::UNPROCESSABLE_ENTITY),
        (true, token, " ".repeat(5000), StatusCode::PAYLOAD_TOO_LARGE),
        (false, token, check_in(run, address).to_string(), StatusCode::SERVICE_UNAVAILABLE),
    ];
    for (leading, token, body, expected) in table {
        assert_eq!(post(check_in_routes(admin(leading).0), token, body.clone()).await, expected, "{token} {}", body.trim());
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_hold_no_names_and_no_secrets() {
    let (admin, _) = admin(true);
    assert_eq!(post(check_in_routes(admin.clone()), "Bearer open-sesame", check_in("run-a", "10.0.0.7:7070").to_string()).await, StatusCode::NO_CONTENT);
    let answer = health_routes(admin).oneshot(Request::get("/metrics").body(Body::empty()).unwrap()).await.unwrap();
    let text = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(text.contains("crucible_operator_leading 1"), "{text}");
    assert!(!text.contains("sesame") && !text.contains("run-a") && !text.contains(SHOP), "{text}");
}
