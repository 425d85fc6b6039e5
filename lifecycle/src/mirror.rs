//! The mirror's side of a run: what the ledger is told of it, and what the mirror owes the object itself.
//!
//! The mirror follows runs and decides nothing about them. It owns one condition and one finalizer; nothing here is read by
//! the decisions about a run, so a ledger that is away holds nothing up but the deletion of what it has not seen.

mod duty;
mod outline;
mod record;

pub use duty::{Duty, LATE, Standing, Terms, duty};
pub use outline::{Outline, Said};
pub use record::{Figures, MirroredRun, Room, Word, record};

use crucible_crds::Phase;

/// The word that the earlier system's clients know a phase by. Fixtures are loaded while a run is queued there.
#[must_use]
pub const fn legacy_status(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "PENDING",
        Phase::Queued | Phase::Loading => "QUEUED",
        Phase::WaitingRoom => "WAITING_ROOM",
        Phase::Executing => "EXECUTING",
        Phase::Collecting => "COLLECTING",
        Phase::Stopping => "STOPPING",
        Phase::Completed => "COMPLETED",
        Phase::Failed => "FAILED",
    }
}

#[cfg(test)]
mod tests;
