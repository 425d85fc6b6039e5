//! Fixtures: datasets that are loaded before a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    argument::Name,
    failure::Failure,
    gateway::Path,
    tool::{About, Context, Effect, Tool},
};

/// How many names are listed at once.
const MOST_LISTED: usize = 200;

/// Which fixtures to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListFixtures {
    /// The fixture whose files to list; the fixtures themselves when absent.
    #[serde(default)]
    pub fixture_id: Option<Name>,
}

/// Fixtures, or the files of one.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FixtureList {
    /// Ids for `fixtures` of a plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixture_ids: Option<Vec<String>>,
    /// The files of the fixture that was asked for, each with name, key, `last_modified` and size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<Map<String, Value>>>,
    /// How many there are that are not listed.
    pub not_listed: usize,
}

#[derive(Deserialize)]
struct Ids {
    fixture_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Files {
    files: Vec<Map<String, Value>>,
}

impl Tool for ListFixtures {
    type Output = FixtureList;

    const ABOUT: About = About {
        name: "list_fixtures",
        title: "List datasets",
        description: "Lists the datasets (fixtures) that a plan can have loaded before the load, or the files of one of them. Large files are uploaded by people, not \
                      through this server.\n\nExample: {} -> {\"fixture_ids\": [\"shop-orders\"], \"not_listed\": 0}; {\"fixture_id\": \"shop-orders\"} -> {\"files\": \
                      [{\"name\": \"orders.parquet\", \"size\": 52428800, ...}], \"not_listed\": 0}",
        effect: Effect::Reads,
    };

    async fn call(self, context: Context) -> Result<FixtureList, Failure> {
        let Some(id) = self.fixture_id else {
            let Ids { mut fixture_ids } = context.session.get(&Path::to("/fixtures")).await?;
            let not_listed = fixture_ids.len().saturating_sub(MOST_LISTED);
            fixture_ids.truncate(MOST_LISTED);
            return Ok(FixtureList { fixture_ids: Some(fixture_ids), files: None, not_listed });
        };
        let Files { mut files } = context.session.get(&Path::to("/fixtures").step(id.as_str())).await?;
        let not_listed = files.len().saturating_sub(MOST_LISTED);
        files.truncate(MOST_LISTED);
        Ok(FixtureList { fixture_ids: None, files: Some(files), not_listed })
    }
}

/// Which file to delete.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteFixtureFile {
    /// The fixture.
    pub fixture_id: Name,
    /// The file's name in it.
    pub file: Name,
}

/// What is gone.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Deleted {
    /// Whether it is gone.
    pub success: bool,
    /// What was deleted.
    pub deleted: String,
}

impl Tool for DeleteFixtureFile {
    type Output = Deleted;

    const ABOUT: About = About {
        name: "delete_fixture_file",
        title: "Delete a file of a dataset",
        description: "Deletes one file of a fixture for good. Nothing brings it back, and plans that name the fixture load less or fail. Ask the user first.\n\nExample: \
                      {\"fixture_id\": \"shop-orders\", \"file\": \"old.parquet\"} -> {\"success\": true, \"deleted\": \"fixtures/shop-orders/old.parquet\"}",
        effect: Effect::Ends,
    };

    async fn call(self, context: Context) -> Result<Deleted, Failure> {
        context.session.delete(&Path::to("/fixtures").step(self.fixture_id.as_str()).step(self.file.as_str())).await?;
        Ok(Deleted { success: true, deleted: format!("fixtures/{}/{}", self.fixture_id, self.file) })
    }
}
