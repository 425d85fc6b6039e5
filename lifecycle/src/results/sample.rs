//! A frozen plan and log lines for the tests of merging, judging and writing.

use serde_json::{Value, json};

use crate::{
    contract::FrozenPlan,
    histogram::Histogram,
    results::{Merger, Summary},
};

/// Two workers; a warm-up of 2 s and two measured stages of 3 s and 5 s; two queries. `fields` stand in for those of the spec.
#[expect(clippy::needless_pass_by_value, reason = "tests hand in a literal")]
pub(crate) fn plan(fields: Value) -> FrozenPlan {
    let mut spec = json!({
        "target": {"engine": "mysql", "endpoint": "mariadb.sut.svc:3306", "database": "shop", "credentialsRef": {"name": "shop-credentials"}},
        "workload": {"source": {"inline": "-- as resolved below"}},
        "load": {"workers": 2, "stages": [
            {"name": "warmup", "duration": "2s", "vus": 4, "measured": false}, {"name": "steady", "duration": "3s", "vus": 8}, {"name": "peak", "duration": "5s", "vus": 16, "ramp": true},
        ]},
        "validity": {"minQueries": 10},
    });
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "protocol": 1,
        "run": {"namespace": "team-a", "name": "nightly-7", "uid": "6f2c9a52", "id": "checkout_20260307-2359_5b54ae4d"},
        "planName": "checkout", "planGeneration": 3, "digest": "d1".repeat(32), "spec": spec,
        "queries": [{"name": "PointLookup", "sql": "SELECT ?", "weight": 3}, {"name": "CountAll", "sql": "SELECT 1", "weight": 1}],
    }))
    .unwrap()
}

/// The same plan in the open model: 1 arrival per second in the warm-up, then 100, then up to 200.
pub(crate) fn open_plan(mut fields: Value) -> FrozenPlan {
    fields["load"] = json!({"workers": 2, "model": "open", "maxVus": 16, "stages": [
        {"name": "warmup", "duration": "2s", "rate": 1, "measured": false}, {"name": "steady", "duration": "3s", "rate": 100}, {"name": "peak", "duration": "5s", "rate": 200, "ramp": true},
    ]});
    plan(fields)
}

/// A line of a worker's log about arrivals: due, sent, late, behind and begun.
pub(crate) fn arrivals(stage: &str, second: u64, [due, sent, late, behind, begun]: [u64; 5]) -> String {
    format!("#[Arrivals: second={second} stage={stage} due={due} sent={sent} late={late} behind={behind} begun={begun}]\n")
}

/// A line of a worker's log: `tag` is `query|stage|outcome`.
pub(crate) fn line(tag: &str, second: u64, latencies: &[u64]) -> String {
    let histogram: Histogram = latencies.iter().copied().collect();
    format!("Tag={tag},{second}.000,1.000,0.000,{}\n", histogram.encode())
}

/// Merges whole logs, reading each worker when it is wanted.
pub(crate) fn merge(plan: &FrozenPlan, logs: &[Vec<String>], ended_early: bool) -> Summary {
    drain(Merger::new(plan, u32::try_from(logs.len()).unwrap()), logs, ended_early)
}

/// The same, with a merger that is told more.
pub(crate) fn drain(mut merger: Merger<'_>, logs: &[Vec<String>], ended_early: bool) -> Summary {
    let mut next = vec![0; logs.len()];
    while let Some(worker) = merger.wants() {
        let at = worker as usize;
        match logs[at].get(next[at]) {
            Some(line) => merger.push(worker, line).unwrap(),
            None => merger.end(worker),
        }
        next[at] += 1;
    }
    merger.finish(ended_early)
}
