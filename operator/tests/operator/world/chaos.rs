//! Chaos Mesh, as far as its objects show: it hits targets, heals them when their time is over or when it is told to, and
//! lets an object go only when its targets are healed.

use crucible_lifecycle::chaos::Kind;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::fake_api::{Key, Store};

/// What keeps an object until its targets are healed.
const FINALIZER: &str = "chaos-mesh/records";

/// Does what Chaos Mesh does with every object that it serves.
pub fn turn(store: &mut Store, now: Timestamp) {
    for kind in Kind::ALL {
        for object in store.all(kind.resource()) {
            let metadata = &object["metadata"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let key = Key { resource: kind.resource().to_owned(), namespace: text(&metadata["namespace"]), name: text(&metadata["name"]) };
            follow(store, &key, &object, now);
        }
    }
}

fn follow(store: &mut Store, key: &Key, object: &Value, now: Timestamp) {
    let deleting = !object["metadata"]["deletionTimestamp"].is_null();
    if object["metadata"]["finalizers"].is_null() {
        store.merge(key, &json!({"metadata": {"finalizers": [FINALIZER]}})).unwrap();
        return;
    }
    let experiment = &object["status"]["experiment"];
    let target = &experiment["containerRecords"][0];
    let at = Timestamp::from_second(now.as_second()).unwrap().to_string();
    if target["phase"] == "Injected" && (deleting || wants_healing(object, now)) {
        let healed = json!({"type": "Succeeded", "operation": "Recover", "timestamp": at});
        let record = json!({"id": target["id"], "phase": "Not Injected", "injectedCount": 1, "recoveredCount": 1, "events": [target["events"][0], healed]});
        write(store, key, "Stop", &record);
    } else if deleting {
        store.merge(key, &json!({"metadata": {"finalizers": []}})).unwrap();
    } else if target.is_null() {
        let hit = json!({"type": "Succeeded", "operation": "Apply", "timestamp": at});
        write(store, key, "Run", &json!({"id": "sut/db-0", "phase": "Injected", "injectedCount": 1, "recoveredCount": 0, "events": [hit]}));
    }
}

/// Whether the time of an object is over, or it was told to pause. What is over in a moment knows neither.
fn wants_healing(object: &Value, now: Timestamp) -> bool {
    if object["kind"] == "PodChaos" {
        return false;
    }
    let created: Timestamp = object["metadata"]["creationTimestamp"].as_str().unwrap().parse().unwrap();
    let duration: crucible_crds::Duration = object["spec"]["duration"].as_str().expect("every fault has a duration").parse().unwrap();
    let over = now.duration_since(created) >= jiff::SignedDuration::try_from(duration.span()).unwrap();
    over || object["metadata"]["annotations"]["experiment.chaos-mesh.org/pause"] == "true"
}

fn write(store: &mut Store, key: &Key, desired: &str, record: &Value) {
    let status = json!({"experiment": {"desiredPhase": desired, "containerRecords": [record]}});
    store.merge(key, &json!({"status": status})).unwrap();
}
