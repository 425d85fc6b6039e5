//! `bench uploads`: what the gateway has resident while gigabytes go past it. The bytes go straight to the bucket, in parts, over addresses
//! that the gateway signs; so it should have no more of them than of none.
//!
//! The gateway is the one of the development cluster, and so is the bucket: a real S3 server, which keeps the parts of a file and the file
//! itself for a moment. What goes up is therefore several files, each removed when the bucket lists it whole.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::http::Client;
use super::report::{self, Target};
use super::statistics::{largest, number, rounded};
use super::{Scratch, guarded, machine};
use crate::tools::{self, Package};
use crate::{cluster, program, say};

/// The words after `cargo xtask bench uploads`.
#[derive(clap::Args)]
pub struct Options {
    /// How many gigabytes go up
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    gigabytes: u32,
    /// How many files they are; the bucket's disk needs twice the size of one
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    files: u32,
    /// Where the results go instead of bench/results/uploads.json
    #[arg(long)]
    output: Option<PathBuf>,
}

/// The bytes of one part.
const PART: u64 = 16 << 20;
/// The most parts that a file may have.
const PARTS: u64 = 10_000;
/// The fixture that the files belong to.
const FIXTURE: &str = "bench-uploads";
/// How long the bucket may take to make a file of its parts: it copies them.
const ASSEMBLING: Duration = Duration::from_mins(15);
/// How much more the gateway may have resident at any time than before, in MiB. A single part held in memory would be more.
const MOST_GROWTH: f64 = 8.0;

/// Who is asked, and watched.
struct Bench {
    gateway: Client,
    /// The gateway's process on this machine
    process: u32,
    /// The bytes of a part
    part: PathBuf,
    /// What the gateway had resident, after each part and each file, in MiB
    resident: Vec<f64>,
    /// Parts that are in files which the gateway has listed whole
    arrived: u64,
}

/// Measures and reports.
pub fn run(options: &Options) -> Result<()> {
    let machine = machine::describe();
    cluster::current()?.context("no cluster is up: `cargo xtask demo` brings one up with everything that this needs")?;
    tools::ensure_packages(&[Package::new("curl", "curl")])?;
    let scratch = Scratch::new()?;
    let parts = (u64::from(options.gigabytes) * 1_000_000_000).div_ceil(u64::from(options.files) * PART);
    ensure!(parts <= PARTS, "a file would have {parts} parts, and may have {PARTS}: --files has to be more");
    let mut bench = Bench {
        gateway: Client::new("127.0.0.1:8000", "none").with_patience(ASSEMBLING),
        process: process("crucible-gateway")?,
        part: part(&scratch)?,
        resident: Vec::new(),
        arrived: 0,
    };
    // Once before anything is counted: what it keeps of a first time belongs to no upload.
    bench.upload("warming.bin", 2)?;
    let before = bench.resident()?;
    bench.resident.clear();
    bench.arrived = 0;
    let begun = Instant::now();
    let measured = (1..=options.files).try_for_each(|file| {
        say::step(format!("file {file} of {}: {parts} parts of 16 MiB", options.files));
        bench.upload(&format!("part-{file:05}.bin"), parts)
    });
    let seconds = begun.elapsed().as_secs_f64();
    let most = largest(&bench.resident).unwrap_or(f64::NAN);
    let megabytes = number(i64::try_from(bench.arrived * PART).unwrap_or(i64::MAX)) / 1e6;
    say::note(format!("{megabytes:.0} MB in {seconds:.0} s; the gateway had {before:.1} MiB resident before, and {most:.1} at most"));
    // Of an upload that broke off nothing can be said.
    let growth = if measured.is_ok() { most - before } else { f64::NAN };
    let targets = [Target::at_most("the gateway's memory during the upload, MiB more than before", growth, MOST_GROWTH)];
    let results = json!({
        "bench": "uploads", "date": machine::date(), "commit": machine::commit(), "machine": machine,
        "settings": {"gigabytes": options.gigabytes, "files": options.files, "partBytes": PART},
        "megabytes": rounded(megabytes, 1), "parts": bench.arrived, "seconds": rounded(seconds, 1),
        "residentMiB": {"before": rounded(before, 1), "most": rounded(most, 1), "samples": bench.resident.len()},
        "loadAverageAfter": machine::load_average()
    });
    report::save(&report::place(options.output.as_ref(), "uploads"), results, &targets, &measured)?;
    measured
}

impl Bench {
    /// Puts one file up as a client of the gateway does, looks whether it is there whole, and removes it.
    fn upload(&mut self, file: &str, parts: u64) -> Result<()> {
        let place = format!("/fixtures/{FIXTURE}/{file}");
        let begun = self.ask("POST", &format!("{place}/multipart/init"), "")?;
        let id = begun["upload_id"].as_str().context("the gateway names no upload")?.to_owned();
        let mut stored = Vec::new();
        for number in 1..=parts {
            let signed = self.ask("GET", &format!("{place}/multipart/{id}/part/{number}"), "")?;
            let address = signed["presigned_url"].as_str().context("the gateway names no address")?;
            stored.push(json!({"PartNumber": number, "ETag": put(&self.part, address)?}));
            let resident = self.resident()?;
            self.resident.push(resident);
        }
        self.ask("POST", &format!("{place}/multipart/{id}/complete"), &Value::from(stored).to_string())?;
        let listed = self.ask("GET", &format!("/fixtures/{FIXTURE}"), "")?;
        let size = listed["files"].as_array().and_then(|files| files.iter().find(|listed| listed["name"] == file)).and_then(|file| file["size"].as_u64());
        ensure!(size == Some(parts * PART), "{file} has {size:?} of {} bytes", parts * PART);
        self.arrived += parts;
        let resident = self.resident()?;
        self.resident.push(resident);
        self.gateway.call("DELETE", &place, "").map(drop)
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<Value> {
        serde_json::from_slice(&self.gateway.call(method, path, body)?).with_context(|| format!("the answer to {method} {path} is no JSON"))
    }

    /// What the gateway has resident now, in MiB.
    fn resident(&self) -> Result<f64> {
        let bytes = guarded::resident_bytes(self.process).context("the gateway has gone")?;
        Ok(number(i64::try_from(bytes).unwrap_or(i64::MAX)) / 1_048_576.0)
    }
}

/// A part's bytes, which no file system or compression makes less of.
fn part(scratch: &Scratch) -> Result<PathBuf> {
    let path = scratch.join("part");
    let mut bytes = Vec::new();
    File::open("/dev/urandom").and_then(|random| random.take(PART).read_to_end(&mut bytes)).context("failed to read random bytes")?;
    fs::write(&path, bytes).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(path)
}

/// Stores a part; answers its tag. The address is a right to store, so it is no argument that others could see.
fn put(part: &Path, address: &str) -> Result<String> {
    let mut curl = program::command("curl");
    curl.args(["--silent", "--show-error", "--fail-with-body", "--dump-header", "-", "--output", "/dev/null", "--max-time", "120", "--config", "-"]);
    curl.arg("--upload-file").arg(part);
    let headers = program::output_with_input(&mut curl, &format!("url = \"{address}\"\n")).context("the bucket does not take a part")?;
    let tag = headers.lines().find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("etag")).map(|(_, tag)| tag.trim()));
    Ok(tag.context("the bucket names no tag for a part")?.to_owned())
}

/// The one process of this machine that runs a program of the cluster.
fn process(name: &str) -> Result<u32> {
    let running = fs::read_dir("/proc").context("failed to list the processes")?.flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let program = fs::read_link(entry.path().join("exe")).ok()?;
        (program.file_name()? == name).then_some(pid)
    });
    let running: Vec<u32> = running.collect();
    match *running {
        [process] => Ok(process),
        [] => bail!("no process of this machine runs {name}: the cluster's pods are not processes of this machine"),
        _ => bail!("{} processes of this machine run {name}: which of them is asked is not known", running.len()),
    }
}
