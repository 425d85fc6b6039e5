//! `bench start`: runs on the development cluster, timed by the clock of the one machine that everything here runs on. Each run is
//! followed by the floor, a bare Job, so that a busy moment falls on both.

mod api;
mod floor;
mod kill;
mod run;

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use self::api::{Api, JOBS, LABEL, PLANS, RUNS};
use self::kill::How;
use self::run::Finished;
use super::machine;
use super::report::{self, Target};
use super::statistics::{largest, median, number, percentile, rounded};
use crate::chart::{NAMESPACE, TESTS_NAMESPACE};
use crate::{cluster, say};

/// How far apart the first queries of a run's workers are, for so many workers.
const FLEETS: [u32; 3] = [2, 8, 32];

/// The words after `cargo xtask bench start`.
#[derive(clap::Args)]
pub struct Options {
    /// How many runs with two workers are timed, each followed by a bare Job
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// How many runs each with eight and with thirty-two workers are timed; 0 leaves them out
    #[arg(long, default_value_t = 5)]
    skew_runs: u32,
    /// How often the operator is killed in each way; 0 leaves that out
    #[arg(long, default_value_t = 3)]
    kills: u32,
    /// How long each load lasts
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Where the results go instead of bench/results/start.json
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Measures and reports.
pub fn run(options: &Options) -> Result<()> {
    let machine = machine::describe();
    let cluster = cluster::current()?.context("no cluster is up: `cargo xtask demo` brings one up with everything that this needs")?;
    let api = Api(&cluster);
    let operator = api
        .read(&format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/crucible-operator"))
        .context("the chart is not installed: `cargo xtask demo` does that")?;
    prepare(&api, options)?;
    let (mut results, mut targets) = (Map::new(), Vec::new());
    let measured = measure(&api, options, &mut results, &mut targets);
    let cleaned = clean(&api);
    let mut all = json!({
        "bench": "start", "date": machine::date(), "commit": machine::commit(), "machine": machine, "loadAverageAfter": machine::load_average(),
        "operatorImage": operator["spec"]["template"]["spec"]["containers"][0]["image"], "kubernetes": api.read("/version")?["gitVersion"],
        "engine": format!("{:?}", cluster.engine()).to_lowercase(),
        "settings": {"runs": options.runs, "skewRuns": options.skew_runs, "kills": options.kills, "loadSeconds": options.seconds},
        "applyToFirstQueryMeans": "from the instant right before `kubectl create --raw` was started to status.firstQueryAt; for the floor to the first iteration that k6 logged"
    });
    if let Some(all) = all.as_object_mut() {
        all.extend(results);
    }
    report::save(&report::place(options.output.as_ref(), "start"), all, &targets, &measured)?;
    measured.and(cleaned)
}

/// Plans and the floor's script, which are there before any run.
fn prepare(api: &Api, options: &Options) -> Result<()> {
    clean(api)?;
    say::step(format!("creating plans for {FLEETS:?} workers in namespace {TESTS_NAMESPACE}"));
    for workers in FLEETS {
        let name = plan_name(workers);
        api.create(PLANS, &api::plan(&name, workers, options.seconds))?;
    }
    floor::prepare(api)
}

fn plan_name(workers: u32) -> String {
    format!("bench-{workers}")
}

/// Everything with the bench's label, from this bench or one that was broken off.
fn clean(api: &Api) -> Result<()> {
    for (kind, collection) in [("testruns.crucible.dev", RUNS), ("jobs.batch", JOBS), ("testplans.crucible.dev", PLANS), ("configmaps", api::CONFIG_MAPS)] {
        if !api.list(collection, LABEL)?.is_empty() {
            api.remove(kind, LABEL, LABEL)?;
        }
    }
    Ok(())
}

fn measure(api: &Api, options: &Options, results: &mut Map<String, Value>, targets: &mut Vec<Target>) -> Result<()> {
    let (mut runs, mut floors) = (Vec::new(), Vec::new());
    say::step("one run and one bare Job that are not counted, so that every image was unpacked and every cache is warm");
    run::measure(api, "bench-warm", &plan_name(2), options.seconds)?;
    floor::measure(api, 0)?;
    for number in 1..=options.runs {
        let finished = run::measure(api, &format!("bench-two-{number}"), &plan_name(2), options.seconds)?;
        let floor = floor::measure(api, number)?;
        say::note(format!(
            "run {number} of {}: first query after {:.2} s (bare Job {floor:.2} s), end to terminal {:.2} s, skew {:.1} ms",
            options.runs,
            finished.to_first_query()?,
            finished.to_terminal()?,
            number_of_millis(finished.skew)
        ));
        floors.push(floor);
        runs.push(finished);
    }
    targets.extend(summary(&runs, &floors, results)?);
    skews(api, options, &runs, results, targets)?;
    kills(api, options, results, targets)
}

fn number_of_millis(micros: Option<i64>) -> f64 {
    micros.map_or(f64::NAN, |micros| number(micros) / 1000.0)
}

/// p50, p95 and the largest of some seconds.
fn spread(values: &[f64]) -> Value {
    let digits = |value: Option<f64>| value.map(|value| rounded(value, 4));
    json!({"p50": digits(percentile(values, 50)), "p95": digits(percentile(values, 95)), "max": digits(largest(values)), "all": values.iter().map(|value| rounded(*value, 4)).collect::<Vec<_>>()})
}

fn summary(runs: &[Finished], floors: &[f64], results: &mut Map<String, Value>) -> Result<Vec<Target>> {
    let first: Vec<f64> = runs.iter().map(Finished::to_first_query).collect::<Result<_>>()?;
    let terminal: Vec<f64> = runs.iter().map(Finished::to_terminal).collect::<Result<_>>()?;
    let of = |values: &[f64], percent| percentile(values, percent).unwrap_or(f64::NAN);
    let row = |name: &str, values: &[f64]| {
        vec![name.to_owned(), format!("{:.3}", of(values, 50)), format!("{:.3}", of(values, 95)), format!("{:.3}", largest(values).unwrap_or(f64::NAN))]
    };
    report::table(
        &["seconds", "p50", "p95", "max"],
        &[row("apply -> first query", &first), row("the floor: apply -> first iteration", floors), row("last query -> terminal phase", &terminal)],
    );

    let steps: Vec<(&str, f64)> = runs
        .first()
        .map(Finished::durations)
        .unwrap_or_default()
        .into_iter()
        .map(|(name, _)| {
            let of_all: Vec<f64> =
                runs.iter().filter_map(|run| run.durations().into_iter().find(|(step, _)| *step == name)).map(|(_, seconds)| seconds).collect();
            (name, median(&of_all).unwrap_or(f64::NAN))
        })
        .collect();
    report::table(
        &["where the time to the first query goes", "median ms"],
        &steps.iter().map(|(name, seconds)| vec![(*name).to_owned(), format!("{:.0}", seconds * 1000.0)]).collect::<Vec<_>>(),
    );

    let mounts = runs.iter().filter(|run| run.failed_mounts > 0).count();
    if mounts > 0 {
        say::note(format!("in {mounts} of {} runs the kubelet could not mount a volume at first and tried again later", runs.len()));
    }
    let ratio = |percent| of(&first, percent) / of(floors, percent);
    results.insert("applyToFirstQuery".into(), spread(&first));
    results.insert("floor".into(), spread(floors));
    results.insert("toFloor".into(), json!({"p50": rounded(ratio(50), 3), "p95": rounded(ratio(95), 3)}));
    results.insert("endToTerminal".into(), spread(&terminal));
    results.insert("stepsMedianSeconds".into(), steps.iter().map(|(name, seconds)| json!({"step": name, "seconds": rounded(*seconds, 4)})).collect());
    results.insert("runs".into(), runs.iter().map(Finished::to_json).collect::<Result<Vec<_>>>()?.into());
    Ok(vec![
        Target::at_most("apply -> first query, p95, s", of(&first, 95), 1.5),
        Target::at_most("last query -> terminal phase, p95, s", of(&terminal, 95), 1.0),
    ])
}

/// The two-worker runs have been timed already; larger fleets get runs of their own.
fn skews(api: &Api, options: &Options, runs: &[Finished], results: &mut Map<String, Value>, targets: &mut Vec<Target>) -> Result<()> {
    let (mut by_fleet, mut rows) = (Map::new(), Vec::new());
    for workers in FLEETS {
        let mut own = Vec::new();
        for number in 1..=if workers == 2 { 0 } else { options.skew_runs } {
            say::note(format!("skew: run {number} of {} with {workers} workers", options.skew_runs));
            own.push(run::measure(api, &format!("bench-skew-{workers}-{number}"), &plan_name(workers), options.seconds)?);
        }
        let fleet = if workers == 2 { runs } else { &own };
        let millis: Vec<f64> = fleet.iter().filter_map(|run| run.skew).map(|micros| number_of_millis(Some(micros))).collect();
        let told: Vec<f64> = fleet.iter().filter_map(|run| run.skew_told).map(|micros| number_of_millis(Some(micros))).collect();
        let (Some(most), Some(middle)) = (largest(&millis), median(&millis)) else { continue };
        let most_told = largest(&told).unwrap_or(f64::NAN);
        rows.push(vec![format!("{workers} workers"), millis.len().to_string(), format!("{middle:.2}"), format!("{most:.2}"), format!("{most_told:.2}")]);
        by_fleet.insert(workers.to_string(), json!({"millis": spread(&millis), "toldMillis": spread(&told)}));
        targets.push(Target::at_most(format!("start skew, {workers} workers, largest, ms"), most, 20.0));
    }
    report::table(&["start skew, ms", "runs", "median", "max", "max by status"], &rows);
    results.insert("startSkew".into(), by_fleet.into());
    Ok(())
}

fn kills(api: &Api, options: &Options, results: &mut Map<String, Value>, targets: &mut Vec<Target>) -> Result<()> {
    let mut rows = Vec::new();
    for (how, key, what) in [
        (How::Process, "operatorProcessKilled", "operator's process killed -> load on"),
        (How::Pod, "operatorPodDeleted", "operator's pod deleted without grace -> load on"),
    ] {
        let mut seconds = Vec::new();
        for number in 1..=options.kills {
            say::note(format!("{what}: run {number} of {}", options.kills));
            seconds.push(kill::measure(
                api,
                how,
                &format!("bench-kill-{}-{number}", if how == How::Process { "process" } else { "pod" }),
                &plan_name(2),
                options.seconds,
            )?);
        }
        let (Some(most), Some(middle)) = (largest(&seconds), median(&seconds)) else { continue };
        rows.push(vec![what.to_owned(), seconds.len().to_string(), format!("{middle:.2}"), format!("{most:.2}")]);
        results.insert(key.into(), spread(&seconds));
        targets.push(Target::at_most(format!("{what}, largest, s"), most, 10.0));
    }
    report::table(&["seconds", "runs", "median", "max"], &rows);
    Ok(())
}
