//! `bench gateway`: the gateway's release build and a small `FastAPI` service, asked the same over loopback by wrk, on the Postgres of the
//! development cluster. The gateway knows ten thousand finished runs: objects of the cluster, mirrored by the real operator.
//!
//! Server and load generator have a processor each, where there are two. The order of the contenders turns round after each round, and
//! ratios are taken within a round.

mod contender;
mod load;
mod population;
mod tables;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use self::contender::{Contender, Programs, Server, World};
use self::load::Figures;
use self::population::Paused;
use super::report::{self, Target};
use super::statistics::{largest, median, rounded};
use super::{Scratch, machine};
use crate::{cluster, program, say};

/// The words after `cargo xtask bench gateway`.
#[derive(clap::Args)]
pub struct Options {
    /// How long each contender is asked in each round
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// How many rounds each case has
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How many connections ask at once
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    connections: u32,
    /// How many finished runs there are
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    runs: u32,
    /// Compile the gateway with cargo's dev profile instead of the release profile
    #[arg(long)]
    debug: bool,
    /// Where the results go instead of bench/results/gateway.json
    #[arg(long)]
    output: Option<PathBuf>,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Health,
    Status,
    List,
    Submit,
}

impl Case {
    const ALL: [Self; 4] = [Self::Health, Self::Status, Self::List, Self::Submit];

    fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Status => "status",
            Self::List => "list",
            Self::Submit => "submit",
        }
    }

    /// What this case promises of the gateway: the least requests in a second.
    fn promise(self) -> Option<f64> {
        match self {
            Self::Health => None,
            Self::Status => Some(20_000.0),
            Self::List => Some(3_000.0),
            Self::Submit => Some(200.0),
        }
    }
}

/// The p99 of the status in milliseconds, and resident memory in megabytes.
const MOST_P99: f64 = 5.0;
const MOST_MEGABYTES: f64 = 64.0;

/// Measures and reports.
pub fn run(options: &Options) -> Result<()> {
    let machine = machine::describe();
    let cluster = cluster::current()?.context("no cluster is up: `cargo xtask demo` brings one up with everything that this needs")?;
    let programs = Programs::build(options.debug)?;
    let scratch = Scratch::new()?;
    let world = World::of(&cluster)?;
    let versions = json!({
        "wrk": load::version(), "python": machine::said(program::command(&programs.python).arg("-VV")), "peer": contender::peer_versions(&programs),
        "postgres": tables::ask(&cluster, tables::LEDGER, "show server_version")?.trim(), "gatewayProfile": programs.profile
    });
    population::remove(&cluster, &scratch)?;
    let (mut cases, mut targets) = (Map::new(), Vec::new());
    let measured = measure(&world, &programs, &scratch, options, &mut cases, &mut targets);
    let cleaned = population::remove(&cluster, &scratch);
    let results = json!({
        "bench": "gateway", "date": machine::date(), "commit": machine::commit(), "machine": machine, "versions": versions,
        "settings": {"seconds": options.seconds, "rounds": options.rounds, "connections": options.connections, "runs": options.runs},
        "processors": load::processors(), "loadAverageAfter": machine::load_average(), "cases": cases
    });
    report::save(&report::place(options.output.as_ref(), "gateway"), results, &targets, &measured)?;
    measured.and(cleaned)
}

fn measure(world: &World, programs: &Programs, scratch: &Scratch, options: &Options, cases: &mut Map<String, Value>, targets: &mut Vec<Target>) -> Result<()> {
    let model = population::model(world, programs, scratch)?;
    population::populate(world.cluster, scratch, &model, options.runs)?;
    // From here on nobody but the contenders has anything to do.
    let _paused = Paused::new(world.cluster)?;
    let servers =
        [Server::start(Contender::Gateway, world, programs, scratch)?, Server::start(Contender::Peer { rows: options.runs }, world, programs, scratch)?];
    for server in &servers {
        let known = server.write_ids(world, scratch)?;
        ensure!(known >= options.runs as usize, "{} knows only {known} of {} runs", server.name(), options.runs);
    }
    for case in Case::ALL {
        let rounds = rounds(world, case, &servers, scratch, options)?;
        let (summary, promised) = summary(case, &rounds);
        cases.insert(case.name().into(), summary);
        targets.extend(promised);
    }
    Ok(())
}

/// What each contender did in one round: the gateway first.
type Round = [Figures; 2];

fn rounds(world: &World, case: Case, servers: &[Server; 2], scratch: &Scratch, options: &Options) -> Result<Vec<Round>> {
    let ask = |server: &Server, seconds: u64| {
        let words = words(case, server, scratch);
        let before = if case == Case::Submit { server.rows(world)? } else { 0 };
        let figures = load::measure(server, &words, options.connections, seconds)?;
        if case == Case::Submit {
            // Requests in flight when wrk ends are answered and not counted.
            let written = server.rows(world)? - before;
            let answered = figures.requests;
            let most = answered + i64::from(options.connections);
            ensure!((answered..=most).contains(&written), "{} answered {answered} submits and wrote {written} rows", server.name());
        }
        Ok(figures)
    };
    for server in servers {
        ask(server, 1)?;
    }
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        say::step(format!("{}: round {number} of {}", case.name(), options.rounds));
        let [gateway, peer] = servers;
        let round = if number % 2 == 1 {
            let first = ask(gateway, options.seconds)?;
            [first, ask(peer, options.seconds)?]
        } else {
            let first = ask(peer, options.seconds)?;
            [ask(gateway, options.seconds)?, first]
        };
        for (server, figures) in servers.iter().zip(&round) {
            say::note(format!("{:<8}{:>9.0} requests/s, p50 {:.2} ms, p99 {:.2} ms", server.name(), figures.rate(), figures.p50, figures.p99));
        }
        rounds.push(round);
    }
    Ok(rounds)
}

/// What the load generator is told to ask.
fn words(case: Case, server: &Server, scratch: &Scratch) -> Vec<String> {
    match case {
        Case::Health => vec!["path".into(), "/health".into()],
        Case::Status => vec!["status".into(), server.ids(scratch).display().to_string()],
        Case::List => vec!["path".into(), "/v1/test-runs?limit=100".into()],
        Case::Submit => vec!["submit".into(), population::PLAN.into()],
    }
}

fn summary(case: Case, rounds: &[Round]) -> (Value, Vec<Target>) {
    let over = |value: &dyn Fn(&Round) -> f64| median(&rounds.iter().map(value).collect::<Vec<_>>()).unwrap_or(f64::NAN);
    let (mut medians, mut rows) = (Map::new(), Vec::new());
    for (index, name) in [(0, "gateway"), (1, "fastapi")] {
        let rate = over(&|round| round[index].rate());
        let (p50, p99) = (over(&|round| round[index].p50), over(&|round| round[index].p99));
        let megabytes = largest(&rounds.iter().map(|round| round[index].megabytes).collect::<Vec<_>>()).unwrap_or(f64::NAN);
        medians.insert(
            name.into(),
            json!({"requestsPerSecond": rounded(rate, 0), "p50Millis": rounded(p50, 3), "p99Millis": rounded(p99, 3), "residentMegabytes": rounded(megabytes, 1)}),
        );
        rows.push(vec![name.to_owned(), format!("{rate:.0}"), format!("{p50:.2}"), format!("{p99:.2}"), format!("{megabytes:.1}")]);
    }
    let ratio = over(&|round| round[0].rate() / round[1].rate());
    report::table(&[case.name(), "requests/s", "p50 ms", "p99 ms", "resident MB"], &rows);
    say::note(format!("{}: gateway / fastapi = {ratio:.2}", case.name()));

    let mut targets = Vec::new();
    if let Some(least) = case.promise() {
        targets.push(Target::at_least(format!("{}, requests/s", case.name()), over(&|round| round[0].rate()), least));
    }
    if case == Case::Status {
        targets.push(Target::at_most("status, p99, ms", over(&|round| round[0].p99), MOST_P99));
    }
    if case == Case::List {
        let megabytes = largest(&rounds.iter().map(|round| round[0].megabytes).collect::<Vec<_>>()).unwrap_or(f64::NAN);
        targets.push(Target::at_most("resident memory after the lists, MB", megabytes, MOST_MEGABYTES));
    }
    let raw: Vec<Value> = rounds.iter().map(|[gateway, peer]| json!({"gateway": gateway.to_json(), "fastapi": peer.to_json()})).collect();
    (json!({"medians": medians, "gatewayToFastapi": rounded(ratio, 3), "rounds": raw}), targets)
}
