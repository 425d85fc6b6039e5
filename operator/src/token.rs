//! A run's token: by it the operator and the workers of one run know each other. It is never shown.

use std::collections::BTreeMap;

use crucible_lifecycle::build::token::KEY;
use k8s_openapi::api::core::v1::Secret;
use sha2::{Digest, Sha256};

/// A run's token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The token that a Secret holds, where it holds one.
    #[must_use]
    pub fn in_secret(secret: &Secret) -> Option<Self> {
        let written = secret.string_data.as_ref().and_then(|data: &BTreeMap<String, String>| data.get(KEY).cloned());
        let stored = || secret.data.as_ref()?.get(KEY).and_then(|bytes| String::from_utf8(bytes.0.clone()).ok());
        written.or_else(stored).filter(|token| !token.is_empty()).map(Self)
    }

    /// The value of the header `Authorization`.
    #[must_use]
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Whether a header `Authorization` holds this token. Digests are compared, so that the time it takes says nothing about the token.
    #[must_use]
    pub fn authorizes(&self, header: &str) -> bool {
        header.strip_prefix("Bearer ").is_some_and(|given| Sha256::digest(given) == Sha256::digest(&self.0))
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    #[test]
    fn a_token_is_read_as_written_and_as_stored() {
        let written = Secret { string_data: Some(BTreeMap::from([("token".to_owned(), "abc".to_owned())])), ..Secret::default() };
        let stored = Secret { data: Some(BTreeMap::from([("token".to_owned(), ByteString(b"abc".to_vec()))])), ..Secret::default() };
        assert_eq!(Token::in_secret(&written), Token::in_secret(&stored));
        assert_eq!(Token::in_secret(&Secret::default()), None);
    }

    #[test]
    fn only_the_token_itself_authorizes_and_it_is_never_shown() {
        let token = Token("abc".to_owned());
        for (header, expected) in [("Bearer abc", true), ("bearer abc", false), ("Bearer ab", false), ("Bearer ", false), ("abc", false), ("", false)] {
            assert_eq!(token.authorizes(header), expected, "{header:?}");
        }
        assert_eq!(format!("{token:?}"), "Token([redacted])");
    }
}
