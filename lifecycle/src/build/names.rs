//! Names of everything that a run makes. They derive from the run's uid and the child's role, so that a crash between a
//! write and its record heals by looking again.

use sha2::{Digest, Sha256};

/// What a child is to its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The frozen plan.
    Plan,
    /// The run's token.
    Token,
    /// The loader of the fixtures.
    Loader,
    /// The workers.
    Workers,
}

impl Role {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Token => "token",
            Self::Loader => "loader",
            Self::Workers => "workers",
        }
    }
}

/// The name of a run's child: at most 57 characters, so that a pod's host name with the worker's index still fits 63.
pub fn child(run_name: &str, run_uid: &str, role: Role) -> String {
    let readable: String = run_name.chars().take(40).map(|c| if c == '.' { '-' } else { c }).collect();
    format!("{}-{}-{}", readable.trim_end_matches('-'), short_hash(run_uid, 8), role.suffix())
}

/// The name of the Chaos Mesh object of a fault: at most 63 characters, and different for each fault of each run.
pub fn fault(run_name: &str, run_uid: &str, fault_name: &str) -> String {
    let run: String = run_name.chars().take(20).map(|c| if c == '.' { '-' } else { c }).collect();
    let readable: String = fault_name.chars().take(20).collect();
    format!("{}-{}-{}-{}", run.trim_end_matches('-'), short_hash(run_uid, 8), readable.trim_end_matches('-'), short_hash(fault_name, 6))
}

/// The name of the lease of a system under test.
pub fn sut_lease(sut: &str) -> String {
    format!("sut-{}", sut_hash(sut))
}

/// A system under test as a label value.
pub fn sut_hash(sut: &str) -> String {
    short_hash(sut, 16)
}

/// The first hex digits of a text's SHA-256.
pub fn short_hash(text: &str, digits: usize) -> String {
    use std::fmt::Write;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex.truncate(digits);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_only_far_behind_do_not_collide() {
        let long = "a".repeat(60);
        let one = child(&format!("{long}x"), "uid-1", Role::Workers);
        let two = child(&format!("{long}y"), "uid-2", Role::Workers);
        assert_ne!(one, two);
        assert!(one.len() <= 57, "{one}");
    }

    #[test]
    fn a_name_cut_at_a_dash_stays_a_valid_name() {
        let name = child(&format!("{}-{}", "a".repeat(39), "b"), "uid-1", Role::Plan);
        assert_eq!(name, format!("{}-4a49acf8-plan", "a".repeat(39)));
    }

    #[test]
    fn faults_that_differ_only_far_behind_do_not_collide() {
        let long = "f".repeat(62);
        let (one, two) = (fault(&"r".repeat(60), "uid-1", &format!("{long}x")), fault(&"r".repeat(60), "uid-1", &format!("{long}y")));
        assert_ne!(one, two);
        assert!(one.len() <= 63, "{one}");
        assert_eq!(fault("run-a", "uid-1", "kill"), "run-a-4a49acf8-kill-2bda9b");
    }

    #[test]
    fn a_dotted_run_name_becomes_a_label() {
        assert!(child("nightly.v2", "uid-1", Role::Token).starts_with("nightly-v2-"));
    }
}
