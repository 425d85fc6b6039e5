//! Plan resolution: the spec and the workload's text in, queries and a digest out, or everything that is wrong with
//! them. It refuses what the schema and the rules of the CRD cannot: whatever takes two fields, a parser or a sum.

mod endpoint;
mod identity;
mod limits;

pub use endpoint::{EndpointError, HostPort, sut_identity};
pub use identity::{digest, run_id, sha256_hex};

use crucible_crds::TestPlanSpec;

pub use crate::problem::Problem;
use crate::{contract::Query, problem::Problems, workload};

/// A plan that can be run.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The queries that run, in the order of the workload.
    pub queries: Vec<Query>,
    /// SHA-256 over spec and queries, in hex.
    pub digest: String,
}

/// Resolves a plan with the text of its workload.
///
/// # Errors
/// Everything that is wrong, at most [`crate::problem::MOST_PROBLEMS`], with the path of each field.
pub fn resolve(spec: &TestPlanSpec, workload_text: &str) -> Result<Resolved, Vec<Problem>> {
    let mut problems = Problems::default();
    limits::check(spec, &mut problems);
    let queries = queries(spec, workload_text).unwrap_or_else(|found| {
        problems.extend(found);
        Vec::new()
    });
    if !queries.is_empty() {
        limits::check_names(spec, &queries, &mut problems);
    }
    let digest = digest(spec, &queries);
    problems.none_or(Resolved { queries, digest })
}

fn queries(spec: &TestPlanSpec, workload_text: &str) -> Result<Vec<Query>, Vec<Problem>> {
    let engine = spec.target.engine;
    let workload = workload::parse(workload_text, Some(engine)).map_err(|errors| {
        errors.into_iter().map(|error| Problem { path: format!("spec.workload.source line {}", error.line), message: error.message }).collect::<Vec<_>>()
    })?;
    workload::compile(&workload, &spec.workload, engine)
}

#[cfg(test)]
mod tests;
