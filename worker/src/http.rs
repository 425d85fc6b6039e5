//! The few requests that a worker makes: JSON to the operator and to k6, files to the bucket. Plain HTTP only: all of
//! them stay inside the cluster, and certificates would need a trust store that the image does not have.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, combinators::BoxBody};
use hyper::{
    HeaderMap, Method, Request, StatusCode, Uri,
    body::{Frame, SizeHint},
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, RANGE},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    fs::File,
    io::{AsyncRead, ReadBuf},
};

/// How much of an answer is read.
const LONGEST_ANSWER: usize = 4096;
/// How much of a file is read at once.
const PIECE: usize = 256 << 10;
const CONNECT_TIME: Duration = Duration::from_secs(3);

type Body = BoxBody<Bytes, io::Error>;

/// A client without any state of its own but open connections.
#[derive(Clone)]
pub struct Http(Client<HttpConnector, Body>);

/// Why a request was not answered with success. No variant carries a URL: signed ones are secrets.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be used.
    #[error("not a plain http address")]
    Address,
    /// A header cannot be sent.
    #[error("a header that cannot be sent: {0}")]
    Header(String),
    /// The file cannot be read.
    #[error("cannot read the file: {0}")]
    File(#[from] io::Error),
    /// No answer, or not a whole one.
    #[error("{0}")]
    Connection(String),
    /// A longer answer than was asked for.
    #[error("the answer is too long")]
    TooLong,
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
    /// Another answer than 2xx.
    #[error("answered {status}{}", if code.is_empty() { String::new() } else { format!(" {code}") })]
    Refused {
        /// The status.
        status: StatusCode,
        /// The error code in the body, where S3 sent one.
        code: String,
    },
}

impl Default for Http {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIME));
        connector.set_nodelay(true);
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }
}

impl Http {
    /// Sends JSON.
    pub async fn json(&self, method: Method, uri: Uri, token: Option<&str>, json: Vec<u8>, within: Duration) -> Result<(), HttpError> {
        let body = Full::new(Bytes::from(json)).map_err(|never| match never {}).boxed();
        let mut request = request(method, uri, body)?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = token {
            let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| HttpError::Header(AUTHORIZATION.to_string()))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        self.send(request, within).await
    }

    /// Sends JSON and reads the answer, of at most so many bytes.
    pub async fn ask(&self, uri: Uri, token: &str, json: Vec<u8>, within: Duration, longest: usize) -> Result<Bytes, HttpError> {
        let body = Full::new(Bytes::from(json)).map_err(|never| match never {}).boxed();
        let mut request = request(Method::POST, uri, body)?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| HttpError::Header(AUTHORIZATION.to_string()))?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
        self.exchange(request, within, longest).await.map(|(_, body)| body)
    }

    /// Reads a part of an object, and the tag that the server gives its content; the tag is empty where there is none.
    pub async fn read_range(&self, url: &str, start: u64, length: usize, within: Duration) -> Result<(String, Bytes), HttpError> {
        let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed();
        let mut request = request(Method::GET, url.parse().map_err(|_| HttpError::Address)?, body)?;
        let last = start.saturating_add(length as u64).saturating_sub(1);
        let range = HeaderValue::try_from(format!("bytes={start}-{last}")).map_err(|_| HttpError::Header(RANGE.to_string()))?;
        request.headers_mut().insert(RANGE, range);
        let (headers, body) = self.exchange(request, within, length).await?;
        let tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
        if body.len() != length {
            return Err(HttpError::Connection(format!("{} of {length} bytes came", body.len())));
        }
        Ok((tag.trim_start_matches("W/").trim_matches('"').to_owned(), body))
    }

    /// Sends a file from disk, piece by piece.
    pub async fn put_file(&self, url: &str, headers: &BTreeMap<String, String>, path: &Path, within: Duration) -> Result<(), HttpError> {
        let file = File::open(path).await?;
        let bytes = file.metadata().await?.len();
        let body = FileBody { file, left: bytes, piece: vec![0; PIECE] }.boxed();
        let mut request = request(Method::PUT, url.parse().map_err(|_| HttpError::Address)?, body)?;
        for (name, value) in headers {
            let refused = || HttpError::Header(name.clone());
            let value = HeaderValue::from_str(value).map_err(|_| refused())?;
            request.headers_mut().insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?, value);
        }
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(bytes));
        self.send(request, within).await
    }

    async fn send(&self, request: Request<Body>, within: Duration) -> Result<(), HttpError> {
        match self.exchange(request, within, LONGEST_ANSWER).await {
            // What a success says beyond being one is of no use here.
            Ok(_) | Err(HttpError::TooLong) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn exchange(&self, request: Request<Body>, within: Duration, longest: usize) -> Result<(HeaderMap, Bytes), HttpError> {
        let exchange = async {
            let answer = self.0.request(request).await.map_err(|error| HttpError::Connection(chain(&error)))?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let limit = if status.is_success() { longest } else { LONGEST_ANSWER };
            let body = Limited::new(answer.into_body(), limit).collect().await.map(http_body_util::Collected::to_bytes);
            match body {
                Ok(body) if status.is_success() => Ok((headers, body)),
                Err(error) if status.is_success() && error.is::<LengthLimitError>() => Err(HttpError::TooLong),
                Err(error) if status.is_success() => Err(HttpError::Connection(chain(&*error))),
                Ok(_) | Err(_) => Err(HttpError::Refused { status, code: error_code(&body.unwrap_or_default()) }),
            }
        };
        tokio::time::timeout(within, exchange).await.unwrap_or(Err(HttpError::Late(within)))
    }
}

/// A file as a body of known length, read piece by piece as the connection takes it.
struct FileBody {
    file: File,
    left: u64,
    piece: Vec<u8>,
}

impl hyper::body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Self { file, left, piece } = self.get_mut();
        if *left == 0 {
            return Poll::Ready(None);
        }
        let mut buffer = ReadBuf::new(piece);
        let frame = ready!(Pin::new(file).poll_read(context, &mut buffer)).and_then(|()| {
            let read = buffer.filled();
            let read = &read[..read.len().min(usize::try_from(*left).unwrap_or(usize::MAX))];
            *left -= read.len() as u64;
            if read.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(Frame::data(Bytes::copy_from_slice(read))) }
        });
        Poll::Ready(Some(frame))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

fn request(method: Method, uri: Uri, body: Body) -> Result<Request<Body>, HttpError> {
    if uri.scheme_str() != Some("http") || uri.host().is_none() {
        return Err(HttpError::Address);
    }
    Request::builder().method(method).uri(uri).body(body).map_err(|_| HttpError::Address)
}

/// An error with its causes, because hyper's own text is only "client error".
fn chain(error: &dyn std::error::Error) -> String {
    let causes: Vec<String> = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    causes.join(": ")
}

/// What stands between `<Code>` and `</Code>`. The rest of S3's answer may quote what was signed.
fn error_code(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map_or("", |(code, _)| code);
    code.chars().filter(char::is_ascii_alphanumeric).take(64).collect()
}
