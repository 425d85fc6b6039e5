//! Why loading does not go on, and whether trying again may help.

use crucible_crds::Reason;
use crucible_lifecycle::contract::Failure;

use crate::outcome;

/// Why loading does not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It is wrong, and trying again would not help.
    #[error("{}", .0.message)]
    Refused(Failure),
    /// Something was away; the table is begun anew.
    #[error("{0}")]
    Again(String),
    /// The loader was told to end.
    #[error("the loader was told to end")]
    Stopped,
}

impl Trouble {
    /// Something is wrong for good.
    pub fn refused(reason: Reason, message: impl Into<String>) -> Self {
        Self::Refused(outcome::failure(reason, message))
    }

    /// Files that cannot be loaded as they are.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::refused(Reason::FixtureInvalid, message)
    }

    /// The trouble that an error of reading carries through code that is not ours, or else what the error itself says of a file.
    pub fn in_error(error: &(dyn std::error::Error + 'static), otherwise: impl FnOnce(String) -> Self) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(trouble) = error.downcast_ref::<Self>() {
                return trouble.clone();
            }
            // An io::Error's own source skips what it carries.
            if let Some(carried) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
                cause = Some(carried);
                continue;
            }
            cause = error.source();
        }
        otherwise(error.to_string())
    }
}

impl From<Trouble> for std::io::Error {
    fn from(trouble: Trouble) -> Self {
        Self::other(trouble)
    }
}
