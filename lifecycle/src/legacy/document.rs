//! YAML as a tree, read under limits: the first step of reading a plan. JSON is YAML, so one reader serves both.
//!
//! Everything that makes YAML dangerous or ambiguous is refused here, before any field is looked at: huge or deep
//! documents, alias bombs, repeated keys, merge keys, tags, several documents. The tree keeps how each scalar was written
//! (`no` without quotes is not a text) and where, so that one scalar can be replaced and every other byte stays.

mod build;
mod scalar;

use std::ops::Range;

pub(super) use build::read;
use serde_json::Value;

use super::detail::Detail;

/// The largest document that is read.
pub const MOST_BYTES: usize = 256 * 1024;
/// The deepest nesting of lists and mappings.
pub const MOST_LEVELS: usize = 64;
/// The most uses of aliases.
pub const MOST_ALIASES: usize = 100;
/// The most values, counting what an alias stands for each time.
pub const MOST_VALUES: usize = 20_000;

/// A value of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// The bytes of a scalar in the text, quotes included.
    pub(super) bytes: Range<usize>,
    /// Whether it stands where an alias was written.
    pub(super) aliased: bool,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A text and whether it was written without quotes, in which case it may mean something else than a text.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// A field of a mapping.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        let Kind::Map(fields) = &self.kind else { return None };
        fields.iter().find(|(known, _)| known == name).map(|(_, node)| node)
    }

    /// Whether it says that there is nothing.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if scalar::is_null(text))
    }

    /// The value as JSON, with scalars as YAML 1.2 reads them.
    pub(super) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Scalar { text, plain: false } => Value::from(text.as_str()),
            Kind::Scalar { text, plain: true } => scalar::value(text),
            Kind::List(entries) => entries.iter().map(Self::to_value).collect(),
            Kind::Map(fields) => Value::Object(fields.iter().map(|(name, node)| (name.clone(), node.to_value())).collect()),
        }
    }

    /// What a scalar without quotes would be to somebody, where that is not a text.
    pub(super) fn is_ambiguous(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if scalar::is_ambiguous(text))
    }
}

/// The text of a document that came as bytes.
///
/// # Errors
/// Where they are more than [`MOST_BYTES`] or not UTF-8.
pub fn decode(bytes: &[u8]) -> Result<&str, Vec<Detail>> {
    if bytes.len() > MOST_BYTES {
        return Err(vec![build::too_large(bytes.len())]);
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        vec![Detail::new(Vec::new(), format!("line {line}: the text is not UTF-8"), "yaml")]
    })
}

#[cfg(test)]
mod tests;
