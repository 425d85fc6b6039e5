//! What clients of the earlier system send, in pure code: their plans read, checked and turned into a TestPlan, their
//! names turned into names that Kubernetes and the bucket take. The REST gateway does the rest.

pub mod cluster_spec;
pub mod detail;
mod document;
mod field;
pub mod ids;
pub mod plan;
pub mod shared;
mod translate;

pub use detail::{Detail, Loc};
pub use plan::LegacyPlan;
pub use translate::{Credentials, Facts, Translation};
