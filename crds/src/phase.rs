//! The phases of a run and the one table of allowed moves between them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a run is in its life. A run only moves forward; `Completed` and `Failed` are final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// The run was created; its plan is being read, checked and frozen.
    #[default]
    Pending,
    /// The run waits for its system under test: another run holds it.
    Queued,
    /// The fixtures that the plan names are being loaded and verified.
    Loading,
    /// The worker pods are starting, checking the system under test and gathering at the barrier.
    WaitingRoom,
    /// The load is on.
    Executing,
    /// The load is over; the workers' results are being uploaded, merged and judged.
    Collecting,
    /// A stop or a deletion was asked for; the workers are ending the load and handing in what they have.
    Stopping,
    /// Results exist, with checksum and the expected number of workers. The verdict says what they mean.
    Completed,
    /// There is no trustworthy result; reason and message say why.
    Failed,
}

impl Phase {
    /// Every phase, in the order of a run's life.
    pub const ALL: [Self; 9] =
        [Self::Pending, Self::Queued, Self::Loading, Self::WaitingRoom, Self::Executing, Self::Collecting, Self::Stopping, Self::Completed, Self::Failed];

    /// The name as it stands in status, events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Queued => "Queued",
            Self::Loading => "Loading",
            Self::WaitingRoom => "WaitingRoom",
            Self::Executing => "Executing",
            Self::Collecting => "Collecting",
            Self::Stopping => "Stopping",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
        }
    }

    /// Whether nothing can follow.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }

    /// Whether a run may move from this phase straight to `next`. Staying is not a move.
    ///
    /// A run that is ready early may pass over a waiting phase within one decision; the moves in between are then
    /// recorded one by one, so the table needs no shortcuts but those to an end.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use Phase::{Collecting, Completed, Executing, Failed, Loading, Pending, Queued, Stopping, WaitingRoom};
        match self {
            Pending => matches!(next, Queued | Stopping | Failed),
            Queued => matches!(next, Loading | Stopping | Failed),
            Loading => matches!(next, WaitingRoom | Stopping | Failed),
            WaitingRoom => matches!(next, Executing | Stopping | Failed),
            Executing => matches!(next, Collecting | Stopping | Failed),
            Collecting => matches!(next, Stopping | Completed | Failed),
            Stopping => matches!(next, Completed | Failed),
            Completed | Failed => false,
        }
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Phase;

    #[test]
    fn every_pair_of_phases_is_decided_by_the_table() {
        // Rows are "from", columns "to", in the order of `Phase::ALL`; x marks an allowed move.
        let table = [
            //  Pe Qu Lo Wa Ex Co St Cd Fa
            (Phase::Pending, ". x . . . . x . x"),
            (Phase::Queued, ". . x . . . x . x"),
            (Phase::Loading, ". . . x . . x . x"),
            (Phase::WaitingRoom, ". . . . x . x . x"),
            (Phase::Executing, ". . . . . x x . x"),
            (Phase::Collecting, ". . . . . . x x x"),
            (Phase::Stopping, ". . . . . . . x x"),
            (Phase::Completed, ". . . . . . . . ."),
            (Phase::Failed, ". . . . . . . . ."),
        ];
        for (from, row) in table {
            for (to, mark) in Phase::ALL.into_iter().zip(row.split(' ')) {
                assert_eq!(from.may_become(to), mark == "x", "{from} -> {to}");
            }
        }
    }

    #[test]
    fn every_live_phase_can_fail_and_terminal_phases_absorb() {
        for phase in Phase::ALL {
            assert_eq!(phase.may_become(Phase::Failed), !phase.is_terminal(), "{phase}");
        }
    }
}
