//! What every answer below `/ui` has in common: errors are pages, too, and nothing runs, loads or frames a page but what is ours.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderName, HeaderValue, Method, header},
    response::Response,
};
use crucible_lifecycle::results::pieces::markup::text;

use super::{
    frame::{Frame, Here},
    session,
};
use crate::{auth::Gate, error::ApiError, native::sentences, state::Gateway};

/// What is sent with every answer that does not say otherwise. Everything that a page consists of is a file of ours.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    // The names of runs are in our addresses; they are nobody else's business. Our own forms have to say where they come from.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];
/// After how many seconds a page is asked for again that could not be made now.
const AGAIN: u32 = 5;

/// A page that was asked for.
pub struct Asked {
    target: String,
    reads: bool,
}

impl Asked {
    /// What was asked for, where it is a page.
    #[must_use]
    pub fn of(request: &Request) -> Option<Self> {
        let path = request.uri().path();
        let target = || request.uri().path_and_query().map_or_else(|| path.to_owned(), ToString::to_string);
        (path == "/ui" || path.starts_with("/ui/")).then(|| Self { target: target(), reads: *request.method() == Method::GET })
    }

    /// The answer as a browser is to have it.
    #[must_use]
    pub fn dress(&self, gateway: &Gateway, mut response: Response) -> Response {
        if let Some(error) = response.extensions().get::<Arc<ApiError>>().cloned() {
            let page = match (&*error, &gateway.gate) {
                (ApiError::Unauthenticated(_), Gate::Static { .. } | Gate::Review { .. }) => {
                    session::page(gateway, if self.reads { &self.target } else { "" }, None)
                }
                (error, _) => self.page(gateway, error),
            };
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            response.headers_mut().remove(header::CONTENT_LENGTH);
            *response.body_mut() = Body::from(page);
        }
        for (name, value) in HEADERS {
            response.headers_mut().entry(name).or_insert(value);
        }
        response
    }

    fn page(&self, gateway: &Gateway, error: &ApiError) -> String {
        let title = match error {
            ApiError::Invalid(_) | ApiError::Wrong(_) => "This cannot be asked",
            ApiError::Unauthenticated(_) => "Who are you?",
            ApiError::Forbidden(_) => "You may not do this",
            ApiError::NotFound(_) => "There is nothing here",
            ApiError::MethodNotAllowed(_) => "This cannot be done here",
            ApiError::Conflict(_) => "Something else was first",
            ApiError::Late | ApiError::TooLarge(_) | ApiError::UnsupportedMediaType(_) => "This could not be read",
            ApiError::Unavailable { .. } => "Not right now",
            ApiError::Internal(_) => "Something went wrong here",
        };
        let said: Vec<String> = sentences(error).iter().map(|sentence| format!("<p>{}.</p>\n", text(&capital(sentence)))).collect();
        let waits = matches!(error, ApiError::Unavailable { .. }) && self.reads;
        let again = if waits { "<p class=\"soft\">The page is asked for again every few seconds.</p>\n" } else { "" };
        let main = format!("<div class=\"card\"><h1>{title}</h1>\n{}{again}<p><a href=\"/ui/\">All runs</a></p></div>", said.concat());
        Frame { here: Here::Nowhere, again: waits.then_some(AGAIN), ..Frame::new(title, main) }.page(gateway)
    }
}

/// A sentence as one begins.
fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
