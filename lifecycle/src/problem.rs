//! A mistake in a plan or a workload, said to its author: where it is and what to write instead.

/// The most problems that are shown at once. Whoever has more has one cause for most of them.
pub const MOST_PROBLEMS: usize = 20;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is, for example `spec.load.stages[1].duration` or `spec.workload.source line 12`.
    pub path: String,
    /// What is wrong and what would be right, in one sentence without a full stop.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Problems as they are found, never more than [`MOST_PROBLEMS`].
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
}

impl Problems {
    pub(crate) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        if self.found.len() < MOST_PROBLEMS {
            self.found.push(Problem { path: path.into(), message: message.into() });
        }
    }

    /// Whether no further problem would be kept: a reason to stop looking.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() == MOST_PROBLEMS
    }

    pub(crate) fn extend(&mut self, more: Vec<Problem>) {
        for Problem { path, message } in more {
            self.add(path, message);
        }
    }

    /// `value` where nothing was wrong.
    pub(crate) fn none_or<T>(self, value: T) -> Result<T, Vec<Problem>> {
        if self.found.is_empty() { Ok(value) } else { Err(self.found) }
    }
}

/// At most eight names for a message, in the order given: `A, B and 3 more`.
pub(crate) fn name_some<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown = names.iter().take(8).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(8) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
