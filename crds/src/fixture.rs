//! Fixture: a dataset in object storage, how it becomes a table, and what is known of it and of the tables it was loaded into.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube_derive::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{ColumnName, DatabaseName, FixtureName, ObjectKey, SqlType};

/// A dataset in object storage that runs load into their system under test. A plan that names a dataset without a Fixture of that name gets the defaults: every object below `fixtures/{name}/`, and the format by the files' endings.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "Whether the files are there and can be loaded."),
    printcolumn(name = "Format", type_ = "string", json_path = ".spec.format", description = "How the files are written."),
    printcolumn(name = "Files", type_ = "integer", json_path = ".status.files", description = "How many files there are."),
    printcolumn(name = "Bytes", type_ = "integer", json_path = ".status.bytes", description = "Bytes of all files."),
    printcolumn(name = "Rows", type_ = "integer", json_path = ".status.rows", description = "Rows of all files, as the last load of them counted."),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1, description = "Why the dataset is how it is.")
)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("self.format != 'sql' || ((!has(self.columns) || self.columns.size() == 0) && (!has(self.primaryKey) || self.primaryKey.size() == 0))").message("columns and primaryKey are for parquet and csv: a dump makes its own table"),
    validation = Rule::new("!has(self.strategy) || self.strategy == 'auto' || (self.format == 'sql') == (self.strategy == 'standard')").message("the strategy standard is for the format sql, and that format has no other")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FixtureSpec {
    /// Where the files are.
    pub source: FixtureSource,
    /// How the files are written.
    pub format: FixtureFormat,
    /// How the rows get into the system under test.
    #[serde(default)]
    pub strategy: FixtureStrategy,
    /// What is done with a table of ours that is not as it was loaded: another dataset is in it, or a run has written to it. For `trino` it is `reload`, and `snapshot` is for MySQL and PostgreSQL and for Parquet and CSV: a run with a fixture that says otherwise fails and names this field.
    #[serde(default)]
    pub reset: FixtureReset,
    /// Whether a table that Crucible did not load may be replaced. Its columns and keys are kept, its rows are lost. Without it such a table is left alone and the run fails.
    #[serde(default)]
    pub replace_existing: bool,
    /// Types of columns for a table that does not exist yet, in the words of the system under test. A column that is not named here gets the type that fits the file: for CSV that is text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub columns: Vec<FixtureColumn>,
    /// The columns of the primary key of a table that does not exist yet. Text columns among them need a type of limited length in `columns` where MySQL is loaded. Cassandra makes no table without one: its first column is the partition key, the others are clustering columns. Trino has no keys: there it is not made, and nothing makes sure that no two rows have the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub primary_key: Vec<ColumnName>,
}

/// Where the files of a dataset are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FixtureSource {
    /// Every object under this prefix of the bucket is a file of the dataset.
    pub prefix: ObjectKey,
}

/// How the files of a dataset are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FixtureFormat {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values with a header line; plain, gzip (`.gz`) or zstd (`.zst`) by the file's ending. As PostgreSQL reads them: an empty field is NULL, an empty field in quotes an empty text.
    Csv,
    /// SQL statements, run in the order of the files' names; plain, gzip or zstd.
    Sql,
}

/// How rows get into a system under test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FixtureStrategy {
    /// `standard` for SQL, `zeroDownload` for `trino`, `streaming` for everything else.
    #[default]
    Auto,
    /// A loader reads the files and sends the rows: `LOAD DATA LOCAL` for MySQL, binary `COPY` for PostgreSQL, prepared statements for Cassandra, stream loads for Doris.
    Streaming,
    /// The system under test reads the files from the bucket itself, through a table over them. The only one for `trino`, which is given Parquet alone, and for no other engine.
    ZeroDownload,
    /// The statements of SQL files are run one after another.
    Standard,
}

/// What is done with a table of ours that is not as it was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FixtureReset {
    /// The rows are loaded into a table beside it, which then takes its place at once. Cassandra renames no table: there it is as with `truncate`.
    #[default]
    Reload,
    /// It is emptied and loaded where it is, so that what depends on it stays. It carries no proof until it is whole.
    Truncate,
    /// As with `reload`, and a second table in the same database keeps the rows as they were loaded: a table that a run has written to gets them from there, without the files being read. It takes as much room again.
    Snapshot,
}

/// The type of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FixtureColumn {
    /// The column, as the files name it.
    pub name: ColumnName,
    /// Its type in the words of the system under test, for example `decimal(15,2)` or `varchar(25) not null`.
    #[serde(rename = "type")]
    pub sql_type: SqlType,
}

/// A dataset that a plan wants loaded, and the table that it is loaded into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FixtureUse {
    /// The dataset: the Fixture of this name in the plan's namespace, or else the objects under `fixtures/{ref}/` of the bucket.
    #[serde(rename = "ref")]
    pub fixture: FixtureName,
    /// The table, in the plan's own database.
    pub table: DatabaseName,
}

/// How a dataset is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FixturePhase {
    /// There is no file.
    #[default]
    Absent,
    /// Uploads of files were begun and not completed.
    Uploading,
    /// The files are there. Whether they can be read is found out by the first load of them.
    Ready,
    /// The files cannot be loaded; the message says which and why.
    Invalid,
}

impl FixturePhase {
    /// The name as it stands in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "Absent",
            Self::Uploading => "Uploading",
            Self::Ready => "Ready",
            Self::Invalid => "Invalid",
        }
    }
}

/// What is known about a dataset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FixtureStatus {
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How the dataset is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<FixturePhase>,
    /// Why the dataset is how it is, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// How many files there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<i64>,
    /// Bytes of all files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// Rows of all files, as the last load of exactly these files counted them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// SHA-256 over the names, sizes and content tags of the files and over how they are to be read: another digest is another dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub digest: Option<String>,
    /// The tables that the dataset was loaded into, the newest of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub loads: Vec<FixtureLoad>,
    /// What holds of the dataset, by type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A table that a dataset was loaded into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FixtureLoad {
    /// The system under test: engine, host and port.
    #[schemars(length(max = 300))]
    pub sut: String,
    /// The database.
    #[schemars(length(max = 128))]
    pub database: String,
    /// The table.
    #[schemars(length(max = 128))]
    pub table: String,
    /// The dataset's digest when it was loaded.
    #[schemars(length(max = 64))]
    pub digest: String,
    /// How many rows the table has.
    pub row_count: i64,
    /// SHA-256 over the counts and sums of the table's columns, as the system under test answered them.
    #[schemars(length(max = 64))]
    pub checksum: String,
    /// Whether a run has written to the table since: the next one loads it anew.
    #[serde(default)]
    pub dirty: bool,
    /// The run that loaded it or found it loaded last.
    #[schemars(length(max = 300))]
    pub run: String,
    /// When.
    pub at: MicroTime,
}
