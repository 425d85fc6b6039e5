//! Kinds of arguments that say their own bounds: in the schema that the caller reads, and again when they are read.

use std::{borrow::Cow, fmt};

use rmcp::model::JsonObject;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// A text of bounded length, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<const LEAST: usize, const MOST: usize>(String);

/// The YAML of a test plan.
pub type PlanYaml = Text<1, 262_144>;
/// The text of a workload.
pub type WorkloadText = Text<1, 1_048_576>;
/// A word to find runs by.
pub type Label = Text<0, 256>;
/// Notes about the cluster's settings.
pub type Settings = Text<0, 16_384>;
/// A sentence or two.
pub type Sentence = Text<1, 2000>;
/// A word from somebody else, such as a page's cursor.
pub type Word = Text<1, 1024>;

impl<const LEAST: usize, const MOST: usize> Text<LEAST, MOST> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const LEAST: usize, const MOST: usize> fmt::Display for Text<LEAST, MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de, const LEAST: usize, const MOST: usize> Deserialize<'de> for Text<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.len() {
            bytes if bytes > MOST => Err(D::Error::custom(format!("has {bytes} bytes; at most {MOST} are read"))),
            bytes if bytes < LEAST => Err(D::Error::custom("must not be empty")),
            _ => Ok(Self(text)),
        }
    }
}

impl<const LEAST: usize, const MOST: usize> JsonSchema for Text<LEAST, MOST> {
    fn schema_name() -> Cow<'static, str> {
        format!("Text{LEAST}To{MOST}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": LEAST, "maxLength": MOST})
    }
}

/// The name of a run, a plan, a workload, a fixture or a file of one: one step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

const LONGEST_NAME: usize = 253;

impl Name {
    /// A text as a name, where it can be one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("{why}: names have 1 to {LONGEST_NAME} characters, without slashes and control characters"));
        match text {
            "" => refuse("must not be empty"),
            "." | ".." => refuse("is not a name"),
            long if long.chars().count() > LONGEST_NAME => refuse("is too long"),
            odd if odd.contains(|letter: char| letter.is_control() || matches!(letter, '/' | '\\')) => refuse("has a character that names do not have"),
            name => Ok(Self(name.to_owned())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": LONGEST_NAME, "pattern": r"^[^/\\]+$"})
    }
}

/// An object, also where it was given as JSON text, which some callers do.
pub fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<JsonObject>, D::Error> {
    let given = match Option::<Value>::deserialize(deserializer)? {
        Some(Value::String(text)) if text.trim().is_empty() => None,
        Some(Value::String(text)) => Some(serde_json::from_str(&text).map_err(|_| D::Error::custom("is a text that is not a JSON object"))?),
        other => other,
    };
    match given {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(D::Error::custom("must be an object")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn a_name_is_one_step_of_a_path() {
        for bad in ["", ".", "..", "a/b", "a\\b", "a\u{0}b", "a\nb", &"n".repeat(254)] {
            assert!(from_value::<Name>(json!(bad)).is_err(), "{bad:?}");
        }
        for good in ["checkout_20260307-2359_5b54ae4d", "Zürich 1", "a..b", "%2e%2e"] {
            assert_eq!(from_value::<Name>(json!(good)).unwrap().as_str(), good);
        }
    }

    #[test]
    fn a_text_says_how_long_it_was_and_may_be() {
        let error = from_value::<PlanYaml>(json!("x".repeat(262_145))).unwrap_err();
        assert_eq!(error.to_string(), "has 262145 bytes; at most 262144 are read");
        assert!(from_value::<PlanYaml>(json!("")).is_err());
    }

    #[test]
    fn an_object_is_read_from_its_text_too() {
        let expected = json!({"type": "mysql"}).as_object().cloned();
        assert_eq!(object(json!({"type": "mysql"})).unwrap(), expected);
        assert_eq!(object(json!("{\"type\": \"mysql\"}")).unwrap(), expected);
        assert_eq!(object(json!(null)).unwrap(), None);
        assert!(object(json!([1])).is_err() && object(json!("mysql")).is_err());
    }
}
