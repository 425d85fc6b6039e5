//! What a reading of the world yields: the thing, its absence, or ignorance. Ignorance is never taken for absence.

/// One reading of one thing.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen<T> {
    /// It is there, and this is what it is.
    Found(T),
    /// It is not there; the one who knows said so.
    Absent,
    /// It could not be read, or nobody asked; the text says why. Nothing may be deleted or failed on it.
    Unreadable(String),
}

impl<T> Seen<T> {
    /// The thing, where it was found.
    pub fn found(&self) -> Option<&T> {
        match self {
            Self::Found(thing) => Some(thing),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }

    /// Whether the one who knows said that it is not there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// A thing that this phase has no use for.
    #[must_use]
    pub fn not_asked() -> Self {
        Self::Unreadable("not asked".to_owned())
    }
}

impl<T> From<Option<T>> for Seen<T> {
    fn from(found: Option<T>) -> Self {
        found.map_or(Self::Absent, Self::Found)
    }
}
