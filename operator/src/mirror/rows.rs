//! From what the ledger is told of a run to the ledger's own rows.

use crucible_crds::test_run::Transition;
use crucible_lifecycle::mirror::{Figures, MirroredRun, Room, Word};
use crucible_store::ledger::{HistoryRow, RunRecord, RunRow, Signal, TransitionRow, WaitingRoom};

/// The record of a run as it was read at a resource version.
pub fn record(version: u64, run: &MirroredRun) -> RunRecord {
    // No `..`: whatever the ledger is told must find its row.
    let MirroredRun {
        uid,
        namespace,
        name,
        run_id,
        plan_name,
        plan_key,
        run_label,
        sut_type,
        scaling_mode,
        cluster_spec,
        cluster_settings,
        status,
        error_detail,
        submitted_at,
        started_at,
        completed_at,
        phase,
        verdict,
        summary,
        room,
        transitions,
        figures,
    } = run.clone();
    RunRecord {
        resource_version: version,
        waiting_room: room.as_ref().map(waiting_room),
        transitions: transitions.into_iter().map(transition).collect(),
        history: figures.map(|figures| history(&run_id, figures)),
        row: RunRow {
            run_id,
            task_id: Some(uid.clone()),
            plan_name: Some(plan_name),
            plan_key,
            run_label: Some(run_label),
            sut_type,
            scaling_mode,
            cluster_spec,
            cluster_settings,
            status: status.to_owned(),
            error_detail,
            submitted_at,
            started_at,
            completed_at,
            namespace: Some(namespace),
            name: Some(name),
            uid: Some(uid.clone()),
            phase: Some(phase.as_str().to_owned()),
            verdict: verdict.map(|outcome| outcome.as_str().to_owned()),
            summary: Some(summary),
        },
        uid,
    }
}

fn waiting_room(room: &Room) -> WaitingRoom {
    let Room { ready, completed, target, word, since } = room;
    let signal = match word {
        Word::Wait => Signal::Wait,
        Word::Start => Signal::Start,
        Word::Abort => Signal::Abort,
    };
    WaitingRoom { ready_count: *ready, completed_count: *completed, target_count: *target, signal, created_at: *since }
}

fn transition(step: Transition) -> TransitionRow {
    let Transition { phase, at, reason } = step;
    TransitionRow { phase: phase.as_str().to_owned(), at: at.0, reason }
}

fn history(run_id: &str, figures: Figures) -> HistoryRow {
    let Figures { completed_at, plan_digest, verdict, queries, queries_per_second, error_rate, p95_micros } = figures;
    HistoryRow {
        run_id: run_id.to_owned(),
        completed_at,
        plan_digest,
        verdict: verdict.as_str().to_owned(),
        queries,
        queries_per_second,
        error_rate,
        p95_micros,
    }
}
