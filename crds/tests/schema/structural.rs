//! What the API server checks of a document against a structural schema, as far as our definitions use it, with the
//! fields that no schema knows refused as under strict validation.

use regex::Regex;
use serde_json::{Map, Value};

/// Everything that is wrong with a document, as `path: message` in words close to the API server's.
pub fn errors(schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, document, "", &mut found);
    found
}

/// The document without the `null`s that the API server drops before it validates anything.
pub fn without_nulls(document: &Value) -> Value {
    match document {
        Value::Object(fields) => {
            fields.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), without_nulls(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect::<Vec<_>>().into(),
        value => value.clone(),
    }
}

fn check(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let mut say = |message: String| found.push(format!("{}: {message}", path.trim_start_matches('.')));
    let expected = schema["type"].as_str().unwrap_or_default();
    if !is_of_type(expected, value) {
        return say(format!("must be of type {expected}: {value}"));
    }
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        say(format!("Unsupported value: {value}: supported values: {}", allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")));
    }
    if let Some(number) = value.as_f64() {
        schema["minimum"].as_f64().filter(|least| number < *least).into_iter().for_each(|least| say(format!("should be greater than or equal to {least}")));
        schema["maximum"].as_f64().filter(|most| number > *most).into_iter().for_each(|most| say(format!("should be less than or equal to {most}")));
    }
    if let Some(text) = value.as_str() {
        let length = text.chars().count() as u64;
        schema["minLength"].as_u64().filter(|least| length < *least).into_iter().for_each(|least| say(format!("should be at least {least} chars long")));
        schema["maxLength"].as_u64().filter(|most| length > *most).into_iter().for_each(|most| say(format!("Too long: may not be more than {most}")));
        schema["pattern"]
            .as_str()
            .filter(|pattern| !Regex::new(pattern).unwrap().is_match(text))
            .into_iter()
            .for_each(|pattern| say(format!("should match '{pattern}'")));
    }
    if let Some(items) = value.as_array() {
        let length = items.len() as u64;
        schema["minItems"].as_u64().filter(|least| length < *least).into_iter().for_each(|least| say(format!("should have at least {least} items")));
        schema["maxItems"]
            .as_u64()
            .filter(|most| length > *most)
            .into_iter()
            .for_each(|most| say(format!("Too many: {length}: must have at most {most} items")));
        for (index, item) in items.iter().enumerate() {
            check(&schema["items"], item, &format!("{path}[{index}]"), found);
        }
    } else if let Some(fields) = value.as_object() {
        schema["maxProperties"].as_u64().filter(|most| fields.len() as u64 > *most).into_iter().for_each(|most| {
            say(format!("Too many: {}: must have at most {most} items", fields.len()));
        });
        check_fields(schema, fields, path, found);
    }
}

fn check_fields(schema: &Value, fields: &Map<String, Value>, path: &str, found: &mut Vec<String>) {
    let known = schema["properties"].as_object();
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).filter(|required| !fields.contains_key(*required)) {
        found.push(format!("{}.{required}: Required value", path.trim_start_matches('.')));
    }
    for (name, field) in fields {
        let path = format!("{path}.{name}");
        // The API server itself knows what every object has.
        let common = path.trim_start_matches('.').split('.').next().is_some_and(|first| ["apiVersion", "kind", "metadata"].contains(&first));
        match known.and_then(|known| known.get(name)) {
            _ if common => {}
            Some(schema) => check(schema, field, &path, found),
            None if schema["x-kubernetes-preserve-unknown-fields"] == true => {}
            None if schema["additionalProperties"].is_null() => found.push(format!("unknown field \"{}\"", path.trim_start_matches('.'))),
            None => check(&schema["additionalProperties"], field, &path, found),
        }
    }
}

fn is_of_type(expected: &str, value: &Value) -> bool {
    match expected {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => true,
    }
}
