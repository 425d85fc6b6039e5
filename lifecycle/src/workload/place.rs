//! Where the texts of a workload are: one of them, or several objects of the bucket.

use std::fmt;

use crucible_crds::test_plan::{ConfigMapKey, ObjectRef, WorkloadSource};

/// Where one text of a workload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// In the plan itself: this is it.
    Inline(&'a str),
    /// In a ConfigMap of the plan's own namespace.
    ConfigMap(&'a ConfigMapKey),
    /// In an object of the bucket.
    Object(&'a ObjectRef),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("the plan itself"),
            Self::ConfigMap(ConfigMapKey { name, key }) => write!(f, "key {key} of ConfigMap {name}"),
            Self::Object(ObjectRef { key }) => write!(f, "object {key} of the bucket"),
        }
    }
}

/// Every place that a source names, in its order. The schema sees to it that there is at least one.
#[must_use]
pub fn places(source: &WorkloadSource) -> Vec<Place<'_>> {
    let WorkloadSource { inline, config_map, object, objects } = source;
    let one = inline.as_deref().map(Place::Inline).or(config_map.as_ref().map(Place::ConfigMap)).or(object.as_ref().map(Place::Object));
    one.into_iter().chain(objects.iter().flatten().map(Place::Object)).collect()
}

/// The path of a place in its plan, for messages.
pub(crate) fn path(source: &WorkloadSource, index: usize) -> String {
    match &source.objects {
        Some(objects) => {
            let key = objects.get(index).map(|object| &*object.key).unwrap_or_default();
            format!("spec.workload.source.objects[{index}] ({key})")
        }
        None => "spec.workload.source".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_source_names_its_places_in_words() {
        let cases = [
            (json!({"inline": "-- @type: sql"}), vec!["the plan itself"]),
            (json!({"configMap": {"name": "queries", "key": "shop.sql"}}), vec!["key shop.sql of ConfigMap queries"]),
            (json!({"object": {"key": "workloads/shop"}}), vec!["object workloads/shop of the bucket"]),
            (
                json!({"objects": [{"key": "workloads/shop"}, {"key": "workloads/reports"}]}),
                vec!["object workloads/shop of the bucket", "object workloads/reports of the bucket"],
            ),
            (json!({}), vec![]),
        ];
        for (source, expected) in cases {
            let source: WorkloadSource = serde_json::from_value(source).unwrap();
            assert_eq!(places(&source).iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
        }
    }
}
