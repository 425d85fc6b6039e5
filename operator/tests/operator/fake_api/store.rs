//! The objects of the cluster, with the rules that the operator relies on: versions, uids, generations, finalizers,
//! owners, preconditions.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{labels, patch, status};

/// Which object is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub resource: String,
    pub namespace: String,
    pub name: String,
}

/// Something that happened to an object.
#[derive(Clone, Debug)]
pub struct Change {
    pub key: Key,
    pub object: Value,
    pub deleted: bool,
}

/// Why a request was refused.
#[derive(Debug)]
pub struct Refusal {
    pub code: u16,
    reason: &'static str,
    message: String,
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into() }
    }

    pub fn to_status(&self) -> Value {
        status(self.code, self.reason, &self.message)
    }
}

/// A clock that the store asks for creation times.
pub type Now = Box<dyn Fn() -> Timestamp + Send>;

/// A rule that every change of an object is checked against: the object before and after.
pub type Invariant = Box<dyn Fn(&Key, Option<&Value>, &Value) + Send>;

/// The objects of the cluster.
pub struct Store {
    objects: BTreeMap<Key, Value>,
    version: u64,
    uids: u64,
    now: Now,
    invariant: Invariant,
    changes: Vec<Change>,
}

impl Store {
    pub fn new(now: Now, invariant: Invariant) -> Self {
        Self { objects: BTreeMap::new(), version: 0, uids: 0, now, invariant, changes: Vec::new() }
    }

    /// What happened since this was last asked.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// How often anything was written or removed.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Every object of a resource.
    pub fn all(&self, resource: &str) -> Vec<Value> {
        self.objects.iter().filter(|(key, _)| key.resource == resource).map(|(_, object)| object.clone()).collect()
    }

    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.objects.keys()
    }

    pub fn get(&self, key: &Key) -> Result<Value, Refusal> {
        self.objects.get(key).cloned().ok_or_else(|| Refusal::new(404, "NotFound", format!("{} {} not found", key.resource, key.name)))
    }

    pub fn list(&self, resource: &str, namespace: Option<&str>, query: &BTreeMap<String, String>) -> Value {
        let selector = query.get("labelSelector").cloned().unwrap_or_default();
        let in_namespace = |key: &Key| key.resource == resource && namespace.is_none_or(|namespace| key.namespace == namespace);
        let items: Vec<&Value> =
            self.objects.iter().filter(|(key, object)| in_namespace(key) && selected(object, &selector)).map(|(_, object)| object).collect();
        json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": self.version.to_string()}, "items": items})
    }

    pub fn create(&mut self, resource: &str, namespace: &str, mut object: Value) -> Result<Value, Refusal> {
        let name = object["metadata"]["name"].as_str().expect("created objects have names").to_owned();
        let key = Key { resource: resource.to_owned(), namespace: namespace.to_owned(), name };
        if self.objects.contains_key(&key) {
            return Err(Refusal::new(409, "AlreadyExists", format!("{resource} {} already exists", key.name)));
        }
        self.uids += 1;
        let created = Timestamp::from_second((self.now)().as_second()).unwrap().to_string();
        patch::merge(
            &mut object,
            &json!({"metadata": {"namespace": namespace, "uid": format!("uid-{}", self.uids), "creationTimestamp": created, "generation": 1}}),
        );
        for (name, text) in object["stringData"].take().as_object().cloned().unwrap_or_default() {
            object["data"][name] = json!(BASE64_STANDARD.encode(text.as_str().unwrap_or_default()));
        }
        if let Some(fields) = object.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        Ok(self.write(key, object))
    }

    pub fn replace(&mut self, key: &Key, object: &Value) -> Result<Value, Refusal> {
        let old = self.checked(key, object)?;
        let mut new = object.clone();
        patch::merge(&mut new, &json!({"metadata": {"uid": old["metadata"]["uid"], "creationTimestamp": old["metadata"]["creationTimestamp"]}}));
        Ok(self.write(key.clone(), new))
    }

    pub fn merge(&mut self, key: &Key, change: &Value) -> Result<Value, Refusal> {
        let old = self.checked(key, change)?;
        let mut new = old.clone();
        patch::merge(&mut new, change);
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
        if new["spec"] != old["spec"] {
            new["metadata"]["generation"] = json!(old["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
        }
        Ok(if new == old { old } else { self.write(key.clone(), new) })
    }

    pub fn json_patch(&mut self, key: &Key, steps: &Value) -> Result<Value, Refusal> {
        let mut new = self.get(key)?;
        patch::take_steps(&mut new, steps).map_err(|message| Refusal::new(422, "Invalid", message))?;
        Ok(self.write(key.clone(), new))
    }

    /// Replaces the status. One manager owns all of it, so applying and replacing are the same.
    pub fn apply_status(&mut self, key: &Key, applied: &Value) -> Result<Value, Refusal> {
        let old = self.checked(key, applied)?;
        let mut new = old.clone();
        new["status"] = applied["status"].clone();
        Ok(if new == old { old } else { self.write(key.clone(), new) })
    }

    pub fn delete(&mut self, key: &Key, options: &Value) -> Result<Value, Refusal> {
        let mut object = self.get(key)?;
        for field in ["uid", "resourceVersion"] {
            let wanted = &options["preconditions"][field];
            if !wanted.is_null() && *wanted != object["metadata"][field] {
                return Err(Refusal::new(409, "Conflict", format!("the precondition on {field} does not hold")));
            }
        }
        if object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty()) {
            if object["metadata"]["deletionTimestamp"].is_null() {
                object["metadata"]["deletionTimestamp"] = json!(Timestamp::from_second((self.now)().as_second()).unwrap().to_string());
                self.write(key.clone(), object);
            }
        } else {
            self.remove(key);
        }
        Ok(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}))
    }

    /// Removes an object with everything that it owns.
    pub fn remove(&mut self, key: &Key) {
        let Some(mut object) = self.objects.remove(key) else { return };
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let uid = object["metadata"]["uid"].clone();
        self.changes.push(Change { key: key.clone(), object, deleted: true });
        let owned = |object: &Value| object["metadata"]["ownerReferences"].as_array().is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == uid));
        let orphans: BTreeSet<Key> = self.objects.iter().filter(|(_, object)| owned(object)).map(|(key, _)| key.clone()).collect();
        for orphan in orphans {
            self.remove(&orphan);
        }
    }

    /// The object, if what is sent was made from its current version and is about the same one.
    fn checked(&self, key: &Key, sent: &Value) -> Result<Value, Refusal> {
        let object = self.get(key)?;
        for field in ["resourceVersion", "uid"] {
            let wanted = &sent["metadata"][field];
            if !wanted.is_null() && *wanted != object["metadata"][field] {
                return Err(Refusal::new(409, "Conflict", format!("{} {} has changed", key.resource, key.name)));
            }
        }
        Ok(object)
    }

    fn write(&mut self, key: Key, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        (self.invariant)(&key, self.objects.get(&key), &object);
        let going = !object["metadata"]["deletionTimestamp"].is_null();
        self.objects.insert(key.clone(), object.clone());
        if going && object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
            self.remove(&key);
        } else {
            self.changes.push(Change { key, object: object.clone(), deleted: false });
        }
        object
    }
}

/// Whether an object has the labels of a selector of the form `name=value,name,!name`.
fn selected(object: &Value, selector: &str) -> bool {
    let labels = labels(object);
    selector.split(',').filter(|part| !part.is_empty()).all(|part| match part.split_once('=') {
        None if part.starts_with('!') => !labels.contains_key(&part[1..]),
        Some((name, value)) => labels.get(name).is_some_and(|label| label == value),
        None => labels.contains_key(part),
    })
}
