//! What stands behind the question mark of an address: every name once, pages within bounds, places that a page before gave out.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use crucible_store::ledger::{Cursor, LONGEST_PAGE};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::RunId;
use crate::error::ApiError;

/// A query as a type. Names that nobody asks for are ignored, as they were before.
#[derive(Debug)]
pub struct Asked<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(ApiError::invalid(&["query"], rejection.body_text(), "value_error")),
        }
    }
}

/// How many runs a page may have.
pub fn limit(asked: Option<u32>) -> Result<Option<u32>, ApiError> {
    match asked {
        Some(limit) if !(1..=LONGEST_PAGE).contains(&limit) => {
            Err(ApiError::invalid(&["query", "limit"], format!("must be from 1 to {LONGEST_PAGE}"), "value_error"))
        }
        asked => Ok(asked),
    }
}

/// A place in a list as a word that means nothing to anybody else.
#[must_use]
pub fn write_cursor(cursor: &Cursor) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{} {}", cursor.submitted_at.as_microsecond(), cursor.run_id))
}

/// The place that such a word stands for.
pub fn read_cursor(word: &str) -> Result<Cursor, ApiError> {
    let read = || {
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(word).ok()?).ok()?;
        let (at, run_id) = text.split_once(' ')?;
        let submitted_at = Timestamp::from_microsecond(at.parse().ok()?).ok()?;
        Some(Cursor { submitted_at, run_id: RunId::parse(run_id)?.0 })
    };
    read().ok_or_else(|| ApiError::invalid(&["query", "cursor"], "is not the next_cursor of a page before", "value_error"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_as_it_went_out() {
        let cursor = Cursor { submitted_at: Timestamp::from_microsecond(1_767_600_000_123_456).unwrap(), run_id: "a_20260105-0800_00000000".to_owned() };
        assert_eq!(write_cursor(&cursor), "MTc2NzYwMDAwMDEyMzQ1NiBhXzIwMjYwMTA1LTA4MDBfMDAwMDAwMDA");
        assert_eq!(read_cursor(&write_cursor(&cursor)).unwrap(), cursor);
    }

    #[test]
    fn a_place_that_nobody_gave_out_is_none() {
        for word in ["", "nonsense", "\0", "' or 1=1 --", "MTIzNA", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OSBh"] {
            assert!(read_cursor(word).is_err(), "{word}");
        }
    }

    #[test]
    fn a_page_has_from_one_to_five_hundred_runs() {
        for (asked, taken) in [(None, true), (Some(1), true), (Some(500), true), (Some(0), false), (Some(501), false), (Some(u32::MAX), false)] {
            assert_eq!(limit(asked).is_ok(), taken, "{asked:?}");
        }
    }
}
