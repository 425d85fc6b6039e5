//! Names in paths, checked before anything is looked up by them.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};

use crate::error::ApiError;

/// The longest id of a run, as the API has it.
const LONGEST_RUN_ID: usize = 300;

/// The id of a run. One that cannot be one is nobody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunId(pub String);

impl RunId {
    /// The id, where a run could have it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let possible = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        (possible && !text.is_empty() && text.len() <= LONGEST_RUN_ID && !text.contains("..") && text != ".").then(|| Self(text.to_owned()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RunId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        param(parts, state, "run_id").await.as_deref().and_then(Self::parse).ok_or_else(|| ApiError::NotFound("there is no such test run".to_owned()))
    }
}

/// A part of the path, decoded; nothing where it is no text.
pub async fn param<S: Send + Sync>(parts: &mut Parts, state: &S, name: &str) -> Option<String> {
    let params = RawPathParams::from_request_parts(parts, state).await.ok()?;
    params.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_word_that_leads_nowhere_else() {
        for id in ["checkout_20260105-0800_0123abcd", "Check-out.v2_1", "x"] {
            assert_eq!(RunId::parse(id), Some(RunId(id.to_owned())));
        }
        let long = "a".repeat(301);
        for id in ["", ".", "..", "../../x", "a/b", "a\0b", "a b", "a\nb", "💣", ";drop", "a%2Fb", "a..b", &long] {
            assert_eq!(RunId::parse(id), None, "{id:?}");
        }
    }
}
