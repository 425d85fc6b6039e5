//! The pure core: everything that Crucible decides, builds, merges and judges.
//!
//! Nothing here does input or output, waits, looks at a clock or draws a random number: what the world looks like comes
//! in as an argument, what is to be done goes out as a value. That is why every path of a run can be tested in
//! microseconds.

pub mod build;
pub mod chaos;
pub mod class;
pub mod comparison;
pub mod contract;
pub mod fixture;
pub mod histogram;
pub mod latency;
pub mod legacy;
pub mod load;
pub mod mirror;
pub mod notice;
pub mod plan;
pub mod problem;
pub mod results;
pub mod review;
pub mod run;
pub mod seen;
pub mod segment;
pub mod statistics;
pub mod verdict;
pub mod wake;
pub mod workload;
