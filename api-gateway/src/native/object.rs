//! Objects of the cluster as they are sent, made, read and removed: one way for every kind. They are passed on as they are, so that nothing is
//! lost of what this release does not know.

use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::{
    body::step,
    error::{ApiError, Detail, Loc},
    legacy::{Asked, limit},
    state::Gateway,
};

/// How many objects a page has where nobody says.
const PAGE: u32 = 100;

/// An object to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewObject {
    /// `crucible.dev/v1alpha1`, where it is said.
    api_version: Option<String>,
    /// The kind of object, where it is said.
    kind: Option<String>,
    /// What it is called.
    metadata: NewMetadata,
    /// What it asks for, as the definition of its kind has it: `kubectl explain` tells.
    #[schema(value_type = Object)]
    spec: Value,
}

/// What a new object is called.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewMetadata {
    /// Its name.
    name: Option<String>,
    /// How its name begins; the cluster makes up the rest.
    generate_name: Option<String>,
    /// Its namespace, which is the one of the address.
    namespace: Option<String>,
    /// Words to find it by.
    #[serde(default)]
    #[schema(value_type = Object)]
    labels: Map<String, Value>,
    /// Words about it.
    #[serde(default)]
    #[schema(value_type = Object)]
    annotations: Map<String, Value>,
}

/// Which page of a list is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// At most so many objects, from 1 to 500. 100 when absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl Which {
    /// The page that begins here, of the usual length.
    pub fn from(cursor: Option<String>) -> Self {
        Self { limit: None, cursor }
    }
}

/// One page of objects, and where the next one begins.
pub struct Page {
    /// The objects, by name.
    pub objects: Vec<DynamicObject>,
    /// Where the next page begins, where there is one.
    pub next: Option<String>,
}

/// The objects of a kind in a namespace.
pub struct Objects {
    api: Api<DynamicObject>,
    kind: String,
    api_version: String,
}

impl Objects {
    /// Those of kind `K`.
    pub fn of<K: Resource<DynamicType = ()>>(gateway: &Gateway, namespace: &str) -> Self {
        let resource = ApiResource::erase::<K>(&());
        let api = Api::namespaced_with(gateway.client.clone(), namespace, &resource);
        Self { api, kind: resource.kind, api_version: resource.api_version }
    }

    /// Makes an object, whose spec has to be an `S`.
    pub async fn create<S: DeserializeOwned>(&self, namespace: &str, sent: NewObject) -> Result<DynamicObject, ApiError> {
        let object = self.checked::<S>(namespace, sent)?;
        let name = object["metadata"]["name"].as_str().or(object["metadata"]["generateName"].as_str()).unwrap_or_default().to_owned();
        let object: DynamicObject =
            serde_json::from_value(object).map_err(|error| ApiError::invalid(&["body", "metadata"], error.to_string(), "type_error"))?;
        let made = self.api.create(&PostParams::default(), &object).await;
        made.map(bare).map_err(|error| self.refused(&error, &name))
    }

    /// One object.
    pub async fn read(&self, name: &str) -> Result<DynamicObject, ApiError> {
        self.api.get(name).await.map(bare).map_err(|error| self.refused(&error, name))
    }

    /// One page of objects, as the cluster has them.
    pub async fn page(&self, Asked(which): Asked<Which>) -> Result<Page, ApiError> {
        let mut asked = ListParams::default().limit(limit(which.limit)?.unwrap_or(PAGE));
        asked.continue_token = which.cursor.filter(|word| !word.is_empty());
        let stale = || ApiError::invalid(&["query", "cursor"], "is not the next_cursor of a page before, or too old", "value_error");
        match self.api.list(&asked).await {
            Ok(list) => {
                let next = list.metadata.continue_.filter(|word| !word.is_empty());
                Ok(Page { objects: list.items, next })
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 410) && asked.continue_token.is_some() => Err(stale()),
            Err(error) => Err(self.refused(&error, "")),
        }
    }

    /// Has an object removed. Its finalizers may take a while.
    pub async fn remove(&self, name: &str) -> Result<(), ApiError> {
        self.api.delete(name, &DeleteParams::default()).await.map(drop).map_err(|error| self.refused(&error, name))
    }

    /// Asks for a run's early end.
    pub async fn stop(&self, name: &str) -> Result<DynamicObject, ApiError> {
        let change = json!({"spec": {"stop": true}});
        self.api.patch(name, &PatchParams::default(), &Patch::Merge(change)).await.map_err(|error| self.refused(&error, name))
    }

    /// The object as it is sent on, once its spec could be read.
    fn checked<S: DeserializeOwned>(&self, namespace: &str, sent: NewObject) -> Result<Value, ApiError> {
        let NewObject { api_version, kind, metadata, spec } = sent;
        let NewMetadata { name, generate_name, namespace: said, labels, annotations } = metadata;
        let expected = [("apiVersion", api_version, self.api_version.as_str()), ("kind", kind, self.kind.as_str()), ("metadata.namespace", said, namespace)];
        for (field, said, expected) in expected {
            if said.is_some_and(|said| said != expected) {
                let loc: Vec<&str> = std::iter::once("body").chain(field.split('.')).collect();
                return Err(ApiError::invalid(&loc, format!("has to be {expected} here"), "value_error"));
            }
        }
        if name.is_none() && generate_name.is_none() {
            return Err(ApiError::invalid(&["body", "metadata", "name"], "is missing", "missing"));
        }
        serde_path_to_error::deserialize::<_, S>(&spec).map_err(|error| {
            let mut loc = vec![Loc::Field("body".to_owned()), Loc::Field("spec".to_owned())];
            loc.extend(error.path().iter().filter_map(step));
            ApiError::Invalid(vec![Detail { loc, msg: error.into_inner().to_string(), kind: "type_error".to_owned() }])
        })?;
        let mut metadata = json!({"namespace": namespace, "labels": labels, "annotations": annotations});
        for (field, word) in [("name", name), ("generateName", generate_name)] {
            if let Some(word) = word {
                metadata[field] = json!(word);
            }
        }
        Ok(json!({"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata, "spec": spec}))
    }

    /// What the API server's refusal means to whoever asked.
    fn refused(&self, error: &kube::Error, name: &str) -> ApiError {
        let kube::Error::Api(status) = error else { return ApiError::of_kube(error, &self.kind) };
        let causes = status.details.iter().flat_map(|details| &details.causes);
        let wrong: Vec<Detail> = causes.map(|cause| Detail { loc: place(&cause.field), msg: cause.message.clone(), kind: "value_error".to_owned() }).collect();
        match status.code {
            422 if !wrong.is_empty() => ApiError::Invalid(wrong),
            404 if status.reason == "NotFound" && !name.is_empty() && !status.message.starts_with("namespaces ") => {
                ApiError::NotFound(format!("{} '{name}' was not found", self.kind))
            }
            404 => ApiError::NotFound("there is no such namespace".to_owned()),
            409 if status.reason == "AlreadyExists" => ApiError::Conflict(format!("{} '{name}' exists already", self.kind)),
            // The caller has the right; the gateway has none there, or the namespace is going away.
            403 => ApiError::Forbidden(format!("the cluster does not let the gateway do this here: {}", status.message)),
            _ => ApiError::of_kube(error, &format!("{} '{name}'", self.kind)),
        }
    }
}

/// The object without the book-keeping of its fields, which is long and helps nobody here.
fn bare(mut object: DynamicObject) -> DynamicObject {
    object.managed_fields_mut().clear();
    object
}

/// A field as the API server names it, for example `spec.load.stages[0].vus`.
fn place(field: &str) -> Vec<Loc> {
    let mut loc = vec![Loc::Field("body".to_owned())];
    for word in field.split('.').filter(|word| !word.is_empty() && *word != "<nil>") {
        let (name, places) = word.split_once('[').map_or((word, ""), |(name, rest)| (name, rest));
        if !name.is_empty() {
            loc.push(Loc::Field(name.to_owned()));
        }
        loc.extend(
            places
                .split('[')
                .map(|place| place.trim_end_matches(']'))
                .filter(|place| !place.is_empty())
                .map(|place| place.parse().map_or_else(|_| Loc::Field(place.to_owned()), Loc::At)),
        );
    }
    loc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_again_in_the_servers_words() {
        let field = |name: &str| Loc::Field(name.to_owned());
        assert_eq!(place("spec.load.stages[0].vus"), [field("body"), field("spec"), field("load"), field("stages"), Loc::At(0), field("vus")]);
        assert_eq!(place("spec.slos[3]"), [field("body"), field("spec"), field("slos"), Loc::At(3)]);
        assert_eq!(place("metadata.labels[a b]"), [field("body"), field("metadata"), field("labels"), field("a b")]);
        assert_eq!(place("<nil>"), [field("body")]);
        assert_eq!(place(""), [field("body")]);
    }
}
