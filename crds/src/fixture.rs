//! Fixture: a dataset in object storage, with proof of what it holds. The controller that loads it is not part of this version.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{DatabaseName, FixtureName, ObjectKey};

/// A dataset in object storage that runs load into their system under test.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "crucible.dev",
    version = "v1alpha1",
    kind = "Fixture",
    plural = "fixtures",
    shortname = "fx",
    category = "crucible",
    namespaced,
    status = "FixtureStatus",
    derive = "PartialEq",
    doc = "A dataset in object storage that runs load into their system under test.",
    crates(kube_core = "::kube_core"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "Whether the dataset is complete and proved."
    ),
    printcolumn(name = "Format", type_ = "string", json_path = ".spec.format", description = "How the files are written."),
    printcolumn(name = "Rows", type_ = "integer", json_path = ".status.rows", description = "Rows of all files."),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FixtureSpec {
    /// Where the files are.
    pub source: FixtureSource,
    /// How the files are written.
    pub format: FixtureFormat,
}

/// Where the files of a dataset are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FixtureSource {
    /// Every object under this prefix of the bucket is a file of the dataset.
    pub prefix: ObjectKey,
}

/// How the files of a dataset are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FixtureFormat {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values with a header line; plain, gzip or zstd by the file's ending.
    Csv,
    /// SQL statements, run in the order of the files' names.
    Sql,
}

/// A dataset that a plan wants loaded, and the table that it is loaded into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FixtureUse {
    /// The dataset: the objects under `fixtures/{ref}/` of the bucket.
    #[serde(rename = "ref")]
    pub fixture: FixtureName,
    /// The table.
    pub table: DatabaseName,
}

/// What is known about a dataset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FixtureStatus {
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Rows of all files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// Bytes of all files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// What holds of the dataset, by type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
