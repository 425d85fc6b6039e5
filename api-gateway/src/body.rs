//! Bodies of requests: read whole within a size and a time, then as JSON that says everything once.
//!
//! `serde_json` by itself would take the last of two equal keys; two programs that read the same text differently are how checks
//! are got around, so such a text is refused.

use std::{fmt, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use crate::error::{ApiError, Detail, Loc};

/// No body is larger. A workload of the most bytes that it may have fits, quotes and line ends escaped.
pub const MOST_BYTES: usize = 4 << 20;
/// How long a body may take to arrive.
pub const ARRIVING: Duration = Duration::from_secs(15);

/// A JSON body.
#[derive(Debug)]
pub struct Sent<T>(pub T);

/// A JSON body, or none at all.
#[derive(Debug)]
pub struct SentOrNot<T>(pub Option<T>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Sent<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let body = read(&head.headers, body).await?;
        require_json(&head.headers)?;
        typed(&body).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for SentOrNot<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let body = read(&head.headers, body).await?;
        if body.is_empty() {
            return Ok(Self(None));
        }
        require_json(&head.headers)?;
        typed(&body).map(|sent| Self(Some(sent)))
    }
}

/// Reads a body whole, within its bounds.
pub async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > MOST_BYTES) {
        return Err(ApiError::TooLarge(MOST_BYTES));
    }
    match tokio::time::timeout(ARRIVING, Limited::new(body, MOST_BYTES).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::TooLarge(MOST_BYTES)),
        Ok(Err(_)) => Err(ApiError::invalid(&["body"], "the body broke off", "incomplete")),
        Err(_) => Err(ApiError::Late),
    }
}

/// A body that says nothing of its type counts as JSON, as it did before.
fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(given) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = given.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    Err(ApiError::UnsupportedMediaType("the body has to be application/json".to_owned()))
}

/// A JSON text as a type; what does not fit is named by its path.
pub fn typed<T: DeserializeOwned>(text: &[u8]) -> Result<T, ApiError> {
    let value = value(text)?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut loc = vec![Loc::Field("body".to_owned())];
        loc.extend(error.path().iter().filter_map(step));
        let msg = error.into_inner().to_string();
        let kind = if msg.starts_with("missing field") { "missing" } else { "type_error" };
        ApiError::Invalid(vec![Detail { loc, msg, kind: kind.to_owned() }])
    })
}

/// One step on the way to what does not fit.
pub fn step(segment: &serde_path_to_error::Segment) -> Option<Loc> {
    match segment {
        serde_path_to_error::Segment::Seq { index } => Some(Loc::At(*index)),
        serde_path_to_error::Segment::Map { key } => Some(Loc::Field(key.clone())),
        serde_path_to_error::Segment::Enum { variant } => Some(Loc::Field(variant.clone())),
        serde_path_to_error::Segment::Unknown => None,
    }
}

/// A JSON text as a value, every key of which stands once.
pub fn value(text: &[u8]) -> Result<Value, ApiError> {
    let Strict(value) = serde_json::from_slice(text).map_err(|error| ApiError::invalid(&["body"], format!("is not valid JSON: {error}"), "json_invalid"))?;
    Ok(value)
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is none"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            let Strict(value) = fields.next_value()?;
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key:?} stands twice")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only whether it can be read matters")]
    struct Order {
        plan: String,
        parts: Vec<u8>,
    }

    fn told(text: &str) -> Value {
        match typed::<Order>(text.as_bytes()).unwrap_err() {
            ApiError::Invalid(details) => json!(details[0]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_path() {
        let table = [
            ("{\"plan\": \"a\", \"parts\": [1, \"x\"]}", json!(["body", "parts", 1]), "type_error"),
            ("{\"parts\": []}", json!(["body"]), "missing"),
            ("null", json!(["body"]), "type_error"),
            ("7", json!(["body"]), "type_error"),
        ];
        for (text, loc, kind) in table {
            let told = told(text);
            assert_eq!((&told["loc"], &told["type"]), (&loc, &json!(kind)), "{text}");
        }
    }

    #[test]
    fn text_that_two_programs_could_read_differently_is_no_json() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let texts = ["", "{", "{\"a\": 1} x", "{\"a\": 1, \"a\": 2}", "{\"a\": {\"b\": 1, \"b\": 1}}", "\"\\ud800\"", "{\"a\": 01}", "NaN", &deep];
        for text in texts {
            assert!(matches!(value(text.as_bytes()), Err(ApiError::Invalid(_))), "{text}");
        }
        assert!(value(b"\"\xff\"").is_err());
    }

    #[test]
    fn what_is_said_once_is_read_as_it_is() {
        let text = "{\"a\": [1, -2, 1.5, null, true, \"\\u00e9\"], \"b\": {\"c\": 18446744073709551615}}";
        assert_eq!(value(text.as_bytes()).unwrap(), json!({"a": [1, -2, 1.5, null, true, "é"], "b": {"c": u64::MAX}}));
    }

    #[test]
    fn only_json_is_read() {
        for (given, read) in [("application/json", true), ("application/merge-patch+json; charset=utf-8", true), ("text/plain", false), ("text/json", false)] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, given.parse().unwrap())]);
            assert_eq!(require_json(&headers).is_ok(), read, "{given}");
        }
        assert!(require_json(&HeaderMap::new()).is_ok());
    }
}
