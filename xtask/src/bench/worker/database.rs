//! A MariaDB of the bench's own: on loopback, with its own data directory, socket and port, gone when the bench is.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bench::guarded::{self, Guarded, User};
use crate::bench::{Scratch, machine};
use crate::tools::{self, Package};
use crate::{program, say};

/// The programs alone: the full package would start a server of its own.
const PACKAGES: [Package; 3] = [
    Package::new("mariadb-server-core", "mariadbd"),
    Package::new("mariadb-server-core", "mariadb-install-db"),
    Package::new("mariadb-client-core", "mariadb"),
];
/// The database's name, and the account that every contender uses.
pub const NAME: &str = "bench";
/// How many rows the table has.
pub const ROWS: u32 = 100_000;
const START: Duration = Duration::from_mins(1);

/// A running server with its table filled.
pub struct Database {
    server: Guarded,
    socket: PathBuf,
    /// Its port on 127.0.0.1
    pub port: u16,
    /// The password of the account
    pub password: String,
    /// What it calls its version
    pub version: String,
}

impl Database {
    /// Prepares the data directory, starts the server and fills the table.
    pub fn start(scratch: &Scratch) -> Result<Self> {
        tools::ensure_packages(&PACKAGES)?;
        say::step("starting a MariaDB of the bench's own on loopback, with 100,000 rows");
        let user = user()?;
        let home = scratch.join("mariadb");
        fs::create_dir(&home).with_context(|| format!("failed to make {}", home.display()))?;
        if let Some(User { uid, gid }) = user {
            chown(&home, Some(uid), Some(gid)).with_context(|| format!("failed to give {} to its user", home.display()))?;
            // The way there is open, the directory itself is not.
            fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).with_context(|| format!("failed to close {}", home.display()))?;
        }
        let found = |what: &str| program::find(what).with_context(|| format!("{what} is not on the search path"));
        let data = format!("--datadir={}", home.join("data").display());
        let mut install = guarded::command(&found("mariadb-install-db")?, user)?;
        install.args(["--no-defaults", &data, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-log-bin"]);
        program::run_logged(&mut install, &scratch.join("mariadb-install-db.log"))?;

        let (socket, port) = (home.join("socket"), free_port()?);
        let mut command = guarded::command(&found("mariadbd")?, user)?;
        command.args(["--no-defaults", &data, "--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin", "--innodb-buffer-pool-size=256M"]);
        command.arg(format!("--socket={}", socket.display())).arg(format!("--port={port}")).arg(format!("--pid-file={}", home.join("pid").display()));
        let server = Guarded::start("mariadbd", &mut command, &scratch.join("mariadbd.log"), None)?;
        let version = machine::said(program::command(found("mariadbd")?).arg("--version"));
        let mut database = Self { server, socket, port, password: random()?, version };
        database.await_answer()?;
        database.fill()?;
        Ok(database)
    }

    /// How many SELECT statements it has been asked, prepared ones included.
    pub fn selects(&self) -> Result<i64> {
        let said = self.ask("SHOW GLOBAL STATUS LIKE 'Com_select'")?;
        said.split_ascii_whitespace().last().and_then(|number| number.parse().ok()).with_context(|| format!("{said:?} holds no number of statements"))
    }

    fn ask(&self, sql: &str) -> Result<String> {
        let mut client = program::command("mariadb");
        client.args(["--no-defaults", "--user=root", "--batch", "--skip-column-names"]).arg(format!("--socket={}", self.socket.display()));
        program::output_with_input(&mut client, sql).context("failed to ask the bench's MariaDB")
    }

    fn await_answer(&mut self) -> Result<()> {
        let begun = Instant::now();
        while let Err(error) = self.ask("DO 0") {
            self.server.require_alive()?;
            if begun.elapsed() > START {
                return Err(error);
            }
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn fill(&self) -> Result<()> {
        self.ask(&format!(
            "CREATE DATABASE {NAME}; USE {NAME};
             CREATE TABLE orders (id INT PRIMARY KEY, customer INT NOT NULL, city VARCHAR(20) NOT NULL, amount DECIMAL(10,2) NOT NULL, placed DATETIME NOT NULL);
             INSERT INTO orders SELECT seq, 1 + (seq * 104729) % 10000, ELT(1 + seq % 5, 'Taipei', 'Paris', 'Lima', 'Oslo', 'Accra'),
               (seq * 7907 % 50000) / 100, '2026-01-01' + INTERVAL seq MINUTE FROM seq_1_to_{ROWS};
             ANALYZE TABLE orders; SELECT COUNT(*), SUM(amount) FROM orders;
             CREATE USER {NAME}@'127.0.0.1' IDENTIFIED BY '{}'; GRANT SELECT ON {NAME}.* TO {NAME}@'127.0.0.1';",
            self.password
        ))?;
        Ok(())
    }
}

/// A port of 127.0.0.1 that nobody uses right now, below those that the kernel hands to outgoing connections: it must still be free when
/// the program that it is for gets round to listening.
pub fn free_port() -> Result<u16> {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap_or_default();
    let free = (first..32_000).find(|port| !GIVEN.lock().is_ok_and(|given| given.contains(port)) && TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let port = free.context("failed to find a free port")?;
    if let Ok(mut given) = GIVEN.lock() {
        given.insert(port);
    }
    Ok(port)
}

/// The ports that were given away; whom they were given to may not listen yet.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Thirty-two hex digits that nobody can guess.
pub fn random() -> Result<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/uuid").context("failed to read random digits from the kernel")?;
    Ok(text.trim().replace('-', ""))
}

/// MariaDB refuses to run as root: its package's own account, or the account of nobody; this process's own where it is not root.
fn user() -> Result<Option<User>> {
    if fs::metadata("/proc/self").context("failed to look at this process")?.uid() != 0 {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd").context("failed to read /etc/passwd")?;
    for wanted in ["mysql", "nobody"] {
        let fields = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields.first() == Some(&wanted));
        if let Some([name, _, uid, gid, ..]) = fields.as_deref() {
            let number = |text: &str| text.parse::<u32>().with_context(|| format!("account {name} has no number"));
            return Ok(Some(User { uid: number(uid)?, gid: number(gid)? }));
        }
    }
    bail!("there is neither an account mysql nor an account nobody to run MariaDB as");
}
