//! A run as far as the mirror has to do with the object itself: a few facts, so that many runs fit into memory.

use crucible_crds::{ConditionType, Phase, TestRun};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::build::labels;

/// A run as far as the mirror has to do with the object itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The resource version that it was read at, as the number that it is.
    pub version: u64,
    /// Its phase.
    pub phase: Phase,
    /// Since when it is being deleted, where it is.
    pub deleting: Option<Timestamp>,
    /// Its finalizers.
    pub finalizers: Vec<String>,
    /// What the mirror last said in status.
    pub said: Option<Said>,
}

/// The condition `Mirrored`, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Its place in the list of conditions.
    pub position: usize,
    /// The condition.
    pub condition: Condition,
}

impl Outline {
    /// The outline of a run. Nothing where its resource version is no number: such versions cannot be put in order.
    #[must_use]
    pub fn of(run: &TestRun) -> Option<Self> {
        let meta = &run.metadata;
        let status = run.status.as_ref();
        let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
        let position = conditions.iter().position(|condition| condition.type_ == ConditionType::Mirrored.as_str());
        Some(Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().filter(|uid| !uid.is_empty())?,
            version: meta.resource_version.as_ref()?.parse().ok()?,
            phase: status.and_then(|status| status.phase).unwrap_or_default(),
            deleting: meta.deletion_timestamp.as_ref().map(|at| at.0),
            finalizers: meta.finalizers.clone().unwrap_or_default(),
            said: position.and_then(|position| Some(Said { position, condition: conditions.get(position)?.clone() })),
        })
    }

    /// Whether the run's status cannot change any more: it has ended, or it is being deleted and the run controller has let go.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.phase.is_terminal() || (self.deleting.is_some() && !self.has(labels::FINALIZER))
    }

    /// Whether the object has a finalizer.
    #[must_use]
    pub fn has(&self, finalizer: &str) -> bool {
        self.finalizers.iter().any(|one| one == finalizer)
    }

    /// Whether the mirror has said that the ledger holds the run's last status. That is never taken back.
    #[must_use]
    pub fn is_mirrored(&self) -> bool {
        self.said.as_ref().is_some_and(|said| said.condition.status == "True")
    }
}
