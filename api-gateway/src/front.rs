//! What every request passes first and every answer last: an id, the bounds on what is read at all, a time limit, the log.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crucible_store::vault::ASSEMBLING;

use crate::{auth::Caller, error::ApiError, native, pages, state::Gateway};

/// The name that a request is known by on both sides.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What a browser says of the page that a request comes from; other clients say nothing.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// How long an answer may take to begin. A body that is slow is given up earlier, by its reader.
const ANSWERING: Duration = Duration::from_secs(28);
const LONGEST_ID: usize = 128;

/// Ids of requests: a random word for the process, and a number.
#[derive(Debug)]
pub struct RequestIds {
    prefix: String,
    next: AtomicU64,
}

impl RequestIds {
    /// Ids that begin with this word.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), next: AtomicU64::new(1) }
    }

    /// The id that the request brought, where it can be shown; else a new one.
    fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let shown = |id: &&HeaderValue| {
            let id = id.as_bytes();
            !id.is_empty() && id.len() <= LONGEST_ID && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        };
        if let Some(given) = headers.get(REQUEST_ID).filter(shown) {
            return given.clone();
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Hex digits and a hyphen are always a header.
        HeaderValue::try_from(format!("{}-{number:x}", self.prefix)).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }
}

/// How long the answer to a request may take to begin: as long as the bucket's, where that makes a file of its parts.
fn patience(method: &Method, path: &str) -> Duration {
    let assembles = *method == Method::POST && path.contains("/multipart/") && path.ends_with("/complete");
    if assembles { ASSEMBLING } else { ANSWERING }
}

/// The outermost layer.
pub async fn front(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = gateway.request_ids.of(request.headers());
    let method = request.method().clone();
    let path = if is_write(&method) { Some(request.uri().path().to_owned()) } else { None };
    let patience = patience(&method, request.uri().path());
    let problems = native::speaks_problems(request.uri().path());
    let page = pages::Asked::of(&request);
    let mut response = match admit(&method, request.headers()) {
        Err(error) => error.into_response(),
        Ok(()) => match tokio::time::timeout(patience, next.run(request)).await {
            Ok(response) => response,
            Err(_) => ApiError::Unavailable { what: "what the answer needs", cause: "the time limit of the whole request".to_owned() }.into_response(),
        },
    };
    gateway.metrics.answered(response.status(), begun.elapsed());
    log(&response, &method, path.as_deref(), &id);
    if problems {
        response = native::rewrite(response);
    }
    if let Some(page) = page {
        response = page.dress(&gateway, response);
    }
    let refused = is_write(&method) && response.status().is_client_error();
    let headers = response.headers_mut();
    if refused {
        // Where nobody has read the body, the connection is of no further use; a client that is not told would send its next request into it.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    headers.insert(REQUEST_ID, id);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Nothing is unpacked: a few bytes that become gigabytes are the oldest trick. And nobody calls as two: a program before this one
/// may have believed the other. Nor does a browser change anything in the name of another site's page, which needs no token where nobody is
/// asked for one.
fn admit(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    if is_write(method) && headers.get(FETCH_SITE).is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(ApiError::Forbidden("a page of another site may change nothing here".to_owned()));
    }
    if headers.get_all(header::AUTHORIZATION).iter().nth(1).is_some() {
        return Err(ApiError::Unauthenticated("a request has one Authorization header at most"));
    }
    match headers.get(header::CONTENT_ENCODING) {
        Some(coding) if coding != "identity" => {
            Err(ApiError::UnsupportedMediaType("bodies are read as they are; content-encoding is not supported".to_owned()))
        }
        Some(_) | None => Ok(()),
    }
}

fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// One record for each write, whoever made it and whatever came of it; and what no answer tells.
fn log(response: &Response, method: &Method, path: Option<&str>, id: &HeaderValue) {
    let (status, id) = (response.status().as_u16(), id.to_str().unwrap_or_default());
    if let Some(path) = path {
        let user = response.extensions().get::<Caller>().map_or("", Caller::user);
        tracing::info!(user, %method, path, status, request = id, "write");
    }
    let Some(error) = response.extensions().get::<Arc<ApiError>>() else { return };
    match (&**error, error.cause()) {
        (ApiError::Internal(_), Some(cause)) => tracing::error!(cause, request = id, "a call could not be answered"),
        (_, Some(cause)) => tracing::warn!(cause, request = id, "a call was put off"),
        (_, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_keeps_the_id_that_it_brings_where_that_can_be_shown() {
        let ids = RequestIds::new("ab12");
        let with = |id: &'static str| ids.of(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_static(id))]));
        assert_eq!(with("of-the-client-1"), "of-the-client-1");
        assert_eq!(with(""), "ab12-1");
        assert_eq!(with("a b"), "ab12-2");
        assert_eq!(ids.of(&HeaderMap::new()), "ab12-3");
        let long = HeaderValue::try_from("a".repeat(129)).unwrap();
        assert_eq!(ids.of(&HeaderMap::from_iter([(REQUEST_ID, long)])), "ab12-4");
    }

    #[test]
    fn only_where_a_file_is_made_of_parts_is_an_answer_waited_for_longer() {
        let table = [
            (Method::POST, "/fixtures/f/a.csv/multipart/u1/complete", ASSEMBLING),
            (Method::GET, "/fixtures/f/a.csv/multipart/u1/complete", ANSWERING),
            (Method::POST, "/fixtures/f/a.csv/multipart/init", ANSWERING),
            (Method::POST, "/fixtures/f/multipart", ANSWERING),
            (Method::GET, "/fixtures/complete", ANSWERING),
        ];
        for (method, path, expected) in table {
            assert_eq!(patience(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn packed_bodies_are_not_read() {
        for (coding, admitted) in [("gzip", false), ("br", false), ("identity", true)] {
            let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static(coding))]);
            assert_eq!(admit(&Method::POST, &headers).is_ok(), admitted, "{coding}");
        }
        assert!(admit(&Method::POST, &HeaderMap::new()).is_ok());
    }

    #[test]
    fn pages_of_other_sites_change_nothing() {
        let with = |method: &Method, site: &'static str| admit(method, &HeaderMap::from_iter([(FETCH_SITE, HeaderValue::from_static(site))]));
        for site in ["cross-site", "same-site"] {
            assert!(matches!(with(&Method::POST, site), Err(ApiError::Forbidden(_))), "{site}");
            assert_eq!(with(&Method::GET, site), Ok(()), "{site}");
        }
        for site in ["same-origin", "none"] {
            assert_eq!(with(&Method::DELETE, site), Ok(()), "{site}");
        }
    }

    #[test]
    fn nobody_calls_as_two() {
        let with = |tokens: &[&'static str]| {
            let headers = tokens.iter().map(|token| (header::AUTHORIZATION, HeaderValue::from_static(token)));
            admit(
                &Method::GET,
                &headers.fold(HeaderMap::new(), |mut all, (name, token)| {
                    all.append(name, token);
                    all
                }),
            )
        };
        assert_eq!(with(&["Bearer a"]), Ok(()));
        for tokens in [["Bearer a", "Bearer b"], ["Bearer a", "Bearer a"], ["Bearer a", ""]] {
            assert!(matches!(with(&tokens), Err(ApiError::Unauthenticated(_))), "{tokens:?}");
        }
    }
}
