//! `HTTPChaos`: HTTP requests or answers are broken off, slowed down or changed.

use std::collections::BTreeMap;

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{HttpMethod, HttpName, PlainText, Span};

/// HTTP requests or answers are broken off, slowed down or changed.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("(has(self.abort) && self.abort) || has(self.delay) || has(self.replace) || has(self.patch)").message("at least one of abort, delay, replace and patch must be set")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpChaos {
    /// Whether requests are hit or answers.
    pub target: HttpTarget,
    /// The port that the pods serve HTTP on.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// Only these paths; `*` stands for anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PlainText>,
    /// Only requests of this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<HttpMethod>,
    /// Only answers of this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    pub code: Option<u16>,
    /// Only requests with these headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub request_headers: BTreeMap<HttpName, PlainText>,
    /// Only answers with these headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub response_headers: BTreeMap<HttpName, PlainText>,
    /// Whether the connection is broken off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub abort: bool,
    /// How much longer it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// What is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<HttpReplace>,
    /// What is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<HttpPatch>,
}

/// What of HTTP is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HttpTarget {
    /// Requests.
    Request,
    /// Answers.
    Response,
}

/// What is replaced in a request or an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpReplace {
    /// The path of a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PlainText>,
    /// The method of a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<HttpMethod>,
    /// The status of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    pub code: Option<u16>,
    /// The body, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096), regex(pattern = r"^[A-Za-z0-9+/]*=?=?$"))]
    pub body: Option<String>,
    /// Parameters of a request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub queries: BTreeMap<HttpName, PlainText>,
    /// Headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub headers: BTreeMap<HttpName, PlainText>,
}

/// What is added to a request or an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpPatch {
    /// What is merged into the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyPatch>,
    /// Parameters of a request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub queries: BTreeMap<HttpName, PlainText>,
    /// Headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub headers: BTreeMap<HttpName, PlainText>,
}

/// What is merged into a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BodyPatch {
    /// A JSON merge patch (RFC 7396).
    #[schemars(length(min = 2, max = 4096))]
    pub json: String,
}
