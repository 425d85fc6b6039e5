//! Records as they go into Postgres: one JSON document for a whole flush, which the statement takes apart again. So a flush is
//! one parameter, however many runs it holds.

use serde_json::{Value, json};

use super::clean;
use crate::ledger::{HistoryRow, RunRecord, RunRow, SubmittedRun, TransitionRow, WaitingRoom};

/// What `record.sql` takes.
pub fn records(runs: &[RunRecord]) -> Value {
    let mut document = runs.iter().enumerate().map(|(position, run)| record(position, run)).collect();
    clean(&mut document);
    document
}

fn record(position: usize, run: &RunRecord) -> Value {
    // No `..`: a new field must find its column.
    let RunRecord { resource_version, uid, row, waiting_room, transitions, history } = run;
    let RunRow {
        run_id,
        task_id,
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
        namespace,
        name,
        uid: _,
        phase,
        verdict,
        summary,
    } = row;
    json!({
        "position": position,
        // Beyond what a bigint holds there is no cluster.
        "version": i64::try_from(*resource_version).unwrap_or(i64::MAX),
        "uid": uid,
        "run_id": run_id,
        "task_id": task_id,
        "plan_name": plan_name,
        "plan_key": plan_key,
        "run_label": run_label,
        "sut_type": sut_type,
        "scaling_mode": scaling_mode,
        "cluster_spec": cluster_spec,
        "cluster_settings": cluster_settings,
        "status": status,
        "error_detail": error_detail,
        "submitted_at": submitted_at,
        "started_at": started_at,
        "completed_at": completed_at,
        "namespace": namespace,
        "name": name,
        "phase": phase,
        "verdict": verdict,
        "summary": summary,
        "waiting_room": waiting_room.as_ref().map(room),
        "transitions": transitions.iter().map(transition).collect::<Value>(),
        "history": history.as_ref().map(figures),
    })
}

fn room(room: &WaitingRoom) -> Value {
    let WaitingRoom { ready_count, completed_count, target_count, signal, created_at } = room;
    json!({
        "ready_count": ready_count, "completed_count": completed_count, "target_count": target_count,
        "signal": signal.as_str(), "created_at": created_at,
    })
}

fn transition(step: &TransitionRow) -> Value {
    let TransitionRow { phase, at, reason } = step;
    json!({"phase": phase, "at": at, "reason": reason})
}

fn figures(history: &HistoryRow) -> Value {
    let HistoryRow { run_id: _, completed_at, plan_digest, verdict, queries, queries_per_second, error_rate, p95_micros } = history;
    json!({
        "completed_at": completed_at, "plan_digest": plan_digest, "verdict": verdict, "queries": queries,
        "queries_per_second": queries_per_second, "error_rate": error_rate, "p95_micros": p95_micros,
    })
}

/// What the statement of a submit takes.
pub fn submitted(run: &SubmittedRun) -> Value {
    let SubmittedRun { run_id, namespace, name, uid, plan_name, plan_key, run_label, sut_type, scaling_mode, cluster_spec, cluster_settings, submitted_at } =
        run;
    let mut document = json!({
        "run_id": run_id, "task_id": uid, "plan_name": plan_name, "plan_key": plan_key, "run_label": run_label, "sut_type": sut_type,
        "scaling_mode": scaling_mode, "cluster_spec": cluster_spec, "cluster_settings": cluster_settings, "submitted_at": submitted_at,
        "namespace": namespace, "name": name, "uid": uid,
    });
    clean(&mut document);
    document
}
