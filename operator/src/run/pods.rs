//! Reads a worker's pod: from everything that a pod's status may say to the few words that decisions need.

use crucible_lifecycle::{
    contract::WorkerOutcome,
    run::observed::{PodState, PodView},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodStatus};
use kube::ResourceExt;

/// Where the Job controller writes a pod's index.
pub const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// A worker's pod in the words of decisions; nothing where it carries no index, so is no worker's.
#[must_use]
pub fn view(pod: &Pod, now: Timestamp) -> Option<PodView> {
    let index = pod.annotations().get(INDEX).or_else(|| pod.labels().get(INDEX))?.parse().ok()?;
    let created = pod.creation_timestamp().map_or(now, |created| created.0);
    Some(PodView { name: pod.name_any(), index, created, state: state(pod) })
}

/// How a pod is. What has ended counts first, then what is going, then what cannot begin.
#[must_use]
pub fn state(pod: &Pod) -> PodState {
    let nothing = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&nothing);
    let container = status.container_statuses.as_ref().and_then(|all| all.first());
    let terminated = container.and_then(|container| container.state.as_ref()?.terminated.as_ref());
    if let Some(terminated) = terminated {
        return ended(status, terminated);
    }
    match status.phase.as_deref() {
        // A pod that fails before its container began (evicted, its node gone) has no container to ask.
        Some("Failed") => PodState::Ended { exit_code: -1, reason: taken_away(status).unwrap_or_else(|| "Failed".to_owned()), outcome: None },
        Some("Unknown") => PodState::Leaving("its node does not answer".to_owned()),
        _ if pod.metadata.deletion_timestamp.is_some() => PodState::Leaving("it is being deleted".to_owned()),
        _ => container.and_then(waiting).or_else(|| unschedulable(status)).unwrap_or_else(|| {
            if container.is_some_and(|container| container.state.as_ref().is_some_and(|state| state.running.is_some())) {
                PodState::Running
            } else {
                PodState::Starting
            }
        }),
    }
}

/// Whether a decision may depend on a pod being so: only trouble is worth looking at a run again. The workers themselves say the rest.
#[must_use]
pub fn is_trouble(state: &PodState) -> bool {
    match state {
        PodState::Starting | PodState::Running => false,
        PodState::Unschedulable(_) | PodState::ImagePull(_) | PodState::ConfigError(_) | PodState::Ended { .. } | PodState::Leaving(_) => true,
    }
}

fn ended(status: &PodStatus, terminated: &ContainerStateTerminated) -> PodState {
    let outcome = terminated.message.as_deref().and_then(|text| serde_json::from_str::<WorkerOutcome>(text).ok());
    let reason = taken_away(status).filter(|_| outcome.is_none());
    PodState::Ended { exit_code: terminated.exit_code, reason: reason.or_else(|| terminated.reason.clone()).unwrap_or_else(|| "Error".to_owned()), outcome }
}

/// Why a pod was taken off its node, where it was.
fn taken_away(status: &PodStatus) -> Option<String> {
    let disrupted = status.conditions.iter().flatten().any(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True");
    status.reason.clone().or_else(|| disrupted.then(|| "Evicted".to_owned()))
}

fn waiting(container: &ContainerStatus) -> Option<PodState> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.clone()?;
    let text = waiting.message.clone().unwrap_or_else(|| reason.clone());
    match reason.as_str() {
        "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName" | "RegistryUnavailable" | "ImageInspectError" => {
            Some(PodState::ImagePull(text))
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => Some(PodState::ConfigError(text)),
        _ => None,
    }
}

fn unschedulable(status: &PodStatus) -> Option<PodState> {
    let refused = |condition: &&k8s_openapi::api::core::v1::PodCondition| {
        condition.type_ == "PodScheduled" && condition.status == "False" && condition.reason.as_deref() == Some("Unschedulable")
    };
    let condition = status.conditions.iter().flatten().find(refused)?;
    Some(PodState::Unschedulable(condition.message.clone().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(status: &str) -> Pod {
        let yaml = format!("{{metadata: {{name: w-1-abc, annotations: {{batch.kubernetes.io/job-completion-index: '1'}}}}, status: {status}}}");
        serde_saphyr::from_str(&yaml).unwrap()
    }

    fn ended(exit_code: i32, reason: &str) -> PodState {
        PodState::Ended { exit_code, reason: reason.to_owned(), outcome: None }
    }

    #[test]
    fn every_way_to_be_has_its_word() {
        let table = [
            ("{phase: Pending}", PodState::Starting),
            (
                "{phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: no room}]}",
                PodState::Unschedulable("no room".to_owned()),
            ),
            (
                "{phase: Pending, containerStatuses: [{name: w, ready: false, restartCount: 0, image: i, imageID: '', state: {waiting: {reason: ContainerCreating}}}]}",
                PodState::Starting,
            ),
            (
                "{phase: Pending, containerStatuses: [{name: w, ready: false, restartCount: 0, image: i, imageID: '', state: {waiting: {reason: ImagePullBackOff, message: not found}}}]}",
                PodState::ImagePull("not found".to_owned()),
            ),
            (
                "{phase: Pending, containerStatuses: [{name: w, ready: false, restartCount: 0, image: i, imageID: '', state: {waiting: {reason: CreateContainerConfigError, message: no key}}}]}",
                PodState::ConfigError("no key".to_owned()),
            ),
            ("{phase: Running, containerStatuses: [{name: w, ready: true, restartCount: 0, image: i, imageID: '', state: {running: {}}}]}", PodState::Running),
            (
                "{phase: Failed, containerStatuses: [{name: w, ready: false, restartCount: 0, image: i, imageID: '', state: {terminated: {exitCode: 137, reason: OOMKilled}}}]}",
                ended(137, "OOMKilled"),
            ),
            (
                "{phase: Failed, reason: Evicted, containerStatuses: [{name: w, ready: false, restartCount: 0, image: i, imageID: '', state: {terminated: {exitCode: 137, reason: Error}}}]}",
                ended(137, "Evicted"),
            ),
            ("{phase: Failed, reason: Evicted}", ended(-1, "Evicted")),
            ("{phase: Failed, conditions: [{type: DisruptionTarget, status: 'True'}]}", ended(-1, "Evicted")),
            ("{phase: Unknown}", PodState::Leaving("its node does not answer".to_owned())),
        ];
        for (status, expected) in table {
            assert_eq!(state(&pod(status)), expected, "{status}");
        }
    }

    #[test]
    fn a_last_word_is_read_and_counts_more_than_an_eviction() {
        let status = r#"{phase: Failed, reason: Evicted, containerStatuses: [{name: w, ready: false, restartCount: 0, image: i, imageID: '',
            state: {terminated: {exitCode: 0, reason: Completed, message: '{"protocol":1,"index":1,"state":"Uploaded"}'}}}]}"#;
        let PodState::Ended { reason, outcome, .. } = state(&pod(status)) else { panic!("the pod has ended") };
        assert_eq!((reason.as_str(), outcome.map(|word| word.index)), ("Completed", Some(1)));
    }

    #[test]
    fn a_pod_without_an_index_is_no_workers() {
        assert!(view(&Pod::default(), Timestamp::UNIX_EPOCH).is_none());
        assert_eq!(view(&pod("{}"), Timestamp::UNIX_EPOCH).map(|view| view.index), Some(1));
    }
}
