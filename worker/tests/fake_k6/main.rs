//! Placeholder of the k6 that the tests command.
fn main() {}
