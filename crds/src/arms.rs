//! Arms: two variants that one run compares with each other, in turns.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    name::{DatabaseName, Endpoint, Label},
    test_plan::Parameter,
};

/// One of the two variants that a run compares. It is the plan itself but for what stands here; an arm that changes nothing is the plan as it is.
///
/// Two arms that ask for the same thing are allowed: what they differ by is what the comparison cannot see (an A/A test).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Arm {
    /// The arm's name in results and reports.
    pub name: Label,
    /// Where this arm's queries go, instead of `target.endpoint`: another system of the same engine, with the same credentials and the same `tls`. The run then
    /// waits for the right to load both systems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// The database that this arm's queries run in, instead of `target.database`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseName>,
    /// Values for placeholders, instead of those of `workload.parameters` or of the query's own `@param` line with the same name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub parameters: Vec<Parameter>,
}

impl Arm {
    /// Whether its queries go elsewhere than the plan says.
    #[must_use]
    pub const fn is_elsewhere(&self) -> bool {
        self.endpoint.is_some() || self.database.is_some()
    }
}
