//! Labels and annotations: how the things of a run are found again.

use std::collections::BTreeMap;

use crucible_crds::TestRun;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::names;

/// On every child: the uid of the run that it belongs to.
pub const RUN_UID: &str = "crucible.dev/run-uid";
/// On runs: which system under test they load, as a hash.
pub const SUT: &str = "crucible.dev/sut";
/// On runs: the run's id, as a hash.
pub const RUN_ID: &str = "crucible.dev/run-id";
/// On leases: `namespace/name` of the holder.
pub const HOLDER: &str = "crucible.dev/holder";
/// On leases: the system under test in words.
pub const SUT_NAME: &str = "crucible.dev/sut-name";
/// Keeps a run until nothing of it is left elsewhere.
pub const FINALIZER: &str = "crucible.dev/run";

/// Keeps a run until the ledger holds its last status.
pub const MIRROR_FINALIZER: &str = "crucible.dev/mirror";
/// On runs: the client's own name of the plan, where the `TestPlan` is called otherwise.
pub const PLAN_NAME: &str = "crucible.dev/plan-name";
/// On runs: where the plan lies in the bucket, where it came from there.
pub const PLAN_KEY: &str = "crucible.dev/plan-key";
/// On runs: `intra_node` or `inter_node`, where the client said so.
pub const SCALING_MODE: &str = "crucible.dev/scaling-mode";

/// On plans of the REST gateway, on their Secrets and on the runs that name them: which content the plan has.
pub const PLAN_CONTENT: &str = "crucible.dev/plan-content";
/// On plans of the REST gateway: since when no run names them.
pub const UNUSED_SINCE: &str = "crucible.dev/unused-since";

/// The finalizers that a run gets when it is admitted: both in one write, so that the mirror's costs none.
pub fn finalizers(with_ledger: bool) -> Vec<&'static str> {
    if with_ledger { vec![FINALIZER, MIRROR_FINALIZER] } else { vec![FINALIZER] }
}

/// The labels of every child of a run.
pub fn of_child(run_uid: &str, component: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("app.kubernetes.io/managed-by".to_owned(), "crucible".to_owned()),
        ("app.kubernetes.io/component".to_owned(), component.to_owned()),
        (RUN_UID.to_owned(), run_uid.to_owned()),
    ])
}

/// The labels of the run itself.
pub fn of_run(sut: &str, run_id: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(SUT.to_owned(), names::sut_hash(sut)), (RUN_ID.to_owned(), run_id_hash(run_id))])
}

/// A run's id as a label value, which it would be too long for.
pub fn run_id_hash(run_id: &str) -> String {
    names::short_hash(run_id, 32)
}

/// The run as the owner of a child in its own namespace.
pub fn owner(run: &TestRun) -> OwnerReference {
    OwnerReference {
        api_version: "crucible.dev/v1alpha1".to_owned(),
        kind: "TestRun".to_owned(),
        name: run.metadata.name.clone().unwrap_or_default(),
        uid: run.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}
