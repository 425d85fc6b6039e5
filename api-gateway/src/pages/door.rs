//! What a request for a page passes before anybody asks who it is from: a write has to come from one of our own pages, and a browser's cookie
//! becomes the header that the guard looks at.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::session;
use crate::error::ApiError;

/// Where a request comes from, as browsers say it of themselves; no script can make them say otherwise.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The layer before the guard.
pub async fn door(mut request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && !is_from_here(request.headers()) {
        return ApiError::Forbidden("this has to be sent from one of the gateway's own pages".to_owned()).into_response();
    }
    session::bring(request.headers_mut());
    next.run(request).await
}

/// Whether a page of ours sent it. Browsers say so in one of two headers with every write; what says it in neither is not let in, because
/// pages are for browsers and programs have the API.
fn is_from_here(headers: &HeaderMap) -> bool {
    match headers.get(FETCH_SITE) {
        Some(site) => site == "same-origin",
        None => origin(headers).is_some_and(|(_, host)| headers.get(header::HOST).is_some_and(|own| own.as_bytes().eq_ignore_ascii_case(host.as_bytes()))),
    }
}

/// The scheme and the host of the page that sent a request.
pub fn origin(headers: &HeaderMap) -> Option<(&str, &str)> {
    headers.get(header::ORIGIN)?.to_str().ok()?.split_once("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_one_of_our_pages_sent_is_from_here() {
        let table: [(&[(&str, &str)], bool); 10] = [
            (&[], false),
            (&[("host", "gateway:8000")], false),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-site"), ("origin", "http://gateway:8000"), ("host", "gateway:8000")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("origin", "http://gateway:8000"), ("host", "Gateway:8000")], true),
            (&[("origin", "http://gateway:8001"), ("host", "gateway:8000")], false),
            (&[("origin", "null"), ("host", "null")], false),
            (&[("origin", "http://elsewhere"), ("host", "gateway:8000")], false),
        ];
        for (sent, from_here) in table {
            let headers: HeaderMap = sent.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            assert_eq!(is_from_here(&headers), from_here, "{sent:?}");
        }
    }
}
