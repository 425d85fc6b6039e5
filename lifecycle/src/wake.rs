//! When to look again.

use std::time::Duration;

/// When the object is to be looked at again, apart from every change of it or its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Only when something changes.
    OnChange,
    /// When something changes, or after this time, whichever comes first.
    After(Duration),
}

impl Wake {
    /// The earlier of the two.
    #[must_use]
    pub fn sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::OnChange, other) => other,
            (this, Self::OnChange) => this,
            (Self::After(one), Self::After(two)) => Self::After(one.min(two)),
        }
    }
}
