//! A fault of a machine outside the cluster: the real controllers speak to a stub of chaosd, which tells what it was asked.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use crucible_crds::{Outcome, fault::FaultPhase};
use crucible_e2e::{Story, chaos, kubectl::kubectl, tell};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What chaosd was asked: method, path and body.
type Asked = Arc<Mutex<Vec<(String, String, String)>>>;

/// Serves on the address of the node, where pods reach it, and answers its address.
async fn serve(asked: Asked) -> Result<String> {
    let node = kubectl(&["get", "nodes", r#"--output=jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}"#]).await?;
    let listener = TcpListener::bind(format!("{node}:0")).await.with_context(|| format!("failed to listen on {node}"))?;
    let address = listener.local_addr().context("the listener has no address")?.to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, asked.clone()));
        }
    });
    Ok(address)
}

async fn answer(stream: TcpStream, asked: Asked) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    stream.read_line(&mut first).await?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let mut words = first.split_whitespace().map(str::to_owned);
    let request = (words.next().unwrap_or_default(), words.next().unwrap_or_default(), String::from_utf8_lossy(&body).into_owned());
    asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(request);
    let body = r#"{"status":200,"message":"attack successfully"}"#;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_outside_the_cluster_is_hit_and_healed_by_its_chaosd() -> Result<()> {
    tell("fault-machine", |story: Story| async move {
        chaos::ready().await?;
        let asked = Asked::default();
        let address = serve(asked.clone()).await?;
        kubectl(&["label", "namespace", &story.namespace, "crucible.dev/chaos=allowed"]).await?;
        let cut = json!({"device": "eth0", "ipAddress": "192.0.2.1", "direction": "to"});
        let fault = json!({
            "name": "cut", "start": {"stage": "steady", "after": "2s"}, "duration": "4s", "target": {"mode": "all", "machines": {"addresses": [address]}},
            "chaos": {"physicalMachineChaos": {"networkPartition": cut}},
        });
        story.plan_with("machine", &[("steady", 12, 8, true)], |plan| plan["spec"]["faults"] = json!([fault])).await?;
        let status = story.run("nightly", "machine").await?.completes(Outcome::Passed, Duration::from_mins(2)).await?;
        let told = &status.faults[0];
        ensure!(told.confirmed && told.phase == FaultPhase::Healed, "the status says {told:?}");
        let asked = asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let [(attack, path, body), (heal, healed, _)] = &asked[..] else { anyhow::bail!("chaosd was asked {asked:?}") };
        ensure!(attack == "POST" && path == "/api/attack/network" && heal == "DELETE", "chaosd was asked {asked:?}");
        let body: Value = serde_json::from_str(body).context("chaosd was sent no JSON")?;
        ensure!(body["ip-address"] == "192.0.2.1" && body["action"] == "partition", "chaosd was sent {body}");
        ensure!(body["uid"].as_str().is_some_and(|uid| healed.ends_with(uid)), "chaosd was told to heal {healed}");
        chaos::leaves_nothing().await
    })
    .await
}
