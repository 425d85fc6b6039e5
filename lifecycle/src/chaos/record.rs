//! What a Chaos Mesh object says about itself: whom it hit, and when each was hit and healed.

use jiff::Timestamp;
use serde_json::Value;

use super::PAUSE;

/// A Chaos Mesh object in the words of decisions.
#[derive(Clone, Debug, PartialEq)]
pub struct ChaosObject {
    /// When it was created; its duration counts from here.
    pub created: Timestamp,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether it was told to heal before its time.
    pub paused: bool,
    /// Whether Chaos Mesh wants its targets healed: the time is over, or it was told so.
    pub stopping: bool,
    /// Whom it hits.
    pub records: Vec<Record>,
    /// Its status as Chaos Mesh wrote it.
    pub raw: Value,
}

/// One target of a Chaos Mesh object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who it is: `namespace/pod`, with the container where that matters, or an address.
    pub id: String,
    /// Whether it is untouched: not hit yet, or healed.
    pub untouched: bool,
    /// Whether it was ever hit.
    pub hit: bool,
    /// What was done to it, oldest first.
    pub events: Vec<Event>,
}

/// Something that was done to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub operation: Operation,
    /// Whether it was done, or only tried.
    pub succeeded: bool,
    /// When.
    pub at: Timestamp,
    /// What went wrong.
    pub message: String,
}

/// What is done to targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The fault is injected.
    Apply,
    /// It is healed.
    Recover,
}

impl ChaosObject {
    /// Reads an object. What is missing is taken as not there yet; nothing where it has no time of creation.
    #[must_use]
    pub fn read(object: &Value) -> Option<Self> {
        let metadata = &object["metadata"];
        let experiment = &object["status"]["experiment"];
        Some(Self {
            created: metadata["creationTimestamp"].as_str()?.parse().ok()?,
            deleting: !metadata["deletionTimestamp"].is_null(),
            paused: metadata["annotations"][PAUSE] == "true",
            stopping: experiment["desiredPhase"] == "Stop",
            records: experiment["containerRecords"].as_array().into_iter().flatten().map(record).collect(),
            raw: object["status"].clone(),
        })
    }

    /// Whether every target was hit, and there was at least one.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        !self.records.is_empty() && self.records.iter().all(|record| record.hit)
    }

    /// Whether nothing of it is left in its targets, and nothing will come.
    #[must_use]
    pub fn is_healed(&self) -> bool {
        self.stopping && self.records.iter().all(|record| record.untouched)
    }

    /// When the first target was hit.
    #[must_use]
    pub fn first_hit(&self) -> Option<Timestamp> {
        self.done(Operation::Apply).min()
    }

    /// When the last target was hit.
    #[must_use]
    pub fn last_hit(&self) -> Option<Timestamp> {
        self.done(Operation::Apply).max()
    }

    /// When the last target was healed.
    #[must_use]
    pub fn last_healed(&self) -> Option<Timestamp> {
        self.done(Operation::Recover).max()
    }

    /// What went wrong last.
    #[must_use]
    pub fn last_trouble(&self) -> Option<&str> {
        let failed = self.records.iter().flat_map(|record| &record.events).filter(|event| !event.succeeded);
        failed.max_by_key(|event| event.at).map(|event| event.message.as_str())
    }

    fn done(&self, operation: Operation) -> impl Iterator<Item = Timestamp> {
        self.records.iter().flat_map(|record| &record.events).filter(move |event| event.succeeded && event.operation == operation).map(|event| event.at)
    }
}

fn record(record: &Value) -> Record {
    let events: Vec<Event> = record["events"].as_array().into_iter().flatten().filter_map(event).collect();
    Record {
        id: record["id"].as_str().unwrap_or_default().to_owned(),
        untouched: record["phase"] == "Not Injected",
        hit: record["injectedCount"].as_i64().is_some_and(|count| count > 0) || record["phase"] == "Injected",
        events,
    }
}

fn event(event: &Value) -> Option<Event> {
    Some(Event {
        operation: match event["operation"].as_str()? {
            "Apply" => Operation::Apply,
            "Recover" => Operation::Recover,
            _ => return None,
        },
        succeeded: event["type"] == "Succeeded",
        at: event["timestamp"].as_str()?.parse().ok()?,
        message: event["message"].as_str().unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A partition of two pods as Chaos Mesh 2.8 leaves it: one was hit at the second attempt, both were healed.
    const HEALED: &str = r#"{
      "apiVersion": "chaos-mesh.org/v1alpha1", "kind": "NetworkChaos",
      "metadata": {"name": "cut", "namespace": "sut", "creationTimestamp": "2026-03-01T12:00:20Z", "annotations": {"experiment.chaos-mesh.org/pause": "true"}},
      "status": {
        "conditions": [{"type": "AllInjected", "status": "False"}, {"type": "AllRecovered", "status": "True"}],
        "experiment": {"desiredPhase": "Stop", "containerRecords": [
          {"id": "sut/db-0", "selectorKey": ".", "phase": "Not Injected", "injectedCount": 1, "recoveredCount": 1, "events": [
            {"type": "Failed", "operation": "Apply", "message": "rpc error: pod not found", "timestamp": "2026-03-01T12:00:20Z"},
            {"type": "Succeeded", "operation": "Apply", "timestamp": "2026-03-01T12:00:22Z"},
            {"type": "Succeeded", "operation": "Recover", "timestamp": "2026-03-01T12:00:31Z"}]},
          {"id": "sut/db-1", "selectorKey": ".", "phase": "Not Injected", "injectedCount": 1, "recoveredCount": 1, "events": [
            {"type": "Succeeded", "operation": "Apply", "timestamp": "2026-03-01T12:00:21Z"},
            {"type": "Succeeded", "operation": "Recover", "timestamp": "2026-03-01T12:00:30Z"}]}]}}}"#;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_window_is_from_the_first_hit_to_the_last_healing() {
        let object = ChaosObject::read(&serde_json::from_str(HEALED).unwrap()).unwrap();
        assert_eq!(object.first_hit(), Some(at("2026-03-01T12:00:21Z")));
        assert_eq!(object.last_hit(), Some(at("2026-03-01T12:00:22Z")));
        assert_eq!(object.last_healed(), Some(at("2026-03-01T12:00:31Z")));
        assert_eq!(object.last_trouble(), Some("rpc error: pod not found"));
        assert!(object.is_confirmed() && object.is_healed() && object.paused && !object.deleting);
    }

    #[test]
    fn targets_that_were_not_hit_yet_are_neither_confirmed_nor_healed() {
        let mut fresh: Value = serde_json::from_str(HEALED).unwrap();
        fresh["status"]["experiment"]["desiredPhase"] = "Run".into();
        fresh["status"]["experiment"]["containerRecords"][0] = serde_json::json!({"id": "sut/db-0", "phase": "Not Injected", "injectedCount": 0});
        let object = ChaosObject::read(&fresh).unwrap();
        assert!(!object.is_confirmed() && !object.is_healed());
    }

    #[test]
    fn an_object_that_chaos_mesh_has_not_seen_yet_says_nothing() {
        let object = ChaosObject::read(&serde_json::json!({"metadata": {"creationTimestamp": "2026-03-01T12:00:20Z"}})).unwrap();
        assert!(!object.is_confirmed() && !object.is_healed() && object.first_hit().is_none());
        assert_eq!(ChaosObject::read(&serde_json::json!({})), None);
    }
}
