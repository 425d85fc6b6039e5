//! Writes sample reports into a directory, to be looked at: `cargo run -p crucible-lifecycle --example reports -- DIR`.
//! They are made of simulated loads by the same code that writes those of real runs.

#![expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a simulation rounds as it likes")]

use std::{collections::BTreeMap, env::args, error::Error, fs, path::Path};

use crucible_crds::{Outcome, test_run::EndedEarly};
use crucible_lifecycle::{
    comparison::{Candidate, Comparison, Fingerprint, Found, Past, Trend, compare, compare_arms},
    contract::{FrozenArm, FrozenPlan},
    histogram::{
        Histogram,
        arrivals::{ArrivalCounts, Arrivals},
    },
    load::{
        level_at,
        rounds::{carried_out, rounds},
    },
    plan::target_of_arm,
    results::{
        Facts, FaultFact, Merger, Report, SampleGroup, Summary, group_samples,
        observability::{Series, SourceReading},
        windows,
    },
    statistics::generator::Generator,
    verdict::judge,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let directory = args().nth(1).unwrap_or_else(|| "target/reports".to_owned());
    let directory = Path::new(&directory);
    fs::create_dir_all(directory)?;
    write(directory, "passed", &passed()?)?;
    write(directory, "failed", &failed()?)?;
    write(directory, "invalid", &invalid()?)?;
    write(directory, "aborted", &aborted()?)?;
    write(directory, "chaos", &chaos()?)?;
    write(directory, "comparison", &slower()?)?;
    write(directory, "open", &open()?)?;
    write(directory, "arms", &arms()?)?;
    Ok(())
}

/// A run that was simulated, with everything that its report is written from.
struct Sample {
    plan: FrozenPlan,
    summary: Summary,
    facts: Facts,
    samples: Vec<SampleGroup>,
    sources: Vec<SourceReading>,
    comparison: Option<Comparison>,
    trend: Option<Trend>,
}

fn write(directory: &Path, name: &str, sample: &Sample) -> Result<(), Failure> {
    let Sample { plan, summary, facts, samples, sources, comparison, trend } = sample;
    let verdict = judge(plan, summary, facts, sources, comparison.as_ref());
    let collected_at = "2026-03-08T00:03:30Z".parse()?;
    let (comparison, trend) = (comparison.as_ref(), trend.as_ref());
    let report = Report { plan, summary, verdict: &verdict, facts, samples, sources, comparison, trend, collected_at };
    fs::write(directory.join(format!("{name}.html")), report.to_html())?;
    fs::write(directory.join(format!("{name}.json")), report.to_json().to_string())?;
    fs::write(directory.join(format!("{name}.xml")), report.to_junit())?;
    fs::write(directory.join(format!("{name}.md")), report.to_markdown())?;
    Ok(())
}

fn plan(fields: &Value) -> Result<FrozenPlan, Failure> {
    let mut spec = json!({
        "target": {"engine": "mysql", "endpoint": "mariadb.sut.svc:3306", "database": "shop", "credentialsRef": {"name": "shop-credentials"}},
        "workload": {"source": {"inline": "-- as resolved below"}},
        "load": {"workers": 2, "stages": [
            {"name": "warmup", "duration": "20s", "vus": 8, "measured": false},
            {"name": "steady", "duration": "100s", "vus": 32, "ramp": false},
            {"name": "peak", "duration": "60s", "vus": 64, "ramp": true},
        ]},
        "slos": [{"metric": "p99", "below": "60ms"}, {"metric": "p95", "query": "PointLookup", "below": "10ms"}, {"metric": "errorRate", "atMost": 0.001}, {"metric": "throughput", "atLeast": 500.0}],
        "validity": {"maxWorkerCpu": 0.9, "maxStartSkew": "20ms", "maxImbalance": 0.2, "maxSilence": 0.05},
    });
    if let (Some(spec), Some(fields)) = (spec.as_object_mut(), fields.as_object()) {
        spec.extend(fields.clone());
    }
    Ok(serde_json::from_value(json!({
        "protocol": 1,
        "run": {"namespace": "shop-tests", "name": "checkout-x7k2p", "uid": "7d1f6a52-0000-4000-8000-00000000000a", "id": "checkout_20260308-0000_5b54ae4d", "label": "nightly"},
        "planName": "checkout", "planGeneration": 3, "digest": "9f".repeat(32), "spec": spec,
        "queries": [
            {"name": "PointLookup", "sql": "SELECT total FROM orders WHERE id = ?", "weight": 9, "bindings": [{"kind": "intRange", "name": "id", "min": 1, "max": 100_000}]},
            {"name": "TopSellers", "sql": "SELECT product, SUM(total)\nFROM orders\nWHERE city = ?\nGROUP BY product\nORDER BY 2 DESC\nLIMIT 10", "weight": 1},
            {"name": "UpdateStock", "sql": "UPDATE stock SET left = left - 1 WHERE product = ?", "weight": 2},
        ],
    }))?)
}

/// What the simulated system does in one second.
#[derive(Clone, Copy)]
struct Second {
    /// By how much latencies are larger than usual.
    slower: f64,
    /// The share of queries that end in an error, and its class.
    failing: (f64, &'static str),
    /// The share of the usual queries that are sent at all.
    sent: f64,
}

const CALM: Second = Second { slower: 1.0, failing: (0.0, "timeout"), sent: 1.0 };

/// Name, queries per second of one worker, median latency in microseconds, spread.
const QUERIES: [(&str, f64, f64, f64); 3] =
    [("PointLookup", 900.0, 2_400.0, 0.42), ("TopSellers", 100.0, 16_000.0, 0.35), ("UpdateStock", 200.0, 5_200.0, 0.5)];

/// Simulates a load second by second and merges what its workers would have written.
fn simulate(plan: &FrozenPlan, seed: &str, workers: &[f64], seconds: u64, system: impl Fn(u64, &str) -> Second) -> Result<Summary, Failure> {
    simulate_with(plan, seed, workers, seconds, &Facts::default(), system)
}

/// The same, with the times of faults counted by themselves.
fn simulate_with(
    plan: &FrozenPlan,
    seed: &str,
    workers: &[f64],
    seconds: u64,
    facts: &Facts,
    system: impl Fn(u64, &str) -> Second,
) -> Result<Summary, Failure> {
    let planned: u64 = plan.spec.load.stages.iter().map(|stage| stage.duration.span().as_secs()).sum();
    let mut logs = Vec::new();
    for (worker, share) in workers.iter().enumerate() {
        let mut generator = Generator::seeded(&format!("{seed} {worker}"));
        let mut log = Vec::new();
        for second in 0..seconds {
            for (name, per_second, median, spread) in QUERIES {
                let now = system(second, name);
                let (stage, load) = if let Some(stage) = stage_of_rounds(plan, second) {
                    (stage, 1.0)
                } else if second < 20 {
                    ("warmup", 0.4)
                } else if second < 120 {
                    ("steady", 1.0)
                } else {
                    ("peak", 1.0 + (second - 120) as f64 / 100.0)
                };
                let cold = if second < 12 && !stage.contains('#') { 1.0 + 0.15 * (12 - second) as f64 } else { 1.0 };
                let count = (per_second * load.sqrt() * share * now.sent * (1.0 + 0.04 * bell(&mut generator))).max(0.0);
                let failed = (count * now.failing.0) as u64;
                let level = median * cold * now.slower * load.powf(0.6) * (0.03 * bell(&mut generator)).exp();
                let answered: Histogram = (0..(count as u64 - failed)).map(|_| latency(&mut generator, level, spread)).collect();
                let lost: Histogram = (0..failed).map(|_| if now.failing.1 == "timeout" { 30_000_000 } else { 900 }).collect();
                for (class, histogram) in [("ok", answered), (now.failing.1, lost)].into_iter().filter(|(_, histogram)| !histogram.is_empty()) {
                    log.push(format!("Tag={name}|{stage}|{class},{second}.000,1.000,0.000,{}\n", histogram.encode()));
                }
            }
        }
        logs.push(log.into_iter());
    }
    let mut merger = Merger::new(plan, u32::try_from(logs.len())?).with_windows(windows(&facts.faults, planned));
    while let Some(worker) = merger.wants() {
        match logs.get_mut(worker as usize).and_then(Iterator::next) {
            Some(line) => merger.push(worker, &line)?,
            None => merger.end(worker),
        }
    }
    Ok(merger.finish(seconds < planned))
}

/// The stage of a second in a load of several rounds; nothing in any other load.
fn stage_of_rounds(plan: &FrozenPlan, second: u64) -> Option<&str> {
    if rounds(&plan.spec).is_empty() {
        return None;
    }
    let mut begun = 0;
    let stage = plan.spec.load.stages.iter().find(|stage| {
        begun += stage.duration.span().as_secs();
        second < begun
    });
    stage.map(|stage| &*stage.name.0)
}

/// One latency: log-normal, with one in two hundred that had to wait for something.
fn latency(generator: &mut Generator, level: f64, spread: f64) -> u64 {
    let waited = if generator.below(200) == 0 { 3.5 } else { 1.0 };
    (level * waited * (spread * bell(generator)).exp()) as u64
}

/// About a standard normal number: the sum of twelve even ones, less six.
fn bell(generator: &mut Generator) -> f64 {
    (0..12).map(|_| (generator.bits() >> 11) as f64 / (1_u64 << 53) as f64).sum::<f64>() - 6.0
}

fn facts(version: &str) -> Result<Facts, Failure> {
    Ok(Facts {
        expected_workers: 2,
        merged_workers: 2,
        start_skew_micros: Some(2_140),
        worker_cpu_share: Some(0.43),
        throttled_share: Some(0.0),
        garbage_collection_share: Some(0.02),
        late_start_micros: Some(1_900),
        clock_offset_millis: Some(-3),
        server_version: Some(version.to_owned()),
        server_started_at: Some("2026-03-01T09:12:44Z".parse()?),
        started_at: Some("2026-03-08T00:00:10Z".parse()?),
        ended_early: None,
        without_raw_samples: vec![],
        faults: vec![],
        invariants: vec![],
        fixtures: Vec::new(),
    })
}

fn passed() -> Result<Sample, Failure> {
    let plan = plan(&json!({}))?;
    let summary = simulate(&plan, "passed", &[1.0, 1.0], 180, |_, _| CALM)?;
    Ok(Sample { plan, summary, facts: facts("11.4.2-MariaDB")?, samples: vec![], sources: vec![], comparison: None, trend: None })
}

/// A database that stalls for eight seconds and then refuses connections for four.
fn failed() -> Result<Sample, Failure> {
    let plan = plan(&json!({}))?;
    let system = |second, _: &str| match second {
        70..78 => Second { slower: 18.0, failing: (0.04, "timeout"), sent: 0.12 },
        78..82 => Second { slower: 2.0, failing: (0.6, "connection"), sent: 0.5 },
        82..90 => Second { slower: 1.6, ..CALM },
        _ => CALM,
    };
    let summary = simulate(&plan, "failed", &[1.0, 0.97], 180, system)?;
    let errors = br#"{"worker":1,"samples":[
        {"second":78,"query":"PointLookup","class":"connection","code":"2003","message":"dial tcp 10.42.0.17:3306: connect: connection refused","count":2613},
        {"second":78,"query":"UpdateStock","class":"connection","code":"2003","message":"dial tcp 10.42.0.17:3306: connect: connection refused","count":581},
        {"second":74,"query":"TopSellers","class":"timeout","code":"3024","message":"Query execution was interrupted, maximum statement execution time exceeded <script>alert(1)</script>","count":4}]}"#;
    let facts = facts("11.4.2-MariaDB")?;
    Ok(Sample { plan, summary, samples: group_samples([&errors[..]])?, sources: vec![metrics(&facts)?], facts, comparison: None, trend: None })
}

/// What a Prometheus server would have said about the database that stalls.
fn metrics(facts: &Facts) -> Result<SourceReading, Failure> {
    let began = facts.started_at.ok_or("the load has no beginning")?.as_second();
    let series = |metric: &str, query: &str, pod: Option<&str>, value: &dyn Fn(i64) -> f64| Series {
        metric: metric.to_owned(),
        query: query.to_owned(),
        labels: pod.map(|pod| ("pod".to_owned(), pod.to_owned())).into_iter().collect(),
        values: (0..=36).map(|step| ((began + step * 5).into(), format!("{:.3}", value(step * 5)))).collect(),
    };
    let stalled = |at: i64| (70..82).contains(&at);
    let cpu = "sum by (pod) (rate(container_cpu_usage_seconds_total{namespace=\"sut\"}[15s]))";
    Ok(SourceReading {
        name: "engine".to_owned(),
        url: "http://prometheus.monitoring.svc:9090".to_owned(),
        series: vec![
            series("cpu", cpu, Some("mariadb-0"), &|at| if stalled(at) { 0.12 } else { 1.7 + 0.1 * (at as f64 / 9.0).sin() }),
            series("cpu", cpu, Some("mariadb-1"), &|at| if stalled(at) { 0.08 } else { 0.6 + 0.05 * (at as f64 / 7.0).cos() }),
            series("threads running", "mysql_global_status_threads_running", None, &|at| if stalled(at) { 61.0 } else { 9.0 + (at % 4) as f64 }),
        ],
        problems: vec!["Metric \"buffer pool\" of Prometheus source \"engine\" was answered with status 422.".to_owned()],
    })
}

/// A primary that is killed and comes back, with a slow network before; it takes too long to be itself again.
fn chaos() -> Result<Sample, Failure> {
    let slos = json!([{"metric": "p99", "below": "400ms"}, {"metric": "recoveryTime", "fault": "kill-primary", "below": "10s"}, {"metric": "longestGap", "fault": "kill-primary", "below": "15s"}]);
    let plan = plan(&json!({"slos": slos, "faults": [
        {"name": "slow-network", "start": {"stage": "steady", "after": "15s"}, "duration": "10s",
            "target": {"pods": {"namespaces": ["sut"], "labelSelectors": {"app": "mariadb"}}}, "chaos": {"networkChaos": {"action": "bandwidth", "bandwidth": {"rate": "1mbps", "limit": 20_971_520, "buffer": 10_000}}}},
        {"name": "kill-primary", "start": {"stage": "steady", "after": "50s"}, "duration": "10s",
            "target": {"pods": {"namespaces": ["sut"], "labelSelectors": {"app": "mariadb"}}}, "chaos": {"podChaos": {"action": "pod-kill"}}},
    ]}))?;
    let system = |second, _: &str| match second {
        35..45 => Second { slower: 4.0, sent: 0.3, ..CALM },
        70..77 => Second { slower: 1.0, failing: (1.0, "connection"), sent: 0.3 },
        77..92 => Second { slower: 3.0 - (second - 77) as f64 / 8.0, sent: 0.7, ..CALM },
        _ => CALM,
    };
    let fault = |name: &str, kind: &str, from: f64, to: f64| FaultFact {
        name: name.to_owned(),
        kind: kind.to_owned(),
        confirmed: true,
        targets: 1,
        from: Some(from),
        to: Some(to),
        message: None,
    };
    let faults = vec![fault("slow-network", "NetworkChaos", 35.2, 45.1), fault("kill-primary", "PodChaos", 70.3, 70.3)];
    let facts = Facts { faults, ..facts("11.4.2-MariaDB")? };
    let summary = simulate_with(&plan, "chaos", &[1.0, 1.0], 180, &facts, system)?;
    let errors = br#"{"worker":0,"samples":[
        {"second":70,"query":"PointLookup","class":"connection","code":"2003","message":"dial tcp 10.42.0.17:3306: connect: connection refused","count":3780}]}"#;
    Ok(Sample { plan, summary, facts, samples: group_samples([&errors[..]])?, sources: vec![], comparison: None, trend: None })
}

/// Two versions in turns, of which the second answers one of three queries a fifth slower, on a day on which everything gets slower.
fn arms() -> Result<Sample, Failure> {
    let mut plan = plan(&json!({
        "load": {"workers": 2, "repeat": 4, "stages": [
            {"name": "settle", "duration": "5s", "vus": 16, "measured": false},
            {"name": "steady", "duration": "20s", "vus": 16},
        ]},
        "compare": {"maxSlowdown": 0.05, "arms": [{"name": "now"}, {"name": "next", "endpoint": "mariadb-next.sut.svc:3306"}]},
    }))?;
    let ask = plan.spec.compare.clone().ok_or("the plan asks for nothing")?;
    let bindings: Vec<_> = plan.queries.iter().map(|query| query.bindings.clone()).collect();
    plan.arms = ask
        .arms
        .iter()
        .flatten()
        .map(|arm| FrozenArm { name: arm.name.clone(), target: target_of_arm(&plan.spec.target, arm), bindings: bindings.clone() })
        .collect();
    plan.spec = carried_out(&plan.spec);
    let system = |second: u64, query: &str| {
        let is_next = rounds(&plan.spec).get((second / 25) as usize).is_some_and(|round| round.arm == Some(1));
        let factor = if is_next && query == "TopSellers" { 1.2 } else { 1.0 };
        Second { slower: factor * (1.0 + second as f64 / 2_000.0), ..CALM }
    };
    let summary = simulate(&plan, "arms", &[1.0, 1.0], 200, system)?;
    let facts = facts("11.4.2-MariaDB (now), 11.8.1-MariaDB (next)")?;
    let comparison = compare_arms(&ask, &plan, &summary.series, &summary.rounds);
    Ok(Sample { plan, summary, facts, samples: vec![], sources: vec![], comparison, trend: None })
}

fn invalid() -> Result<Sample, Failure> {
    let plan = plan(&json!({}))?;
    let summary = simulate(&plan, "invalid", &[1.0, 0.58], 180, |second, _| Second { slower: 1.0 + 0.4 * f64::from(u8::from(second % 17 < 3)), ..CALM })?;
    let facts = Facts { worker_cpu_share: Some(0.98), start_skew_micros: Some(41_300), ..facts("11.4.2-MariaDB")? };
    Ok(Sample { plan, summary, facts, samples: vec![], sources: vec![], comparison: None, trend: None })
}

/// Queries that go on arriving while the system stalls for three seconds, at 24 virtual users.
fn open() -> Result<Sample, Failure> {
    let plan = plan(&json!({"load": {"workers": 2, "model": "open", "maxVus": 24, "stages": [
        {"name": "warmup", "duration": "20s", "rate": 400, "ramp": true, "measured": false},
        {"name": "steady", "duration": "40s", "rate": 400},
        {"name": "peak", "duration": "20s", "rate": 700, "ramp": true},
    ]}}))?;
    let mut generator = Generator::seeded("open");
    let mut free = [0.0_f64; 24];
    let mut seconds: BTreeMap<u64, OpenSecond> = BTreeMap::new();
    let mut due = 0.0_f64;
    while due < 80.0 {
        let level = level_at(&plan.spec.load.stages, due).unwrap_or(1.0).max(1.0);
        let stage = ["warmup", "steady", "peak"][if due < 20.0 { 0 } else { 1 + usize::from(due >= 60.0) }];
        let next = (0..free.len()).min_by(|one, other| free[*one].total_cmp(&free[*other])).unwrap_or(0);
        let begin = due.max(free[next]);
        let mut took = latency(&mut generator, 18_000.0, 0.4) as f64 / 1e6;
        if (45.0..48.0).contains(&begin) {
            took += 48.0 - begin;
        }
        let (late, end) = (free[next] > due, begin + took);
        free[next] = end;
        seconds.entry(due as u64).or_default().counts.entry(stage).or_default().due += 1;
        if begin < 80.0 {
            let counts = seconds.entry(begin as u64).or_default().counts.entry(stage).or_default();
            *counts = ArrivalCounts { sent: counts.sent + 1, late: counts.late + u64::from(late), begun: counts.begun + 1, ..*counts };
            let (response, service) = seconds.entry(end as u64).or_default().times.entry(stage).or_default();
            response.record(((end - due) * 1e6) as u64);
            service.record((took * 1e6) as u64);
        }
        due += 1.0 / level;
    }
    let mut merger = Merger::new(&plan, 1);
    for (second, OpenSecond { counts, times }) in seconds {
        for (stage, (response, service)) in times {
            merger.push(0, &format!("Tag=PointLookup|{stage}|ok,{second}.000,1.000,0.000,{}\n", response.encode()))?;
            merger.push(0, &format!("Tag=PointLookup|{stage}|ok|service,{second}.000,1.000,0.000,{}\n", service.encode()))?;
        }
        for (stage, counts) in counts {
            merger.push(0, &Arrivals { second, stage: stage.to_owned(), counts }.to_line())?;
        }
    }
    merger.end(0);
    let facts = Facts { expected_workers: 1, merged_workers: 1, ..facts("11.4.2-MariaDB")? };
    let summary = merger.finish(false);
    Ok(Sample { plan, summary, facts, samples: vec![], sources: vec![], comparison: None, trend: None })
}

/// One second of the open model: arrivals, and response and service times, by stage.
#[derive(Default)]
struct OpenSecond {
    counts: BTreeMap<&'static str, ArrivalCounts>,
    times: BTreeMap<&'static str, (Histogram, Histogram)>,
}

fn aborted() -> Result<Sample, Failure> {
    let plan = plan(&json!({"abort": [{"metric": "errorRate", "above": 0.5}]}))?;
    let system = |second, _: &str| if second < 60 { CALM } else { Second { slower: 1.2, failing: (0.72, "overload"), sent: 0.7 } };
    let summary = simulate(&plan, "aborted", &[1.0, 1.0], 74, system)?;
    let ended = EndedEarly { reason: "AbortRuleFired".into(), message: "The error rate was 0.614 over 10 s, above 0.500".into() };
    let errors =
        br#"{"worker":0,"samples":[{"second":60,"query":"PointLookup","class":"overload","code":"1040","message":"Too many connections","count":5120}]}"#;
    let facts = Facts { ended_early: Some(ended), ..facts("11.4.2-MariaDB")? };
    Ok(Sample { plan, summary, facts, samples: group_samples([&errors[..]])?, sources: vec![], comparison: None, trend: None })
}

/// A new version that answers one of three queries a fifth slower, after some weeks of runs.
fn slower() -> Result<Sample, Failure> {
    let plan = plan(&json!({"compare": {"maxSlowdown": 0.05}}))?;
    let system = |factor: f64| {
        move |second: u64, query: &str| {
            let factor = if query == "TopSellers" { factor } else { 1.0 };
            Second { slower: factor * (1.0 + 0.03 * ((second % 23) as f64 / 23.0)), ..CALM }
        }
    };
    let before = simulate(&plan, "before", &[1.0, 1.0], 180, system(1.0))?;
    let summary = simulate(&plan, "after", &[1.0, 1.0], 180, system(1.21))?;
    let facts = facts("11.8.1-MariaDB")?;
    let ask = plan.spec.compare.clone().ok_or("the plan asks for nothing")?;
    let day =
        |days: i64| -> Result<Timestamp, Failure> { Ok("2026-03-08T00:00:10Z".parse::<Timestamp>()?.checked_sub(SignedDuration::from_hours(24 * days))?) };
    let past = |days: i64, version: &str, factor: f64| -> Result<Past, Failure> {
        let of = Facts { started_at: Some(day(days)?), server_version: Some(version.to_owned()), ..facts.clone() };
        let mut past = Past::of(&plan, &before, &of, Outcome::Passed).ok_or("no past")?;
        past.run_id = format!("checkout_2026{:04}-0000_{:08x}", 308 - days, days * 7919);
        for query in &mut past.queries {
            query.p95 = (query.p95 as f64 * factor) as u64;
        }
        Ok(past)
    };
    let mut generator = Generator::seeded("weeks");
    let mut earlier = Vec::new();
    for days in 1..30 {
        let (version, level) = if days > 6 { ("11.4.2-MariaDB", 1.0) } else { ("11.8.1-MariaDB", 1.12) };
        earlier.push(past(days, version, level * (0.02 * bell(&mut generator)).exp())?);
    }
    let baseline = past(7, "11.4.2-MariaDB", 1.0)?;
    let own = Past::of(&plan, &summary, &facts, Outcome::Inconclusive).ok_or("no past")?;
    let trend = Trend::of(&ask, own, earlier, Some(&baseline));
    let fingerprint = Fingerprint::of(&plan, &facts);
    let candidate = Candidate { plan: &plan, fingerprint: &fingerprint, series: &summary.series, rounds: &summary.rounds };
    let comparison = compare(&ask, candidate, Found::Run(Box::new(baseline), before.series));
    Ok(Sample { plan, summary, facts, samples: vec![], sources: vec![], comparison: Some(comparison), trend: Some(trend) })
}
