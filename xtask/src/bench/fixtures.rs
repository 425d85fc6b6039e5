//! `bench fixtures`: our loader beside what each database's own makers give for the same errand, on a real server and the same file: the
//! client's bulk load for MariaDB and PostgreSQL, a loop over prepared statements in Python for Cassandra.
//!
//! What is timed is a whole process: from its start until it has ended and the rows are in the table that was meant. For the loader that
//! includes making the table, proving it and telling the operator, whom the bench plays.

mod contender;
mod orders;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use self::contender::{Contender, Figures};
use super::engines::Address;
use super::report::{self, Target};
use super::statistics::{largest, median, number, rounded};
use super::{Scratch, machine, worker};
use crate::dataset::{self, Format, Scale};
use crate::engines::{self, Server};
use crate::say;

/// The words after `cargo xtask bench fixtures`.
#[derive(clap::Args)]
pub struct Options {
    /// How many rows go into MariaDB and into PostgreSQL each time
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u32).range(10_000..=1_000_000_000))]
    rows: u32,
    /// How many rows go into Cassandra each time
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10_000..=1_000_000_000))]
    cassandra_rows: u32,
    /// How often each contender loads them
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Compile the loader with cargo's dev profile instead of the release profile
    #[arg(long)]
    debug: bool,
    /// The directory for the results, fixtures-SERVER.json, instead of bench/results
    #[arg(long)]
    output: Option<PathBuf>,
    /// Which servers; all but Trino, which reads the files itself, without a word
    #[arg(value_enum)]
    servers: Vec<Server>,
}

/// The rows of TPC-H's orders for each unit of scale.
const ORDERS: f64 = 1_500_000.0;
/// What is loaded into Cassandra before anything is counted, until its Java has compiled what is asked of it: all rows so often by the loader, whose second
/// load took a quarter longer than those after it, and so many rows by the loop in Python, which takes it about as long.
const WARMING_LOADS: u32 = 3;
const WARMING_ROWS: u32 = 400_000;
/// What the loader may need, in bytes.
const MOST_BYTES: f64 = 256.0 * 1_048_576.0;

/// Everything that a load takes.
struct Bench<'a> {
    scratch: &'a Scratch,
    /// The loader's program
    worker: &'a Path,
    server: Server,
    address: Address,
    /// The rows, as CSV with a header
    file: &'a Path,
    rows: u64,
}

/// Measures and reports.
pub fn run(options: &Options) -> Result<()> {
    let (worker, profile) = worker::build_worker(options.debug)?;
    let all = [Server::Mariadb, Server::Postgres, Server::Cassandra];
    let chosen = if options.servers.is_empty() { &all[..] } else { &options.servers };
    ensure!(!chosen.contains(&Server::Trino), "Trino reads the files itself: there is no client whose loading could be compared");
    let scratch = Scratch::new()?;
    for server in chosen {
        let (machine, mut targets) = (machine::describe(), Vec::new());
        let cassandra = *server == Server::Cassandra;
        let (file, rows) = write_orders(&scratch, if cassandra { options.cassandra_rows } else { options.rows })?;
        let warming = cassandra.then(|| write_orders(&scratch, options.cassandra_rows.min(WARMING_ROWS))).transpose()?;
        let variables = engines::up_in_this_session(*server)?;
        let measured = Address::read(*server, &variables).and_then(|address| {
            let bench = Bench { scratch: &scratch, worker: &worker, server: *server, address, file: &file, rows };
            measure(&bench, warming, options.rounds, &mut targets)
        });
        engines::down(*server)?;
        let (figures, measured) = report::parted(measured);
        let results = json!({
            "bench": "fixtures", "server": server.name(), "date": machine::date(), "commit": machine::commit(), "machine": machine,
            "versions": {"workerProfile": profile}, "settings": {"rows": rows, "rounds": options.rounds},
            "loadAverageAfter": machine::load_average(), "figures": figures
        });
        report::save(&report::place_of(options.output.as_ref(), "fixtures", server.name()), results, &targets, &measured)?;
        measured?;
    }
    Ok(())
}

/// Writes so many orders, or a few more, and answers the file and how many they are.
fn write_orders(scratch: &Scratch, asked: u32) -> Result<(PathBuf, u64)> {
    let file = scratch.join(&format!("orders-{asked}.csv"));
    say::step(format!("writing {asked} orders of TPC-H as CSV"));
    let rows = dataset::write_orders(&file, Scale { factor: f64::from(asked) / ORDERS, rows_per_file: u32::MAX }, Format::Csv)?;
    Ok((file, rows))
}

/// What each contender did in one round: the loader first.
type Round = [Figures; 2];

fn measure(bench: &Bench, warming: Option<(PathBuf, u64)>, count: u32, targets: &mut Vec<Target>) -> Result<Value> {
    let version = contender::prepare(bench)?;
    if let Some((file, rows)) = warming {
        say::step(format!("{}: warming", bench.server.name()));
        for _ in 0..WARMING_LOADS {
            contender::load(bench, Contender::Loader)?;
        }
        contender::load(&Bench { address: bench.address.clone(), file: &file, rows, ..*bench }, Contender::Peer)?;
    }
    let bytes = fs::metadata(bench.file).with_context(|| format!("failed to read {}", bench.file.display()))?.len();
    let mut rounds: Vec<Round> = Vec::new();
    for round in 1..=count {
        say::step(format!("{}: round {round} of {count}", bench.server.name()));
        let told = |who: Contender| -> Result<Figures> {
            let figures = contender::load(bench, who)?;
            let (seconds, rate) = (figures.seconds, figures.rate(bench.rows));
            say::note(format!("{:<8}{seconds:>8.1} s {rate:>9.0} rows/s, peak {:.0} MiB", who.name(bench.server), mebibytes(figures.peak_bytes)));
            Ok(figures)
        };
        // The order turns round, so that whatever drifts falls on both.
        rounds.push(if round % 2 == 1 {
            let first = told(Contender::Loader)?;
            [first, told(Contender::Peer)?]
        } else {
            let first = told(Contender::Peer)?;
            [told(Contender::Loader)?, first]
        });
    }
    Ok(summary(bench, &version, bytes, &rounds, targets))
}

fn summary(bench: &Bench, version: &str, bytes: u64, rounds: &[Round], targets: &mut Vec<Target>) -> Value {
    let over = |value: &dyn Fn(&Round) -> f64| median(&rounds.iter().map(value).collect::<Vec<_>>()).unwrap_or(f64::NAN);
    #[expect(clippy::cast_precision_loss, reason = "no file of a bench comes near 2^53 bytes")]
    let megabytes = bytes as f64 / 1e6;
    let (mut medians, mut rows) = (Map::new(), Vec::new());
    for (at, who) in [Contender::Loader, Contender::Peer].into_iter().enumerate() {
        let (seconds, rate) = (over(&|round| round[at].seconds), over(&|round| round[at].rate(bench.rows)));
        let (cpu, peak) = (over(&|round| round[at].cpu_seconds), peak(rounds, at));
        let name = who.name(bench.server);
        let speed = megabytes / seconds;
        medians.insert(
            name.into(),
            json!({"seconds": rounded(seconds, 2), "rowsPerSecond": rounded(rate, 0), "megabytesPerSecond": rounded(speed, 1), "cpuSeconds": rounded(cpu, 2), "peakMiB": rounded(peak, 1)}),
        );
        rows.push(vec![name.to_owned(), format!("{seconds:.1}"), format!("{rate:.0}"), format!("{speed:.1}"), format!("{cpu:.1}"), format!("{peak:.0}")]);
    }
    let ratio = over(&|round| round[0].rate(bench.rows) / round[1].rate(bench.rows));
    let engine = bench.server.name();
    report::table(&[engine, "s", "rows/s", "MB/s", "CPU s", "peak MiB"], &rows);
    let least = if bench.server == Server::Cassandra { 10.0 } else { 0.9 };
    targets.push(Target::at_least(format!("{engine}: rows/s of the loader / {}", Contender::Peer.name(bench.server)), ratio, least));
    targets.push(Target::at_most(format!("{engine}: peak memory of the loader, MiB"), peak(rounds, 0), MOST_BYTES / 1_048_576.0));
    let raw: Vec<Value> = rounds.iter().map(|[loader, peer]| json!({"loader": loader.to_json(), Contender::Peer.name(bench.server): peer.to_json()})).collect();
    json!({"version": version, "rows": bench.rows, "megabytes": rounded(megabytes, 1), "medians": medians, "loaderToPeer": rounded(ratio, 3), "rounds": raw})
}

/// The most that a contender has had in any round, in MiB.
fn peak(rounds: &[Round], at: usize) -> f64 {
    largest(&rounds.iter().map(|round| mebibytes(round[at].peak_bytes)).collect::<Vec<_>>()).unwrap_or(f64::NAN)
}

fn mebibytes(bytes: u64) -> f64 {
    number(i64::try_from(bytes).unwrap_or_default()) / 1_048_576.0
}
