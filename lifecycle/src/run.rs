//! A run: what is observed of it, and what is decided about it.
//!
//! `decide` carries a run through one file for each phase: `admission`, `queue`, `loading`, `waiting_room`, `execution`,
//! `collection`, `stopping`, `ending`. Each adds to a `draft`, which becomes the decision.

pub mod decision;
pub mod observed;

mod admission;
mod collection;
mod conditions;
mod decide;
mod draft;
mod ending;
mod execution;
mod faults;
mod hand_in;
mod loading;
mod loss;
mod progress;
mod queue;
mod stopping;
mod waiting_room;

pub use decide::decide;
pub use decision::{Child, CollectRequest, Decision, Gone, Healing, Order};
pub use faults::{cuts_workers_off, longest_healing};
pub use observed::Observed;

pub(crate) use draft::bounded;
