//! The only way out: the gateway's REST API over HTTP, with a time-out, a bound on what is read, and no redirects.

mod path;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use http::{
    Method, Request, Response, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::path::Path;
use crate::failure::Failure;

/// How long a connection may take to be made.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long an answer may take as a whole.
const ANSWERING: Duration = Duration::from_secs(30);
/// How much of an answer is read.
const LONGEST_ANSWER_MIB: usize = 32;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A bearer token, as the header that carries it. It is never shown.
#[derive(Clone)]
pub struct Token(HeaderValue);

impl TryFrom<String> for Token {
    type Error = http::header::InvalidHeaderValue;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut value = HeaderValue::try_from(format!("Bearer {text}"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl Token {
    /// The header with the token.
    pub const fn header(&self) -> &HeaderValue {
        &self.0
    }
}

/// The gateway, with connections kept open.
#[derive(Clone)]
pub struct Gateway {
    connections: Connections,
    base: Arc<str>,
}

/// Certificates are only asked of the operating system where they are needed.
#[derive(Clone)]
enum Connections {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Secured(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// The gateway as one caller sees it.
#[derive(Clone)]
pub struct Session {
    gateway: Gateway,
    token: Option<Token>,
}

/// What is sent besides method and path.
#[derive(Clone, Default)]
struct Sent {
    content_type: Option<HeaderValue>,
    body: Bytes,
    key: Option<HeaderValue>,
}

impl Gateway {
    /// The gateway at this address.
    pub fn new(base: &Uri) -> anyhow::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECTING));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(30));
        let connections = if base.scheme_str() == Some("https") {
            let tls = hyper_rustls::HttpsConnectorBuilder::new().with_native_roots().context("failed to find certificate authorities")?;
            Connections::Secured(builder.build(tls.https_only().enable_http1().wrap_connector(tcp)))
        } else {
            Connections::Plain(builder.build(tcp))
        };
        Ok(Self { connections, base: base.to_string().trim_end_matches('/').into() })
    }

    /// The gateway as the holder of this token sees it.
    pub fn session(&self, token: Option<Token>) -> Session {
        Session { gateway: self.clone(), token }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let answer = match &self.connections {
            Connections::Plain(client) => client.request(request),
            Connections::Secured(client) => client.request(request),
        };
        answer.await.map_err(|error| Failure::Unreachable(chain(&error)))
    }
}

impl Session {
    /// Reads JSON.
    pub async fn get<T: DeserializeOwned>(&self, path: &Path) -> Result<T, Failure> {
        read(&self.exchange(Method::GET, path, Sent::default()).await?)
    }

    /// Reads text.
    pub async fn text(&self, path: &Path) -> Result<String, Failure> {
        let body = self.exchange(Method::GET, path, Sent::default()).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Sends JSON and reads JSON.
    pub async fn post<T: DeserializeOwned>(&self, path: &Path, body: &Value) -> Result<T, Failure> {
        read(&self.exchange(Method::POST, path, Sent::json(body)).await?)
    }

    /// Sends JSON under a key: a repetition under the same key is the same request, so a lost answer is asked for once more.
    pub async fn post_once<T: DeserializeOwned>(&self, path: &Path, body: &Value, key: &str) -> Result<T, Failure> {
        let key = HeaderValue::from_str(key).map_err(|_| Failure::argument("idempotency_key", "has a character that cannot be sent"))?;
        let sent = Sent { key: Some(key), ..Sent::json(body) };
        match self.exchange(Method::POST, path, sent.clone()).await {
            Err(Failure::Unreachable(_)) => read(&self.exchange(Method::POST, path, sent).await?),
            answer => read(&answer?),
        }
    }

    /// Sends one file as a form and reads JSON.
    pub async fn upload<T: DeserializeOwned>(&self, method: Method, path: &Path, file_name: &str, content: &str) -> Result<T, Failure> {
        // Longer than any text that a form field could hold by chance; made sure of all the same.
        let mut boundary = "crucible-form-boundary".to_owned();
        while content.contains(&boundary) {
            boundary.push('-');
        }
        let name = file_name.replace('"', "%22");
        let body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/yaml\r\n\r\n{content}\r\n--{boundary}--\r\n"
        );
        let content_type = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}")).ok();
        read(&self.exchange(method, path, Sent { content_type, body: body.into(), key: None }).await?)
    }

    /// Deletes.
    pub async fn delete(&self, path: &Path) -> Result<(), Failure> {
        self.exchange(Method::DELETE, path, Sent::default()).await.map(drop)
    }

    async fn exchange(&self, method: Method, path: &Path, sent: Sent) -> Result<Bytes, Failure> {
        let request = self.request(method, path, sent)?;
        let exchange = async {
            let answer = self.gateway.send(request).await?;
            let (status, retry_after) = (answer.status(), retry_after(&answer));
            let body = Limited::new(answer.into_body(), LONGEST_ANSWER_MIB << 20).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() { Failure::TooLong(LONGEST_ANSWER_MIB) } else { Failure::Unreachable(chain(error.as_ref())) }
            })?;
            judge(status, retry_after, body.to_bytes())
        };
        tokio::time::timeout(ANSWERING, exchange).await.unwrap_or(Err(Failure::Late(ANSWERING.as_secs())))
    }

    fn request(&self, method: Method, path: &Path, sent: Sent) -> Result<Request<Full<Bytes>>, Failure> {
        let uri = format!("{}{}", self.gateway.base, path.as_str());
        let mut request = Request::builder().method(method).uri(uri).body(Full::new(sent.body)).map_err(|error| Failure::Unreachable(error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/plain"));
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, token.0.clone());
        }
        if let Some(content_type) = sent.content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        if let Some(key) = sent.key {
            headers.insert(IDEMPOTENCY_KEY, key);
        }
        Ok(request)
    }
}

impl Sent {
    fn json(body: &Value) -> Self {
        Self { content_type: Some(HeaderValue::from_static("application/json")), body: body.to_string().into(), key: None }
    }
}

fn judge(status: StatusCode, retry_after: Option<u64>, body: Bytes) -> Result<Bytes, Failure> {
    if status.is_success() {
        return Ok(body);
    }
    Err(Failure::answered(status.as_u16(), retry_after, &serde_json::from_slice(&body).unwrap_or_default()))
}

fn retry_after<B>(answer: &Response<B>) -> Option<u64> {
    answer.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::Unreadable(error.to_string()))
}

/// An error with its causes, because the client's own text is only "client error".
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes: Vec<String> = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    causes.join(": ")
}
