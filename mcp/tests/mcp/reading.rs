//! Resources and prompts.

use rmcp::{
    ServiceError,
    model::{GetPromptRequestParams, ReadResourceRequestParams, ResourceContents},
};
use serde_json::{Value, json};

use crate::{client::Client, gateway::PASSED};

async fn read(client: &Client, uri: &str) -> Result<String, ServiceError> {
    let result = client.service.read_resource(ReadResourceRequestParams::new(uri)).await?;
    match result.contents.into_iter().next().unwrap() {
        ResourceContents::TextResourceContents { text, .. } => Ok(text),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn everything_that_is_listed_can_be_read() {
    let client = Client::new().await;
    let listed = client.service.list_all_resources().await.unwrap();
    assert!(listed.iter().any(|resource| resource.uri == "crucible://fixtures/registry"));
    assert!(listed.iter().any(|resource| resource.uri == "crucible://telemetry/recent-stats"));
    for resource in listed {
        let text = read(&client, &resource.uri).await.unwrap();
        if resource.mime_type.as_deref() == Some("application/json") {
            serde_json::from_str::<Value>(&text).unwrap();
        }
        assert!(!text.is_empty(), "{}", resource.uri);
    }
}

#[tokio::test]
async fn every_template_leads_to_something() {
    let client = Client::new().await;
    for template in client.service.list_all_resource_templates().await.unwrap() {
        let uri = template.uri_template.replace("{run_id}", PASSED).replace("{name}", "checkout").replace("{workload_id}", "shop%2Dqueries");
        assert!(!read(&client, &uri).await.unwrap().is_empty(), "{uri}");
    }
    assert!(read(&client, &format!("crucible://logs/{PASSED}")).await.unwrap().ends_with("Executing\n"));
    let report: Value = serde_json::from_str(&read(&client, &format!("crucible://reports/{PASSED}")).await.unwrap()).unwrap();
    assert_eq!(report["verdict"], "Passed");
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_refused_before_the_gateway_is_asked() {
    let client = Client::new().await;
    for uri in [
        "crucible://nowhere",
        "crucible://logs/..%2Fplans",
        "crucible://logs/",
        "file:///etc/passwd",
        "crucible://guide/none",
        "",
        &"crucible://logs/x".repeat(999),
    ] {
        let error = read(&client, uri).await.unwrap_err();
        assert!(matches!(&error, ServiceError::McpError(error) if error.message == "there is no such resource"), "{uri}: {error}");
    }
    assert!(client.gateway.asked("GET").is_empty());
    assert!(read(&client, "crucible://logs/unknown-run").await.is_err());
}

#[tokio::test]
async fn prompts_are_ways_of_working_with_the_users_own_words() {
    let client = Client::new().await;
    let names: Vec<String> = client.service.list_all_prompts().await.unwrap().into_iter().map(|prompt| prompt.name).collect();
    assert_eq!(names, ["load_test", "resilience_test", "find_regression"]);
    let arguments = json!({"goal": "Is p99 below 20 ms?"}).as_object().cloned().unwrap();
    let prompt = client.service.get_prompt(GetPromptRequestParams::new("load_test").with_arguments(arguments)).await.unwrap();
    assert!(json!(prompt.messages)[0]["content"]["text"].as_str().unwrap().ends_with("goal: Is p99 below 20 ms?\n"));
    assert!(client.service.get_prompt(GetPromptRequestParams::new("load_test")).await.is_err());
}
