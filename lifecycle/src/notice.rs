//! What is told to people: one event for each thing that has happened.

use crucible_crds::Reason;

/// Something that has happened. It becomes a Kubernetes event, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether somebody should look.
    pub severity: Severity,
    /// What has happened, in one word.
    pub reason: Reason,
    /// What has happened, in one sentence, with the value.
    pub message: String,
}

/// Whether somebody should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// All is as it should be.
    Normal,
    /// Somebody should look.
    Warning,
}
