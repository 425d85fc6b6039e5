//! The floor: what Kubernetes alone needs. A bare Job of two pods with the same image runs k6 at once, without operator, barrier or
//! database, and each k6 says when its first iteration began.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::api::{Api, CONFIG_MAPS, Created, JOBS, LABEL};
use crate::bench::statistics::number;
use crate::images::Image;

/// Where the worker image keeps its k6.
const K6: &str = "/usr/local/bin/k6";
const NAME: &str = "bench-floor";
const MARK: &str = "FIRST ITERATION ";
const SCRIPT: &str = "export const options = { vus: 1, iterations: 1 };\nexport default function () { console.log('FIRST ITERATION ' + Date.now()); }\n";
const PATIENCE: Duration = Duration::from_secs(90);

/// Puts the script where the pods find it.
pub fn prepare(api: &Api) -> Result<()> {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "labels": {LABEL: "start"}}, "data": {"floor.js": SCRIPT}});
    api.create(CONFIG_MAPS, &map).map(drop)
}

/// Seconds from creation to the first iteration of the first pod.
pub fn measure(api: &Api, number_of_run: u32) -> Result<f64> {
    let name = format!("{NAME}-{number_of_run}");
    let created = api.create(JOBS, &job(&name))?;
    sleep(Duration::from_secs(3));
    let selector = format!("{LABEL}={name}");
    let begun = Instant::now();
    loop {
        let pods = api.pods(&selector)?;
        let phases: Vec<&str> = pods.iter().filter_map(|pod| pod["status"]["phase"].as_str()).collect();
        if phases.contains(&"Failed") {
            bail!("a pod of Job {name} failed; its log:\n{}", api.logs(&selector)?);
        }
        if phases == ["Succeeded", "Succeeded"] {
            break;
        }
        if begun.elapsed() > PATIENCE {
            bail!("the pods of Job {name} are still {}", phases.join(" and "));
        }
        sleep(Duration::from_millis(500));
    }
    let first = first_iteration(&api.logs(&selector)?).with_context(|| format!("no pod of Job {name} said when it began"))?;
    api.remove("jobs.batch", &selector, &selector)?;
    sleep(Duration::from_secs(1));
    Ok(since(&created, first))
}

/// k6 tells whole milliseconds.
fn since(created: &Created, first_millis: i64) -> f64 {
    number(first_millis * 1000 - created.asked) / 1e6
}

fn first_iteration(logs: &str) -> Option<i64> {
    let stamps = logs.lines().filter_map(|line| line.split_once(MARK)?.1.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok());
    stamps.min()
}

fn job(name: &str) -> Value {
    let labels = json!({LABEL: name});
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "labels": labels},
        "spec": {
            "completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimit": 0,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "restartPolicy": "Never", "automountServiceAccountToken": false, "enableServiceLinks": false,
                    "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [{
                        "name": "k6", "image": Image::Worker.reference(), "imagePullPolicy": "IfNotPresent",
                        "command": [K6, "run", "--quiet", "--no-color", "--no-usage-report", "--summary-mode=disabled", "/script/floor.js"],
                        "env": [{"name": "HOME", "value": "/scratch"}, {"name": "K6_AUTO_EXTENSION_RESOLUTION", "value": "false"}],
                        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
                        "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
                        "volumeMounts": [{"name": "script", "mountPath": "/script", "readOnly": true}, {"name": "scratch", "mountPath": "/scratch"}]
                    }],
                    "volumes": [{"name": "script", "configMap": {"name": NAME}}, {"name": "scratch", "emptyDir": {}}]
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_iteration_is_the_earliest_of_all_pods() {
        let logs = "[pod/b/k6] time=\"x\" level=info msg=\"FIRST ITERATION 2000\" source=console\n[pod/a/k6] msg=\"FIRST ITERATION 1500\"\n";
        assert_eq!(first_iteration(logs), Some(1500));
        assert_eq!(first_iteration("nothing"), None);
    }
}
