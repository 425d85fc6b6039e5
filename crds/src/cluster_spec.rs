//! What a client says about the system under test of one run: its kind, which is checked, and its shape, which is kept.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The system under test of one run in its client's words, for example `{type: doris, backend_node: {replica: 3}}`.
///
/// Only `type` means something to the operator: it has to be the plan's engine. Everything else is kept as it was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// The kind of database, as a plan's `target.engine`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Everything else.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl JsonSchema for ClusterSpec {
    fn schema_name() -> Cow<'static, str> {
        "ClusterSpec".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "required": ["type"],
            "properties": {
                "type": {
                    "type": "string", "minLength": 1, "maxLength": 63, "pattern": r"^[A-Za-z0-9_-]+$",
                    "description": "The kind of database. The run fails where it is not the engine of its plan.",
                },
            },
            "x-kubernetes-preserve-unknown-fields": true,
        })
    }
}
