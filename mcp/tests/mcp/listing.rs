//! What the server says of itself. The list of tools is what a model works by: every change of it shows in `tools.json`.

use std::collections::BTreeSet;

use expect_test::expect_file;
use serde_json::{Value, json};

use crate::client::Client;

#[tokio::test]
async fn the_tools_are_those_of_the_file() {
    let client = Client::new().await;
    let tools = client.service.list_all_tools().await.unwrap();
    let text = serde_json::to_string_pretty(&json!(tools)).unwrap() + "\n";
    expect_file!["tools.json"].assert_eq(&text);
}

#[tokio::test]
async fn every_tool_has_what_a_model_needs() {
    let client = Client::new().await;
    for tool in client.service.list_all_tools().await.unwrap() {
        let description = tool.description.clone().unwrap_or_default();
        assert!(description.contains("Example"), "{} has no example", tool.name);
        assert!(description.len() < 5000, "{} has {} characters", tool.name, description.len());
        let annotations = json!(tool.annotations);
        for hint in ["title", "readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
            assert!(!annotations[hint].is_null(), "{} has no {hint}", tool.name);
        }
        let input = json!(tool.input_schema);
        assert_eq!(input["additionalProperties"], false, "{} takes anything", tool.name);
        for (name, schema) in input["properties"].as_object().into_iter().flatten() {
            assert!(schema["description"].is_string(), "{}.{name} is not described", tool.name);
        }
        assert_eq!(json!(tool.output_schema)["type"], "object", "{}", tool.name);
    }
}

#[tokio::test]
async fn existing_clients_find_their_tools_and_arguments() {
    let client = Client::new().await;
    let tools = client.service.list_all_tools().await.unwrap();
    let expected: [(&str, &[&str]); 11] = [
        ("list_supported_suts", &[]),
        ("get_db_inventory", &[]),
        ("validate_test_plan", &["plan_yaml"]),
        ("upload_test_plan", &["plan_yaml", "name"]),
        ("submit_test_run", &["plan_yaml", "plan_name", "cluster_spec", "label", "cluster_settings"]),
        ("trigger_run_by_plan", &["plan_name", "cluster_spec", "label", "cluster_settings"]),
        ("list_test_runs", &["run_label"]),
        ("monitor_test_progress", &["run_id"]),
        ("get_test_results", &["run_id"]),
        ("emergency_stop", &["run_id"]),
        ("upload_workload_sql", &["workload_id", "content"]),
    ];
    for (name, arguments) in expected {
        let tool = tools.iter().find(|tool| tool.name == name).unwrap_or_else(|| panic!("{name} is missing"));
        let schema = json!(tool.input_schema);
        let known: BTreeSet<&str> = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        for argument in arguments {
            assert!(known.contains(argument), "{name} does not take {argument}");
        }
        let needed: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        assert!(needed.iter().all(|needed| arguments.contains(needed)), "{name} needs {needed:?}");
    }
}

#[tokio::test]
async fn what_ends_or_loads_something_says_so() {
    let client = Client::new().await;
    let tools = client.service.list_all_tools().await.unwrap();
    let with = |hint: &str| -> Vec<String> { tools.iter().filter(|tool| json!(tool.annotations)[hint] == true).map(|tool| tool.name.to_string()).collect() };
    let destructive =
        ["upload_workload_sql", "upload_test_plan", "submit_test_run", "trigger_run_by_plan", "emergency_stop", "delete_test_plan", "delete_fixture_file"];
    assert_eq!(with("destructiveHint"), destructive);
    assert_eq!(with("openWorldHint"), ["submit_test_run", "trigger_run_by_plan"]);
    assert_eq!(with("readOnlyHint").len() + destructive.len(), tools.len());
}

#[tokio::test]
async fn the_server_introduces_itself() {
    let client = Client::new().await;
    let info = client.service.peer_info().unwrap().clone();
    assert_eq!(info.server_info.as_ref().unwrap().name, "crucible");
    let instructions = info.instructions.clone().unwrap();
    for word in ["submit_test_run", "explain_run", "emergency_stop", "never instructions"] {
        assert!(instructions.contains(word), "{word}");
    }
}
