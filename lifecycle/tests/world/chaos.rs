//! Chaos Mesh in a world of scripts: it holds objects, and the script says what they do.

use std::collections::BTreeMap;

use crucible_crds::Fault;
use crucible_lifecycle::{
    chaos::{self, ChaosObject, Event, Kind, Operation, Record},
    run::{Healing, observed::FaultView},
    seen::Seen,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::World;

/// Chaos Mesh and the pods that it could hit.
pub struct Chaos {
    pub missing: bool,
    pub closed: bool,
    pub unreadable: bool,
    pub refused: Option<String>,
    pub pods: u32,
    /// Targets that were replaced.
    pub replaced: Vec<String>,
    /// By fault.
    objects: BTreeMap<String, (String, ChaosObject)>,
}

impl Default for Chaos {
    fn default() -> Self {
        Self { missing: false, closed: false, unreadable: false, refused: None, pods: 1, replaced: Vec::new(), objects: BTreeMap::new() }
    }
}

impl Chaos {
    pub fn views(&self, faults: &[Fault]) -> BTreeMap<String, FaultView> {
        let away = || "the API server cannot be reached".to_owned();
        let view = |fault: &Fault| FaultView {
            served: if self.missing { Seen::Absent } else { Seen::Found(()) },
            namespaces: chaos::namespaces(fault).into_iter().map(|namespace| (namespace.to_owned(), Seen::Found(!self.closed))).collect(),
            matching: if self.unreadable { Seen::Unreadable(away()) } else { Seen::Found(self.pods) },
            object: if self.unreadable { Seen::Unreadable(away()) } else { self.objects.get(&*fault.name).map(|(_, object)| object.clone()).into() },
            replaced: self.objects.get(&*fault.name).map(|_| self.replaced.clone()).into(),
            refused: self.refused.as_ref().filter(|name| **name == *fault.name.0).map(|_| "admission webhook denied the request".to_owned()),
            workers: Seen::Found(vec!["10.1.0.7".to_owned(), "10.1.0.8".to_owned()]),
        };
        faults.iter().map(|fault| (fault.name.to_string(), view(fault))).collect()
    }

    pub fn make(&mut self, kind: Kind, object: &Value, now: Timestamp) -> String {
        let (name, fault) = (object["metadata"]["name"].as_str().unwrap(), object["metadata"]["labels"]["crucible.dev/fault"].as_str().unwrap());
        let duration = object["spec"]["duration"].as_str().unwrap_or_else(|| panic!("fault {fault} has no duration"));
        let told = format!("ensure {}/{name} for {duration}", kind.resource());
        if self.refused.as_deref() == Some(fault) {
            return format!("{told} (refused)");
        }
        let fresh = ChaosObject { created: now, deleting: false, paused: false, stopping: false, records: Vec::new(), raw: json!({"of": fault}) };
        assert!(self.objects.insert(fault.to_owned(), (name.to_owned(), fresh)).is_none(), "an object is made once");
        told
    }

    pub fn heal(&mut self, kind: Kind, namespace: &str, name: &str, by: Healing) -> Option<String> {
        assert_eq!(namespace, "sut");
        let (_, object) = self.objects.values_mut().find(|(known, _)| known == name)?;
        match by {
            Healing::Pause => object.paused = true,
            Healing::Delete => object.deleting = true,
        }
        Some(format!("{} {}/{name}", if by == Healing::Pause { "pause" } else { "delete" }, kind.resource()))
    }

    pub fn confirm(&mut self, fault: &str, now: Timestamp) {
        let hit = Event { operation: Operation::Apply, succeeded: true, at: now, message: String::new() };
        self.object(fault).records = vec![Record { id: "sut/db-0".to_owned(), untouched: false, hit: true, events: vec![hit] }];
    }

    pub fn trouble(&mut self, fault: &str, now: Timestamp) {
        let tried = Event { operation: Operation::Apply, succeeded: false, at: now, message: "unable to set tcs".to_owned() };
        self.object(fault).records = vec![Record { id: "sut/db-0".to_owned(), untouched: true, hit: false, events: vec![tried] }];
    }

    pub fn recover(&mut self, fault: &str, now: Timestamp) {
        let object = self.object(fault);
        object.stopping = true;
        for record in &mut object.records {
            record.untouched = true;
            record.events.push(Event { operation: Operation::Recover, succeeded: true, at: now, message: String::new() });
        }
    }

    pub fn vanish(&mut self, fault: &str) {
        self.objects.remove(fault).unwrap_or_else(|| panic!("fault {fault} has no object"));
    }

    fn object(&mut self, fault: &str) -> &mut ChaosObject {
        &mut self.objects.get_mut(fault).unwrap_or_else(|| panic!("fault {fault} has no object")).1
    }
}

impl World {
    pub fn plan_fault(&mut self, name: &str, after: &str, span: &str, kind: &str) {
        self.add_fault(&format!("{{name: {name}, start: {{stage: warmup, after: {after}}}, duration: {span}, {TARGET}, chaos: {kind}}}"));
    }

    pub fn plan_steady_fault(&mut self, name: &str, kind: &str) {
        self.add_fault(&format!("{{name: {name}, start: {{steady: true}}, duration: 5s, {TARGET}, chaos: {kind}}}"));
    }

    fn add_fault(&mut self, yaml: &str) {
        let fault = serde_saphyr::from_str(yaml).unwrap();
        self.plan_mut().spec.faults.push(fault);
    }
}

const TARGET: &str = "target: {mode: one, pods: {namespaces: [sut], labelSelectors: {app: db}}}";
