//! The Job of a run's loader: one pod that loads what the plan names. It is started again when it dies, because what it
//! does can be done again; it is not where it says itself that trying again would not help.

use crucible_crds::TestRun;
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule},
        core::v1::{PodTemplateSpec, ResourceRequirements},
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};

use super::{
    job, labels,
    names::{self, Role},
};
use crate::{
    contract::{FrozenPlan, exit},
    run::observed::Settings,
};

/// The component label of loader pods.
pub const COMPONENT: &str = "loader";

/// How often a loader that was lost is started again.
const RESTARTS: i32 = 4;

/// Beyond the deadline, before Kubernetes itself ends the pod: the last line of defence.
const DEAD_MAN_SECONDS: u64 = 120;

/// The most memory that a loader may use. What it needs does not depend on how much it loads.
pub const MEMORY: &str = "512Mi";

/// The Job of a run's loader.
pub fn loader(run: &TestRun, plan: &FrozenPlan, settings: &Settings) -> Job {
    let labels = labels::of_child(&plan.run.uid, COMPONENT);
    let longest = plan.spec.deadlines.fixtures.span().as_secs() + DEAD_MAN_SECONDS;
    Job {
        metadata: ObjectMeta {
            name: Some(names::child(&plan.run.name, &plan.run.uid, Role::Loader)),
            namespace: Some(plan.run.namespace.clone()),
            labels: Some(labels.clone()),
            owner_references: Some(vec![labels::owner(run)]),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            completions: Some(1),
            parallelism: Some(1),
            backoff_limit: Some(RESTARTS),
            active_deadline_seconds: Some(i64::try_from(longest).unwrap_or(i64::MAX)),
            pod_failure_policy: Some(failures()),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }),
                spec: Some(job::loader_pod(plan, settings, resources())),
            },
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

/// What the end of a pod means for the Job: an eviction is nobody's fault, a loader's own word is final, and everything else may
/// have been an accident.
fn failures() -> PodFailurePolicy {
    let evicted = PodFailurePolicyRule {
        action: "Ignore".to_owned(),
        on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern { type_: "DisruptionTarget".to_owned(), status: "True".to_owned() }]),
        ..PodFailurePolicyRule::default()
    };
    let refused = PodFailurePolicyRule {
        action: "FailJob".to_owned(),
        on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement { container_name: None, operator: "In".to_owned(), values: vec![i32::from(exit::REFUSED)] }),
        ..PodFailurePolicyRule::default()
    };
    PodFailurePolicy { rules: vec![evicted, refused] }
}

fn resources() -> ResourceRequirements {
    let of = |pairs: &[(&str, &str)]| Some(pairs.iter().map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned()))).collect());
    ResourceRequirements { requests: of(&[("cpu", "50m"), ("memory", "64Mi")]), limits: of(&[("memory", MEMORY)]), ..ResourceRequirements::default() }
}
