//! Statements by Trino's protocol: one is posted, and its answer is followed from address to address until there is no other.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use crucible_crds::test_plan::TlsMode;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode, Uri,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client as HyperClient, Error as ClientError, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use serde_json::Value;

use super::{super::session::SqlError, Server, tls};

/// How long one exchange may take. A server that is at work answers within a second that it is.
const ONE_TRY: Duration = Duration::from_mins(1);
/// The longest page of an answer. Those that are asked for here are short.
const LONGEST_PAGE: usize = 64 << 20;
/// How often an address is asked again that nobody answers, and how long until then.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// What errors begin with that are nobody's mistake in the statement: something outside of Trino.
const EXTERNAL: u32 = 0x0100_0000;

/// Errors that a statement may not meet when it is sent again.
const PASSING: [&str; 18] = [
    "ABANDONED_QUERY",
    "ABANDONED_TASK",
    "CLUSTER_OUT_OF_MEMORY",
    "HIVE_CONCURRENT_MODIFICATION_DETECTED",
    "NO_NODES_AVAILABLE",
    "PAGE_TRANSPORT_ERROR",
    "PAGE_TRANSPORT_TIMEOUT",
    "QUERY_QUEUE_FULL",
    "REMOTE_HOST_GONE",
    "REMOTE_TASK_ERROR",
    "REMOTE_TASK_FAILED",
    "REMOTE_TASK_MISMATCH",
    "SERVER_SHUTTING_DOWN",
    "SERVER_STARTING_UP",
    "TOO_MANY_REQUESTS_FAILED",
    "TRANSACTION_CONFLICT",
    "ADMINISTRATIVELY_PREEMPTED",
    "USER_CANCELED",
];

/// A user of a Trino. The server keeps nothing of it between two statements.
pub struct Client {
    http: HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// How far a statement is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stats {
    /// Rows that were read.
    pub processed_rows: u64,
    /// From 0 to 100; nothing while nobody knows.
    pub progress_percentage: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    next_uri: Option<String>,
    #[serde(default)]
    data: Vec<Vec<Value>>,
    error: Option<Failure>,
    #[serde(default)]
    stats: Stats,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    message: Option<String>,
    error_code: u32,
    error_name: String,
}

/// How following a statement has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Whole,
    /// Nobody wants it any more; the server was told so.
    GivenUp,
}

impl Client {
    /// A client with session properties, `catalog.property=value`.
    pub fn new(server: &Server, properties: &[String]) -> Result<Self, SqlError> {
        let http = HyperClient::builder(TokioExecutor::new()).build(tls::connector(server.tls, server.login.authorities.as_deref())?);
        let scheme = if server.tls == TlsMode::Disable { "http" } else { "https" };
        let mut headers = vec![
            header("x-trino-user", &server.login.username)?,
            header("x-trino-source", "crucible-loader")?,
            header("x-trino-catalog", &server.table.catalog)?,
            header("x-trino-schema", &server.table.schema)?,
            header("x-trino-time-zone", "UTC")?,
        ];
        // The password is never sent in the clear: Trino would not take it either.
        if server.tls != TlsMode::Disable && !server.login.password.is_empty() {
            let mut login = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(format!("{}:{}", server.login.username, server.login.password))))
                .map_err(|_| SqlError::broken("the user cannot be sent in a header"))?;
            login.set_sensitive(true);
            headers.push((AUTHORIZATION, login));
        }
        if !properties.is_empty() {
            headers.push(header("x-trino-session", &properties.join(","))?);
        }
        let host = if server.host.contains(':') { format!("[{}]", server.host) } else { server.host.clone() };
        Ok(Self { http, base: format!("{scheme}://{host}:{}", server.port), headers })
    }

    /// Runs a statement.
    pub async fn execute(&self, sql: &str) -> Result<(), SqlError> {
        self.follow(sql, |_| {}, |_| true).await.map(drop)
    }

    /// Asks, and takes every row as text. For answers that are known to be short.
    pub async fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, SqlError> {
        let mut rows = Vec::new();
        self.follow(sql, |row| rows.push(row.into_iter().map(text).collect()), |_| true).await?;
        Ok(rows)
    }

    /// Runs a statement for as long as whoever hears how far it is wants it to go on.
    pub async fn run(&self, sql: &str, go_on: impl FnMut(Stats) -> bool) -> Result<End, SqlError> {
        self.follow(sql, |_| {}, go_on).await
    }

    async fn follow(&self, sql: &str, mut take: impl FnMut(Vec<Value>), mut go_on: impl FnMut(Stats) -> bool) -> Result<End, SqlError> {
        let mut page = self.exchange(Method::POST, "/v1/statement", sql).await?;
        loop {
            let Page { next_uri, data, error, stats } = page;
            if let Some(failure) = error {
                return Err(failure.into());
            }
            data.into_iter().for_each(&mut take);
            let Some(next) = next_uri else { return Ok(End::Whole) };
            let next = path_of(&next)?;
            if !go_on(stats) {
                // One that is not told ends by itself, minutes later.
                let _ = self.send(Method::DELETE, &next, "").await;
                return Ok(End::GivenUp);
            }
            page = self.exchange(Method::GET, &next, "").await?;
        }
    }

    /// One page. An address can be asked again; a statement that may have begun is not sent twice.
    async fn exchange(&self, method: Method, path: &str, body: &str) -> Result<Page, SqlError> {
        let mut last = SqlError::broken("no answer");
        for _ in 0..TRIES {
            match self.send(method.clone(), path, body).await {
                Ok((StatusCode::OK, answer)) => {
                    return serde_json::from_slice(&answer).map_err(|error| SqlError::broken(format!("the answer cannot be read: {error}")));
                }
                Ok((status @ (StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT | StatusCode::TOO_MANY_REQUESTS), _)) => {
                    last = SqlError::broken(format!("HTTP {status}"));
                }
                Ok((status, answer)) => return Err(refused(status, &answer)),
                Err(error) if method == Method::POST || !error.state.is_empty() => return Err(error),
                Err(error) => last = error,
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(last)
    }

    async fn send(&self, method: Method, path: &str, body: &str) -> Result<(StatusCode, Bytes), SqlError> {
        let uri: Uri = format!("{}{path}", self.base).parse().map_err(|_| SqlError::broken("the address of the server cannot be used"))?;
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.headers.iter().cloned());
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).map_err(|error| SqlError::broken(error.to_string()))?;
        let exchange = async {
            let answer = self.http.request(request).await.map_err(|error| of(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LONGEST_PAGE).collect().await.map_err(|error| SqlError::broken(error.to_string()))?;
            Ok((status, body.to_bytes()))
        };
        tokio::time::timeout(ONE_TRY, exchange).await.unwrap_or_else(|_| Err(SqlError::broken(format!("no answer within {} s", ONE_TRY.as_secs()))))
    }
}

impl From<Failure> for SqlError {
    fn from(failure: Failure) -> Self {
        let Failure { message, error_code, error_name } = failure;
        let message = message.unwrap_or_default();
        if PASSING.contains(&error_name.as_str()) {
            return Self::broken(format!("{message} ({error_name})"));
        }
        Self { state: error_name, code: Some(error_code), message, row: None }
    }
}

/// Whether an error is of something outside of Trino, which may be there again a moment later.
pub fn is_external(error: &SqlError) -> bool {
    error.code.is_some_and(|code| code >= EXTERNAL)
}

/// An answer that is no page of a statement.
fn refused(status: StatusCode, answer: &[u8]) -> SqlError {
    let said: String = String::from_utf8_lossy(answer).lines().next().unwrap_or_default().chars().take(200).collect();
    let message = format!("HTTP {status}: {}", said.trim());
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => SqlError { state: "28000".to_owned(), code: None, message, row: None },
        // A coordinator that was started anew knows nothing of the statement.
        StatusCode::NOT_FOUND | StatusCode::GONE => SqlError::broken(message),
        _ => SqlError { state: "HTTP_ERROR".to_owned(), code: None, message, row: None },
    }
}

fn header(name: &'static str, value: &str) -> Result<(HeaderName, HeaderValue), SqlError> {
    let value = HeaderValue::try_from(value).map_err(|_| SqlError {
        message: format!("{name} cannot be sent"),
        state: "HTTP_ERROR".to_owned(),
        code: None,
        row: None,
    })?;
    Ok((HeaderName::from_static(name), value))
}

/// Only the path of an address: where the server is says the plan, and nobody else is told the password.
fn path_of(next: &str) -> Result<String, SqlError> {
    let uri: Option<Uri> = next.parse().ok();
    let path = uri.as_ref().and_then(Uri::path_and_query).map(ToString::to_string);
    path.ok_or_else(|| SqlError::broken(format!("the server says to go on at {next}, which is no address")))
}

/// Why no answer came.
fn of(error: &ClientError) -> SqlError {
    let mut said: Vec<String> = Vec::new();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return SqlError { state: "TLS".to_owned(), code: None, message: tls.to_string(), row: None };
        }
        // An io::Error's own source skips what it carries, and its own words are those of what it carries.
        if let Some(carried) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            cause = Some(carried);
            continue;
        }
        said.push(error.to_string());
        cause = error.source();
    }
    SqlError::broken(said.join(": "))
}

/// A value as the server writes it.
fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_says_is_told_apart() {
        let page = |text: &str| serde_json::from_str::<Page>(text).unwrap();
        let working = page(
            r#"{"id": "q", "nextUri": "http://10.0.0.1:8080/v1/statement/executing/q/y/1?slug=x", "stats": {"state": "RUNNING", "processedRows": 7, "progressPercentage": 12.5}, "warnings": []}"#,
        );
        assert_eq!(path_of(working.next_uri.as_deref().unwrap()).unwrap(), "/v1/statement/executing/q/y/1?slug=x");
        assert_eq!(working.stats, Stats { processed_rows: 7, progress_percentage: Some(12.5) });
        let answer = page(r#"{"id": "q", "data": [["a", null, 5, true]], "stats": {"state": "FINISHED"}}"#);
        let row: Vec<_> = answer.data.into_iter().next().unwrap().into_iter().map(text).collect();
        assert_eq!(row, [Some("a".to_owned()), None, Some("5".to_owned()), Some("true".to_owned())]);
        let failed = |name: &str, code: u32| SqlError::from(Failure { message: Some("it is so".to_owned()), error_code: code, error_name: name.to_owned() });
        assert_eq!(failed("TABLE_NOT_FOUND", 46).said(), "it is so (TABLE_NOT_FOUND)");
        assert!(!failed("TABLE_NOT_FOUND", 46).may_pass() && !is_external(&failed("TABLE_NOT_FOUND", 46)));
        assert!(failed("SERVER_STARTING_UP", 65_548).may_pass());
        assert!(is_external(&failed("HIVE_FILESYSTEM_ERROR", 16_777_220)));
    }

    #[test]
    fn an_answer_that_is_no_page_says_what_it_means() {
        let cases = [
            (StatusCode::UNAUTHORIZED, "28000", "HTTP 401 Unauthorized: Access Denied"),
            (StatusCode::NOT_FOUND, "", "HTTP 404 Not Found: Access Denied"),
            (StatusCode::BAD_REQUEST, "HTTP_ERROR", "HTTP 400 Bad Request: Access Denied"),
        ];
        for (status, state, message) in cases {
            let error = refused(status, b"Access Denied\nmore");
            assert_eq!((error.state.as_str(), error.message.as_str()), (state, message));
        }
    }
}
