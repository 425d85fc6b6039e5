//! `Idempotency-Key`: a client that did not hear the answer asks again with the same key, and there is one run.
//!
//! Nothing is kept for that but the run itself: its object is named after caller and key, so that the cluster lets only one be made.

use axum::{extract::FromRequestParts, http::request::Parts};
use crucible_lifecycle::plan::sha256_hex;
use serde_json::Value;

use crate::{auth::Caller, error::ApiError};

/// The header.
const HEADER: &str = "idempotency-key";
/// No key is longer.
const LONGEST: usize = 255;
/// Hex digits of caller and key in the name of a run's object.
const DIGITS: usize = 24;

/// The key of a request, where it has one, bound to whoever asks.
#[derive(Clone, Debug, Default)]
pub struct Once(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Once {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut values = parts.headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        let key = value.to_str().ok().filter(|key| (1..=LONGEST).contains(&key.len()) && values.next().is_none());
        let key = key.ok_or_else(|| ApiError::invalid(&["header", HEADER], format!("one text of 1 to {LONGEST} letters is needed here"), "value_error"))?;
        let user = parts.extensions.get::<Caller>().map_or("", Caller::user);
        Ok(Self(Some(sha256_hex(format!("{user}\n{key}").as_bytes()))))
    }
}

impl Once {
    /// The name of the object of the one run, where there is a key.
    #[must_use]
    pub fn object(&self) -> Option<String> {
        self.0.as_ref().and_then(|key| Some(format!("once-{}", key.get(..DIGITS)?)))
    }

    /// What the request was, where there is a key: another one under the same key is told apart by it.
    #[must_use]
    pub fn request(&self, outline: &Value) -> Option<String> {
        self.0.as_ref().map(|key| sha256_hex(format!("{key}\n{outline}").as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde_json::json;

    use super::*;

    async fn once(keys: &[&str]) -> Result<Once, ApiError> {
        let request = keys.iter().fold(Request::builder(), |request, key| request.header(HEADER, *key));
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        Once::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn a_run_is_named_after_its_key_and_knows_its_request() {
        let (one, other) = (once(&["a"]).await.unwrap(), once(&["b"]).await.unwrap());
        assert_eq!(one.object(), Some("once-7361a6f4b374745deaf896ac".to_owned()));
        assert_ne!(one.object(), other.object());
        let (this, that) = (json!({"plan": 1}), json!({"plan": 2}));
        assert_eq!(one.request(&this), once(&["a"]).await.unwrap().request(&this));
        assert_ne!(one.request(&this), one.request(&that));
        assert_eq!((once(&[]).await.unwrap().object(), once(&[]).await.unwrap().request(&this)), (None, None));
    }

    #[tokio::test]
    async fn a_key_is_one_short_text() {
        for keys in [&[""][..], &["a", "b"], &[&"k".repeat(256)]] {
            assert!(once(keys).await.is_err(), "{keys:?}");
        }
        assert!(once(&[&"k".repeat(255)]).await.is_ok());
    }
}
