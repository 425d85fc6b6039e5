//! Resident memory over time: all contenders at once on one database, each over its own connections. They share the processors, so
//! each sends about a third of what it could; that is why the number of queries stands beside each figure.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::case::Load;
use super::contender::{Bench, Contender, Peer};
use super::pod::Pod;
use crate::bench::guarded;
use crate::bench::report::{self, Target};
use crate::bench::statistics::{median, number, rounded};
use crate::say;

/// How much more resident memory than at the first mark still counts as flat.
const FLAT: f64 = 1.1;
/// A garbage collector makes memory a saw: each figure is the median of the samples of so long a time before its mark.
const WINDOW: Duration = Duration::from_secs(10);

struct Samples {
    contender: Contender,
    taken: Vec<(Duration, f64)>,
    queries: i64,
}

/// Runs all of them for the length of the load and reads their memory once a second.
pub fn measure(bench: &Bench, load: &Load) -> Result<(Value, Vec<Target>)> {
    say::step(format!("memory: all contenders at once on the mix, for {:.1} minutes", load.length.as_secs_f64() / 60.0));
    let mut pod = Pod::start(bench, load)?;
    pod.start_load()?;
    let mut bare = Peer::start(bench, Contender::Bare, load)?;
    let mut stock = Peer::start(bench, Contender::Stock, load)?;
    let mut all = [Contender::Worker, Contender::Bare, Contender::Stock].map(|contender| Samples { contender, taken: Vec::new(), queries: 0 });
    let (begun, mut next) = (Instant::now(), Duration::ZERO);
    let figures = pod.until_handed_in(|worker| {
        if begun.elapsed() < next {
            return;
        }
        next = begun.elapsed() + Duration::from_secs(1);
        for samples in &mut all {
            let pid = match samples.contender {
                Contender::Worker => Some(worker),
                Contender::Bare | Contender::BareSkipping => bare.pid(samples.contender),
                Contender::Stock => stock.pid(samples.contender),
            };
            if let Some(bytes) = pid.and_then(guarded::resident_bytes) {
                samples.taken.push((begun.elapsed(), number(i64::try_from(bytes).unwrap_or(i64::MAX))));
            }
        }
    })?;
    pod.end();
    sleep(Duration::from_millis(100));
    all[0].queries = figures.queries;
    all[1].queries = bare.finish(load.length)?.queries;
    all[2].queries = stock.finish(load.length)?.queries;
    Ok(summary(&all, load))
}

/// After a tenth, half and all of the time: minutes 1, 5 and 10 of ten.
fn marks(length: Duration) -> [Duration; 3] {
    [length / 10, length / 2, length]
}

fn at(samples: &Samples, mark: Duration, length: Duration) -> f64 {
    let window = WINDOW.min(length / 10);
    let near: Vec<f64> = samples.taken.iter().filter(|(at, _)| *at <= mark && *at + window >= mark).map(|(_, bytes)| *bytes).collect();
    median(&near).unwrap_or(f64::NAN)
}

fn summary(all: &[Samples; 3], load: &Load) -> (Value, Vec<Target>) {
    let (length, marks) = (load.length, marks(load.length));
    let mebibytes = |bytes: f64| rounded(bytes / 1_048_576.0, 1);
    let mut by_contender = serde_json::Map::new();
    let mut rows = Vec::new();
    for samples in all {
        let read = marks.map(|mark| mebibytes(at(samples, mark, length)));
        let series: Vec<f64> = samples.taken.iter().map(|(_, bytes)| mebibytes(*bytes)).collect();
        by_contender.insert(samples.contender.name().into(), json!({"atMarksMiB": read, "queries": samples.queries, "everySecondMiB": series}));
        let mut row = vec![samples.contender.name().to_owned()];
        row.extend(read.map(|mebibytes| format!("{mebibytes:.1}")));
        row.push(samples.queries.to_string());
        rows.push(row);
    }
    let heading = marks.map(|mark| format!("MiB after {:.1} min", mark.as_secs_f64() / 60.0));
    report::table(&["memory", &heading[0], &heading[1], &heading[2], "queries"], &rows);
    let [first, .., last] = marks.map(|mark| at(&all[0], mark, length));
    let target = Target::at_most("worker memory at the end / after a tenth of the time", last / first, FLAT);
    let minutes = marks.map(|mark| rounded(mark.as_secs_f64() / 60.0, 2));
    let results = json!({
        "case": load.name, "connectionsEach": load.connections, "marksMinutes": minutes, "sampleSeconds": WINDOW.as_secs(),
        "note": "all contenders at once; resident memory of all processes of each", "contenders": by_contender
    });
    (results, vec![target])
}
