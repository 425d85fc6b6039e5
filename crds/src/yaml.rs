//! Writes a definition as the YAML that `kubectl apply` reads and a reviewer can follow. The generated files under
//! `crds/yaml` and in the chart are this function's output; a test says whether they are fresh.
//!
//! It writes the small part of YAML that definitions need, so that this crate needs no YAML library to be used.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

/// Says where the file comes from, for whoever is about to edit it.
const HEADER: &str = "# Generated from the types in crds/src by `cargo run -p crucible-crds --example generate`. Edit those instead.\n";

/// A definition as one YAML document: keys sorted, two spaces deep, every text in double quotes but plain words.
#[must_use]
pub fn crds_yaml(definition: &CustomResourceDefinition) -> String {
    let mut text = HEADER.to_owned();
    // A definition has no map with keys that are not text, which is all that could fail here.
    write_block(&serde_json::to_value(definition).unwrap_or_default(), 0, &mut text);
    text
}

/// The value on lines of its own, each indented this deep.
fn write_block(value: &Value, depth: usize, to: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            for (key, value) in fields {
                to.push_str(&"  ".repeat(depth));
                to.push_str(&scalar(&Value::from(key.as_str())));
                to.push(':');
                write_after_key(value, depth, to);
            }
        }
        Value::Array(items) => {
            for item in items {
                to.push_str(&"  ".repeat(depth));
                to.push('-');
                write_item(item, depth, to);
            }
        }
        value => {
            to.push_str(&"  ".repeat(depth));
            to.push_str(&scalar(value));
            to.push('\n');
        }
    }
}

fn write_after_key(value: &Value, depth: usize, to: &mut String) {
    if is_block(value) {
        to.push('\n');
        // A list stands as deep as its key.
        write_block(value, if value.is_array() { depth } else { depth + 1 }, to);
    } else {
        to.push(' ');
        to.push_str(&scalar(value));
        to.push('\n');
    }
}

/// An item's first line stands beside its dash.
fn write_item(item: &Value, depth: usize, to: &mut String) {
    let mut block = String::new();
    if is_block(item) {
        write_block(item, depth + 1, &mut block);
    } else {
        block = format!("{}\n", scalar(item));
    }
    to.push(' ');
    to.push_str(block.trim_start_matches(' '));
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

/// A value on one line. JSON is YAML; words that mean nothing else go without quotes, whole numbers without decimals.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::Number(number) => {
            number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e15).map_or_else(|| number.to_string(), |number| format!("{number:.0}"))
        }
        value => value.to_string(),
    }
}

/// Whether a text stands for itself without quotes: a word that YAML reads as nothing but text.
fn is_plain(text: &str) -> bool {
    let reserved = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    begins && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte)) && !reserved.contains(&text.to_ascii_lowercase().as_str())
}
