//! Requests as the client sends them, taken apart.

use std::{collections::BTreeMap, fmt};

use http::{Method, header, request::Parts};
use serde_json::Value;

use super::Key;

/// One request.
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    pub resource: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: Option<String>,
    pub query: BTreeMap<String, String>,
    pub content_type: String,
    pub body: Value,
}

impl Request {
    pub fn parse(head: &Parts, body: &[u8]) -> Self {
        let mut rest = head.uri.path().trim_matches('/').split('/').map(str::to_owned).peekable();
        let skipped = if rest.next().as_deref() == Some("api") { 1 } else { 2 };
        let mut rest = rest.skip(skipped).peekable();
        // A namespace itself is asked for by a path that ends with its name.
        let within = rest.clone().count() > 2 && rest.peek().is_some_and(|part| part == "namespaces");
        let namespace = if within { rest.nth(1) } else { None };
        Self {
            method: head.method.clone(),
            resource: rest.next().unwrap_or_default(),
            namespace,
            name: rest.next(),
            subresource: rest.next(),
            query: head.uri.query().map(parse_query).unwrap_or_default(),
            content_type: head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned(),
            body: serde_json::from_slice(body).unwrap_or(Value::Null),
        }
    }

    pub fn is_write(&self) -> bool {
        self.method != Method::GET
    }

    pub fn key(&self) -> Key {
        Key { resource: self.resource.clone(), namespace: self.namespace.clone().unwrap_or_default(), name: self.name.clone().unwrap_or_default() }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.method == Method::GET && self.name.is_none() { "LIST" } else { self.method.as_str() };
        write!(f, "{verb} {}", self.resource)?;
        if self.resource == "events" {
            return write!(f, " {}", self.body["reason"].as_str().unwrap_or_default());
        }
        let created = self.body["metadata"]["name"].as_str().filter(|_| self.method == Method::POST);
        for part in [self.name.as_deref().or(created), self.subresource.as_deref()].into_iter().flatten() {
            write!(f, "/{part}")?;
        }
        if let Some(selector) = self.query.get("labelSelector") {
            write!(f, " {selector}")?;
        }
        Ok(())
    }
}

fn parse_query(query: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| text.replace("%3D", "=").replace("%2F", "/").replace("%2C", ",").replace("%21", "!").replace('+', " ");
    query.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.to_owned(), decode(value))).collect()
}
