//! The program inside a worker pod.
#[allow(missing_docs)]
pub mod course;
pub mod engine;
pub mod outcome;
#[cfg(test)]
mod sample;
pub mod wire;
