//! What a run's object says, in the words of the earlier system.

use crucible_crds::{Phase, TestRun};
use crucible_lifecycle::{
    build::labels::{PLAN_NAME, SCALING_MODE},
    mirror::legacy_status,
    plan::run_id,
};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::Value;

/// A run in the words of the earlier system.
pub struct Told {
    pub version: u64,
    pub uid: String,
    pub namespace: String,
    pub name: String,
    pub run_id: String,
    pub plan_name: String,
    pub run_label: String,
    pub sut_type: Option<String>,
    pub scaling_mode: Option<String>,
    pub cluster_spec: Option<Value>,
    pub cluster_settings: Option<String>,
    pub status: &'static str,
    pub phase: Phase,
    pub error_detail: Option<String>,
    pub submitted_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    /// How many workers are ready, of how many.
    pub room: Option<(u32, u32)>,
}

/// What is known of a run. One that nobody has given an id yet has the one that the operator will give it.
pub fn told(run: &TestRun) -> Option<Told> {
    let (spec, status) = (&run.spec, run.status.clone().unwrap_or_default());
    let phase = status.phase.unwrap_or_default();
    let note = |name: &str| run.annotations().get(name).cloned();
    let plan_name = note(PLAN_NAME).unwrap_or_else(|| spec.plan_ref.name.to_string());
    let (uid, created) = (run.uid()?, run.creation_timestamp()?.0);
    let id = status.run_id.or_else(|| spec.run_id.as_ref().map(ToString::to_string));
    Some(Told {
        version: run.resource_version()?.parse().ok()?,
        namespace: run.namespace()?,
        name: run.name_any(),
        run_id: id.unwrap_or_else(|| run_id(&spec.plan_ref.name, created, &uid)),
        uid,
        run_label: spec.label.clone().unwrap_or_else(|| plan_name.clone()),
        plan_name,
        sut_type: status.plan.and_then(|plan| plan.engine).or_else(|| spec.cluster_spec.as_ref().map(|cluster| cluster.kind.clone())),
        scaling_mode: note(SCALING_MODE),
        cluster_spec: spec.cluster_spec.as_ref().and_then(|cluster| serde_json::to_value(cluster).ok()),
        cluster_settings: spec.cluster_settings.clone(),
        status: legacy_status(phase),
        phase,
        error_detail: status.message.filter(|_| phase == Phase::Failed),
        submitted_at: created,
        started_at: status.start_at.map(|at| at.0),
        completed_at: status.completed_at.map(|at| at.0),
        room: status.workers.map(|workers| (workers.ready, workers.expected)),
    })
}
