//! Limits that take arithmetic or two fields: time spans, shares per worker, and names that must exist.

use std::{ops::RangeInclusive, time::Duration};

use crucible_crds::{
    TestPlanSpec,
    fixture::FixtureUse,
    observe::PrometheusSource,
    test_plan::{AbortMetric, AbortRule, Deadlines, Engine, FindMax, Load, LoadModel, Metric, Slo, Target, TargetFiles, TlsMode, Validity},
};

use super::HostPort;
use crate::{
    contract::{FrozenArm, Query},
    load::{rounds, users},
    problem::{Problems, name_some},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const MOST_REPEATS: u32 = 20;
/// Steps of a search, and how long one has to last for its thirds to be compared.
const MOST_STEPS: u32 = 64;
const SHORTEST_STEP: Duration = Duration::from_secs(6);
/// The most virtual users of one worker: each holds a connection and a session of its own.
pub const MOST_VUS_PER_WORKER: u32 = 10_000;
const MOST_WORKERS: u32 = 1000;
/// Arrivals per second of a stage of the open model.
const LEAST_RATE: f64 = 0.01;
const LARGEST_RATE: f64 = 1_000_000.0;
const LONGEST_DRAIN: Duration = Duration::from_mins(10);
/// What a plan may take of the ConfigMap that it is frozen into for a run, which holds 1 MiB of everything.
const MOST_FROZEN_BYTES: usize = 1008 << 10;

/// What does not depend on the workload.
pub(super) fn check(spec: &TestPlanSpec, problems: &mut Problems) {
    if let Err(error) = HostPort::of(&spec.target) {
        problems.add("spec.target.endpoint", error.to_string());
    }
    check_load(&spec.load, problems);
    check_rounds(spec, problems);
    check_fixtures(spec, problems);
    for (index, slo) in spec.slos.iter().enumerate() {
        check_slo(slo, &format!("spec.slos[{index}]"), problems);
    }
    let Validity { max_start_skew, max_late_start, max_clock_offset, .. } = &spec.validity;
    for (name, span) in [("maxStartSkew", max_start_skew), ("maxLateStart", max_late_start), ("maxClockOffset", max_clock_offset)] {
        if let Some(span) = span {
            check_span(&format!("spec.validity.{name}"), span, Duration::from_millis(1)..=HOUR, problems);
        }
    }
    for (index, rule) in spec.abort.iter().enumerate() {
        check_span(&format!("spec.abort[{index}].over"), &rule.over, SECOND..=HOUR, problems);
        check_span(&format!("spec.abort[{index}].after"), &rule.after, Duration::ZERO..=DAY, problems);
        check_abort(rule, &format!("spec.abort[{index}]"), problems);
    }
    for (index, source) in spec.observe.prometheus.iter().enumerate() {
        check_prometheus(source, &format!("spec.observe.prometheus[{index}]"), problems);
    }
    check_deadlines(&spec.deadlines, problems);
}

/// The threshold of an abort rule is a share of queries or a latency, as its metric is.
fn check_abort(rule: &AbortRule, path: &str, problems: &mut Problems) {
    let AbortRule { metric, above, slower_than, over: _, after: _ } = rule;
    match (metric, above, slower_than) {
        (AbortMetric::ErrorRate, Some(share), None) if (0.0..=1.0).contains(share) => {}
        (AbortMetric::ErrorRate, Some(_), None) => problems.add(format!("{path}.above"), "the threshold must be a share from 0 to 1"),
        (AbortMetric::ErrorRate, _, _) => problems.add(path, "an abort rule on errorRate needs above, and no slowerThan"),
        (AbortMetric::P50 | AbortMetric::P95 | AbortMetric::P99, None, Some(latency)) => {
            check_span(&format!("{path}.slowerThan"), latency, Duration::from_micros(1)..=HOUR, problems);
        }
        (AbortMetric::P50 | AbortMetric::P95 | AbortMetric::P99, _, _) => problems.add(path, "an abort rule on a percentile needs slowerThan, and no above"),
    }
}

/// That every dataset can be loaded: running without the data that a plan asks for would measure something else.
fn check_fixtures(spec: &TestPlanSpec, problems: &mut Problems) {
    check_files(&spec.target, problems);
    for (index, FixtureUse { fixture, table }) in spec.fixtures.iter().enumerate() {
        let path = format!("spec.fixtures[{index}]");
        match spec.target.engine {
            Engine::Mysql | Engine::Postgres | Engine::Cassandra => {}
            Engine::Trino => {
                if index == 0 && !spec.target.database.contains('.') {
                    let database = &spec.target.database;
                    problems.add(
                        "spec.target.database",
                        format!("{database} is a catalog alone; a plan with fixtures needs its schema too, as in {database}.default"),
                    );
                }
            }
            Engine::Doris if spec.target.tls.mode == TlsMode::Disable => {}
            Engine::Doris => {
                problems.add(
                    &path,
                    format!("the fixture {fixture} cannot be loaded into {table}: Doris takes rows over plain HTTP, so spec.target.tls.mode has to be disable"),
                );
            }
        }
        if table.contains('.') {
            problems.add(format!("{path}.table"), format!("the table {table} must be one of the plan's own database, without a dot"));
        }
        if spec.fixtures.iter().take(index).any(|earlier| is_same_table(spec.target.engine, &earlier.table, table)) {
            problems.add(format!("{path}.table"), format!("the table {table} is loaded from another fixture already"));
        }
    }
}

/// Whether two names are one table. Trino knows no capitals, not even in quotes.
fn is_same_table(engine: Engine, one: &str, other: &str) -> bool {
    match engine {
        Engine::Trino => one.eq_ignore_ascii_case(other),
        Engine::Mysql | Engine::Doris | Engine::Postgres | Engine::Cassandra => one == other,
    }
}

/// How the files are reached is of use to an engine that reads them itself, and to no other.
fn check_files(target: &Target, problems: &mut Problems) {
    let Some(TargetFiles { database, location: _ }) = &target.files else { return };
    if target.engine != Engine::Trino {
        problems.add("spec.target.files", format!("only trino reads the files of fixtures itself, {} does not", target.engine.as_str()));
    }
    if let Some(database) = database.as_ref().filter(|database| !database.contains('.')) {
        problems.add("spec.target.files.database", format!("{database} must be a catalog and a schema, as in {database}.default"));
    }
}

fn check_prometheus(source: &PrometheusSource, path: &str, problems: &mut Problems) {
    let PrometheusSource { name: _, source, url, metrics: _, resolution, max_points } = source;
    if source.is_some() == url.is_some() {
        problems.add(path, "exactly one of source and url must be set");
    }
    check_span(&format!("{path}.resolution"), resolution, SECOND..=DAY, problems);
    if *max_points == 0 {
        problems.add(format!("{path}.maxPoints"), "there must be at least one value");
    }
}

fn check_load(load: &Load, problems: &mut Problems) {
    let Load { workers, model, arrivals: _, max_vus: _, stages, repeat: _, find_max, query_timeout, resources: _ } = load;
    if !(1..=MOST_WORKERS).contains(workers) {
        problems.add("spec.load.workers", format!("there must be 1 to {MOST_WORKERS} workers"));
    }
    if let Some(search) = find_max {
        check_search(search, problems);
    }
    match model {
        LoadModel::Closed => check_users(load, problems),
        LoadModel::Open => check_arrivals(load, problems),
    }
    if stages.is_empty() {
        problems.add("spec.load.stages", "there must be at least one stage");
    } else if !stages.iter().any(|stage| stage.measured) {
        problems.add("spec.load.stages", "at least one stage must be measured");
    }
    for (index, stage) in stages.iter().enumerate() {
        check_span(&format!("spec.load.stages[{index}].duration"), &stage.duration, SECOND..=DAY, problems);
        if stages.iter().take(index).any(|earlier| earlier.name == stage.name) {
            problems.add(format!("spec.load.stages[{index}].name"), format!("the stage {} exists already", stage.name));
        }
    }
    check_span("spec.load.queryTimeout", query_timeout, Duration::from_millis(1)..=HOUR, problems);
}

/// That all rounds together are a load that can be carried out.
fn check_rounds(spec: &TestPlanSpec, problems: &mut Problems) {
    let Load { stages, repeat, find_max, .. } = &spec.load;
    if !(1..=MOST_REPEATS).contains(repeat) {
        problems.add("spec.load.repeat", format!("there must be 1 to {MOST_REPEATS} rounds"));
    }
    let (total, rounds) = (rounds::length(spec), rounds::count(spec));
    if *repeat > 1 && find_max.is_some() {
        problems.add("spec.load.findMax", "a search is not repeated: findMax goes without repeat");
    }
    let (path, of_rounds) = if rounds > 1 {
        ("spec.load.repeat", format!(" in {rounds} rounds{}", if rounds::arms(spec).is_empty() { "" } else { " of both arms" }))
    } else {
        ("spec.load.stages", String::new())
    };
    if total > DAY {
        problems.add(path, format!("the stages last {}s together{of_rounds}; at most 24h are possible", total.as_secs()));
    }
    let count = stages.len().saturating_mul(rounds);
    if count > rounds::MOST_STAGES {
        problems.add(path, format!("there are {count} stages{of_rounds}; at most {} are possible", rounds::MOST_STAGES));
    }
}

/// A search goes up, in steps that are long enough to be judged. Its rates are those of its steps, which are stages.
fn check_search(search: &FindMax, problems: &mut Problems) {
    let FindMax { from, to, steps, each } = search;
    if !(from.is_finite() && to.is_finite() && from < to) {
        problems.add("spec.load.findMax", "a search goes up: from must be below to");
    }
    if !(2..=MOST_STEPS).contains(steps) {
        problems.add("spec.load.findMax.steps", format!("there must be 2 to {MOST_STEPS} steps"));
    }
    check_span("spec.load.findMax.each", each, SHORTEST_STEP..=HOUR, problems);
}

/// The closed model: every stage has its virtual users, and every worker some of the largest stage's.
fn check_users(load: &Load, problems: &mut Problems) {
    let Load { workers, model: _, arrivals, max_vus, stages, repeat: _, find_max, query_timeout: _, resources: _ } = load;
    let largest = stages.iter().map(users).max().unwrap_or(0);
    if *workers > largest {
        problems.add(
            "spec.load.workers",
            format!("{workers} workers are more than the {largest} virtual users of the largest stage; some would be idle throughout"),
        );
    }
    for (name, is_there) in [("maxVus", max_vus.is_some()), ("arrivals", arrivals.is_some()), ("findMax", find_max.is_some())] {
        if is_there {
            problems.add(format!("spec.load.{name}"), format!("only the open model has {name}"));
        }
    }
    for (index, stage) in stages.iter().enumerate() {
        if stage.rate.is_some() {
            problems.add(format!("spec.load.stages[{index}].rate"), "a stage of the closed model has vus, not a rate");
        }
        check_vus(&format!("spec.load.stages[{index}].vus"), users(stage), *workers, problems);
    }
}

/// The open model: every stage has its rate, and every worker some of the virtual users.
fn check_arrivals(load: &Load, problems: &mut Problems) {
    let Load { workers, model: _, arrivals: _, max_vus, stages, repeat: _, find_max: _, query_timeout: _, resources: _ } = load;
    let most = max_vus.unwrap_or(0);
    if *workers > most {
        problems.add("spec.load.workers", format!("{workers} workers are more than the {most} virtual users of maxVus; some would be idle throughout"));
    }
    check_vus("spec.load.maxVus", most, *workers, problems);
    for (index, stage) in stages.iter().enumerate() {
        if stage.vus.is_some() {
            problems.add(format!("spec.load.stages[{index}].vus"), "a stage of the open model has a rate, not vus");
        }
        if !stage.rate.is_some_and(|rate| (LEAST_RATE..=LARGEST_RATE).contains(&rate)) {
            problems.add(format!("spec.load.stages[{index}].rate"), format!("the rate must be {LEAST_RATE} to {LARGEST_RATE} arrivals per second"));
        }
    }
}

fn check_vus(path: &str, vus: u32, workers: u32, problems: &mut Problems) {
    let per_worker = vus.div_ceil(workers.max(1));
    if vus == 0 {
        problems.add(path, "there must be at least one virtual user");
    } else if per_worker > MOST_VUS_PER_WORKER {
        let enough = vus.div_ceil(MOST_VUS_PER_WORKER);
        problems.add(path, format!("{per_worker} virtual users for one worker are more than {MOST_VUS_PER_WORKER}; use at least {enough} workers"));
    }
}

fn check_slo(slo: &Slo, path: &str, problems: &mut Problems) {
    let Slo { metric, query: _, stage: _, fault: _, during: _, source: _, series: _, below, at_most, at_least } = slo;
    match (metric, below, at_most, at_least) {
        (Metric::Promql, None, Some(limit), None) | (Metric::Promql, None, None, Some(limit)) if limit.is_finite() => {}
        (Metric::Promql, ..) => problems.add(path, "promql needs one of atMost and atLeast, and only that"),
        (Metric::ErrorRate, None, Some(limit), None) if (0.0..=1.0).contains(limit) => {}
        (Metric::ErrorRate, ..) => problems.add(path, "errorRate needs atMost, a share from 0 to 1, and only that"),
        (Metric::Throughput, None, None, Some(limit)) if limit.is_finite() && *limit >= 0.0 => {}
        (Metric::Throughput, ..) => problems.add(path, "throughput needs atLeast, queries per second, and only that"),
        (_, Some(limit), None, None) => check_span(&format!("{path}.below"), limit, Duration::from_millis(1)..=HOUR, problems),
        _ => problems.add(path, format!("{} needs below, a latency, and only that", metric.as_str())),
    }
}

fn check_deadlines(deadlines: &Deadlines, problems: &mut Problems) {
    let Deadlines { queue, fixtures, barrier, drain, collect } = deadlines;
    for (name, span, most) in
        [("queue", queue, 10 * DAY), ("fixtures", fixtures, DAY), ("barrier", barrier, DAY), ("drain", drain, LONGEST_DRAIN), ("collect", collect, DAY)]
    {
        check_span(&format!("spec.deadlines.{name}"), span, SECOND..=most, problems);
    }
}

fn check_span(path: &str, span: &crucible_crds::Duration, within: RangeInclusive<Duration>, problems: &mut Problems) {
    if !within.contains(&span.span()) {
        let (least, most) = (shown(*within.start()), shown(*within.end()));
        problems.add(path, format!("{span} is not from {least} to {most}"));
    }
}

fn shown(span: Duration) -> String {
    let millis = span.as_millis();
    match () {
        () if span.is_zero() => "0s".to_owned(),
        () if millis == 0 => format!("{}us", span.as_micros()),
        () if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        () if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        () if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
        () => format!("{millis}ms"),
    }
}

/// That a limit by promql is about something that is asked.
fn check_series(slo: &Slo, sources: &[PrometheusSource], path: &str, problems: &mut Problems) {
    if slo.metric != Metric::Promql {
        return;
    }
    let Some(source) = sources.iter().find(|source| slo.source.as_ref() == Some(&source.name)) else {
        let known = name_some(sources.iter().map(|source| &*source.name));
        return problems.add(format!("{path}.source"), format!("there is no such source in spec.observe.prometheus; there are {known}"));
    };
    if !source.metrics.iter().any(|metric| slo.series.as_ref() == Some(&metric.name)) {
        let known = name_some(source.metrics.iter().map(|metric| &*metric.name));
        problems.add(format!("{path}.series"), format!("the source {} has no such metric; it has {known}", &*source.name));
    }
}

/// That the plan with its queries fits into the ConfigMap that it is frozen into for a run.
pub(super) fn check_size(spec: &TestPlanSpec, queries: &[Query], arms: &[FrozenArm], problems: &mut Problems) {
    // Both are made of texts, numbers and lists, which JSON can always hold.
    let bytes: usize =
        [serde_json::to_vec(spec), serde_json::to_vec(queries), serde_json::to_vec(arms)].into_iter().map(|json| json.unwrap_or_default().len()).sum();
    if bytes > MOST_FROZEN_BYTES {
        problems.add("spec.workload.source", format!("the plan takes {bytes} bytes with its queries; at most {MOST_FROZEN_BYTES} can be kept with a run"));
    }
}

/// That every query and stage that a limit names is one that runs.
pub(super) fn check_names(spec: &TestPlanSpec, queries: &[Query], problems: &mut Problems) {
    for (index, slo) in spec.slos.iter().enumerate() {
        check_series(slo, &spec.observe.prometheus, &format!("spec.slos[{index}]"), problems);
        if let Some(query) = slo.query.as_ref().filter(|query| !queries.iter().any(|known| known.name == **query)) {
            let known = name_some(queries.iter().map(|query| &*query.name));
            problems.add(format!("spec.slos[{index}].query"), format!("no query {query} runs; those that run are {known}"));
        }
        if let Some(stage) = slo.stage.as_ref().filter(|stage| !spec.load.stages.iter().any(|known| known.name == **stage)) {
            let known = name_some(spec.load.stages.iter().map(|stage| &*stage.name));
            problems.add(format!("spec.slos[{index}].stage"), format!("there is no stage {stage}; there are {known}"));
        }
    }
}
