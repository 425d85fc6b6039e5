//! Plans that come as a form: the field `file`, read whole within the bounds of every body.

use std::path::Path;

use axum::{
    body::Body,
    extract::{FromRequest, Multipart, Request, multipart::MultipartError},
};
use bytes::Bytes;

use crate::{body, error::ApiError};

/// A file of a form.
#[derive(Debug)]
pub struct File {
    /// What its sender calls it, without its ending.
    pub stem: String,
    /// What is in it.
    pub content: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for File {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (head, sent) = request.into_parts();
        let whole = body::read(&head.headers, sent).await?;
        let request = Request::from_parts(head, Body::from(whole));
        let mut form = Multipart::from_request(request, state).await.map_err(|rejection| wrong(rejection.body_text()))?;
        while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
            if field.name() == Some("file") {
                let stem = field.file_name().map(stem).unwrap_or_default();
                return Ok(Self { stem, content: field.bytes().await.map_err(|error| broken(&error))? });
            }
        }
        Err(ApiError::invalid(&["body", "file"], "the form has no field file", "missing"))
    }
}

fn stem(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    Path::new(last).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn broken(error: &MultipartError) -> ApiError {
    wrong(error.body_text())
}

fn wrong(text: String) -> ApiError {
    ApiError::invalid(&["body"], text, "form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_by_its_name_without_place_and_ending() {
        let cases = [
            ("checkout.yaml", "checkout"),
            ("Contract_1.0-a.yml", "Contract_1.0-a"),
            ("checkout", "checkout"),
            ("C:\\plans\\checkout.yaml", "checkout"),
            ("../../x.yaml", "x"),
            ("..", ""),
            (".yaml", ".yaml"),
            ("", ""),
        ];
        for (name, expected) in cases {
            assert_eq!(stem(name), expected, "{name}");
        }
    }
}
