//! Stream load: rows over HTTP. A frontend is asked with `PUT /api/{db}/{table}/_stream_load` and answers with the address of a backend, which
//! takes the rows and says what became of them (apache/doris `LoadAction.java`: without an `Expect` header it says "There is no 100-continue
//! header"; `stream-load-manual.md` of apache/doris-website for the headers and the answer).
//!
//! The frontend is asked without rows, because it never reads any; a backend gets them when it has said `100 Continue`. All rows of a request
//! are taken or none, and a label makes that once: a request whose answer was lost is sent again under its label, and `Label Already Exists`
//! with a job that is `FINISHED` means that its rows are there.
//!
//! Rows are CSV whose separators are control characters, so that nothing in a text has to be quoted; NULL is `\N`, and a text that is just
//! that, or has such a character, is refused by its row and column.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use crucible_crds::Reason;
use http_body_util::{BodyExt, Limited};
use hyper::{
    HeaderMap, Method, Request, StatusCode, Uri,
    body::{Body, Frame, SizeHint},
    header::{AUTHORIZATION, CONTENT_LENGTH, EXPECT, HeaderName, HeaderValue, LOCATION},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use tokio::sync::Notify;

use super::super::{
    encode::{Chunk, Layout},
    link::Link,
    session::{Endpoint, Login},
    trouble::Trouble,
    watch::{Watch, lost, nonce},
};

/// How long a request may take. Doris is told to give up sooner.
const REQUEST: Duration = Duration::from_secs(330);
const TIMEOUT: &str = "300";
/// How long is waited for `100 Continue` before the rows are sent without it.
const CONTINUE: Duration = Duration::from_secs(3);
/// How often a chunk is sent.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How much of an answer is read.
const ANSWER: usize = 64 << 10;

/// What takes rows.
pub struct Writer {
    client: Client<HttpConnector, Rows>,
    frontend: Uri,
    headers: HeaderMap,
    labels: String,
    next: AtomicU64,
    watch: Watch,
    link: Arc<Link>,
}

/// What became of a request.
enum Outcome {
    /// Its rows are there.
    Taken,
    /// It is at work under its label.
    Running,
    /// It may be sent again.
    Again(String),
    Refused(Reason, String),
}

/// What a backend says.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    status: String,
    #[serde(default)]
    existing_job_status: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    number_loaded_rows: u64,
    #[serde(default)]
    number_filtered_rows: u64,
    #[serde(default, rename = "ErrorURL")]
    error_url: String,
}

impl Writer {
    /// What sends rows of a layout to a table.
    pub fn new(endpoint: &Endpoint, port: u16, table: &str, layout: &Layout, watch: Watch, link: Arc<Link>) -> Result<Self, Trouble> {
        let Endpoint { host, database, login: Login { username, password, .. }, .. } = endpoint;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let wrong = |what: &str| Trouble::invalid(format!("Rows for table {} cannot be sent to Doris: {what}", layout.table));
        let frontend = format!("http://{host}:{port}/api/{}/{}/_stream_load", form(database), form(table)).parse();
        let columns: Vec<String> = layout.slots.iter().map(|slot| super::sql::name(&slot.name)).collect();
        let login = format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}")));
        let mut headers = HeaderMap::new();
        for (header, value) in [
            ("format", "csv"),
            ("column_separator", "\\x1f"),
            ("line_delimiter", "\\x1e"),
            ("columns", &columns.join(",")),
            ("max_filter_ratio", "0"),
            ("strict_mode", "true"),
            ("timezone", "+00:00"),
            ("timeout", TIMEOUT),
        ] {
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| wrong("a column has a name that no header can have"))?;
            headers.insert(HeaderName::from_static(header), value);
        }
        headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
        let mut login = HeaderValue::try_from(login).map_err(|_| wrong("its user cannot be told"))?;
        login.set_sensitive(true);
        headers.insert(AUTHORIZATION, login);
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_secs(5)));
        connector.set_nodelay(true);
        Ok(Self {
            // A backend may close a connection after each answer: none is kept.
            client: Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector),
            frontend: frontend.map_err(|_| wrong("its address is none"))?,
            headers,
            labels: format!("crucible_{}", nonce()),
            next: AtomicU64::new(0),
            watch,
            link,
        })
    }

    /// Sends a chunk of rows, and waits until all of them were taken.
    pub async fn load(&self, layout: &Layout, chunk: Chunk) -> Result<u64, Trouble> {
        let Chunk { bytes, rows, file, first_row } = chunk;
        let bytes = Bytes::from(bytes);
        let label = format!("{}_{}", self.labels, self.next.fetch_add(1, Ordering::Relaxed));
        let Layout { fixture, table, .. } = layout;
        let what = format!("Table {table} does not take rows {first_row} to {} of file {file} of fixture {fixture}", first_row + rows.saturating_sub(1));
        let (mut pause, mut tries) = (FIRST_PAUSE, 1);
        loop {
            if !self.watch.holds() {
                return Err(lost(table));
            }
            match self.send(&label, &bytes, rows).await {
                Outcome::Taken => return Ok(rows),
                Outcome::Refused(reason, why) => return Err(Trouble::refused(reason, format!("{what}: {why}"))),
                Outcome::Running => {}
                Outcome::Again(why) if tries >= TRIES => return Err(Trouble::Again(format!("{what}: {why}"))),
                Outcome::Again(why) => {
                    tracing::warn!(label, why, "rows were not taken, trying again");
                    tries += 1;
                }
            }
            self.link.pause(pause).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn send(&self, label: &str, bytes: &Bytes, rows: u64) -> Outcome {
        match tokio::time::timeout(REQUEST, self.exchange(label, bytes, rows)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(why)) => Outcome::Again(why),
            Err(_) => Outcome::Again(format!("no answer within {} s", REQUEST.as_secs())),
        }
    }

    async fn exchange(&self, label: &str, bytes: &Bytes, rows: u64) -> Result<Outcome, String> {
        let (status, headers, body) = self.put(self.frontend.clone(), label, Bytes::new()).await?;
        let backend = match status {
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT | StatusCode::FOUND => headers.get(LOCATION).and_then(address),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Ok(Outcome::Refused(Reason::SutAuthenticationFailed, format!("the frontend answers {status}")));
            }
            _ => return Ok(unredirected(status, &body)),
        };
        let backend = backend.ok_or_else(|| format!("the frontend answers {status} without the address of a backend"))?;
        let (status, _, body) = self.put(backend, label, bytes.clone()).await?;
        let Ok(answer) = serde_json::from_slice::<Answer>(&body) else {
            return Err(format!("the backend answers {status}: {}", shown(&body)));
        };
        let outcome = judge(&answer, rows);
        match outcome {
            Outcome::Refused(reason, why) => {
                let row = self.first_wrong_row(&answer.error_url).await;
                Ok(Outcome::Refused(reason, row.map_or_else(|| why.clone(), |row| format!("{why}: {row}"))))
            }
            other => Ok(other),
        }
    }

    /// What a backend has written down of the first row that it did not take.
    async fn first_wrong_row(&self, url: &str) -> Option<String> {
        let uri: Uri = url.parse().ok().filter(|uri: &Uri| uri.scheme_str() == Some("http"))?;
        let request = Request::builder().method(Method::GET).uri(uri).body(Rows::new(Bytes::new(), None)).ok()?;
        let asking = async {
            let answer = self.client.request(request).await.ok()?;
            Limited::new(answer.into_body(), ANSWER).collect().await.ok().map(http_body_util::Collected::to_bytes)
        };
        let body = tokio::time::timeout(Duration::from_secs(5), asking).await.ok()??;
        Some(shown(body.split(|byte| *byte == b'\n').next().unwrap_or_default())).filter(|row| !row.is_empty())
    }

    async fn put(&self, uri: Uri, label: &str, bytes: Bytes) -> Result<(StatusCode, HeaderMap, Bytes), String> {
        let go = (!bytes.is_empty()).then(|| Arc::new(Notify::new()));
        let length = bytes.len();
        let mut request = Request::builder().method(Method::PUT).uri(uri).body(Rows::new(bytes, go.clone())).map_err(|error| error.to_string())?;
        request.headers_mut().extend(self.headers.clone());
        request.headers_mut().insert("label", HeaderValue::try_from(label).map_err(|error| error.to_string())?);
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        if let Some(go) = go {
            hyper::ext::on_informational(&mut request, move |_| go.notify_one());
        }
        let said = |error: &dyn std::error::Error| {
            let causes: Vec<String> = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
            causes.join(": ")
        };
        let answer = self.client.request(request).await.map_err(|error| said(&error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = Limited::new(answer.into_body(), ANSWER).collect().await.map_err(|error| said(&*error))?;
        Ok((status, headers, body.to_bytes()))
    }
}

/// What an answer of a backend means for so many rows.
fn judge(answer: &Answer, rows: u64) -> Outcome {
    let Answer { status, existing_job_status, message, number_loaded_rows, number_filtered_rows, error_url: _ } = answer;
    match (status.as_str(), existing_job_status.as_str()) {
        // "Publish Timeout": they are there, and may be seen later.
        ("Success" | "Publish Timeout", _) if *number_loaded_rows == rows && *number_filtered_rows == 0 => Outcome::Taken,
        ("Success" | "Publish Timeout", _) => {
            Outcome::Refused(Reason::FixtureLoadFailed, format!("of {rows} rows {number_loaded_rows} were taken and {number_filtered_rows} refused"))
        }
        ("Label Already Exists", "FINISHED") => Outcome::Taken,
        ("Label Already Exists", _) => Outcome::Running,
        _ if is_final(message) => Outcome::Refused(Reason::FixtureLoadFailed, format!("{status}: {message}")),
        _ => Outcome::Again(format!("{status}: {message}")),
    }
}

/// Whether a failure is one that the same rows meet again.
fn is_final(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let words = [
        "data_quality",
        "too many filtered rows",
        "unknown column",
        "unknown table",
        "unknown database",
        "access denied",
        "denied",
        "analysis_error",
        "parse error",
    ];
    words.iter().any(|word| message.contains(word))
}

/// What a frontend means that names no backend: its answers are 200 with `{"status": "FAILED", "msg": "…"}`.
fn unredirected(status: StatusCode, body: &[u8]) -> Outcome {
    let why = format!("the frontend answers {status}: {}", shown(body));
    if is_final(&why) { Outcome::Refused(Reason::FixtureLoadFailed, why) } else { Outcome::Again(why) }
}

/// The address of a backend, without the password that a frontend puts into it.
fn address(location: &HeaderValue) -> Option<Uri> {
    let uri: Uri = location.to_str().ok()?.parse().ok()?;
    let (host, path) = (uri.host()?, uri.path_and_query()?);
    let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    (uri.scheme_str() == Some("http")).then(|| format!("http://{host}{port}{path}").parse().ok()).flatten()
}

/// The beginning of a text that somebody else has written.
fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect::<String>().trim().to_owned()
}

/// A name as a path has it.
fn form(name: &str) -> String {
    use std::fmt::Write as _;
    name.bytes().fold(String::with_capacity(name.len()), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') {
            path.push(char::from(byte));
        } else {
            // Writing into memory does not fail.
            let _ = write!(path, "%{byte:02X}");
        }
        path
    })
}

/// A body that waits until it is wanted.
struct Rows {
    bytes: Option<Bytes>,
    length: u64,
    wanted: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Rows {
    fn new(bytes: Bytes, go: Option<Arc<Notify>>) -> Self {
        let length = bytes.len() as u64;
        let wanted = go.map(|go| {
            let waiting: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
                // Not everybody says it; the rows are sent then all the same.
                let _ = tokio::time::timeout(CONTINUE, go.notified()).await;
            });
            waiting
        });
        Self { bytes: Some(bytes).filter(|bytes| !bytes.is_empty()), length, wanted }
    }
}

impl Body for Rows {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if let Some(wanted) = &mut this.wanted {
            ready!(wanted.as_mut().poll(context));
            this.wanted = None;
        }
        Poll::Ready(this.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(if self.bytes.is_some() { self.length } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(answer: &str) -> String {
        match judge(&serde_json::from_str(answer).unwrap(), 3) {
            Outcome::Taken => "taken".to_owned(),
            Outcome::Running => "running".to_owned(),
            Outcome::Again(why) => format!("again: {why}"),
            Outcome::Refused(reason, why) => format!("{reason}: {why}"),
        }
    }

    #[test]
    fn what_a_backend_says_is_taken_running_again_or_refused() {
        let cases = [
            (r#"{"TxnId": 1, "Status": "Success", "NumberLoadedRows": 3, "NumberFilteredRows": 0}"#, "taken"),
            (r#"{"Status": "Publish Timeout", "NumberLoadedRows": 3}"#, "taken"),
            (r#"{"Status": "Success", "NumberLoadedRows": 2, "NumberFilteredRows": 1}"#, "FixtureLoadFailed: of 3 rows 2 were taken and 1 refused"),
            (r#"{"Status": "Label Already Exists", "ExistingJobStatus": "FINISHED"}"#, "taken"),
            (r#"{"Status": "Label Already Exists", "ExistingJobStatus": "RUNNING"}"#, "running"),
            (
                r#"{"Status": "Fail", "Message": "[DATA_QUALITY_ERROR]too many filtered rows", "ErrorURL": "http://x"}"#,
                "FixtureLoadFailed: Fail: [DATA_QUALITY_ERROR]too many filtered rows",
            ),
            (r#"{"Status": "Fail", "Message": "tablet writer write failed, err=-235"}"#, "again: Fail: tablet writer write failed, err=-235"),
        ];
        for (answer, expected) in cases {
            assert_eq!(told(answer), expected);
        }
    }

    #[test]
    fn the_address_of_a_backend_is_used_without_the_password_in_it() {
        let at = |location: &str| address(&HeaderValue::from_str(location).unwrap()).map(|uri| uri.to_string());
        assert_eq!(at("http://root:p4ss@10.0.0.7:8040/api/shop/t/_stream_load?x=1").as_deref(), Some("http://10.0.0.7:8040/api/shop/t/_stream_load?x=1"));
        assert_eq!(at("https://10.0.0.7:8040/api"), None);
        assert_eq!(at("/api/shop"), None);
        assert_eq!(form("a b/ü"), "a%20b%2F%C3%BC");
    }
}
