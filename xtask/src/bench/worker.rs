//! `bench worker`: our worker, a bare loop over the same driver and stock k6, on the same MariaDB in one run. Rounds are short and the
//! order turns round after each, so that whatever drifts on the machine falls on all of them alike; ratios are taken within a round.

mod case;
mod contender;
mod database;
mod memory;
mod pod;
mod programs;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use self::case::Case;
pub use self::case::{Load, Sut};
pub use self::contender::{Bench, Contender, Figures};
use self::database::Database;
pub use self::pod::write;
pub use self::programs::{Programs, build, build_worker};
use super::http::Server;
use super::report::{self, Target};
use super::statistics::{median, rounded};
use super::{Scratch, machine};
use crate::{program, say};

/// The words after `cargo xtask bench worker`.
#[derive(clap::Args)]
pub struct Options {
    /// How long each contender's load lasts in each round
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=100))]
    seconds: u64,
    /// How many rounds each case has
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How many connections each contender uses
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    connections: u32,
    /// How long memory is watched; 0 leaves that out
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Compile the worker with cargo's dev profile instead of the release profile
    #[arg(long)]
    debug: bool,
    /// Also measure a bare loop that reads rows but does not decode them
    #[arg(long)]
    with_skipping: bool,
    /// Where the results go instead of bench/results/worker.json
    #[arg(long)]
    output: Option<PathBuf>,
}

/// What a k6 says about itself; the lines that follow list its extensions.
pub fn first_line(k6: &Path) -> String {
    machine::said(program::command(k6).arg("version")).lines().next().unwrap_or_default().to_owned()
}

/// Measures and reports.
pub fn run(options: &Options) -> Result<()> {
    let machine = machine::describe();
    let programs = build(options.debug)?;
    let scratch = Scratch::new()?;
    let database = Database::start(&scratch)?;
    let credentials = scratch.join("credentials");
    std::fs::create_dir(&credentials).with_context(|| format!("failed to make {}", credentials.display()))?;
    pod::write(&credentials.join("username"), database::NAME)?;
    pod::write(&credentials.join("password"), &database.password)?;
    let server = Server::start()?;
    let sut = Sut { engine: "mysql", port: database.port, database: database::NAME.to_owned() };
    let bench = Bench { scratch: &scratch, programs: &programs, sut: &sut, witness: Some(&database), server: &server };
    let versions = json!({
        "mariadb": database.version, "k6": first_line(&programs.k6),
        "stockK6": first_line(&programs.stock), "workerProfile": programs.profile
    });
    let settings = json!({
        "seconds": options.seconds, "rounds": options.rounds, "connections": options.connections, "minutes": options.minutes, "rows": database::ROWS
    });

    let (mut cases, mut memory, mut targets) = (Map::new(), Value::Null, Vec::new());
    let measured = measure(&bench, options, &mut cases, &mut memory, &mut targets);
    let results = json!({
        "bench": "worker", "date": machine::date(), "commit": machine::commit(), "machine": machine, "versions": versions, "settings": settings,
        "loadAverageAfter": machine::load_average(), "cases": cases, "memory": memory
    });
    report::save(&report::place(options.output.as_ref(), "worker"), results, &targets, &measured)?;
    measured
}

fn measure(bench: &Bench, options: &Options, cases: &mut Map<String, Value>, memory: &mut Value, targets: &mut Vec<Target>) -> Result<()> {
    for case in Case::ALL {
        let load = Load::of(case, Duration::from_secs(options.seconds), options.connections);
        let (summary, of_case) = summary(case, &rounds(bench, &load, options.rounds, options.with_skipping)?);
        cases.insert(case.name().into(), summary);
        targets.extend(of_case);
    }
    if options.minutes > 0.0 {
        let load = Load::of(Case::Mix, Duration::from_secs_f64(options.minutes * 60.0), options.connections);
        let (results, flat) = memory::measure(bench, &load)?;
        *memory = results;
        targets.extend(flat);
    }
    Ok(())
}

/// What each contender did in one round.
pub type Round = Vec<(Contender, Figures)>;

/// Puts the load on once without counting it: a server that compiles what it is asked should have done so for whoever is first.
pub fn warm_up(bench: &Bench, load: &Load) -> Result<()> {
    say::step(format!("{}: warming", load.name));
    contender::measure(bench, Contender::Bare, load).map(drop)
}

/// So many rounds, in an order that turns round after each.
pub fn rounds(bench: &Bench, load: &Load, count: u32, with_skipping: bool) -> Result<Vec<Round>> {
    let mut order = vec![Contender::Worker, Contender::Bare, Contender::Stock];
    if with_skipping {
        order.push(Contender::BareSkipping);
    }
    let mut rounds = Vec::new();
    for number in 1..=count {
        say::step(format!("{}: round {number} of {count}", load.name));
        let mut round = Vec::new();
        for contender in &order {
            let figures = contender::measure(bench, *contender, load)?;
            say::note(format!("{:<14}{:>8.2} us/query {:>9.0} queries/s", contender.name(), figures.micros_per_query(), figures.rate()));
            round.push((*contender, figures));
        }
        order.reverse();
        rounds.push(round);
    }
    Ok(rounds)
}

/// The median over all rounds of what `value` says of each.
pub fn over(rounds: &[Round], value: impl Fn(&Round) -> Option<f64>) -> f64 {
    median(&rounds.iter().filter_map(value).collect::<Vec<_>>()).unwrap_or(f64::NAN)
}

/// What a contender did in a round.
pub fn of(round: &Round, contender: Contender) -> Option<&Figures> {
    round.iter().find(|(who, _)| *who == contender).map(|(_, figures)| figures)
}

fn summary(case: Case, rounds: &[Round]) -> (Value, Vec<Target>) {
    let ratio = |to: Contender| over(rounds, |round| Some(of(round, Contender::Worker)?.micros_per_query() / of(round, to)?.micros_per_query()));
    let (to_bare, to_stock) = (ratio(Contender::Bare), ratio(Contender::Stock));
    let (mut medians, mut rows) = (Map::new(), Vec::new());
    for contender in [Contender::Worker, Contender::Bare, Contender::BareSkipping, Contender::Stock] {
        let (micros, rate) =
            (over(rounds, |round| of(round, contender).map(Figures::micros_per_query)), over(rounds, |round| of(round, contender).map(Figures::rate)));
        if micros.is_nan() {
            continue;
        }
        let ratio = ratio(contender);
        medians.insert(
            contender.name().into(),
            json!({"cpuMicrosPerQuery": rounded(micros, 2), "queriesPerSecond": rounded(rate, 0), "workerToThis": rounded(ratio, 3)}),
        );
        rows.push(vec![contender.name().to_owned(), format!("{micros:.2}"), format!("{rate:.0}"), format!("{ratio:.2}")]);
    }
    report::table(&[case.name(), "CPU us/query", "queries/s", "worker / this"], &rows);
    let raw: Vec<Value> = rounds
        .iter()
        .map(|round| round.iter().map(|(contender, figures)| (contender.name().to_owned(), figures.to_json())).collect::<Map<_, _>>().into())
        .collect();
    let orders: Vec<Vec<&str>> = rounds.iter().map(|round| round.iter().map(|(contender, _)| contender.name()).collect()).collect();
    // Ranges alone have no promise: there the server's work and the network's are nearly everything.
    let promised = case != Case::Ranges;
    let target = |other: &str, measured, most| Target::at_most(format!("worker CPU per query / {other}, {}", case.name()), measured, most);
    let targets = vec![target("bare loop", to_bare, 1.2), target("stock k6", to_stock, 1.0 / 3.0)];
    (json!({"medians": medians, "orders": orders, "rounds": raw}), if promised { targets } else { Vec::new() })
}
