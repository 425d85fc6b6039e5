//! Builders of child objects: one Kubernetes object per file, every name and label in one place.

pub mod chaos;
pub mod config_map;
pub mod job;
pub mod labels;
pub mod lease;
pub mod loader;
pub mod names;
pub mod token;
