//! Chaos Mesh and what faults need to know of the cluster, over the Kubernetes API. Nothing is decided here.

use std::collections::BTreeSet;

use crucible_crds::fault::{LabelExpression, LabelOperator, PodSelector};
use crucible_lifecycle::{
    build::labels,
    chaos::{ALLOWED, ALLOWED_LABEL, ChaosObject, GROUP, Kind, PAUSE, VERSION, concern},
    run::Healing,
    seen::Seen,
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace, Pod},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::context::FIELD_MANAGER;

/// No selector is counted beyond this: who hits more pods than that has other questions.
const MOST_PODS: u32 = 10_000;

/// Reads and writes for faults.
pub struct Chaos {
    client: Client,
}

/// What came of asking for a Chaos Mesh object.
#[derive(Debug)]
pub enum Made {
    /// It is there, and it is the run's own.
    There,
    /// The API server or Chaos Mesh refuses it; asking again does not help. The text is theirs.
    Refused(String),
    /// An object of its name is there and belongs to somebody else.
    NotOurs,
}

impl Chaos {
    /// Over this client.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone() }
    }

    /// Whether Chaos Mesh serves a kind.
    pub async fn served(&self, kind: Kind, namespace: &str) -> Seen<()> {
        match self.objects(kind, namespace).list_metadata(&ListParams::default().limit(1)).await {
            Ok(_) => Seen::Found(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Seen::Absent,
            Err(error) => Seen::Unreadable(explain(&error)),
        }
    }

    /// The versions that the controllers of Chaos Mesh say they are, wherever they run: by label, or by the tag of their image.
    pub async fn versions(&self) -> kube::Result<Vec<String>> {
        let api: Api<Deployment> = Api::all(self.client.clone());
        let found = api.list(&ListParams::default().labels("app.kubernetes.io/name=chaos-mesh,app.kubernetes.io/component=controller-manager")).await?;
        Ok(found.items.iter().map(version).collect())
    }

    /// Whether a namespace lets faults in.
    pub async fn allowed(&self, namespace: &str) -> Seen<bool> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        match namespaces.get_metadata_opt(namespace).await {
            Ok(found) => found.map(|found| found.labels().get(ALLOWED_LABEL).is_some_and(|value| value == ALLOWED)).into(),
            Err(error) => Seen::Unreadable(explain(&error)),
        }
    }

    /// How many pods fit a selector, pods of Crucible and pods that have ended left out.
    pub async fn matching(&self, pods: &PodSelector) -> Seen<u32> {
        let mut count = 0;
        for namespace in &pods.namespaces {
            let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
            match api.list(&ListParams::default().labels(&selector(pods)).limit(MOST_PODS)).await {
                Ok(list) => count += u32::try_from(list.items.iter().filter(|pod| may_be_hit(pod)).count()).unwrap_or(MOST_PODS),
                Err(error) => return Seen::Unreadable(explain(&error)),
            }
        }
        Seen::Found(count)
    }

    /// The targets of an object that are not there any more, where a pod that came later could be hit in their place. A pod that came
    /// back under the same name is another one, too.
    pub async fn replaced(&self, pods: &PodSelector, object: &ChaosObject) -> Seen<Vec<String>> {
        let mut there = Vec::new();
        for namespace in &pods.namespaces {
            let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
            match api.list(&ListParams::default().labels(&selector(pods)).limit(MOST_PODS)).await {
                Ok(list) => there.extend(list.items),
                Err(error) => return Seen::Unreadable(explain(&error)),
            }
        }
        Seen::Found(replaced(&there, object))
    }

    /// The addresses of a run's workers.
    pub async fn workers(&self, namespace: &str, run_uid: &str) -> Seen<Vec<String>> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        match api.list(&ListParams::default().labels(&format!("{}={run_uid}", labels::RUN_UID))).await {
            Ok(list) => Seen::Found(list.items.into_iter().filter_map(|pod| pod.status?.pod_ip).collect()),
            Err(error) => Seen::Unreadable(explain(&error)),
        }
    }

    /// The object that injects a fault.
    pub async fn object(&self, kind: Kind, namespace: &str, name: &str) -> Seen<ChaosObject> {
        match self.objects(kind, namespace).get_opt(name).await {
            Ok(None) => Seen::Absent,
            Ok(Some(object)) => match serde_json::to_value(&object).ok().as_ref().and_then(ChaosObject::read) {
                Some(object) => Seen::Found(object),
                None => Seen::Unreadable(format!("{} {namespace}/{name} is not what Chaos Mesh writes", kind.as_str())),
            },
            Err(error) => Seen::Unreadable(explain(&error)),
        }
    }

    /// Makes the object of a fault, or finds it made.
    pub async fn make(&self, kind: Kind, object: &Value) -> kube::Result<Made> {
        let object: DynamicObject = serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let api = self.objects(kind, &namespace);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match api.create(&params, &object).await {
            Ok(_) => Ok(Made::There),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let owner = |object: &DynamicObject| object.labels().get(labels::RUN_UID).cloned();
                let there = api.get_opt(&name).await?;
                Ok(if there.is_none_or(|there| owner(&there) == owner(&object)) { Made::There } else { Made::NotOurs })
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 404 | 405 | 422) => Ok(Made::Refused(status.message.clone())),
            Err(error) => Err(error),
        }
    }

    /// Has a fault healed. One that is gone is healed.
    pub async fn heal(&self, kind: Kind, namespace: &str, name: &str, by: Healing) -> kube::Result<()> {
        let api = self.objects(kind, namespace);
        let healed = match by {
            Healing::Pause => {
                let patch = json!({"metadata": {"annotations": {PAUSE: "true"}}});
                api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
            }
            Healing::Delete => api.delete(name, &DeleteParams::default()).await.map(drop),
        };
        match healed {
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
            other => other,
        }
    }

    fn objects(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        let resource = ApiResource {
            group: GROUP.to_owned(),
            version: VERSION.to_owned(),
            api_version: format!("{GROUP}/{VERSION}"),
            kind: kind.as_str().to_owned(),
            plural: kind.resource().to_owned(),
        };
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }
}

/// Says in the log where Chaos Mesh is of a version that should not be used. Nothing depends on it: faults are the user's own wish.
pub async fn warn_of_versions(client: &Client) {
    match Chaos::new(client).versions().await {
        Ok(versions) => {
            for concern in versions.iter().filter_map(|version| concern(version)) {
                tracing::warn!("{concern}");
            }
        }
        Err(error) => tracing::info!("which version of Chaos Mesh is there cannot be read: {}", explain(&error)),
    }
}

fn version(controller: &Deployment) -> String {
    let image = controller.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()?.containers.first()?.image.as_deref());
    let tag = image.and_then(|image| image.rsplit_once('/').map_or(image, |(_, name)| name).split_once(':')).map(|(_, tag)| tag);
    tag.or_else(|| controller.labels().get("app.kubernetes.io/version").map(String::as_str)).unwrap_or_default().to_owned()
}

/// Whether a pod has not ended yet.
fn may_be_hit(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    !matches!(phase, "Succeeded" | "Failed")
}

/// See [`Chaos::replaced`]. The API server's times are whole seconds, so that a pod of the same second as the object counts as hit.
fn replaced(there: &[Pod], object: &ChaosObject) -> Vec<String> {
    let (mut hit, mut fresh) = (BTreeSet::new(), false);
    for pod in there.iter().filter(|pod| may_be_hit(pod)) {
        if pod.creation_timestamp().is_none_or(|created| created.0 <= object.created) {
            hit.insert(format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any()));
        } else {
            fresh |= pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
        }
    }
    // `namespace/pod`, or `namespace/pod/container`.
    let pod_of = |id: &str| id.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
    let gone: BTreeSet<String> = object.records.iter().map(|record| pod_of(&record.id)).filter(|pod| !hit.contains(pod)).collect();
    if fresh { gone.into_iter().collect() } else { Vec::new() }
}

/// A selector of pods as the API server reads it. Pods that carry the uid of a run are Crucible's own.
fn selector(pods: &PodSelector) -> String {
    let PodSelector { namespaces: _, label_selectors, expression_selectors } = pods;
    let equal = label_selectors.iter().map(|(key, value)| format!("{key}={value}"));
    let expressions = expression_selectors.iter().map(|LabelExpression { key, operator, values }| {
        let values = || values.iter().map(|value| &**value).collect::<Vec<&str>>().join(",");
        match operator {
            LabelOperator::In => format!("{key} in ({})", values()),
            LabelOperator::NotIn => format!("{key} notin ({})", values()),
            LabelOperator::Exists => key.to_string(),
            LabelOperator::DoesNotExist => format!("!{key}"),
        }
    });
    equal.chain(expressions).chain([format!("!{}", labels::RUN_UID)]).collect::<Vec<_>>().join(",")
}

fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("the API server answered {} {}", status.code, status.reason),
        _ => "the API server cannot be reached".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_says_its_version() {
        let of = |labels: Value, image: &str| {
            let pod = json!({"metadata": {}, "spec": {"containers": [{"name": "c", "image": image}]}});
            let spec = json!({"selector": {}, "template": pod});
            version(&serde_json::from_value(json!({"metadata": {"labels": labels}, "spec": spec})).unwrap())
        };
        let labels = || json!({"app.kubernetes.io/version": "2.8.0"});
        assert_eq!(of(labels(), "registry.example:5000/chaos-mesh"), "2.8.0");
        assert_eq!(of(labels(), "registry.example:5000/chaos-mesh:v2.7.2"), "v2.7.2", "what runs counts, not what the chart says");
        assert_eq!(of(json!({}), "chaos-mesh"), "");
    }

    #[test]
    fn a_target_was_replaced_where_it_is_gone_and_something_else_runs() {
        let pod = |name: &str, created: &str, phase: &str| -> Pod {
            let meta = json!({"name": name, "namespace": "sut", "creationTimestamp": created});
            serde_json::from_value(json!({"metadata": meta, "status": {"phase": phase}})).unwrap()
        };
        let records = json!([{"id": "sut/db-0/mariadb", "phase": "Injected"}, {"id": "sut/db-1", "phase": "Injected"}]);
        let object = json!({"metadata": {"creationTimestamp": "2026-03-01T12:00:20Z"}, "status": {"experiment": {"containerRecords": records}}});
        let object = ChaosObject::read(&object).unwrap();
        let (old, fresh) = ("2026-03-01T11:00:00Z", "2026-03-01T12:00:21Z");
        let stays = pod("db-1", old, "Running");
        let table = [
            (pod("db-0", old, "Running"), vec![]),
            (pod("db-0", fresh, "Running"), vec!["sut/db-0"]),
            (pod("db-0", fresh, "Pending"), vec![]),
            (pod("db-7", fresh, "Running"), vec!["sut/db-0"]),
        ];
        for (other, gone) in table {
            assert_eq!(replaced(&[stays.clone(), other.clone()], &object), gone, "{other:?}");
        }
        assert!(replaced(&[stays], &object).is_empty(), "there is nothing to follow");
    }

    #[test]
    fn a_selector_says_all_that_the_plan_says_and_leaves_our_own_pods_out() {
        let yaml = "{namespaces: [sut], labelSelectors: {app: db, tier: data}, expressionSelectors: [{key: role, operator: In, values: [a, b]},
            {key: zone, operator: NotIn, values: [c]}, {key: live, operator: Exists}, {key: backup, operator: DoesNotExist}]}";
        let pods: PodSelector = serde_saphyr::from_str(yaml).unwrap();
        assert_eq!(selector(&pods), "app=db,tier=data,role in (a,b),zone notin (c),live,!backup,!crucible.dev/run-uid");
    }
}
