//! Why a call was not answered as it was meant: one enum, one status for each variant, one body for all of the earlier system's
//! routes. What is wrong inside is said in the log and never in the answer.

use std::sync::Arc;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use crucible_lifecycle::legacy;
use crucible_store::{LedgerError, VaultError};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// When a caller may ask again, in seconds.
const PAUSE: HeaderValue = HeaderValue::from_static("5");

/// One thing that is wrong with what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Detail {
    /// Where: the part of the request, then field names and positions.
    #[schema(value_type = Vec<Value>)]
    pub loc: Vec<Loc>,
    /// What is wrong there.
    pub msg: String,
    /// The kind of mistake, in one word.
    #[serde(rename = "type")]
    pub kind: String,
}

/// One step on the way to what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Loc {
    /// A field.
    Field(String),
    /// A position in a list.
    At(usize),
}

impl Detail {
    /// A mistake at a field of a part of the request.
    pub fn new(loc: &[&str], msg: impl Into<String>, kind: &str) -> Self {
        Self { loc: loc.iter().map(|step| Loc::Field((*step).to_owned())).collect(), msg: msg.into(), kind: kind.to_owned() }
    }
}

/// The body of every answer of the earlier system's routes that is not what was asked for.
#[derive(Serialize, ToSchema)]
pub struct ErrorBody {
    /// A sentence; or for malformed and invalid input a list of what is wrong.
    #[schema(value_type = Value)]
    pub detail: Value,
}

/// Why a call was not answered as it was meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// What was sent is malformed or means nothing.
    #[error("the request is invalid")]
    Invalid(Vec<Detail>),
    /// What was sent is wrong in ways that have no place but a line.
    #[error("the request is invalid")]
    Wrong(Vec<String>),
    /// Nobody known asks.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// Whoever asks may not.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The place knows other methods.
    #[error("the method is not allowed here")]
    MethodNotAllowed(String),
    /// Something is there already, or not as it should be.
    #[error("{0}")]
    Conflict(String),
    /// The request did not come to its end in time.
    #[error("the request did not come to its end in time")]
    Late,
    /// The request is too large.
    #[error("the request is larger than {0} bytes")]
    TooLarge(usize),
    /// The request's body is in a form that is not read.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// Something that only another service can answer, which does not answer now.
    #[error("{what} cannot be reached right now; try again")]
    Unavailable {
        /// What cannot be reached.
        what: &'static str,
        /// What was seen, for the log.
        cause: String,
    },
    /// A mistake of ours.
    #[error("the gateway made a mistake; its log says which")]
    Internal(String),
}

impl ApiError {
    /// One mistake at one place.
    pub fn invalid(loc: &[&str], msg: impl Into<String>, kind: &str) -> Self {
        Self::Invalid(vec![Detail::new(loc, msg, kind)])
    }

    /// What is wrong with a plan or with what was said beside it, as a part of the request's body.
    pub fn in_body(details: Vec<legacy::Detail>, outer: &[&str]) -> Self {
        let outer: Vec<&str> = std::iter::once("body").chain(outer.iter().copied()).collect();
        Self::Invalid(details.into_iter().map(|detail| detail.under(&outer).into()).collect())
    }

    /// The status that says so.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) | Self::Wrong(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What only the log is told.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Unavailable { cause, .. } | Self::Internal(cause) => Some(cause),
            _ => None,
        }
    }

    fn body(&self) -> Value {
        match self {
            Self::Invalid(details) => json!({ "detail": details }),
            Self::Wrong(sentences) => json!({ "detail": sentences }),
            other => json!({ "detail": other.to_string() }),
        }
    }

    /// What the Kubernetes API said about an object, which `what` names.
    pub fn of_kube(error: &kube::Error, what: &str) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                404 => Self::NotFound(format!("{what} was not found")),
                409 => Self::Conflict(format!("{what} was changed or made by somebody else at the same time")),
                400 | 422 => Self::invalid(&["body"], status.message.clone(), "value_error"),
                _ => Self::Unavailable { what: "the cluster", cause: error.to_string() },
            },
            _ => Self::Unavailable { what: "the cluster", cause: error.to_string() },
        }
    }
}

impl From<legacy::Detail> for Detail {
    fn from(detail: legacy::Detail) -> Self {
        let legacy::Detail { loc, msg, kind } = detail;
        let step = |step| match step {
            legacy::Loc::Field(name) => Loc::Field(name),
            legacy::Loc::Index(index) => Loc::At(index),
        };
        Self { loc: loc.into_iter().map(step).collect(), msg, kind: kind.to_owned() }
    }
}

/// What is wrong with a stored text.
impl From<Vec<legacy::Detail>> for ApiError {
    fn from(details: Vec<legacy::Detail>) -> Self {
        Self::in_body(details, &[])
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        Self::Unavailable { what: "the ledger", cause: error.to_string() }
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::NotFound { key, .. } => Self::NotFound(format!("'{key}' was not found")),
            VaultError::AccessDenied { .. } | VaultError::Unavailable { .. } | VaultError::Refused { .. } => {
                Self::Unavailable { what: "object storage", cause: error.to_string() }
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        match &self {
            Self::Unauthenticated(_) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"crucible\""));
            }
            Self::MethodNotAllowed(allowed) => {
                if let Ok(allowed) = HeaderValue::from_str(allowed) {
                    headers.insert(header::ALLOW, allowed);
                }
            }
            Self::Unavailable { .. } => {
                headers.insert(header::RETRY_AFTER, PAUSE);
            }
            _ => {}
        }
        // The front logs it, and puts it into other words where a route speaks otherwise.
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_inside_is_not_told() {
        let error = ApiError::from(LedgerError::Unavailable { cause: "no connection to 10.0.0.7".to_owned() });
        assert_eq!(error.body(), json!({"detail": "the ledger cannot be reached right now; try again"}));
        assert_eq!(error.cause(), Some("the ledger is unavailable (no connection to 10.0.0.7)"));
        let response = error.into_response();
        assert_eq!((response.status(), &response.headers()["retry-after"]), (StatusCode::SERVICE_UNAVAILABLE, &HeaderValue::from_static("5")));
    }

    #[test]
    fn a_mistake_has_a_place_a_sentence_and_a_kind() {
        let error =
            ApiError::Invalid(vec![Detail { loc: vec![Loc::Field("body".to_owned()), Loc::At(3)], msg: "is missing".to_owned(), kind: "missing".to_owned() }]);
        assert_eq!(error.body(), json!({"detail": [{"loc": ["body", 3], "msg": "is missing", "type": "missing"}]}));
        assert_eq!(error.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }

    #[test]
    fn what_the_api_server_says_has_one_meaning() {
        let said = |code: u16| {
            let status = kube::core::Status { code, message: "spec.x: is wrong".to_owned(), ..kube::core::Status::default() };
            ApiError::of_kube(&kube::Error::Api(Box::new(status)), "the run").status().as_u16()
        };
        let table = [(404, 404), (409, 409), (422, 422), (400, 422), (403, 503), (429, 503), (500, 503), (503, 503)];
        for (code, status) in table {
            assert_eq!(said(code), status, "{code}");
        }
    }
}
