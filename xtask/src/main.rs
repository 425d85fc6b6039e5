//! Developer tool of Crucible.
fn main() {}
