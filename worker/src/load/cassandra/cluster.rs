//! The session with a cluster: one for everything that a loader does, with a few connections to each node. What goes wrong becomes one kind
//! of error, which knows whether trying again may help.

use std::{sync::Arc, time::Duration};

use crucible_crds::{Reason, test_plan::TlsMode};
use crucible_lifecycle::contract::Failure;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use scylla::{
    client::{PoolSize, execution_profile::ExecutionProfile, session::Session, session_builder::SessionBuilder},
    deserialize::row::DeserializeRow,
    errors::{
        ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError, MetadataError, NewSessionError, PrepareError,
        RequestAttemptError,
    },
    policies::retry::FallthroughRetryPolicy,
    serialize::row::SerializeRow,
    statement::{Consistency, SerialConsistency, Statement},
};

use super::super::{
    session::{Endpoint, Login},
    tls::{Anyone, authorities, provider},
    trouble::Trouble,
};
use crate::outcome;

/// How long a connection may take to be made.
const CONNECTING: Duration = Duration::from_secs(10);
/// How long a request may take here; the server's own limits are shorter.
const REQUEST: Duration = Duration::from_secs(15);
/// How long a lightweight transaction may take.
const DECISION: Duration = Duration::from_secs(5);
/// How long a change of the schema may take until every node has it, or the emptying of a table.
const CHANGE: Duration = Duration::from_mins(2);
/// How often it is tried before the system under test counts as unreachable.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// How many connections each node gets.
const CONNECTIONS: std::num::NonZeroUsize = std::num::NonZeroUsize::MIN.saturating_add(1);

/// A name as CQL has it, its case kept.
pub fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as CQL has it.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Why the cluster did not do what it was asked.
#[derive(Clone, Debug)]
pub enum CqlError {
    /// It did not answer, or not in time, or says that it cannot now.
    Passing(String),
    /// Half the answers came in time; less at a time may be enough.
    Slow(String),
    /// It will not.
    Refused(String),
}

impl CqlError {
    /// Whether trying again may help.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Passing(_) | Self::Slow(_))
    }

    /// What was said.
    pub fn said(&self) -> &str {
        match self {
            Self::Passing(why) | Self::Slow(why) | Self::Refused(why) => why,
        }
    }

    /// The trouble that it is, said of `what`.
    pub fn trouble(&self, what: &str) -> Trouble {
        let message = format!("{what}: {}", self.said());
        if self.may_pass() { Trouble::Again(message) } else { Trouble::refused(Reason::FixtureLoadFailed, message) }
    }

    fn of_database(error: &DbError, reason: &str) -> Self {
        let (code, make): (&str, fn(String) -> Self) = match error {
            DbError::Unavailable { .. } => ("0x1000 Unavailable", Self::Passing),
            DbError::Overloaded => ("0x1001 Overloaded", Self::Passing),
            DbError::IsBootstrapping => ("0x1002 Is_bootstrapping", Self::Passing),
            DbError::TruncateError => ("0x1003 Truncate_error", Self::Passing),
            DbError::WriteTimeout { .. } => ("0x1100 Write_timeout", Self::Passing),
            DbError::ReadTimeout { .. } => ("0x1200 Read_timeout", Self::Slow),
            DbError::RateLimitReached { .. } => ("rate limit", Self::Passing),
            DbError::Unprepared { .. } => ("0x2500 Unprepared", Self::Passing),
            DbError::ServerError => ("0x0000 Server_error", Self::Refused),
            DbError::ProtocolError => ("0x000A Protocol_error", Self::Refused),
            DbError::AuthenticationError => ("0x0100 Bad_credentials", Self::Refused),
            DbError::ReadFailure { .. } => ("0x1300 Read_failure", Self::Refused),
            DbError::FunctionFailure { .. } => ("0x1400 Function_failure", Self::Refused),
            DbError::WriteFailure { .. } => ("0x1500 Write_failure", Self::Refused),
            // Another loader's lightweight transaction was in the way.
            DbError::Other(0x1700) => ("0x1700 CAS_write_unknown", Self::Passing),
            DbError::SyntaxError => ("0x2000 Syntax_error", Self::Refused),
            DbError::Unauthorized => ("0x2100 Unauthorized", Self::Refused),
            DbError::Invalid => ("0x2200 Invalid", Self::Refused),
            DbError::ConfigError => ("0x2300 Config_error", Self::Refused),
            DbError::AlreadyExists { .. } => ("0x2400 Already_exists", Self::Refused),
            // The driver may learn of more.
            _ => ("an error of another kind", Self::Refused),
        };
        make(format!("{reason} ({code})"))
    }
}

impl From<&RequestAttemptError> for CqlError {
    fn from(error: &RequestAttemptError) -> Self {
        match error {
            RequestAttemptError::DbError(error, reason) => Self::of_database(error, reason),
            RequestAttemptError::SerializationError(_)
            | RequestAttemptError::CqlRequestSerialization(_)
            | RequestAttemptError::CqlResultParseError(_)
            | RequestAttemptError::CqlErrorParseError(_) => Self::Refused(error.to_string()),
            // The connection, or a statement that changed under it.
            other => Self::Passing(other.to_string()),
        }
    }
}

impl From<PrepareError> for CqlError {
    fn from(error: PrepareError) -> Self {
        match &error {
            PrepareError::AllAttemptsFailed { first_attempt } => first_attempt.into(),
            other => Self::Passing(other.to_string()),
        }
    }
}

impl From<ExecutionError> for CqlError {
    fn from(error: ExecutionError) -> Self {
        match error {
            ExecutionError::LastAttemptError(error) => Self::from(&error),
            ExecutionError::PrepareError(error) => error.into(),
            ExecutionError::BadQuery(error) => Self::Refused(error.to_string()),
            ExecutionError::RequestTimeout(span) => Self::Slow(format!("no answer within {} s", span.as_secs())),
            other => Self::Passing(other.to_string()),
        }
    }
}

/// A cluster, as a loader reaches it.
pub struct Cluster {
    session: Session,
    keyspace: String,
}

impl Cluster {
    /// Connects. A cluster that does not answer is tried a few times.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, Trouble> {
        let Endpoint { host, port, database, .. } = endpoint;
        let mut last = String::from("no answer");
        for _ in 0..TRIES {
            match tokio::time::timeout(2 * CONNECTING, open(endpoint)).await {
                Ok(Ok(session)) => {
                    let cluster = Self { session, keyspace: database.clone() };
                    cluster.check(endpoint).await?;
                    return Ok(cluster);
                }
                Ok(Err(Unopened::Refused(failure))) => return Err(Trouble::Refused(failure)),
                Ok(Err(Unopened::Passing(why))) => last = why,
                Err(_) => last = format!("no answer within {} s", 2 * CONNECTING.as_secs()),
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Trouble::refused(Reason::SutUnreachable, format!("{host}:{port} cannot be connected to: {last}")))
    }

    /// That the keyspace is there, and that its tokens are numbers.
    async fn check(&self, endpoint: &Endpoint) -> Result<(), Trouble> {
        let Endpoint { host, port, database, .. } = endpoint;
        let failed = |error: CqlError| error.trouble(&format!("{host}:{port} cannot be asked what it is"));
        let known: Vec<(String,)> =
            self.ask("SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?", (database.as_str(),)).await.map_err(failed)?;
        if known.is_empty() {
            let message = format!("Database {database} at {host}:{port} may not be used: the keyspace does not exist, or the user has no right to it");
            return Err(Trouble::refused(Reason::SutDatabaseMissing, message));
        }
        let partitioner: Vec<(String,)> = self.ask("SELECT partitioner FROM system.local", ()).await.map_err(failed)?;
        match partitioner.first() {
            Some((partitioner,)) if !partitioner.ends_with("Murmur3Partitioner") => {
                let message = format!("{host}:{port} has the partitioner {partitioner}; rows can be counted by their tokens with Murmur3Partitioner alone");
                Err(Trouble::refused(Reason::FixtureLoadFailed, message))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    pub fn keyspace(&self) -> &str {
        &self.keyspace
    }

    /// A table of the keyspace, as a statement has it.
    pub fn table(&self, table: &str) -> String {
        format!("{}.{}", name(&self.keyspace), name(table))
    }

    /// Changes the schema, or empties a table; every node knows of it afterwards.
    pub async fn change(&self, cql: &str) -> Result<(), CqlError> {
        let mut statement = Statement::new(cql);
        statement.set_request_timeout(Some(CHANGE));
        self.session.query_unpaged(statement, ()).await?;
        Ok(())
    }

    /// Asks, and takes every row. For answers that are known to be short.
    pub async fn ask<T>(&self, cql: impl Into<Statement>, values: impl SerializeRow) -> Result<Vec<T>, CqlError>
    where
        T: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
    {
        let result = self.session.query_unpaged(cql, values).await?.into_rows_result().map_err(|error| CqlError::Refused(error.to_string()))?;
        let rows = result.rows::<T>().map_err(|error| CqlError::Refused(error.to_string()))?;
        rows.collect::<Result<_, _>>().map_err(|error| CqlError::Refused(error.to_string()))
    }

    /// The same of most nodes of all data centres: what a lightweight transaction has written is seen.
    pub async fn ask_most<T>(&self, cql: &str, values: impl SerializeRow) -> Result<Vec<T>, CqlError>
    where
        T: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
    {
        let mut statement = Statement::new(cql);
        statement.set_consistency(Consistency::Quorum);
        self.ask(statement, values).await
    }

    /// Runs a lightweight transaction; answers whether its condition held.
    pub async fn compare_and_set(&self, cql: &str, values: impl SerializeRow) -> Result<bool, CqlError> {
        let mut statement = Statement::new(cql);
        statement.set_request_timeout(Some(DECISION));
        statement.set_consistency(Consistency::Quorum);
        statement.set_serial_consistency(Some(SerialConsistency::Serial));
        let result = self.session.query_unpaged(statement, values).await?.into_rows_result().map_err(|error| CqlError::Refused(error.to_string()))?;
        // Whatever else it tells of the row that was in the way, the first column is whether it was done.
        let rows = result.rows::<scylla::deserialize::row::ColumnIterator<'_, '_>>().map_err(|error| CqlError::Refused(error.to_string()))?;
        let mut done = false;
        for row in rows {
            let mut columns = row.map_err(|error| CqlError::Refused(error.to_string()))?;
            let first = columns.next().and_then(Result::ok).and_then(|column| column.slice);
            done = first.is_some_and(|slice| slice.as_slice() == [1]);
        }
        Ok(done)
    }
}

/// Why no session could be opened.
enum Unopened {
    Passing(String),
    Refused(Failure),
}

async fn open(endpoint: &Endpoint) -> Result<Session, Unopened> {
    let Endpoint { host, port, login: Login { username, password, .. }, database, .. } = endpoint;
    // Retries are our own: they know of the file and the row.
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .request_timeout(Some(REQUEST))
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .build();
    let mut builder = SessionBuilder::new()
        .known_node(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
        .default_execution_profile_handle(profile.into_handle())
        .connection_timeout(CONNECTING)
        .pool_size(PoolSize::PerHost(CONNECTIONS))
        .schema_agreement_timeout(CHANGE)
        .keyspaces_to_fetch([database.as_str()]);
    if !username.is_empty() {
        builder = builder.user(username, password);
    }
    if endpoint.tls != TlsMode::Disable {
        let tls = tls(endpoint).map_err(|why| refused(endpoint, Reason::SutTlsFailed, &why))?;
        builder = builder.tls_context(Some(Arc::new(tls)));
    }
    builder.build().await.map_err(|error| unopened(endpoint, &error))
}

fn refused(endpoint: &Endpoint, reason: Reason, why: &str) -> Unopened {
    let Endpoint { host, port, login: Login { username, .. }, .. } = endpoint;
    let what = match reason {
        Reason::SutAuthenticationFailed => format!("{host}:{port} refuses user {username}"),
        Reason::SutTlsFailed => format!("No secured connection to {host}:{port} can be made"),
        _ => format!("{host}:{port} refuses the connection"),
    };
    Unopened::Refused(outcome::failure(reason, format!("{what}: {why}")))
}

fn unopened(endpoint: &Endpoint, error: &NewSessionError) -> Unopened {
    let NewSessionError::MetadataError(MetadataError::ConnectionPoolError(ConnectionPoolError::Broken { last_connection_error })) = error else {
        return Unopened::Passing(error.to_string());
    };
    match last_connection_error {
        ConnectionError::IoError(error) => match error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
            Some(cause) => refused(endpoint, Reason::SutTlsFailed, &cause.to_string()),
            None => Unopened::Passing(error.to_string()),
        },
        ConnectionError::ConnectionSetupRequestError(setup) => match setup.get_error() {
            ConnectionSetupRequestErrorKind::DbError(DbError::AuthenticationError, why) => refused(endpoint, Reason::SutAuthenticationFailed, why),
            ConnectionSetupRequestErrorKind::MissingAuthentication => {
                refused(endpoint, Reason::SutAuthenticationFailed, "the cluster asks for a user and a password")
            }
            ConnectionSetupRequestErrorKind::DbError(error, why) => match CqlError::of_database(error, why) {
                CqlError::Refused(why) => refused(endpoint, Reason::FixtureLoadFailed, &why),
                CqlError::Passing(why) | CqlError::Slow(why) => Unopened::Passing(why),
            },
            other => Unopened::Passing(other.to_string()),
        },
        other => Unopened::Passing(other.to_string()),
    }
}

/// The settings of secured connections. All nodes are asked for a certificate of one name, that of the endpoint: the ring tells their
/// addresses alone, and their certificates have that name in common where they have anything.
fn tls(endpoint: &Endpoint) -> Result<ClientConfig, String> {
    let provider = provider();
    let verifier: Arc<dyn ServerCertVerifier> = if endpoint.tls == TlsMode::InsecureSkipVerify {
        Arc::new(Anyone(Arc::clone(&provider)))
    } else {
        let roots = authorities(endpoint.login.authorities.as_deref())?;
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().map_err(|error| error.to_string())?;
        let name = ServerName::try_from(endpoint.host.clone()).map_err(|_| format!("{} is no name that a certificate can have", endpoint.host))?;
        Arc::new(Named { inner, name })
    };
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Takes certificates for one name, whatever address they come from.
#[derive(Debug)]
struct Named {
    inner: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _address: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.inner.verify_server_cert(end_entity, intermediates, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(&self, message: &[u8], cert: &CertificateDer<'_>, dss: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(&self, message: &[u8], cert: &CertificateDer<'_>, dss: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
