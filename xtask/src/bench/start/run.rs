//! One run from its creation to its end, and where its time went. Everything is read when the run is over, because asking costs the
//! machine that is being measured.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::api::{self, Api, Created, LABEL, RUNS};
use crate::bench::clock::{self, Micros};
use crate::bench::statistics::{number, rounded};
use crate::chart::TESTS_NAMESPACE;

/// How long a run may take beyond its load.
const PATIENCE: Duration = Duration::from_mins(4);
/// From creation to the first look, beyond the load: nothing is asked while a usual run is under way.
const UNDISTURBED: Duration = Duration::from_millis(3500);

/// What is known of a finished run.
pub struct Finished {
    /// When it was asked for
    pub created: Created,
    /// Its status
    pub status: Value,
    /// Named instants of its life, in the order in which they should come
    pub steps: Vec<(&'static str, Micros)>,
    /// Microseconds between the first queries of the first and the last worker, by the one clock that all of them have here
    pub skew: Option<i64>,
    /// The same as the status tells it: the operator compares how late each worker was, because clocks of several machines differ
    pub skew_told: Option<i64>,
    /// How many volumes the kubelet could not mount at first; it tries again after half a second and more
    pub failed_mounts: usize,
}

impl Finished {
    /// Seconds between two instants of the status.
    pub fn instant(&self, name: &str) -> Result<Micros> {
        self.status[name].as_str().and_then(clock::parse).with_context(|| format!("the run's status has no {name}"))
    }

    /// Seconds from creation to the first query.
    pub fn to_first_query(&self) -> Result<f64> {
        Ok(number(self.instant("firstQueryAt")? - self.created.asked) / 1e6)
    }

    /// Seconds from the last query to the terminal phase.
    pub fn to_terminal(&self) -> Result<f64> {
        Ok(number(self.instant("completedAt")? - self.instant("lastQueryAt")?) / 1e6)
    }

    /// Seconds that each step took, counted from the one before.
    pub fn durations(&self) -> Vec<(&'static str, f64)> {
        let before = std::iter::once(self.created.asked).chain(self.steps.iter().map(|(_, at)| *at));
        before.zip(&self.steps).map(|(before, (name, at))| (*name, number(at - before) / 1e6)).collect()
    }

    /// As it stands in the results.
    pub fn to_json(&self) -> Result<Value> {
        let steps: Vec<Value> = self.durations().into_iter().map(|(name, seconds)| json!({"step": name, "seconds": rounded(seconds, 4)})).collect();
        Ok(json!({
            "applyToFirstQuery": rounded(self.to_first_query()?, 4), "endToTerminal": rounded(self.to_terminal()?, 4),
            "startSkewMicros": self.skew, "startSkewToldMicros": self.skew_told,
            "failedMounts": self.failed_mounts, "steps": steps
        }))
    }
}

/// Creates a run of `plan`, waits for its end, reads what happened and removes it.
pub fn measure(api: &Api, name: &str, plan: &str, seconds: u64) -> Result<Finished> {
    let created = api.create(RUNS, &api::run(name, plan))?;
    sleep(Duration::from_secs(seconds) + UNDISTURBED);
    let finished = await_end(api, name, created, seconds)?;
    remove(api, name, &finished.created.uid)?;
    Ok(finished)
}

/// Waits for the end of a run that was created and reads what happened.
pub fn await_end(api: &Api, name: &str, created: Created, seconds: u64) -> Result<Finished> {
    let begun = Instant::now();
    let status = loop {
        let status = api.read(&format!("{RUNS}/{name}"))?["status"].take();
        match status["phase"].as_str() {
            Some("Completed") => break status,
            Some("Failed") => bail!("run {name} failed: {}: {}", status["reason"], status["message"]),
            _ if begun.elapsed() > PATIENCE + Duration::from_secs(seconds) => bail!("run {name} is still {}: {}", status["phase"], status["message"]),
            _ => sleep(Duration::from_millis(500)),
        }
    };
    let selector = format!("crucible.dev/run-uid={}", created.uid);
    let said = stamps(&api.logs(&selector)?);
    let pods = events(api, &selector)?;
    let mut steps = vec![("kubectl: start, connection, POST", created.answered)];
    let transition = |phase: &str| status["transitions"].as_array()?.iter().find(|move_| move_["phase"] == phase)?["at"].as_str().and_then(clock::parse);
    let latest = |what: fn(&Stamps) -> Option<Micros>| said.values().filter_map(what).max();
    let known = [
        ("operator: seen, admitted, plan frozen, lease taken", transition("WaitingRoom")),
        ("Job controller and scheduler: pods bound", pods.bound),
        ("kubelet: sandbox, network, volumes, container; worker begun", latest(|stamps| stamps.begun)),
        ("worker: k6 up, database checked, connections open", latest(|stamps| stamps.ready)),
        ("operator: all heard, instant agreed", transition("Executing")),
        ("barrier: until the agreed instant", status["startAt"].as_str().and_then(clock::parse)),
        ("first query after the agreed instant", status["firstQueryAt"].as_str().and_then(clock::parse)),
    ];
    steps.extend(known.into_iter().filter_map(|(name, at)| Some((name, at?))));
    let first: Vec<Micros> = said.values().filter_map(|stamps| stamps.first_query).collect();
    ensure!(first.len() == said.len(), "only {} of {} workers of run {name} logged their first query", first.len(), said.len());
    let skew = first.iter().max().zip(first.iter().min()).map(|(last, first)| last - first);
    let skew_told = status["workers"]["startSkewMicros"].as_i64();
    Ok(Finished { created, status, steps, skew, skew_told, failed_mounts: pods.failed_mounts })
}

/// Removes a run and waits until its pods are gone, so that the next one finds a quiet machine.
pub fn remove(api: &Api, name: &str, uid: &str) -> Result<()> {
    api.remove("testruns.crucible.dev", &format!("{LABEL}={name}"), &format!("crucible.dev/run-uid={uid}"))?;
    sleep(Duration::from_secs(1));
    Ok(())
}

/// What Kubernetes says of a run's pods.
struct Events {
    /// When the last pod was bound to a node: the scheduler's events carry microseconds, unlike the pods' conditions
    bound: Option<Micros>,
    failed_mounts: usize,
}

fn events(api: &Api, selector: &str) -> Result<Events> {
    let pods = api.pods(selector)?;
    let names: Vec<&str> = pods.iter().filter_map(|pod| pod["metadata"]["name"].as_str()).collect();
    let all = api.read(&format!("/apis/events.k8s.io/v1/namespaces/{TESTS_NAMESPACE}/events"))?;
    let is_ours = |event: &&Value| event["regarding"]["name"].as_str().is_some_and(|name| names.contains(&name));
    let ours: Vec<&Value> = all["items"].as_array().into_iter().flatten().filter(is_ours).collect();
    let of_ours = |reason: &'static str| ours.iter().filter(move |event| event["reason"] == reason);
    let bound = of_ours("Scheduled").filter_map(|event| event["eventTime"].as_str().and_then(clock::parse)).max();
    Ok(Events { bound, failed_mounts: of_ours("FailedMount").count() })
}

#[derive(Debug, Default, PartialEq)]
struct Stamps {
    begun: Option<Micros>,
    ready: Option<Micros>,
    first_query: Option<Micros>,
}

/// The stamps of each worker's log, by pod.
fn stamps(logs: &str) -> BTreeMap<String, Stamps> {
    let mut found: BTreeMap<String, Stamps> = BTreeMap::new();
    for line in logs.lines() {
        let Some((pod, said)) = line.split_once(' ') else { continue };
        let Ok(said) = serde_json::from_str::<Value>(said) else { continue };
        let Some(at) = said["timestamp"].as_str().and_then(clock::parse) else { continue };
        let stamps = found.entry(pod.to_owned()).or_default();
        let fields = &said["fields"];
        match (fields["message"].as_str(), fields["state"].as_str()) {
            (Some("the worker has begun"), _) => {
                // The number is written as text where it is wider than JSON's own.
                let millis = fields["millis"].as_i64().or_else(|| fields["millis"].as_str()?.parse().ok()).unwrap_or_default();
                stamps.begun = Some(at - millis * 1000);
            }
            (Some("the worker went on"), Some("Ready")) => stamps.ready = Some(at),
            (Some("the load has begun"), _) => stamps.first_query = fields["first_query_unix_nanos"].as_i64().map(|nanos| nanos / 1000),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamps_of_each_worker_are_found_among_other_lines() {
        let logs = concat!(
            "[pod/a-0/worker] {\"timestamp\":\"1970-01-01T00:00:01.000000Z\",\"fields\":{\"message\":\"the worker has begun\",\"millis\":\"12\"}}\n",
            "[pod/a-0/worker] not json\n",
            "[pod/a-0/worker] {\"timestamp\":\"1970-01-01T00:00:02.500000Z\",\"fields\":{\"message\":\"the worker went on\",\"state\":\"Ready\"}}\n",
            "[pod/a-1/worker] {\"timestamp\":\"1970-01-01T00:00:03.000001Z\",\"fields\":{\"message\":\"the load has begun\",\"first_query_unix_nanos\":2900001000}}\n",
        );
        let found = stamps(logs);
        assert_eq!(found["[pod/a-0/worker]"], Stamps { begun: Some(988_000), ready: Some(2_500_000), first_query: None });
        assert_eq!(found["[pod/a-1/worker]"], Stamps { begun: None, ready: None, first_query: Some(2_900_001) });
    }
}
