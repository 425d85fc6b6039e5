//! Plan resolution: the spec and the workload's text in, queries and a digest out, or everything that is wrong with
//! them. It refuses what the schema and the rules of the CRD cannot: whatever takes two fields, a parser or a sum.

mod arms;
mod endpoint;
mod faults;
mod identity;
mod limits;
mod map_keys;

pub use arms::target as target_of_arm;
pub use endpoint::{EndpointError, HostPort, sut_identity, suts};
pub use faults::overlaps;
pub use identity::{canonical_digest, digest, is_of_its_time, named_run, run_id, sha256_hex};
pub use limits::MOST_VUS_PER_WORKER;

use crucible_crds::TestPlanSpec;

pub use crate::problem::Problem;
use crate::{
    contract::{FrozenArm, Query},
    load::{rounds, with_steps},
    problem::Problems,
    workload,
};

/// A plan that can be run.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The queries that run, in the order of the workload.
    pub queries: Vec<Query>,
    /// The variants that a run compares; none where the plan has no arms.
    pub arms: Vec<FrozenArm>,
    /// SHA-256 over spec and queries, in hex.
    pub digest: String,
}

/// Resolves a plan with the texts of its workload, one for each of its [`workload::places`].
///
/// # Errors
/// Everything that is wrong, at most [`crate::problem::MOST_PROBLEMS`], with the path of each field.
pub fn resolve<T: AsRef<str>>(spec: &TestPlanSpec, texts: &[T]) -> Result<Resolved, Vec<Problem>> {
    let mut problems = Problems::default();
    let carried_out = rounds::carried_out(spec);
    let spec = &with_steps(spec);
    limits::check(spec, &mut problems);
    faults::check(spec, &mut problems);
    arms::check(spec, &mut problems);
    let files = files(spec, texts);
    let compiled = files.as_ref().map_err(Clone::clone).and_then(|files| workload::compile(files, &spec.workload, spec.target.engine));
    let queries = compiled.unwrap_or_else(|found| {
        problems.extend(found);
        Vec::new()
    });
    let arms = if queries.is_empty() { Vec::new() } else { arms::freeze(spec, files.as_deref().unwrap_or_default(), &queries, &mut problems) };
    if !queries.is_empty() {
        limits::check_names(spec, &queries, &mut problems);
        limits::check_size(&carried_out, &queries, &arms, &mut problems);
    }
    let digest = digest(spec, &queries);
    problems.none_or(Resolved { queries, arms, digest })
}

/// The workload's files, parsed.
fn files<T: AsRef<str>>(spec: &TestPlanSpec, texts: &[T]) -> Result<Vec<workload::Placed>, Vec<Problem>> {
    let (engine, source) = (spec.target.engine, &spec.workload.source);
    let mut problems = Problems::default();
    let mut files = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let path = workload::path(source, index);
        match workload::parse(text.as_ref(), Some(engine)) {
            Ok(workload) => files.push(workload::Placed { path, workload }),
            Err(errors) => {
                problems.extend(errors.into_iter().map(|error| Problem { path: format!("{path} line {}", error.line), message: error.message }).collect());
            }
        }
    }
    if texts.is_empty() {
        problems.add("spec.workload.source", "exactly one of inline, configMap, object and objects must be set");
    }
    problems.none_or(files)
}

#[cfg(test)]
mod tests;
