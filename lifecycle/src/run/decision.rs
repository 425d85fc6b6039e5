//! What is to be done about a run. It leaves no meaningful choice to whoever carries it out.

use std::collections::BTreeMap;

use crucible_crds::TestRunStatus;
use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::Job,
    coordination::v1::Lease,
    core::v1::{ConfigMap, Secret},
};

use serde_json::Value;

use crate::{
    chaos::Kind,
    contract::FrozenPlan,
    notice::Notice,
    results::{Facts, FaultRecord, observability::Window},
    wake::Wake,
};

/// What is to be done, in this order: ensure, then notices, status, remove, order and collection. Notices come before the
/// status, because the status is what keeps a decision from being taken again: told afterwards they could be lost.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What has to exist, in the order of making. The first that cannot be made ends the pass: what follows it may depend on it.
    pub ensure: Vec<Child>,
    /// The run's status as it shall be. Written only where it differs.
    pub status: TestRunStatus,
    /// What must not exist any more, in the order of removal.
    pub remove: Vec<Gone>,
    /// What the workers are to be told, for as long as it holds.
    pub order: Order,
    /// The results to merge, where it is time to.
    pub collect: Option<Box<CollectRequest>>,
    /// What people are to be told.
    pub notices: Vec<Notice>,
    /// When to look again.
    pub wake: Wake,
}

/// Something that has to exist. Every one is created, or adopted where it exists and belongs to the run.
#[derive(Clone, Debug)]
pub enum Child {
    /// The run's finalizers and the labels that other runs find it by.
    Mark {
        /// Labels of the TestRun itself.
        labels: BTreeMap<String, String>,
        /// What keeps the run until it is seen to: the run controller's own, and the mirror's where there is a ledger.
        finalizers: Vec<&'static str>,
    },
    /// The ConfigMap with the frozen plan. Never changed once it exists.
    FrozenPlan(Box<ConfigMap>),
    /// The Secret with the run's token. Never changed once it exists.
    Token(Box<Secret>),
    /// The right to load the system under test.
    Lease {
        /// The Lease in the operator's own namespace.
        lease: Box<Lease>,
        /// The resource version of the lease that is taken over; none: it is created.
        replaces: Option<String>,
    },
    /// The Job of the loader of the fixtures.
    Loader(Box<Job>),
    /// The Indexed Job of the workers.
    Workers(Box<Job>),
    /// The Chaos Mesh object of a fault, beside the system under test.
    Fault {
        /// Its kind.
        kind: Kind,
        /// The object.
        object: Box<Value>,
    },
}

/// Something that must not exist any more. Absence is success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The Job of the workers, with its pods.
    Workers {
        /// The Job's name, in the run's namespace.
        name: String,
    },
    /// The Job of the loader, with its pod.
    Loader {
        /// The Job's name, in the run's namespace.
        name: String,
    },
    /// The lease, if the run still holds it.
    Lease {
        /// The Lease's name, in the operator's namespace.
        name: String,
        /// The uid that must hold it for it to be removed.
        holder_uid: String,
    },
    /// What a fault does to its targets.
    Fault {
        /// The kind of its Chaos Mesh object.
        kind: Kind,
        /// The namespace of the object.
        namespace: String,
        /// The name of the object.
        name: String,
        /// How it is healed.
        by: Healing,
    },
    /// The finalizer: nothing of the run is left elsewhere.
    Finalizer,
    /// The run itself, whose time has passed.
    Run,
}

/// How a fault is healed before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Healing {
    /// Chaos Mesh is told to pause it: it heals the targets, and the object stays and says when.
    Pause,
    /// The object is deleted: Chaos Mesh heals the targets before it lets it go.
    Delete,
}

/// What every worker is to be told until it has done it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nothing; the workers are not listened to either.
    None,
    /// Nothing; but they are listened to.
    Listen,
    /// Start at this instant by the operator's clock; at once where it has passed.
    Start {
        /// The agreed instant.
        at: Timestamp,
    },
    /// End the load.
    Stop {
        /// Why, in one word.
        reason: String,
    },
    /// Upload the results.
    Upload {
        /// The run's name for results.
        run_id: String,
    },
}

/// The results to merge. The same request may be made again: it writes the same objects.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectRequest {
    /// The plan of the run.
    pub plan: FrozenPlan,
    /// By worker, what it has handed in, with checksums.
    pub files: BTreeMap<u32, Vec<crate::contract::ResultFile>>,
    /// What the verdict needs to know beyond the measurements.
    pub facts: Facts,
    /// The time of the load, which the plan's Prometheus sources are asked about.
    pub window: Window,
    /// What became of each fault, with what Chaos Mesh itself says about it.
    pub faults: Vec<FaultRecord>,
}
