//! The progress of a run as it happens.

use std::time::Duration;

use axum::body::Body;
use crucible_api_gateway::{args::Settings, auth::Gate};
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::harness::{NAMESPACE, World};

const EVENTS: &str = "/apis/crucible.dev/v1alpha1/namespaces/crucible/runs/checkout-1/events";

async fn change(world: &World, phase: &str) {
    let status = json!({"runId": "checkout_20260105-0800_00000001", "phase": phase});
    world.add_run("checkout-1", Value::Null, status).await;
}

/// A stream that is being read.
struct Stream(Body);

impl Stream {
    async fn open(world: &World, token: Option<&str>) -> Self {
        let mut request = Request::get(EVENTS);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = world.stream(request.body(Body::empty()).unwrap()).await;
        assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (200, &"text/event-stream".parse().unwrap()));
        Self(response.into_body())
    }

    /// The next event: its name, and the phase that it tells of.
    async fn next(&mut self) -> Option<(String, Value)> {
        let frame = tokio::time::timeout(Duration::from_mins(1), self.0.frame()).await.expect("nothing came for a minute")?;
        let text = String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap();
        if text.starts_with(':') {
            return Some(("still here".to_owned(), Value::Null));
        }
        let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        assert!(text.ends_with("\n\n"));
        let data: Value = serde_json::from_str(&line("data: ")).unwrap();
        Some((line("event: "), data["phase"].clone()))
    }

    async fn tells(&mut self, event: &str, phase: &Value) {
        assert_eq!(self.next().await, Some((event.to_owned(), phase.clone())));
    }
}

#[tokio::test]
async fn whoever_listens_hears_how_it_is_every_change_and_the_end() {
    let world = World::open().await;
    change(&world, "Queued").await;
    let mut stream = Stream::open(&world, None).await;
    stream.tells("run", &json!("Queued")).await;
    world.add_run("another", Value::Null, json!({"runId": "checkout_20260105-0800_00000002", "phase": "Executing"})).await;
    change(&world, "Executing").await;
    stream.tells("run", &json!("Executing")).await;
    change(&world, "Completed").await;
    stream.tells("end", &json!("Completed")).await;
    assert_eq!(stream.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_life_comes_while_nothing_happens_and_a_removal_is_told() {
    let world = World::open().await;
    change(&world, "Queued").await;
    let mut stream = Stream::open(&world, None).await;
    stream.tells("run", &json!("Queued")).await;
    stream.tells("still here", &Value::Null).await;
    assert_eq!(world.ask("DELETE", EVENTS.trim_end_matches("/events"), &[], "").await.status, 202);
    world.until("the run is gone", |world| world.gateway.runs.is_empty()).await;
    stream.tells("gone", &Value::Null).await;
    assert_eq!(stream.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn whoever_may_not_look_any_more_hears_nothing_more() {
    let world = World::new(Gate::of_reviews("crucible"), Settings { namespace: NAMESPACE.to_owned(), require_cluster_spec: false }).await;
    world.cluster.add_token("token-of-anna", "anna", "crucible");
    world.cluster.allow("anna", "watch", "testruns", NAMESPACE);
    change(&world, "Executing").await;
    let mut stream = Stream::open(&world, Some("token-of-anna")).await;
    stream.tells("run", &json!("Executing")).await;
    stream.tells("still here", &Value::Null).await;
    world.cluster.remove_token("token-of-anna");
    stream.tells("denied", &Value::Null).await;
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn streams_close_when_the_process_ends() {
    let world = World::open().await;
    change(&world, "Executing").await;
    let mut stream = Stream::open(&world, None).await;
    stream.tells("run", &json!("Executing")).await;
    world.gateway.ending.cancel();
    assert_eq!(stream.next().await, None);
}
