//! The table of accepted and refused documents, asked of the real API server.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crucible_e2e::{Story, kubectl::kubectl, run::eventually, tell};
use http::Request;
use serde_json::Value;

use super::table::{self, Case};

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_accepts_and_refuses_what_the_table_says() -> Result<()> {
    tell("api", |story: Story| async move {
        let (mut wrong, mut asked) = (Vec::new(), 0);
        for (file, table) in table::read_all() {
            for case in &table.cases {
                asked += 1;
                let refusal = answer(&story, &table.base, case, asked).await.with_context(|| format!("{file}: {}", case.name))?;
                let expected = case.server_reject();
                let fits = match &refusal {
                    None => expected.is_empty(),
                    Some(text) => !expected.is_empty() && expected.iter().all(|part| text.contains(part.as_str())),
                };
                if !fits {
                    wrong.push(format!("{file}: {}: expected {expected:?}, got {refusal:?}", case.name));
                }
            }
        }
        ensure!(wrong.is_empty(), "{} of {asked} cases:\n{}", wrong.len(), wrong.join("\n"));
        println!("{asked} documents were judged as the table says");
        Ok(())
    })
    .await
}

/// The API server's refusal of a case, where it refuses. Nothing that is only asked about is stored.
async fn answer(story: &Story, base: &Value, case: &Case, number: usize) -> Result<Option<String>> {
    let (before, mut after) = case.documents(base);
    let kind = base["kind"].as_str().context("the base has no kind")?.to_lowercase();
    let collection = format!("/apis/crucible.dev/v1alpha1/namespaces/{}/{kind}s", story.namespace);
    let Some(mut before) = before else {
        place(&mut after, story, None);
        return send(story, "POST", &format!("{collection}?dryRun=All&fieldValidation=Strict"), &after).await.map(Result::err);
    };
    let name = format!("case-{number}");
    place(&mut before, story, Some(&name));
    place(&mut after, story, Some(&name));
    let created = send(story, "POST", &format!("{collection}?fieldValidation=Strict"), &before).await?;
    created.map_err(|refusal| anyhow::anyhow!("the document before is refused: {refusal}"))?;
    let refusal = eventually("nobody writes between a read and the update of what was read", Duration::from_secs(10), || async {
        let now = send(story, "GET", &format!("{collection}/{name}"), &Value::Null).await?.map_err(anyhow::Error::msg)?;
        let mut after = after.clone();
        after["metadata"]["resourceVersion"] = now["metadata"]["resourceVersion"].clone();
        let refusal = send(story, "PUT", &format!("{collection}/{name}?dryRun=All&fieldValidation=Strict"), &after).await?.err();
        // The operator looks at the document, too, and may have written its status.
        Ok(Some(refusal).filter(|refusal| !refusal.as_ref().is_some_and(|text| text.contains("the object has been modified"))))
    })
    .await?;
    kubectl(&["--namespace", &story.namespace, "delete", &kind, &name, "--wait=false"]).await?;
    Ok(refusal)
}

/// Moves a document to the story's namespace.
fn place(document: &mut Value, story: &Story, name: Option<&str>) {
    document["metadata"]["namespace"] = story.namespace.clone().into();
    if let Some(name) = name {
        document["metadata"]["name"] = name.into();
    }
}

async fn send(story: &Story, method: &str, path: &str, document: &Value) -> Result<Result<Value, String>> {
    let body = if document.is_null() { Vec::new() } else { serde_json::to_vec(document)? };
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json").body(body)?;
    match story.client.request::<Value>(request).await {
        Ok(stored) => Ok(Ok(stored)),
        Err(kube::Error::Api(status)) if status.code < 500 => Ok(Err(status.message)),
        Err(error) => Err(error).context("the API server did not answer"),
    }
}
