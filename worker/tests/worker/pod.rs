//! A worker as it runs in its pod: the files it is given, its process, its control API, its last word.

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread::sleep,
    time::{Duration, Instant},
};

use crucible_lifecycle::contract::{WorkerOutcome, WorkerReport, WorkerState};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{http, operator::Operator};

pub const TOKEN: &str = "t0ken-of-the-run";
pub const PASSWORD: &str = "c4nary-passw0rd";

/// What a worker left behind.
pub struct Left {
    pub code: i32,
    pub outcome: WorkerOutcome,
    pub log: String,
}

impl Left {
    pub fn reason(&self) -> &str {
        self.outcome.failure.as_ref().map_or("", |failure| &failure.reason)
    }

    pub fn message(&self) -> &str {
        self.outcome.failure.as_ref().map_or("", |failure| &failure.message)
    }
}

pub struct Pod {
    pub directory: TempDir,
    pub operator: Operator,
    worker: Child,
    address: OnceLock<String>,
}

/// What can be different about a pod.
pub struct Setup {
    pub fake: Value,
    pub plan: Value,
    pub k6: PathBuf,
}

impl Setup {
    /// A one-worker plan against a k6 that does this.
    pub fn new(fake: Value) -> Self {
        let mut plan: Value = serde_json::from_str(include_str!("../plan.json")).unwrap();
        plan["spec"]["load"]["workers"] = json!(1);
        Self { fake, plan, k6: env!("CARGO_BIN_EXE_fake-k6").into() }
    }

    pub fn with(mut self, path: &str, value: Value) -> Self {
        let (parent, key) = path.rsplit_once('/').unwrap();
        self.plan.pointer_mut(parent).unwrap()[key] = value;
        self
    }

    pub fn start(self) -> Pod {
        let directory = TempDir::new().unwrap();
        let root = directory.path();
        for sub in ["scratch", "credentials"] {
            fs::create_dir(root.join(sub)).unwrap();
        }
        fs::write(root.join("plan.json"), self.plan.to_string()).unwrap();
        fs::write(root.join("token"), format!("{TOKEN}\n")).unwrap();
        fs::write(root.join("credentials/username"), "shop").unwrap();
        fs::write(root.join("credentials/password"), PASSWORD).unwrap();
        fs::write(root.join("scratch/fake.json"), self.fake.to_string()).unwrap();
        let operator = Operator::start();
        let worker = Command::new(env!("CARGO_BIN_EXE_crucible-worker"))
            .env_clear()
            .env("CANARY", "must not reach k6")
            .env("JOB_COMPLETION_INDEX", "0")
            .env("CRUCIBLE_POD_IP", "127.0.0.1")
            .env("CRUCIBLE_CHECK_IN_URL", &operator.url)
            .arg("--plan")
            .arg(root.join("plan.json"))
            .arg("--token")
            .arg(root.join("token"))
            .arg("--credentials")
            .arg(root.join("credentials"))
            .arg("--scratch")
            .arg(root.join("scratch"))
            .arg("--termination-log")
            .arg(root.join("termination-log"))
            .args(["--listen", "127.0.0.1:0"])
            .arg("--k6")
            .arg(&self.k6)
            .arg("--k6-address")
            .arg(free_address())
            .stderr(fs::File::create(root.join("log")).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Pod { directory, operator, worker, address: OnceLock::new() }
    }
}

/// k6's port has to be known beforehand.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

impl Pod {
    pub fn start(fake: Value) -> Self {
        Setup::new(fake).start()
    }

    pub fn call(&self, method: &str, path: &str, body: &str) -> Option<(u16, Vec<u8>)> {
        http::call(self.address.get_or_init(|| self.operator.address()), method, path, TOKEN, body)
    }

    pub fn call_with(&self, token: &str, path: &str) -> u16 {
        http::call(&self.operator.address(), "GET", path, token, "").unwrap().0
    }

    pub fn order(&self, path: &str, body: &str) -> u16 {
        self.call("POST", path, body).unwrap().0
    }

    pub fn start_load(&self, in_millis: u64) -> u16 {
        self.order("/start", &json!({"inNanos": in_millis * 1_000_000}).to_string())
    }

    pub fn stop_load(&self) -> u16 {
        self.order("/stop", r#"{"reason":"test"}"#)
    }

    pub fn status(&self) -> WorkerReport {
        let (status, body) = self.call("GET", "/status", "").expect("the worker does not answer");
        assert_eq!(status, 200);
        serde_json::from_slice(&body).unwrap()
    }

    /// Polls until the worker is in this state, and no other than these on the way.
    pub fn until(&self, state: WorkerState) -> WorkerReport {
        let begun = Instant::now();
        loop {
            let report = self.status();
            if report.state == state {
                return report;
            }
            assert!(report.state < state, "{:?} instead of {state:?}: {:?}", report.state, report.failure);
            assert!(begun.elapsed() < Duration::from_secs(20), "still {:?}, not {state:?}", report.state);
            sleep(Duration::from_millis(5));
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.worker.id()).unwrap()), signal).unwrap();
    }

    /// Waits for the worker to leave.
    pub fn left(mut self) -> Left {
        let begun = Instant::now();
        let code = loop {
            if let Some(status) = self.worker.try_wait().unwrap() {
                break status.code().unwrap_or(-1);
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "the worker does not leave");
            sleep(Duration::from_millis(5));
        };
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap();
        let word = fs::read_to_string(self.directory.path().join("termination-log")).unwrap();
        for secret in [TOKEN, PASSWORD, "s1gn4ture"] {
            assert!(!log.contains(secret), "{secret} is in the log");
            assert!(!word.contains(secret), "{secret} is in the last word");
        }
        Left { code, outcome: serde_json::from_str(&word).unwrap(), log }
    }

    pub fn scratch(&self, name: &str) -> Vec<u8> {
        fs::read(self.directory.path().join("scratch").join(name)).unwrap()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.worker.kill();
        let _ = self.worker.wait();
    }
}
