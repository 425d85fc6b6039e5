//! Fixtures: what a dataset is, what a run loads of it, how a table proves what is in it, and what is said of a Fixture.
//!
//! The proof of a table stands in the table itself, as its comment ([`mark`]): it moves with the table when that takes
//! another's place, it goes when somebody makes the table anew, and it is the same for whoever looks. What stands in the
//! status of a Fixture is told of loads, never decided from.

pub mod mark;
pub mod recipe;
pub mod review;
pub mod table;

pub use mark::{Comment, Mark};
pub use recipe::{FixtureView, Listing, Obstacle, prefix, recipe, unsuited};
pub use table::{Judgement, Way, judge};
