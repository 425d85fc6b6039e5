//! The Indexed Job of a run's workers. Pods pass Pod Security *restricted*, carry no Kubernetes credential and are never
//! restarted: a silently restarted worker would break the load's shape.

use std::collections::BTreeMap;

use crucible_crds::TestRun;
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{
            Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource, ObjectFieldSelector, PodSecurityContext,
            PodSpec, PodTemplateSpec, ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext, Volume, VolumeMount,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};

use super::{
    labels,
    names::{self, Role},
};
use crate::{
    contract::{CONTROL_PORT, FrozenPlan, env, paths},
    run::{longest_healing, observed::Settings},
};

/// The user that the worker image runs as.
const USER: i64 = 65532;

/// Beyond every deadline of the plan, before Kubernetes itself ends the pods: the last line of defence.
const DEAD_MAN_SECONDS: u64 = 120;

/// How long a loader may take to break off, in seconds. What it leaves behind is made good by the next one.
const LOADER_GRACE: i64 = 10;

/// The component label of worker pods.
pub const COMPONENT: &str = "worker";

/// The Job of a run's workers.
pub fn workers(run: &TestRun, plan: &FrozenPlan, settings: &Settings) -> Job {
    let workers = i32::try_from(plan.spec.load.workers).unwrap_or(i32::MAX);
    let labels = labels::of_child(&plan.run.uid, COMPONENT);
    Job {
        metadata: ObjectMeta {
            name: Some(names::child(&plan.run.name, &plan.run.uid, Role::Workers)),
            namespace: Some(plan.run.namespace.clone()),
            labels: Some(labels.clone()),
            owner_references: Some(vec![labels::owner(run)]),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            completion_mode: Some("Indexed".to_owned()),
            completions: Some(workers),
            parallelism: Some(workers),
            backoff_limit: Some(0),
            active_deadline_seconds: Some(longest_life(plan)),
            template: PodTemplateSpec { metadata: Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }), spec: Some(pod(plan, settings)) },
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

/// How long the pods may live at most, in seconds.
fn longest_life(plan: &FrozenPlan) -> i64 {
    let stages: u64 = plan.spec.load.stages.iter().map(|stage| stage.duration.span().as_secs() + 1).sum();
    let deadlines = &plan.spec.deadlines;
    // A fault that cannot be healed holds the run up for so long, while the workers wait to be told what comes next.
    let healing = longest_healing(plan).as_secs();
    let waiting = [&deadlines.barrier, &deadlines.drain, &deadlines.collect].iter().map(|d| d.span().as_secs() + 1).sum::<u64>();
    i64::try_from(stages + waiting + healing + DEAD_MAN_SECONDS).unwrap_or(i64::MAX)
}

fn pod(plan: &FrozenPlan, settings: &Settings) -> PodSpec {
    let grace = i64::try_from(plan.spec.deadlines.drain.span().as_secs()).unwrap_or(30) + 10;
    let mut volumes = volumes(plan);
    volumes.push(Volume {
        name: "scratch".to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { size_limit: Some(Quantity("8Gi".to_owned())), ..EmptyDirVolumeSource::default() }),
        ..Volume::default()
    });
    let mut container = container(COMPONENT, settings, resources(plan));
    container.ports = Some(vec![ContainerPort { name: Some("control".to_owned()), container_port: i32::from(CONTROL_PORT), ..ContainerPort::default() }]);
    container.volume_mounts.get_or_insert_default().push(mount("scratch", paths::SCRATCH, false));
    restricted(container, volumes, grace)
}

/// The pod of a run's loader: the same program by another word, with the same plan, token and credentials.
pub(super) fn loader_pod(plan: &FrozenPlan, settings: &Settings, resources: ResourceRequirements) -> PodSpec {
    let mut container = container(super::loader::COMPONENT, settings, resources);
    container.args = Some(vec!["load".to_owned()]);
    restricted(container, volumes(plan), LOADER_GRACE)
}

/// A pod as Pod Security *restricted* has it, without a Kubernetes credential.
fn restricted(container: Container, volumes: Vec<Volume>, grace_seconds: i64) -> PodSpec {
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        restart_policy: Some("Never".to_owned()),
        termination_grace_period_seconds: Some(grace_seconds),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }),
        containers: vec![container],
        volumes: Some(volumes),
        ..PodSpec::default()
    }
}

fn container(name: &str, settings: &Settings, resources: ResourceRequirements) -> Container {
    Container {
        name: name.to_owned(),
        image: Some(settings.worker_image.clone()),
        image_pull_policy: Some(settings.image_pull_policy.clone()),
        env: Some(vec![
            from_field(env::POD_IP, "status.podIP"),
            from_field(env::POD_NAME, "metadata.name"),
            EnvVar { name: env::CHECK_IN_URL.to_owned(), value: Some(settings.check_in_url.clone()), ..EnvVar::default() },
        ]),
        resources: Some(resources),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(vec![
            mount("plan", parent(paths::PLAN), true),
            mount("token", parent(paths::TOKEN), true),
            mount("credentials", paths::CREDENTIALS, true),
        ]),
        ..Container::default()
    }
}

/// What a pod asks for. Memory is limited; processor time is not, because a throttled load generator measures itself.
fn resources(plan: &FrozenPlan) -> ResourceRequirements {
    let asked = &plan.spec.load.resources;
    let cpu = asked.cpu.clone().unwrap_or_else(|| "50m".to_owned());
    let memory = asked.memory.clone().unwrap_or_else(|| "512Mi".to_owned());
    ResourceRequirements {
        requests: Some(BTreeMap::from([("cpu".to_owned(), Quantity(cpu)), ("memory".to_owned(), Quantity(request_of(asked.memory.as_ref())))])),
        limits: Some(BTreeMap::from([("memory".to_owned(), Quantity(memory))])),
        ..ResourceRequirements::default()
    }
}

/// Memory that the scheduler sets aside: what the plan asks for, else what an idle worker needs.
fn request_of(asked: Option<&String>) -> String {
    asked.cloned().unwrap_or_else(|| "64Mi".to_owned())
}

fn volumes(plan: &FrozenPlan) -> Vec<Volume> {
    let secret = |name: &str, secret: String| Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource { secret_name: Some(secret), default_mode: Some(0o440), ..SecretVolumeSource::default() }),
        ..Volume::default()
    };
    vec![
        Volume {
            name: "plan".to_owned(),
            config_map: Some(ConfigMapVolumeSource { name: names::child(&plan.run.name, &plan.run.uid, Role::Plan), ..ConfigMapVolumeSource::default() }),
            ..Volume::default()
        },
        secret("token", names::child(&plan.run.name, &plan.run.uid, Role::Token)),
        secret("credentials", plan.spec.target.credentials_ref.name.to_string()),
    ]
}

fn from_field(name: &str, path: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { field_path: path.to_owned(), ..ObjectFieldSelector::default() }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), read_only: Some(read_only), ..VolumeMount::default() }
}

/// The directory that a file is mounted in.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(directory, _)| directory)
}
