//! A run: what is observed of it, and what is decided about it.

pub mod decision;
pub mod observed;

pub use decision::{Child, CollectRequest, Decision, Gone, Order};
pub use observed::Observed;
