//! The decision about a run: pure and total. Each phase has its own file; this one carries the run from phase to phase as
//! far as one reading of the world goes.

use crucible_crds::Phase;

use super::{
    admission, collection,
    decision::Decision,
    draft::{Draft, Step},
    ending, execution, loading,
    observed::Observed,
    queue, stopping, waiting_room,
};

/// What is to be done about a run, given everything that is known about it.
pub fn decide(observed: &Observed) -> Decision {
    let mut draft = Draft::new(observed);
    admission::take_over(observed, &mut draft);
    if observed.run.metadata.deletion_timestamp.is_some() {
        ending::delete(observed, &mut draft);
        return draft.finish(observed);
    }
    // A run passes each phase at most once, so this ends.
    for _ in Phase::ALL {
        let step = match draft.phase() {
            Phase::Pending => admission::admit(observed, &mut draft),
            Phase::Queued => queue::wait(observed, &mut draft),
            Phase::Loading => loading::load(observed, &mut draft),
            Phase::WaitingRoom => waiting_room::gather(observed, &mut draft),
            Phase::Executing => execution::watch(observed, &mut draft),
            Phase::Collecting => collection::collect(observed, &mut draft),
            Phase::Stopping => stopping::wind_down(observed, &mut draft),
            Phase::Completed | Phase::Failed => ending::rest(observed, &mut draft),
        };
        if step == Step::Stay {
            break;
        }
    }
    draft.finish(observed)
}
