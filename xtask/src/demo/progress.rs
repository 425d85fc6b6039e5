//! A run on the terminal while it goes on: one line that is written again and again, or a line for each change where nobody watches.

use std::io::{BufReader, IsTerminal, Write, stderr};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::{Deserializer, Value};

use crate::chart::TESTS_NAMESPACE;
use crate::cluster::Cluster;

const PAUSE: Duration = Duration::from_millis(500);

/// Shows the run until it has ended and answers its last state.
pub fn follow(cluster: &Cluster, run: &str) -> Result<Value> {
    let mut screen = Screen { terminal: stderr().is_terminal(), last: String::new() };
    loop {
        // The API server ends a watch every few minutes; another one goes on from there.
        if let Some(ended) = watch(cluster, run, &mut screen)? {
            screen.close();
            return Ok(ended);
        }
        std::thread::sleep(PAUSE);
    }
}

fn watch(cluster: &Cluster, run: &str, screen: &mut Screen) -> Result<Option<Value>> {
    let mut kubectl = cluster.kubectl_command()?;
    kubectl.args(["--namespace", TESTS_NAMESPACE, "get", "testrun", run, "--watch", "--output=json"]);
    let mut child = kubectl.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("failed to start kubectl")?;
    let output = child.stdout.take().context("failed to read from kubectl")?;
    let mut ended = None;
    for object in Deserializer::from_reader(BufReader::new(output)).into_iter::<Value>() {
        let Ok(object) = object else { break };
        screen.show(&line(&object, Timestamp::now()));
        if matches!(text(&object, "/status/phase"), "Completed" | "Failed") {
            ended = Some(object);
            break;
        }
    }
    // It may have ended by itself.
    let _ = child.kill();
    child.wait().context("failed to wait for kubectl")?;
    Ok(ended)
}

/// The run in one line.
fn line(run: &Value, now: Timestamp) -> String {
    let phase = match text(run, "/status/phase") {
        "" => "Pending",
        phase => phase,
    };
    let mut words = vec![format!("{phase:<12}")];
    match phase {
        "Queued" => words.extend(Some(text(run, "/status/queue/blockedBy")).filter(|by| !by.is_empty()).map(|by| format!("behind {by}"))),
        "WaitingRoom" => words.extend(Some(text(run, "/status/workers/summary")).filter(|of| !of.is_empty()).map(|of| format!("workers ready {of}"))),
        "Executing" => {
            words.push(format!("{:>4} {}", text(run, "/status/progress"), text(run, "/status/stage")));
            if let Some(live) = run.pointer("/status/live").filter(|live| !text(live, "/queriesPerSecond").is_empty()) {
                words.push(format!("{:>8} queries/s", text(live, "/queriesPerSecond")));
                words.push(format!("p95 {}", text(live, "/p95")));
                words.push(format!("errors {}", text(live, "/errorRate")));
            }
            words.extend(left(text(run, "/status/endsAt"), now));
        }
        _ => words.extend(Some(text(run, "/status/reason")).filter(|reason| !reason.is_empty()).map(str::to_owned)),
    }
    words.join("  ").trim_end().to_string()
}

/// How long the load still lasts.
fn left(ends_at: &str, now: Timestamp) -> Option<String> {
    let seconds = ends_at.parse::<Timestamp>().ok()?.duration_since(now).as_secs();
    (seconds > 0).then(|| format!("{seconds} s left"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

struct Screen {
    terminal: bool,
    last: String,
}

impl Screen {
    fn show(&mut self, line: &str) {
        if line == self.last {
            return;
        }
        if self.terminal {
            eprint!("\r\x1b[2K    {line}");
            // A terminal that has gone away has nobody to tell.
            let _ = stderr().flush();
        } else {
            eprintln!("    {line}");
        }
        line.clone_into(&mut self.last);
    }

    fn close(&self) {
        if self.terminal {
            eprintln!();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn noon() -> Timestamp {
        "2026-01-02T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_run_under_load_says_how_far_how_fast_and_how_long() {
        let run = json!({"status": {
            "phase": "Executing", "progress": "42%", "stage": "steady", "endsAt": "2026-01-02T12:00:14.500000Z",
            "live": {"queriesPerSecond": "5120", "p95": "3.1ms", "errorRate": "0"},
        }});
        assert_eq!(line(&run, noon()), "Executing      42% steady      5120 queries/s  p95 3.1ms  errors 0  14 s left");
    }

    #[test]
    fn a_queued_run_says_what_it_waits_for() {
        let run = json!({"status": {"phase": "Queued", "queue": {"ahead": 1, "blockedBy": "shop-tests/demo-a"}}});
        assert_eq!(line(&run, noon()), "Queued        behind shop-tests/demo-a");
    }

    #[test]
    fn a_run_that_nobody_has_seen_yet_is_pending() {
        assert_eq!(line(&json!({}), noon()), "Pending");
    }
}
