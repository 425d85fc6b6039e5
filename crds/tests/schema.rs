//! What the three kinds accept and refuse, and that what is generated from them is fresh. The table is in `cases`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by failing")]

#[path = "schema/structural.rs"]
mod structural;
mod table;

use std::path::Path;

use crucible_crds::{crds_yaml, definitions};
use kube_core::cel::{Validator, compile_schema};
use serde_json::Value;

/// The kind, its plural and its schema, for every kind.
fn schemas() -> Vec<(String, Value)> {
    definitions()
        .into_iter()
        .map(|(_, definition)| {
            let schema = definition.spec.versions[0].schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()).unwrap();
            (definition.spec.names.kind, serde_json::to_value(schema).unwrap())
        })
        .collect()
}

/// Everything that the API server would say about a document: the schema first, and the rules where that holds.
fn refusal(schema: &Value, before: Option<&Value>, document: &Value) -> Vec<String> {
    let document = structural::without_nulls(document);
    let mut found = structural::errors(schema, &document);
    if found.is_empty() {
        let errors = Validator::new().validate(schema, &document, before).err();
        found.extend(errors.into_iter().flat_map(kube_core::cel::ValidationErrors::into_vec).map(|error| error.to_string()));
    }
    found
}

#[test]
fn every_document_of_the_table_is_accepted_or_refused_as_it_says() {
    let schemas = schemas();
    let mut wrong = Vec::new();
    for (file, table) in table::read_all() {
        let kind = table.base["kind"].as_str().unwrap();
        let (_, schema) = schemas.iter().find(|(known, _)| known == kind).unwrap();
        assert_eq!(refusal(schema, None, &table.base), [""; 0], "{file}: the base must be accepted");
        for case in &table.cases {
            let (before, document) = case.documents(&table.base);
            if let Some(before) = &before {
                assert_eq!(refusal(schema, None, before), [""; 0], "{file}: {}: the document before must be accepted", case.name);
            }
            let said = refusal(schema, before.as_ref(), &document).join("; ");
            let as_expected =
                if case.reject.is_empty() { said.is_empty() } else { case.reject.iter().all(|text| said.contains(text.as_str())) && !said.is_empty() };
            if !as_expected {
                wrong.push(format!("{file}: {}\n   expected {:?}\n   said {said:?}", case.name, case.reject));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_rule_of_every_kind_refuses_something_in_the_table() {
    let told: Vec<String> = table::read_all().into_iter().flat_map(|(_, table)| table.cases.into_iter().flat_map(|case| case.reject)).collect();
    let mut silent = Vec::new();
    for (kind, schema) in schemas() {
        each(&schema, &mut |schema| {
            for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
                let message = rule["message"].as_str().unwrap();
                if !told.iter().any(|text| text == message) {
                    silent.push(format!("{kind}: {message}"));
                }
            }
        });
    }
    silent.dedup();
    assert!(silent.is_empty(), "no case is refused by: {silent:#?}");
}

#[test]
fn every_rule_can_be_compiled() {
    for (kind, schema) in schemas() {
        let compiled = compile_schema(&schema);
        assert!(!compiled.has_errors(), "{kind}: {:?}", compiled.compilation_errors());
    }
}

/// The API server refuses a definition whose rules could cost too much, and warns about number formats that it does not know.
#[test]
fn everything_that_a_user_writes_is_bounded_and_of_a_known_format() {
    for (kind, schema) in schemas() {
        let mut unbounded = Vec::new();
        each(&schema["properties"]["spec"], &mut |schema| {
            let bound = match schema["type"].as_str() {
                Some("string") if schema["enum"].is_null() => "maxLength",
                Some("array") => "maxItems",
                Some("object") if schema["additionalProperties"].is_object() => "maxProperties",
                _ => return,
            };
            if schema[bound].is_null() {
                unbounded.push(schema["description"].as_str().unwrap_or_default().to_owned());
            }
        });
        assert_eq!(unbounded, [""; 0], "{kind}");
        each(&schema, &mut |schema| {
            assert!(schema["format"].is_null() || ["int64", "double", "date-time"].contains(&schema["format"].as_str().unwrap()), "{kind}: {schema}");
            assert!(schema["nullable"].is_null(), "{kind}: {schema}");
        });
    }
}

/// What the API server allows in a structural schema, as far as we need it: it refuses the whole definition for one word more.
#[test]
fn every_schema_is_made_of_words_that_the_api_server_allows() {
    let allowed = [
        "additionalProperties",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    ];
    for (kind, schema) in schemas() {
        each(&schema, &mut |schema| {
            for word in schema.as_object().unwrap().keys() {
                assert!(allowed.contains(&word.as_str()), "{kind}: {word} in {schema}");
            }
            assert!(schema["properties"].is_null() || schema["additionalProperties"].is_null(), "{kind}: fields and a map at once in {schema}");
        });
    }
}

#[test]
fn every_field_is_explained() {
    for (kind, schema) in schemas() {
        for part in ["spec", "status"] {
            each(&schema["properties"][part], &mut |schema| {
                for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                    assert!(field["description"].as_str().is_some_and(|text| !text.is_empty()), "{kind}: {name} has no description");
                }
            });
        }
    }
}

#[test]
fn the_generated_files_are_fresh() {
    for (file, definition) in definitions() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml").join(file);
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(stored == crds_yaml(&definition), "{file} is stale: run `cargo run -p crucible-crds --example generate`");
    }
}

#[test]
fn the_generated_yaml_means_the_definition() {
    for (file, definition) in definitions() {
        let read: Value = serde_saphyr::from_str(&crds_yaml(&definition)).unwrap();
        assert_eq!(with_floats(&read), with_floats(&serde_json::to_value(&definition).unwrap()), "{file}");
    }
}

/// Every number as floating point: YAML has one kind of number only.
fn with_floats(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), with_floats(value))).collect::<serde_json::Map<_, _>>().into(),
        Value::Array(items) => items.iter().map(with_floats).collect::<Vec<_>>().into(),
        Value::Number(number) => number.as_f64().into(),
        value => value.clone(),
    }
}

/// Visits a schema and everything below it.
fn each(schema: &Value, visit: &mut impl FnMut(&Value)) {
    visit(schema);
    for property in schema["properties"].as_object().into_iter().flat_map(|properties| properties.values()) {
        each(property, visit);
    }
    for below in [&schema["items"], &schema["additionalProperties"]] {
        if below.is_object() {
            each(below, visit);
        }
    }
}

#[test]
fn every_document_of_the_sample_dataset_is_accepted() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/samples/tpch");
    let schemas = schemas();
    let mut accepted = Vec::new();
    for file in ["fixtures.yaml", "mariadb.yaml", "postgres.yaml", "trino.yaml"] {
        for text in std::fs::read_to_string(directory.join(file)).unwrap().split("\n---\n") {
            let document: Value = serde_saphyr::from_str(text).unwrap();
            let (kind, schema) = schemas.iter().find(|(known, _)| document["kind"] == known.as_str()).unwrap();
            assert_eq!(refusal(schema, None, &document), [""; 0], "{file}: {}", document["metadata"]["name"]);
            accepted.push(kind.as_str());
        }
    }
    assert_eq!(accepted, [["Fixture"; 8].as_slice(), &["TestPlan"; 3]].concat());
}
