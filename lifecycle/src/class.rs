//! How a query ended. The k6 extension sorts every answer into one of these; the results keep them apart.

/// How a query ended: answered, or the class of its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Answered without error.
    Ok,
    /// Cancelled when its time-out had passed.
    Timeout,
    /// The connection was refused, reset or lost.
    Connection,
    /// The system under test refused work that it had no room for.
    Overload,
    /// A deadlock, a lock wait or a serialization failure: a retry might have worked.
    Serialization,
    /// The system under test accepts no writes at the moment.
    ReadOnly,
    /// The answer did not have the number of rows that the plan expects.
    WrongResult,
    /// The system under test does not understand the query.
    Syntax,
    /// Anything else.
    Other,
}

impl Class {
    /// Every class; `Ok` first.
    pub const ALL: [Self; 9] =
        [Self::Ok, Self::Timeout, Self::Connection, Self::Overload, Self::Serialization, Self::ReadOnly, Self::WrongResult, Self::Syntax, Self::Other];

    /// The word in histogram logs, results and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Overload => "overload",
            Self::Serialization => "serialization",
            Self::ReadOnly => "readOnly",
            Self::WrongResult => "wrongResult",
            Self::Syntax => "syntax",
            Self::Other => "other",
        }
    }

    /// The class that a word names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Class;

    #[test]
    fn every_word_is_read_back_and_no_other_is() {
        for class in Class::ALL {
            assert_eq!(Class::parse(class.as_str()), Some(class));
        }
        assert_eq!(Class::parse("OK"), None);
        assert_eq!(Class::parse(""), None);
    }
}
