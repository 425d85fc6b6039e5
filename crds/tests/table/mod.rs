//! Reads the table of accepted and refused documents: `crds/tests/cases`. Included by path from the tests that run it,
//! here without a server and elsewhere against a real one.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::Value;

/// One file: a kind with its cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// A document that is accepted.
    pub base: Value,
    /// Changes to it, and what comes of them.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A sentence.
    pub name: String,
    #[serde(default)]
    before: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    set: BTreeMap<String, Value>,
    #[serde(default)]
    remove: Vec<String>,
    /// Texts that the refusal holds; nothing where the document is accepted.
    #[serde(default)]
    pub reject: Vec<String>,
    /// Stands in for `reject` where the API server words it differently.
    #[serde(default)]
    server: Vec<String>,
}

impl Case {
    /// Texts that the API server's own refusal holds; nothing where it accepts the document.
    #[allow(dead_code, reason = "the test without a server has no use for it")]
    pub fn server_reject(&self) -> &[String] {
        if self.server.is_empty() { &self.reject } else { &self.server }
    }

    /// The document before, where the case is an update, and the document that is accepted or refused.
    pub fn documents(&self, base: &Value) -> (Option<Value>, Value) {
        let before = self.before.as_ref().map(|before| changed(base, &[], before));
        let after = changed(before.as_ref().unwrap_or(base), &self.remove, &self.set);
        (before, after)
    }
}

/// Every table of the directory, by file name.
pub fn read_all() -> Vec<(String, Table)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/tests/cases");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            let table = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path.file_name().unwrap().to_string_lossy().into_owned(), table)
        })
        .collect()
}

fn changed(base: &Value, remove: &[String], set: &BTreeMap<String, Value>) -> Value {
    let mut document = base.clone();
    for pointer in remove {
        let (parent, key) = parent(&mut document, pointer);
        match parent {
            Value::Object(fields) => fields.remove(&key),
            Value::Array(items) => Some(items.remove(key.parse().unwrap())),
            _ => panic!("{pointer} is not there to be removed"),
        };
    }
    for (pointer, value) in set {
        let (parent, key) = parent(&mut document, pointer);
        match parent {
            Value::Array(items) if key == "-" => items.push(value.clone()),
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value.clone(),
            parent => parent[key] = value.clone(),
        }
    }
    document
}

fn parent<'a>(document: &'a mut Value, pointer: &str) -> (&'a mut Value, String) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer} has no parent"));
    (parent, key.replace("~1", "/").replace("~0", "~"))
}
