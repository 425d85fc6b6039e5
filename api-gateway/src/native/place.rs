//! Where an address leads: a namespace, and in it a name. What cannot be a name in a cluster is nobody's.

use axum::{extract::FromRequestParts, http::request::Parts};

use crate::{error::ApiError, legacy::param};

/// A namespace.
pub struct Namespace(pub String);

/// A name in a namespace.
pub struct Named {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// A name where the route itself says the namespace.
pub struct Name(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let name = param(parts, state, "name").await.filter(|name| is_subdomain(name));
        name.map(Self).ok_or_else(|| ApiError::NotFound("there is nothing of this name".to_owned()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Namespace {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let namespace = param(parts, state, "namespace").await.filter(|name| is_label(name));
        namespace.map(Self).ok_or_else(|| ApiError::NotFound("there is no such namespace".to_owned()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Namespace(namespace) = Namespace::from_request_parts(parts, state).await?;
        let Name(name) = Name::from_request_parts(parts, state).await?;
        Ok(Self { namespace, name })
    }
}

/// A DNS-1123 label, as names of namespaces are.
fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_part(text)
}

/// A DNS-1123 subdomain, as names of objects are.
fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_part)
}

fn is_part(text: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let is_made_of = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    is_made_of && is_end(text.as_bytes().first()) && is_end(text.as_bytes().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_the_cluster_takes_for_one() {
        let (long, longest) = ("a".repeat(64), "a".repeat(254));
        for (text, label, subdomain) in [
            ("a", true, true),
            ("team-a", true, true),
            ("0", true, true),
            ("a.b-c.d", false, true),
            (&long, false, true),
            (&longest, false, false),
            ("", false, false),
            ("-a", false, false),
            ("a-", false, false),
            ("a..b", false, false),
            ("A", false, false),
            ("a_b", false, false),
            ("a/b", false, false),
            ("..", false, false),
            ("a\0", false, false),
            ("ä", false, false),
        ] {
            assert_eq!((is_label(text), is_subdomain(text)), (label, subdomain), "{text:?}");
        }
    }
}
