//! What is printed when a run has ended: the verdict with its checks, a table of the queries, where everything lies.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::chart;
use crate::cluster::Cluster;
use crate::{paths, program};

/// Prints the run's end. Where there are no results, only why.
pub fn print(cluster: &Cluster, run: &str, last: &Value) -> Result<()> {
    println!();
    println!("{run}: {} {}", text(last, "/status/phase"), text(last, "/status/verdict/outcome"));
    let message = text(last, "/status/message");
    println!("  {message}");
    for reason in list(last, "/status/verdict/reasons").iter().filter_map(Value::as_str).filter(|reason| !message.contains(reason)) {
        println!("  {reason}");
    }
    let checks: Vec<_> = list(last, "/status/verdict/checks").iter().map(check).collect();
    table(&["check", "limit", "observed", "answer"], &checks);
    let prefix = text(last, "/status/results/prefix").trim_end_matches('/');
    if !prefix.is_empty() {
        let results = read(cluster, &format!("{prefix}/results.json"))?;
        let rows: Vec<_> = list(&results, "/crucible/queries").iter().map(query).collect();
        table(&["query", "answered", "errors", "per second", "p50", "p95", "p99", "max"], &rows);
        println!("\nResults    s3://{}/{prefix}/ (results.json, summary.md, histograms/)", text(last, "/status/results/bucket"));
    }
    println!("\nOn this machine, until cargo xtask cluster down:");
    println!("  kubectl     export KUBECONFIG={}; PATH={}:$PATH", cluster.kubeconfig()?.display(), paths::state()?.join("bin").display());
    for (name, namespace, service, port) in chart::PORTS {
        println!("  127.0.0.1:{port}  {name}, service {namespace}/{service}");
    }
    println!("  Credentials are in the Secrets crucible/crucible-s3, sut/mariadb and crucible/postgres.");
    Ok(())
}

/// Reads a JSON object of the bucket with the program that the tests read it with.
fn read(cluster: &Cluster, key: &str) -> Result<Value> {
    let mut vault = program::command(paths::target().join("debug/vault"));
    let said = program::output(vault.envs(chart::bucket_environment(cluster)?).arg(key))?;
    serde_json::from_str(&said).with_context(|| format!("object {key} is not JSON"))
}

fn check(check: &Value) -> Vec<String> {
    let is = |pointer: &str| check.pointer(pointer).and_then(Value::as_bool).unwrap_or_default();
    let answer = match (is("/decided"), is("/held")) {
        (false, _) => "undecided",
        (true, true) => "held",
        (true, false) => "BROKEN",
    };
    ["/name", "/limit", "/observed"].map(|pointer| text(check, pointer).to_string()).into_iter().chain([answer.to_string()]).collect()
}

fn query(row: &Value) -> Vec<String> {
    let count = |pointer: &str| row.pointer(pointer).and_then(Value::as_u64).unwrap_or_default().to_string();
    let rate = row.pointer("/throughput").and_then(Value::as_f64).unwrap_or_default();
    let latency = |pointer: &str| row.pointer(pointer).and_then(Value::as_f64).map_or_else(|| "-".to_string(), millis);
    let mut cells = vec![text(row, "/query").to_string(), count("/ok"), count("/errors"), format!("{rate:.0}")];
    cells.extend(["/latencyMicros/p50", "/latencyMicros/p95", "/latencyMicros/p99", "/latencyMicros/max"].map(latency));
    cells
}

fn millis(micros: f64) -> String {
    format!("{:.2} ms", micros / 1000.0)
}

/// Columns as wide as they need to be; the first to the left, the others to the right.
fn table(head: &[&str], rows: &[Vec<String>]) {
    if rows.is_empty() {
        return;
    }
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let lines: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default();
    println!();
    for line in &lines {
        let cells = line.iter().enumerate().map(|(column, cell)| {
            let width = width(column);
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        println!("  {}", cells.collect::<Vec<_>>().join("  "));
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_query_without_an_answer_has_no_latency() {
        let row = query(&json!({"query": "Lost", "ok": 0, "errors": 3, "throughput": 0.0, "latencyMicros": null}));
        assert_eq!(row, ["Lost", "0", "3", "0", "-", "-", "-", "-"]);
    }

    #[test]
    fn a_check_that_could_not_be_judged_is_undecided() {
        let row = check(&json!({"name": "p99", "limit": "< 1ms", "observed": "no data", "held": false, "decided": false}));
        assert_eq!(row, ["p99", "< 1ms", "no data", "undecided"]);
    }
}
