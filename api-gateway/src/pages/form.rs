//! What browsers send: forms, each field of which stands once.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};

use crate::{body, error::ApiError};

/// The fields of a form.
pub async fn read(headers: &HeaderMap, body: Body) -> Result<BTreeMap<String, String>, ApiError> {
    let sent = body::read(headers, body).await?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(ApiError::UnsupportedMediaType("the body has to be a form".to_owned()));
    }
    let mut fields = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(&sent) {
        if fields.insert(name.clone().into_owned(), value.into_owned()).is_some() {
            return Err(ApiError::invalid(&["body", &name], "stands twice", "value_error"));
        }
    }
    Ok(fields)
}

/// A text as one word of an address.
pub fn word(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_one_word_in_an_address() {
        assert_eq!(word("a&b=c\" <x>/é"), "a%26b%3Dc%22+%3Cx%3E%2F%C3%A9");
    }
}
