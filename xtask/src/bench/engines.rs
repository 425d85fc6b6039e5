//! `bench engines`: our worker, a bare loop over the engine's driver and stock k6, on the real server of each engine in one run. The
//! rounds are those of `bench worker`; the servers are those of the conformance suite, one after the other, each with results of its own.

mod case;

pub use self::case::Address;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::guarded;
use super::http::Server;
use super::report::{self, Target};
use super::statistics::{number, rounded};
use super::worker::{self, Bench, Contender, Figures, Load, Programs, Round, Sut};
use super::{Scratch, machine};
use crate::engines::{self, Server as Engine};
use crate::{program, say};

/// The words after `cargo xtask bench engines`.
#[derive(clap::Args)]
pub struct Options {
    /// How long each contender's load lasts in each round
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(2..=100))]
    seconds: u64,
    /// How many rounds each case has
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How many connections each contender uses
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    connections: u32,
    /// Compile the worker with cargo's dev profile instead of the release profile
    #[arg(long)]
    debug: bool,
    /// The directory for the results, engines-SERVER.json, instead of bench/results
    #[arg(long)]
    output: Option<PathBuf>,
    /// Which servers; all of them without a word
    #[arg(value_enum)]
    servers: Vec<Engine>,
}

/// Measures and reports.
pub fn run(options: &Options) -> Result<()> {
    let programs = worker::build(options.debug)?;
    let versions = json!({
        "k6": worker::first_line(&programs.k6), "stockK6": worker::first_line(&programs.stock), "workerProfile": programs.profile
    });
    let settings = json!({"seconds": options.seconds, "rounds": options.rounds, "connections": options.connections});
    let chosen = if options.servers.is_empty() { Engine::value_variants() } else { &options.servers };
    for engine in chosen {
        let (machine, mut targets) = (machine::describe(), Vec::new());
        let variables = engines::up_in_this_session(*engine)?;
        let measured = measure(options, &programs, *engine, &variables, &mut targets);
        engines::down(*engine)?;
        let (figures, measured) = report::parted(measured);
        let results = json!({
            "bench": "engines", "server": engine.name(), "date": machine::date(), "commit": machine::commit(), "machine": machine, "versions": versions,
            "settings": settings, "loadAverageAfter": machine::load_average(), "figures": figures
        });
        report::save(&report::place_of(options.output.as_ref(), "engines", engine.name()), results, &targets, &measured)?;
        measured?;
    }
    Ok(())
}

fn measure(options: &Options, programs: &Programs, engine: Engine, variables: &str, targets: &mut Vec<Target>) -> Result<Value> {
    let scratch = Scratch::new()?;
    let credentials = scratch.join("credentials");
    std::fs::create_dir(&credentials).with_context(|| format!("failed to make {}", credentials.display()))?;
    let address = case::Address::read(engine, variables)?;
    worker::write(&credentials.join("username"), &address.username)?;
    worker::write(&credentials.join("password"), &address.password)?;
    let sut = Sut { engine: case::engine(engine), port: address.port, database: address.database };
    let server = Server::start()?;
    let bench = Bench { scratch: &scratch, programs, sut: &sut, witness: None, server: &server };
    // Trino answers a few queries a second: what a load costs once, results handed in included, is spread over enough of them.
    let length = Duration::from_secs(options.seconds * if engine == Engine::Trino { 4 } else { 1 });
    let mut cases = Map::new();
    let version = fill(&bench, &Load { name: "fill", queries: case::queries(engine, "lookups"), length, connections: 1 })?;
    for name in case::NAMES {
        let load = Load { name, queries: case::queries(engine, name), length, connections: options.connections };
        worker::warm_up(&bench, &load)?;
        let (summary, of_case) = summary(engine, name, &worker::rounds(&bench, &load, options.rounds, false)?);
        cases.insert(name.into(), summary);
        targets.extend(of_case);
    }
    Ok(json!({"version": version, "cases": cases}))
}

/// Makes the tables that are asked for, and answers what the server calls its version.
fn fill(bench: &Bench, load: &Load) -> Result<String> {
    say::step(format!("filling {}", bench.sut.engine));
    let file = bench.scratch.join("fill.json");
    worker::write(&file, &load.engine(bench.sut, &bench.scratch.join("credentials")).to_string())?;
    let mut command = guarded::command(&bench.programs.bare, None)?;
    command.arg("-engine").arg(&file).arg("-fill");
    let said = program::output(&mut command)?;
    ensure!(!said.trim().is_empty(), "{} does not say its version", bench.sut.engine);
    Ok(said.trim().to_owned())
}

fn summary(engine: Engine, case: &str, rounds: &[Round]) -> (Value, Vec<Target>) {
    let micros = |of: &Figures| of.micros_per_query();
    let ratio = |to: Contender| worker::over(rounds, |round| Some(micros(worker::of(round, Contender::Worker)?) / micros(worker::of(round, to)?)));
    let (mut medians, mut rows) = (Map::new(), Vec::new());
    for contender in [Contender::Worker, Contender::Bare, Contender::Stock] {
        let over = |value: fn(&Figures) -> f64| worker::over(rounds, |round| worker::of(round, contender).map(value));
        let (cpu, rate, peak) = (over(Figures::micros_per_query), over(Figures::rate), over(|figures| number(figures.peak_bytes) / 1_048_576.0));
        medians.insert(
            contender.name().into(),
            json!({"cpuMicrosPerQuery": rounded(cpu, 2), "queriesPerSecond": rounded(rate, 0), "peakMiB": rounded(peak, 1),
                "workerToThis": rounded(ratio(contender), 3)}),
        );
        rows.push(vec![contender.name().to_owned(), format!("{cpu:.2}"), format!("{rate:.0}"), format!("{peak:.1}"), format!("{:.2}", ratio(contender))]);
    }
    report::table(&[&format!("{} {case}", engine.name()), "CPU us/query", "queries/s", "MiB", "worker / this"], &rows);
    let raw: Vec<Value> = rounds
        .iter()
        .map(|round| round.iter().map(|(contender, figures)| (contender.name().to_owned(), figures.to_json())).collect::<Map<_, _>>().into())
        .collect();
    let target = |other: &str, to, most| Target::at_most(format!("worker CPU per query / {other}, {} {case}", engine.name()), ratio(to), most);
    let targets = vec![target("bare loop", Contender::Bare, 1.2), target("stock k6", Contender::Stock, 1.0 / 3.0)];
    (json!({"medians": medians, "rounds": raw}), targets)
}
