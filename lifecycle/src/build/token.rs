//! The Secret with the run's token, by which operator and workers know each other.

use std::collections::BTreeMap;

use crucible_crds::TestRun;
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::{
    labels,
    names::{self, Role},
};
use crate::contract::RunIdentity;

/// The key that holds the token.
pub const KEY: &str = "token";

/// The immutable Secret that holds the run's token.
pub fn token(run: &TestRun, identity: &RunIdentity, entropy: &str) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(names::child(&identity.name, &identity.uid, Role::Token)),
            namespace: Some(identity.namespace.clone()),
            labels: Some(labels::of_child(&identity.uid, "token")),
            owner_references: Some(vec![labels::owner(run)]),
            ..ObjectMeta::default()
        },
        string_data: Some(BTreeMap::from([(KEY.to_owned(), entropy.to_owned())])),
        immutable: Some(true),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}
