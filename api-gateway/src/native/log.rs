//! What happened in a run, as lines of text: its steps with their times, what broke it or was broken, and what it says of itself now.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use crucible_crds::{TestRun, TestRunStatus, fault::FaultStatus};
use crucible_store::ledger::{RunRow, TransitionRow};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;

use crate::{
    error::{ApiError, ErrorBody},
    legacy::{RunId, unknown},
    state::Gateway,
};

/// What happened in a run, one line for each step, oldest first.
#[utoipa::path(get, path = "/v1/test-runs/{run_id}/logs", tag = "runs", params(("run_id" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn log(State(gateway): State<Gateway>, RunId(run_id): RunId) -> Result<Response, ApiError> {
    let namespace = &gateway.settings.namespace;
    if let Some(run) = gateway.runs.by_id(namespace, &run_id) {
        let api: Api<TestRun> = Api::namespaced(gateway.client.clone(), namespace);
        if let Some(run) = api.get_opt(run.name()).await.map_err(|error| ApiError::of_kube(&error, "the run"))? {
            let created = run.metadata.creation_timestamp.as_ref().map(|at| at.0);
            return Ok(as_text(of_status(&run.status.unwrap_or_default(), created)));
        }
    }
    let Some(ledger) = &gateway.ledger else { return Err(unknown(&gateway, &run_id)) };
    let row = ledger.find(namespace, &run_id).await?.ok_or_else(|| unknown(&gateway, &run_id))?;
    let steps = ledger.transitions(namespace, &run_id).await?;
    Ok(as_text(of_row(&row, &steps)))
}

fn as_text(lines: String) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))], lines).into_response()
}

/// The lines of a run that the cluster knows.
fn of_status(status: &TestRunStatus, created: Option<Timestamp>) -> String {
    let mut lines: Vec<(Timestamp, String)> = status.transitions.iter().map(|step| (step.at.0, format!("{} ({})", step.phase, step.reason))).collect();
    if lines.is_empty() {
        lines.extend(created.map(|at| (at, "the run was made; nobody has taken it up yet".to_owned())));
    }
    let mut at = |time: Option<&MicroTime>, said: String| lines.extend(time.map(|time| (time.0, said)));
    at(status.start_at.as_ref(), "the load begins in all workers".to_owned());
    at(status.first_query_at.as_ref(), "the first query went out".to_owned());
    at(status.last_query_at.as_ref(), "the last query was answered".to_owned());
    for FaultStatus { name, kind, targets, injected_at, recovered_at, .. } in &status.faults {
        at(injected_at.as_ref(), format!("fault {name} ({kind}) hit the first of {targets} targets"));
        at(recovered_at.as_ref(), format!("fault {name} ({kind}) was healed in all of its targets"));
    }
    lines.sort_by_key(|(at, _)| *at);
    let last = lines.last().map_or(Timestamp::UNIX_EPOCH, |(at, _)| *at);
    let mut sentences: Vec<&str> = status.ended_early.iter().map(|ended| ended.message.as_str()).collect();
    sentences.extend(status.message.as_deref().filter(|message| !sentences.contains(message)));
    for sentence in status.faults.iter().filter_map(|fault| fault.message.as_deref()).chain(sentences).filter(|sentence| !sentence.is_empty()) {
        lines.push((last, sentence.to_owned()));
    }
    written(&lines)
}

/// The lines of a run that only the ledger remembers.
fn of_row(row: &RunRow, steps: &[TransitionRow]) -> String {
    let mut lines: Vec<(Timestamp, String)> = steps.iter().map(|step| (step.at, format!("{} ({})", step.phase, step.reason))).collect();
    if lines.is_empty() {
        lines.push((row.submitted_at, "submitted".to_owned()));
        lines.extend(row.started_at.map(|at| (at, "the load begins".to_owned())));
        lines.extend(row.completed_at.map(|at| (at, row.status.clone())));
    }
    let last = lines.last().map_or(row.submitted_at, |(at, _)| *at);
    lines.extend(row.error_detail.clone().map(|sentence| (last, sentence)));
    written(&lines)
}

fn written(lines: &[(Timestamp, String)]) -> String {
    // A line is one line, whatever a database put into its messages.
    let one = |text: &str| text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect::<String>();
    let lines: Vec<String> = lines.iter().map(|(at, said)| format!("{at:.3} {}\n", one(said))).collect();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_steps_of_a_run_are_told_in_their_order_with_what_it_says_at_last() {
        let status: TestRunStatus = serde_json::from_value(json!({
            "transitions": [
                {"phase": "Pending", "at": "2026-01-05T08:00:00.000000Z", "reason": "AsExpected"},
                {"phase": "Executing", "at": "2026-01-05T08:00:02.500000Z", "reason": "Started"},
                {"phase": "Failed", "at": "2026-01-05T08:00:09.000000Z", "reason": "WorkerLost"}
            ],
            "startAt": "2026-01-05T08:00:02.600000Z",
            "faults": [{"name": "kill", "kind": "PodChaos", "namespace": "sut", "object": "x", "phase": "Injected", "phaseSince": "2026-01-05T08:00:05.000000Z",
                "targets": 1, "injectedAt": "2026-01-05T08:00:05.000000Z"}],
            "message": "Worker 1\nleft no outcome"
        }))
        .unwrap();
        let expected = "2026-01-05T08:00:00.000Z Pending (AsExpected)\n2026-01-05T08:00:02.500Z Executing (Started)\n\
            2026-01-05T08:00:02.600Z the load begins in all workers\n2026-01-05T08:00:05.000Z fault kill (PodChaos) hit the first of 1 targets\n\
            2026-01-05T08:00:09.000Z Failed (WorkerLost)\n2026-01-05T08:00:09.000Z Worker 1 left no outcome\n";
        assert_eq!(of_status(&status, None), expected);
        let made = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(of_status(&TestRunStatus::default(), made), "1970-01-01T00:00:00.000Z the run was made; nobody has taken it up yet\n");
    }
}
