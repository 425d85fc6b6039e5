//! What goes wrong on native routes, as RFC 9457 has it: the same errors as everywhere, in other words.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{ApiError, Detail, Loc};

/// No more mistakes than these are told at once.
const MOST_MISTAKES: usize = 64;

/// What went wrong (RFC 9457). It is sent as `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: the title says as much as the status does.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The name of the status.
    title: &'static str,
    /// The status.
    status: u16,
    /// What went wrong, in one sentence.
    detail: String,
    /// Every mistake in what was sent, where that is what went wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Mistake>,
}

/// One mistake in what was sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct Mistake {
    /// The field of the body, for example `spec.load.stages[0].duration`; empty where the whole body is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The parameter of the address, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// What is wrong with it.
    detail: String,
}

/// Whether errors of this path are told so.
#[must_use]
pub fn speaks_problems(path: &str) -> bool {
    path.starts_with("/apis/")
}

/// What went wrong, in sentences: one for each mistake where mistakes are what went wrong.
#[must_use]
pub fn sentences(error: &ApiError) -> Vec<String> {
    let problem = Problem::of(error);
    if problem.errors.is_empty() { vec![problem.detail] } else { problem.errors.iter().map(Mistake::told).collect() }
}

/// An answer that an error made, in the words of native routes. Any other stays as it is.
#[must_use]
pub fn rewrite(mut response: Response) -> Response {
    let Some(error) = response.extensions().get::<Arc<ApiError>>().cloned() else { return response };
    // A type of texts and numbers can always be written.
    let text = serde_json::to_vec(&Problem::of(&error)).unwrap_or_default();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response.headers_mut().remove(header::CONTENT_LENGTH);
    *response.body_mut() = Body::from(text);
    response
}

impl Problem {
    fn of(error: &ApiError) -> Self {
        let status = error.status();
        let errors: Vec<Mistake> = match error {
            ApiError::Invalid(details) => details.iter().take(MOST_MISTAKES).map(Mistake::of).collect(),
            ApiError::Wrong(sentences) => {
                sentences.iter().take(MOST_MISTAKES).map(|said| Mistake { field: None, parameter: None, detail: said.clone() }).collect()
            }
            _ => Vec::new(),
        };
        let detail = match errors.as_slice() {
            [] => error.to_string(),
            [only] => only.told(),
            [first, others @ ..] => format!("{} (and {} more)", first.told(), others.len()),
        };
        Self { kind: "about:blank", title: status.canonical_reason().unwrap_or_default(), status: status.as_u16(), detail, errors }
    }
}

impl Mistake {
    fn of(detail: &Detail) -> Self {
        let (part, steps) = match detail.loc.split_first() {
            Some((Loc::Field(part), steps)) => (part.as_str(), steps),
            Some((Loc::At(_), _)) | None => ("body", detail.loc.as_slice()),
        };
        let path = Some(dotted(steps));
        let (field, parameter) = if part == "body" { (path, None) } else { (None, path) };
        Self { field, parameter, detail: detail.msg.clone() }
    }

    fn told(&self) -> String {
        match self.field.as_deref().or(self.parameter.as_deref()) {
            Some(place) if !place.is_empty() => format!("{place}: {}", self.detail),
            Some(_) | None => self.detail.clone(),
        }
    }
}

fn dotted(steps: &[Loc]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            // Writing into memory does not fail.
            Loc::At(at) => drop(write!(path, "[{at}]")),
            Loc::Field(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use serde_json::{Value, json};

    use super::*;

    fn told(error: &ApiError) -> Value {
        serde_json::to_value(Problem::of(error)).unwrap()
    }

    #[test]
    fn a_mistake_is_named_by_its_field_or_its_parameter() {
        let loc = ["body", "spec", "load"].map(|step| Loc::Field(step.to_owned())).into_iter().chain([Loc::At(3), Loc::Field("vus".to_owned())]);
        let field = Detail { loc: loc.collect(), msg: "has to be at least 1".to_owned(), kind: "value_error".to_owned() };
        let expected = json!({
            "type": "about:blank", "title": "Unprocessable Entity", "status": 422, "detail": "spec.load[3].vus: has to be at least 1 (and 1 more)",
            "errors": [{"field": "spec.load[3].vus", "detail": "has to be at least 1"}, {"parameter": "limit", "detail": "is no number"}]
        });
        assert_eq!(told(&ApiError::Invalid(vec![field, Detail::new(&["query", "limit"], "is no number", "value_error")])), expected);
    }

    #[test]
    fn what_has_no_place_is_told_in_one_sentence() {
        let gone = json!({"type": "about:blank", "title": "Not Found", "status": 404, "detail": "run 'x' was not found"});
        assert_eq!(told(&ApiError::NotFound("run 'x' was not found".to_owned())), gone);
        let away = told(&ApiError::Unavailable { what: "the cluster", cause: "10.0.0.7 refused".to_owned() });
        assert_eq!((&away["status"], &away["detail"]), (&json!(503), &json!("the cluster cannot be reached right now; try again")));
    }

    #[tokio::test]
    async fn only_errors_are_put_into_other_words_and_their_headers_stay() {
        let away = rewrite(ApiError::Unavailable { what: "the cluster", cause: String::new() }.into_response());
        assert_eq!((&away.headers()["content-type"], &away.headers()["retry-after"]), (&"application/problem+json".parse().unwrap(), &"5".parse().unwrap()));
        let fine = rewrite("fine".into_response());
        assert_eq!(fine.headers()["content-type"], "text/plain; charset=utf-8");
    }
}
