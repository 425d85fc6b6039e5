//! A k6 that does as the tests tell it: it speaks the extension's socket protocol and k6's REST interface, and
//! misbehaves on demand. What to do is in `fake.json` beside its engine file.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this program is part of a test: what surprises it should end it loudly")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::exit,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{sleep, spawn},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crucible_lifecycle::histogram::Histogram;
use nix::sys::signal::{SigSet, Signal, raise};
use serde::Deserialize;
use serde_json::{Value, json};

/// What to do.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Orders {
    /// Refuse the preflight for this reason.
    refuse: Option<String>,
    /// How long the preflight takes.
    preflight_millis: u64,
    /// How many seconds the load has, and how long one takes.
    seconds: u64,
    second_millis: u64,
    /// Where to end without a last word: `begin`, `ready` or `load`.
    crash: Option<String>,
    /// How: an exit code, or the negated number of a signal.
    exit: i32,
    /// Where to close the socket and stay: `ready` or `load`.
    hang_up: Option<String>,
    ignore_stop: bool,
    ignore_sigterm: bool,
    /// How much to write to stderr before anything else.
    flood_bytes: usize,
    /// A line for stderr.
    complain: String,
    /// How long to stay after the last word.
    linger_millis: u64,
    /// Samples of errors to report.
    errors: u64,
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            refuse: None,
            preflight_millis: 0,
            seconds: 3,
            second_millis: 50,
            crash: None,
            exit: 0,
            hang_up: None,
            ignore_stop: false,
            ignore_sigterm: false,
            flood_bytes: 0,
            complain: String::new(),
            linger_millis: 0,
            errors: 0,
        }
    }
}

/// What the worker has told us.
#[derive(Default)]
struct Told {
    start: Mutex<Option<Instant>>,
    stop: AtomicBool,
    unpaused: AtomicBool,
}

impl Told {
    fn stopped(&self, orders: &Orders) -> bool {
        self.stop.load(Ordering::Relaxed) && !orders.ignore_stop
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let environment: Vec<(String, String)> = std::env::vars().collect();
    let engine = PathBuf::from(std::env::var("CRUCIBLE_ENGINE").unwrap());
    let scratch = engine.parent().unwrap();
    std::fs::write(scratch.join("called.json"), json!({"arguments": arguments, "environment": environment}).to_string()).unwrap();
    let plan: Value = serde_json::from_slice(&std::fs::read(&engine).unwrap()).unwrap();
    let orders: Orders = serde_json::from_slice(&std::fs::read(scratch.join("fake.json")).unwrap()).unwrap();
    heed_signals(orders.ignore_sigterm);
    if !orders.complain.is_empty() {
        eprintln!("{}", orders.complain);
    }
    flood(orders.flood_bytes);
    crash_at("begin", &orders);

    let told = Arc::new(Told::default());
    serve_rest(&arguments, told.clone());
    let mut socket = UnixStream::connect(plan["socket"].as_str().unwrap()).unwrap();
    hear(socket.try_clone().unwrap(), told.clone(), orders.hang_up.is_none());
    run(&mut socket, &plan, &orders, &told);
    if let Some(csv) = arguments.iter().find_map(|argument| argument.strip_prefix("csv=")) {
        write_csv(Path::new(csv));
    }
    sleep(Duration::from_millis(orders.linger_millis));
    end(orders.exit);
}

fn run(socket: &mut UnixStream, plan: &Value, orders: &Orders, told: &Told) {
    sleep(Duration::from_millis(orders.preflight_millis));
    if let Some(reason) = &orders.refuse {
        say(socket, &json!({"type": "preflight", "ok": false, "reason": reason, "query": "", "message": "as the test wants it"}));
        sleep(Duration::from_millis(50));
        exit(104);
    }
    say(socket, &json!({"type": "preflight", "ok": true, "serverVersion": "10.11-fake", "settings": {}}));
    say(socket, &json!({"type": "ready", "vus": 4}));
    crash_at("ready", orders);
    hang_up_at("ready", socket, orders);

    let Some(start) = await_start(orders, told) else { return finish(socket, 0, true) };
    let late = start.elapsed();
    say(socket, &json!({"type": "started", "firstQueryUnixNanos": unix_nanos(), "lateNanos": u64::try_from(late.as_nanos()).unwrap()}));
    for second in 0..orders.seconds {
        let end = start + Duration::from_millis(orders.second_millis) * u32::try_from(second + 1).unwrap();
        while Instant::now() < end {
            if told.stopped(orders) {
                return finish(socket, second, true);
            }
            sleep(Duration::from_millis(1));
        }
        say(socket, &interval(second, plan));
        if orders.errors > 0 {
            let samples =
                [json!({"second": second, "query": "CountAll", "class": "timeout", "code": "queryTimeout", "message": "no answer", "count": orders.errors})];
            say(socket, &json!({"type": "errors", "samples": samples}));
        }
        crash_at("load", orders);
        hang_up_at("load", socket, orders);
    }
    finish(socket, orders.seconds, false);
}

/// Waits as the real one does: for the order, for k6 to be let go, for the instant.
fn await_start(orders: &Orders, told: &Told) -> Option<Instant> {
    loop {
        if told.stopped(orders) {
            return None;
        }
        let start = *told.start.lock().unwrap();
        if let Some(start) = start.filter(|start| told.unpaused.load(Ordering::Relaxed) && *start <= Instant::now()) {
            return Some(start);
        }
        sleep(Duration::from_micros(200));
    }
}

fn interval(second: u64, plan: &Value) -> Value {
    let mut histogram = Histogram::new();
    for micros in [100, 200, 12_345] {
        histogram.record(micros + second);
    }
    let record = |query: &Value, outcome: &str| json!({"query": query["name"], "stage": plan["stages"][0]["name"], "outcome": outcome, "count": 3, "maxMicros": 12_345 + second, "histogram": histogram.encode()});
    let mut records: Vec<Value> = plan["queries"].as_array().unwrap().iter().map(|query| record(query, "ok")).collect();
    records.push(record(&plan["queries"][0], "timeout"));
    json!({"type": "interval", "second": second, "records": records, "vus": 4, "reconnects": 0, "rows": 9})
}

fn finish(socket: &mut UnixStream, seconds: u64, interrupted: bool) {
    say(socket, &json!({"type": "stopping", "why": if interrupted { "order" } else { "end" }}));
    say(
        socket,
        &json!({"type": "finished", "queries": seconds * 9, "errors": seconds * 3, "rows": 0, "lastQueryUnixNanos": unix_nanos(), "interrupted": interrupted}),
    );
}

fn say(socket: &mut UnixStream, message: &Value) {
    // A worker that hung up is for the caller to find out.
    let _ = socket.write_all(format!("{message}\n").as_bytes());
}

/// A worker that is gone ends us, unless it was us who hung up.
fn hear(socket: UnixStream, told: Arc<Told>, end_with_worker: bool) {
    spawn(move || {
        for line in BufReader::new(socket).lines().map_while(Result::ok) {
            let order: Value = serde_json::from_str(&line).unwrap();
            match order["type"].as_str() {
                Some("start") => {
                    *told.start.lock().unwrap() = Some(Instant::now() + Duration::from_nanos(order["inNanos"].as_i64().unwrap().try_into().unwrap_or(0)));
                }
                Some("stop") => told.stop.store(true, Ordering::Relaxed),
                _ => panic!("unknown order {line}"),
            }
        }
        if end_with_worker {
            exit(105);
        }
    });
}

/// k6's REST interface, as far as a worker uses it.
fn serve_rest(arguments: &[String], told: Arc<Told>) {
    let address = arguments.iter().skip_while(|argument| *argument != "--address").nth(1).unwrap();
    let listener = TcpListener::bind(address).unwrap();
    spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            if request(&mut stream).as_deref() == Some("PATCH /v1/status HTTP/1.1") {
                told.unpaused.store(true, Ordering::Relaxed);
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
}

fn request(stream: &mut TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let paused = serde_json::from_slice::<Value>(&body).ok()?["data"]["attributes"]["paused"].as_bool();
    assert_eq!(paused, Some(false));
    Some(first.trim().to_owned())
}

fn heed_signals(ignore_sigterm: bool) {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.thread_block().unwrap();
    if !ignore_sigterm {
        spawn(move || {
            set.wait().unwrap();
            exit(105);
        });
    }
}

fn flood(bytes: usize) {
    let line = [b"all work and no play ".repeat(10), b"\n".to_vec()].concat();
    let mut stderr = std::io::stderr().lock();
    for _ in 0..bytes / line.len() {
        stderr.write_all(&line).unwrap();
    }
}

fn crash_at(place: &str, orders: &Orders) {
    if orders.crash.as_deref() == Some(place) {
        end(orders.exit);
    }
}

fn hang_up_at(place: &str, socket: &UnixStream, orders: &Orders) {
    if orders.hang_up.as_deref() == Some(place) {
        socket.shutdown(std::net::Shutdown::Both).unwrap();
        sleep(Duration::from_secs(20));
        exit(105);
    }
}

fn end(how: i32) -> ! {
    if how < 0 {
        raise(Signal::try_from(-how).unwrap()).unwrap();
    }
    exit(how)
}

fn write_csv(path: &Path) {
    std::fs::write(path, "metric_name,timestamp,metric_value\nsql_duration_CountAll,1,2.5\n").unwrap();
}

fn unix_nanos() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}
