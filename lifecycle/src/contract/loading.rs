//! What the operator and a loader of fixtures say to each other: how far it is, and what it is to load. Part of the contract, under the same protocol.

use crucible_crds::{
    fixture::{FixtureColumn, FixtureFormat, FixtureReset},
    test_run::TableState,
};
use serde::{Deserialize, Serialize};

use super::Failure;

/// How far a loader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LoaderState {
    /// It asks what to load, and reads what the files hold before anything is touched.
    Preparing,
    /// It loads.
    Loading,
    /// Every table is ready.
    Done,
    /// It cannot go on, and trying again would not help; `failure` says why.
    Failed,
}

/// What a loader posts to [`super::LOAD_PATH`], each second and whenever it needs something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadReport {
    /// [`super::PROTOCOL`] of the loader.
    pub protocol: u32,
    /// The `TestRun`'s namespace.
    pub namespace: String,
    /// The `TestRun`'s name.
    pub run: String,
    /// The `TestRun`'s uid.
    pub run_uid: String,
    /// How far it is.
    pub state: LoaderState,
    /// Why it cannot go on, in state `Failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// How far each table is, in the order of the recipe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableReport>,
    /// Whether the loader has still to be told what to load.
    #[serde(default)]
    pub wants_recipe: bool,
    /// The keys that it needs signed addresses of, at most [`super::MOST_KEYS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wants_keys: Vec<String>,
}

/// How far one table is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableReport {
    /// The dataset.
    pub fixture: String,
    /// The table.
    pub table: String,
    /// How far it is.
    pub state: TableState,
    /// Files that were read to their end.
    pub files: u64,
    /// Bytes of the files that were read.
    pub bytes: u64,
    /// Rows that were sent; once the table is ready, the rows that it has.
    pub rows: u64,
    /// SHA-256 over the counts and sums of the table's columns, once it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// What a loader is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadAnswer {
    /// Whether it is to end without having loaded everything: the run does not want it any more.
    #[serde(default)]
    pub stop: bool,
    /// What to load, where it asked and it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<LoadRecipe>,
    /// One signed address for each key that it asked for and may read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<SignedGet>,
}

/// A signed request that reads exactly one object. It carries no credentials beyond its own signature.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedGet {
    /// The object's key.
    pub key: String,
    /// Where to read it.
    pub url: String,
}

impl std::fmt::Debug for SignedGet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedGet").field("key", &self.key).field("url", &"[signed]").finish()
    }
}

/// What a loader is to load, table by table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadRecipe {
    /// The bucket that the files are in, by the operator's name for it: what reads it by itself has to find it.
    pub bucket: String,
    /// The tables, in the plan's order.
    pub tables: Vec<TableRecipe>,
}

/// How one table is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableRecipe {
    /// The dataset.
    pub fixture: String,
    /// The table.
    pub table: String,
    /// How the files are written.
    pub format: FixtureFormat,
    /// What is done with a table of ours that is not as it was loaded.
    pub reset: FixtureReset,
    /// Whether a table that is not ours may be replaced.
    pub replace_existing: bool,
    /// Types of columns of a table that does not exist yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<FixtureColumn>,
    /// The primary key of a table that does not exist yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub primary_key: Vec<String>,
    /// SHA-256 over the files and over how they are read: the name of exactly this content.
    pub digest: String,
    /// Whether the run writes: the table is marked as changed as soon as it is ready.
    pub writes: bool,
    /// The files, in the order of their keys.
    pub files: Vec<StoredFile>,
}

/// A file of a dataset, as the bucket lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredFile {
    /// Its key.
    pub key: String,
    /// Its length.
    pub bytes: u64,
    /// The server's tag of its content, without quotes; empty where the server has none.
    pub tag: String,
}
