//! A session with the system under test: statements, questions, and rows. One face for both engines; what they say when something
//! goes wrong becomes one kind of error.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crucible_crds::{
    Reason,
    test_plan::{Engine, Target, TlsMode},
};
use crucible_lifecycle::{
    contract::{Failure, paths::AUTHORITIES},
    plan::HostPort,
};

use super::{
    encode::{Chunk, Layout},
    engine::Dialect,
    mysql, postgres,
    trouble::Trouble,
};
use crate::outcome;

/// How long a connection may take to be made.
const CONNECTING: Duration = Duration::from_secs(10);
/// How often it is tried before the system under test counts as unreachable.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Where the system under test is, and who asks.
#[derive(Clone)]
pub struct Endpoint {
    /// The SQL that it speaks; nothing where it speaks none.
    pub dialect: Option<Dialect>,
    pub engine: Engine,
    pub host: String,
    pub port: u16,
    pub database: String,
    pub login: Login,
    pub tls: TlsMode,
}

/// Who asks, and whom they believe.
#[derive(Clone)]
pub struct Login {
    pub username: String,
    pub password: String,
    /// A file with certificate authorities beyond those that come with the program.
    pub authorities: Option<PathBuf>,
}

impl Login {
    /// What is mounted from the Secret of the plan. Without authorities of its own it believes those that `SSL_CERT_FILE` names.
    pub fn read(credentials: &Path) -> Result<Self, Failure> {
        let secret = |name: &str| {
            let path = credentials.join(name);
            std::fs::read_to_string(&path)
                .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                .map_err(|error| outcome::failure(Reason::SecretNotFound, format!("The loader could not begin: failed to read {}: {error}", path.display())))
        };
        let own = Some(credentials.join(AUTHORITIES)).filter(|file| file.is_file());
        let named = || std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
        Ok(Self { username: secret("username")?, password: secret("password")?, authorities: own.or_else(named) })
    }
}

impl Endpoint {
    /// The target of a plan with its credentials.
    pub fn of(target: &Target, login: Login) -> Result<Self, Failure> {
        let dialect = match target.engine {
            // Doris speaks MySQL's wire protocol; the SQL that is its own stands with its loader.
            Engine::Mysql | Engine::Doris => Some(Dialect::Mysql),
            Engine::Postgres => Some(Dialect::Postgres),
            Engine::Cassandra => None,
            Engine::Trino => {
                return Err(outcome::failure(Reason::PlanInvalid, format!("This version loads no fixtures into {}", target.engine.as_str())));
            }
        };
        let HostPort { host, port } = HostPort::of(target).map_err(|error| outcome::failure(Reason::PlanInvalid, format!("spec.target.endpoint: {error}")))?;
        Ok(Self { dialect, engine: target.engine, host, port, database: target.database.to_string(), login, tls: target.tls.mode })
    }
}

/// Why the database did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    /// The five characters of the SQL standard, or the engine's own name where it has others; empty where the connection broke.
    pub state: String,
    /// The engine's own number, where it has one.
    pub code: Option<u32>,
    pub message: String,
    /// Which of the rows that were sent, from 1, where it says so.
    pub row: Option<u64>,
}

impl SqlError {
    /// The connection is gone.
    pub fn broken(message: impl Into<String>) -> Self {
        Self { state: String::new(), code: None, message: message.into(), row: None }
    }

    /// Whether the connection is gone, or the server says that it cannot now.
    pub fn may_pass(&self) -> bool {
        self.state.is_empty()
            || self.state.starts_with("08")
            || self.state.starts_with("57P")
            || matches!(self.state.as_str(), "40001" | "40P01" | "53300")
            || self.code == Some(1213)
            || self.code == Some(1205)
    }

    /// The trouble that it is, said of `what`.
    pub fn trouble(&self, what: &str) -> Trouble {
        if self.may_pass() {
            return Trouble::Again(format!("{what}: {}", self.said()));
        }
        Trouble::refused(Reason::FixtureLoadFailed, format!("{what}: {}", self.said()))
    }

    /// What the engine said, with its codes.
    pub fn said(&self) -> String {
        let Self { state, code, message, row: _ } = self;
        match (state.is_empty(), code) {
            (true, _) => message.clone(),
            (false, _) if state.len() > 5 => format!("{message} ({state})"),
            (false, Some(code)) => format!("{message} (error {code}, SQLSTATE {state})"),
            (false, None) => format!("{message} (SQLSTATE {state})"),
        }
    }

    /// Why no connection could be made, in the words of the API; nothing where trying again may help.
    fn refusal(&self, host: &str, port: u16, username: &str, database: &str) -> Option<Failure> {
        let (reason, what) = match (self.state.as_str(), self.code) {
            ("28P01" | "28000", _) => (Reason::SutAuthenticationFailed, format!("{host}:{port} refuses user {username}")),
            ("3D000", _) | (_, Some(1049 | 1044)) => (Reason::SutDatabaseMissing, format!("Database {database} at {host}:{port} may not be used")),
            ("TLS", _) => (Reason::SutTlsFailed, format!("No secured connection to {host}:{port} can be made")),
            // The drivers have no kind of error for it; the words are those of rustls, below both of them.
            ("", _) if self.message.contains("invalid peer certificate") => {
                (Reason::SutTlsFailed, format!("No secured connection to {host}:{port} can be made"))
            }
            ("" | "53300" | "57P03" | "08004", _) | (_, Some(1040 | 1203)) => return None,
            _ => (Reason::FixtureLoadFailed, format!("{host}:{port} refuses the connection")),
        };
        Some(outcome::failure(reason, format!("{what}: {}", self.said())))
    }
}

/// A connection.
pub enum Session {
    Mysql(Box<mysql_async::Conn>),
    Postgres(Box<sqlx::PgConnection>),
}

impl Session {
    /// Connects.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, Trouble> {
        let Endpoint { host, port, login: Login { username, .. }, database, .. } = endpoint;
        let Some(dialect) = endpoint.dialect else {
            return Err(Trouble::refused(Reason::PlanInvalid, format!("{} speaks no SQL", endpoint.engine.as_str())));
        };
        let attempt = || async {
            match dialect {
                Dialect::Mysql => mysql::connect(endpoint).await.map(|connection| Self::Mysql(Box::new(connection))),
                Dialect::Postgres => postgres::connect(endpoint).await.map(|connection| Self::Postgres(Box::new(connection))),
            }
        };
        Self::reach(CONNECTING, (host.as_str(), *port), username, database, attempt).await
    }

    /// Makes a connection of whatever kind, each try within a time. A server that does not answer is tried a few times.
    pub async fn reach<T, F: Future<Output = Result<T, SqlError>>>(
        within: Duration,
        (host, port): (&str, u16),
        username: &str,
        database: &str,
        attempt: impl Fn() -> F,
    ) -> Result<T, Trouble> {
        let mut last = SqlError::broken("no answer");
        for _ in 0..TRIES {
            match tokio::time::timeout(within, attempt()).await {
                Ok(Ok(made)) => return Ok(made),
                Ok(Err(error)) => last = error,
                Err(_) => last = SqlError::broken(format!("no answer within {} s", within.as_secs())),
            }
            if let Some(failure) = last.refusal(host, port, username, database) {
                return Err(Trouble::Refused(failure));
            }
            tokio::time::sleep(PAUSE).await;
        }
        let reason = if last.state.is_empty() { Reason::SutUnreachable } else { Reason::SutOverloaded };
        Err(Trouble::refused(reason, format!("{host}:{port} cannot be connected to: {}", last.said())))
    }

    /// The SQL that it speaks.
    pub const fn dialect(&self) -> Dialect {
        match self {
            Self::Mysql(_) => Dialect::Mysql,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement.
    pub async fn execute(&mut self, sql: &str) -> Result<(), SqlError> {
        match self {
            Self::Mysql(connection) => mysql::execute(connection, sql).await,
            Self::Postgres(connection) => postgres::execute(connection, sql).await,
        }
    }

    /// Asks, and takes every row as text. For answers that are known to be short.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, SqlError> {
        match self {
            Self::Mysql(connection) => mysql::query(connection, sql).await,
            Self::Postgres(connection) => postgres::query(connection, sql).await,
        }
    }

    /// Makes this session one that only sends rows: what it writes has to last no sooner than the proof does.
    pub async fn relax(&mut self) -> Result<(), SqlError> {
        match self {
            Self::Mysql(_) => Ok(()),
            Self::Postgres(_) => self.execute("SET synchronous_commit = off").await,
        }
    }

    /// Sends a chunk of rows. Either every one of them is taken, or none counts.
    pub async fn load(&mut self, sql: &str, layout: &Layout, chunk: Chunk) -> Result<u64, Trouble> {
        let Chunk { bytes, rows, file, first_row } = chunk;
        let sent = match self {
            Self::Mysql(connection) => mysql::load(connection, sql, bytes, rows).await,
            Self::Postgres(connection) => postgres::load(connection, sql, bytes, rows).await,
        };
        sent.map(|()| rows).map_err(|error| {
            let Layout { fixture, table, .. } = layout;
            let place =
                error.row.map_or_else(|| format!("rows {first_row} to {}", first_row + rows.saturating_sub(1)), |row| format!("row {}", first_row + row - 1));
            error.trouble(&format!("Table {table} does not take {place} of file {file} of fixture {fixture}"))
        })
    }
}
