//! Arguments that are wrong, gateways that are away, texts that want to be obeyed.

use rmcp::ServiceError;
use serde_json::json;

use crate::{
    client::Client,
    gateway::{PASSED, Played},
};

#[tokio::test]
async fn a_wrong_argument_is_named_and_nothing_is_asked() {
    let client = Client::new().await;
    let cases = [
        ("monitor_test_progress", json!({}), "run_id", "missing field `run_id`"),
        ("monitor_test_progress", json!({"run_id": 5}), "run_id", "invalid type: integer `5`, expected a string"),
        ("monitor_test_progress", json!({"run_id": "../plans"}), "run_id", "has a character that names do not have"),
        ("monitor_test_progress", json!({"run_id": "x", "colour": "red"}), "colour", "unknown field `colour`"),
        ("list_supported_suts", json!({"x": 1}), "x", "unknown field `x`"),
        ("list_test_runs", json!({"limit": 101}), "limit", "must be a whole number from 1 to 100"),
        ("list_test_runs", json!({"limit": -1}), "limit", "invalid value: integer `-1`"),
        ("wait_for_run", json!({"run_id": "x", "timeout_seconds": 0}), "timeout_seconds", "must be a whole number from 1 to 1800"),
        ("submit_test_run", json!({"plan_yaml": "a", "plan_name": "p", "cluster_spec": [1]}), "cluster_spec", "must be an object"),
        ("validate_test_plan", json!({"plan_yaml": "x".repeat(1 << 20)}), "plan_yaml", "has 1048576 bytes; at most 262144 are read"),
        ("upload_workload_sql", json!({"workload_id": "w", "content": "x".repeat((1 << 20) + 1)}), "content", "has 1048577 bytes; at most 1048576 are read"),
        ("compare_runs", json!({"a": "x", "b": "x"}), "b", "is the same run as a"),
        ("draft_test_plan", json!({"goal": "x", "profile": "huge"}), "profile", "unknown variant `huge`"),
    ];
    for (tool, arguments, path, message) in cases {
        let refused = client.refused(tool, arguments).await;
        assert_eq!((&refused["kind"], &refused["errors"][0]["path"]), (&json!("invalid_argument"), &json!(path)), "{tool}: {refused}");
        assert!(refused["errors"][0]["message"].as_str().unwrap().contains(message), "{tool}: {refused}");
    }
    assert!(client.gateway.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_tool_that_does_not_exist_is_a_mistake_of_the_protocol() {
    let client = Client::new().await;
    let error = client.call("drop_database", json!({})).await.unwrap_err();
    assert!(matches!(error, ServiceError::McpError(error) if error.code.0 == -32602 && error.message == "unknown tool: drop_database"));
}

#[tokio::test]
async fn what_the_gateway_says_becomes_a_kind_and_a_hint() {
    let cases = [
        (401, r#"{"detail": "the token is nobody's"}"#, "unauthorized", "the gateway does not accept the token: the token is nobody's"),
        (403, r#"{"detail": "may not create testruns"}"#, "forbidden", "not allowed: may not create testruns"),
        (404, r#"{"detail": "Test run 'x' not found"}"#, "not_found", "Test run 'x' not found"),
        (429, r#"{"detail": "too many requests"}"#, "try_later", "too many requests"),
        (503, "", "try_later", "status 503"),
        (500, "<html>", "gateway_error", "the gateway answered 500: status 500"),
        (302, "", "gateway_error", "the gateway answered 302: status 302"),
        (200, "not json", "gateway_error", "failed to read the gateway's answer: expected ident at line 1 column 2"),
    ];
    for (status, body, kind, message) in cases {
        let client = Client::of(Played { always: Some((status, body)), ..Played::default() }, None).await;
        let refused = client.refused("monitor_test_progress", json!({"run_id": "x"})).await;
        assert_eq!((&refused["kind"], &refused["error"]), (&json!(kind), &json!(message)), "{status}");
        assert!(!refused["hint"].as_str().unwrap().is_empty());
        assert_eq!(client.gateway.asked.lock().unwrap().len(), 1, "a redirect was followed, or a request repeated");
        if kind == "try_later" {
            assert_eq!(refused["retry_after_seconds"], 7);
        }
    }
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_said_to_be_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let gateway = crucible_mcp::gateway::Gateway::new(&format!("http://{address}").parse().unwrap()).unwrap();
    let asked = gateway.session(None).get::<serde_json::Value>(&crucible_mcp::gateway::Path::to("/health")).await;
    assert!(matches!(asked, Err(crucible_mcp::failure::Failure::Unreachable(message)) if message.contains("refused")));
}

#[tokio::test]
async fn the_token_is_in_no_answer() {
    let client = Client::of(Played { strict: true, ..Played::default() }, Some("a-wrong-and-secret-token")).await;
    let refused = client.refused("get_test_results", json!({"run_id": PASSED})).await;
    assert_eq!(refused["kind"], "unauthorized");
    assert!(!refused.to_string().contains("secret"), "{refused}");
}
