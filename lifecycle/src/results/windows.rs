//! The times in which a fault was on and in which the system recovered from it: rows of their own in the results.

use super::{FaultFact, Row};

/// Part of the load that is counted by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The fault's name in the plan.
    pub fault: String,
    /// What happened in that time.
    pub part: Part,
    /// Its first second, counted from the start of the load.
    pub from: u64,
    /// The second after its last one.
    pub to: u64,
}

/// What happens in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The fault is on: from the first target that was hit to the last one that was healed, as observed.
    Fault,
    /// The system recovers: until the next fault or the end of the load.
    Recovery,
}

impl Part {
    /// The word as it stands in the results.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Recovery => "recovery",
        }
    }
}

/// What was measured in a window, all queries together.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowRow {
    /// Which time this is about.
    pub window: Window,
    /// What was measured.
    pub row: Row,
}

/// The windows of faults in a load of so many seconds, in the order of the plan. A fault that was never on has none.
#[must_use]
pub fn windows(faults: &[FaultFact], seconds: u64) -> Vec<Window> {
    let mut all = Vec::new();
    for fact in faults {
        let Some((from, to)) = fact.seconds() else { continue };
        let to = to.max(from + 1).min(seconds);
        let next = faults.iter().filter_map(FaultFact::seconds).map(|(next, _)| next).filter(|next| *next >= to).min().unwrap_or(seconds).min(seconds);
        let window = |part, from, to| Window { fault: fact.name.clone(), part, from, to };
        all.extend([window(Part::Fault, from, to), window(Part::Recovery, to, next)].into_iter().filter(|window| window.from < window.to));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(name: &str, from: f64, to: f64) -> FaultFact {
        FaultFact { name: name.to_owned(), from: Some(from), to: Some(to), ..FaultFact::default() }
    }

    fn shown(faults: &[FaultFact]) -> Vec<(String, &'static str, u64, u64)> {
        windows(faults, 60).into_iter().map(|window| (window.fault, window.part.as_str(), window.from, window.to)).collect()
    }

    #[test]
    fn a_fault_has_a_window_and_a_recovery_up_to_the_next_fault() {
        let faults = [fact("cut", 10.4, 15.2), fact("kill", 30.0, 30.0)];
        let expected = [("cut", "fault", 10, 16), ("cut", "recovery", 16, 30), ("kill", "fault", 30, 31), ("kill", "recovery", 31, 60)];
        assert_eq!(shown(&faults), expected.map(|(name, part, from, to)| (name.to_owned(), part, from, to)));
    }

    #[test]
    fn overlapping_faults_have_overlapping_windows() {
        let faults = [fact("slow", 10.0, 20.0), fact("kill", 15.0, 15.0)];
        let expected = [("slow", "fault", 10, 20), ("slow", "recovery", 20, 60), ("kill", "fault", 15, 16), ("kill", "recovery", 16, 60)];
        assert_eq!(shown(&faults), expected.map(|(name, part, from, to)| (name.to_owned(), part, from, to)));
    }

    #[test]
    fn a_fault_that_was_never_on_has_no_window_and_none_reaches_beyond_the_load() {
        assert_eq!(shown(&[FaultFact::default()]), []);
        assert_eq!(shown(&[fact("late", 58.0, 99.0)]), [("late".to_owned(), "fault", 58, 60)]);
    }
}
