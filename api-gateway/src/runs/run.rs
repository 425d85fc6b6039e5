//! One run as the routes show it, with the bytes of its answers.

use std::sync::Arc;

use bytes::Bytes;
use crucible_crds::{Phase, TestRun};
use crucible_store::ledger::{Cursor, RunRow, WaitingRoom};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::told::Told;

/// A run as the lists of the earlier system's routes show it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RunBody {
    /// `{plan name}_{YYYYMMDD-HHmm}_{8 hex digits}`.
    pub run_id: String,
    /// The plan's name.
    pub plan_name: Option<String>,
    /// A word to find the run by.
    pub run_label: Option<String>,
    /// The engine of the system under test.
    pub sut_type: Option<String>,
    /// `PENDING`, `QUEUED`, `WAITING_ROOM`, `EXECUTING`, `COLLECTING`, `COMPLETED`, `FAILED` or `STOPPING`.
    pub status: String,
    /// `intra_node` or `inter_node`.
    pub scaling_mode: Option<String>,
    /// What the client said of the cluster under test.
    #[schema(value_type = Option<Object>)]
    pub cluster_spec: Option<Value>,
    /// What the client noted of its settings.
    pub cluster_settings: Option<String>,
    /// When the run was submitted.
    #[schema(value_type = String, format = DateTime)]
    pub submitted_at: Timestamp,
    /// When the load began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When the run reached its end.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub completed_at: Option<Timestamp>,
    /// Why the run failed, where it did.
    pub error_detail: Option<String>,
}

/// A run with its waiting room.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RunStatusBody {
    /// The run.
    #[serde(flatten)]
    pub run: RunBody,
    /// Where the workers gather; only while they do.
    pub waiting_room: Option<WaitingRoomBody>,
}

/// Where the workers of a run gather.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct WaitingRoomBody {
    /// How many workers are ready.
    pub ready_count: u32,
    /// How many the plan asks for.
    pub target_count: u32,
}

/// One run. What moves most is small; the rest are the bytes of its answers.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "a run's id is called so everywhere")]
pub struct Run {
    namespace: Arc<str>,
    name: Box<str>,
    uid: Box<str>,
    version: u64,
    run_id: Box<str>,
    label: Box<str>,
    plan_ref: Box<str>,
    sut_type: Option<Box<str>>,
    status: &'static str,
    phase: Phase,
    submitted_at: Timestamp,
    request: Option<Box<str>>,
    /// The answer to a question for the status. Its first `row` bytes and a closing brace are the run in a list.
    body: Bytes,
    row: usize,
    /// The run in few words, as native routes show it.
    outline: Bytes,
}

impl Run {
    /// The row of a run; nothing where the mirror could tell nothing of it either.
    #[must_use]
    pub fn of(run: &TestRun) -> Option<Self> {
        let told = super::told::told(run)?;
        // Whoever asked for an end sees it coming at once, also before the operator has seen it.
        let status = if run.spec.stop && !told.phase.is_terminal() { "STOPPING" } else { told.status };
        let room = told.room.filter(|_| status == "WAITING_ROOM").map(|(ready_count, target_count)| WaitingRoomBody { ready_count, target_count });
        let (body, row) = bytes(&body_of(&told, status), room);
        let request = run.metadata.annotations.as_ref().and_then(|all| all.get(crate::legacy::REQUEST)).map(|text| text.as_str().into());
        let outline = crate::native::outline(run, &told.run_id);
        Some(Self {
            namespace: told.namespace.into(),
            name: told.name.into(),
            uid: told.uid.into(),
            version: told.version,
            run_id: told.run_id.into(),
            label: told.run_label.into(),
            plan_ref: run.spec.plan_ref.name.0.as_str().into(),
            sut_type: told.sut_type.map(Into::into),
            status,
            phase: told.phase,
            submitted_at: told.submitted_at,
            request,
            body,
            row,
            outline,
        })
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn namespace_shared(&self) -> Arc<str> {
        Arc::clone(&self.namespace)
    }

    /// The name of its object.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The uid of its object.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The resource version that it was read at.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The name that clients know it by.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// A word to find it by.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The TestPlan that it names.
    pub fn plan_ref(&self) -> &str {
        &self.plan_ref
    }

    /// The engine of the system under test, once it is known.
    pub fn sut_type(&self) -> Option<&str> {
        self.sut_type.as_deref()
    }

    /// One of the eight words of the earlier system.
    pub fn status(&self) -> &'static str {
        self.status
    }

    /// Its phase.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The digest of the request that made it, where that had a key.
    pub fn request(&self) -> Option<&str> {
        self.request.as_deref()
    }

    /// Its place in lists.
    pub fn cursor(&self) -> Cursor {
        Cursor { submitted_at: self.submitted_at, run_id: self.run_id.to_string() }
    }

    /// The answer to a question for its status, ready to be sent.
    pub fn status_body(&self) -> Bytes {
        self.body.clone()
    }

    /// The run in few words, as native routes show it.
    pub fn outline(&self) -> &Bytes {
        &self.outline
    }

    /// Writes it as it stands in a list.
    pub fn write_row(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.body.get(..self.row).unwrap_or_default());
        to.push(b'}');
    }
}

fn body_of(told: &Told, status: &'static str) -> RunBody {
    RunBody {
        run_id: told.run_id.clone(),
        plan_name: Some(told.plan_name.clone()),
        run_label: Some(told.run_label.clone()),
        sut_type: told.sut_type.clone(),
        status: status.to_owned(),
        scaling_mode: told.scaling_mode.clone(),
        cluster_spec: told.cluster_spec.clone(),
        cluster_settings: told.cluster_settings.clone(),
        submitted_at: told.submitted_at,
        started_at: told.started_at,
        completed_at: told.completed_at,
        error_detail: told.error_detail.clone(),
    }
}

/// The answer with the waiting room, and how many bytes of it the run alone has, without its closing brace.
fn bytes(run: &RunBody, room: Option<WaitingRoomBody>) -> (Bytes, usize) {
    // A type of texts, numbers and JSON values can always be written.
    let mut text = serde_json::to_vec(run).unwrap_or_default();
    text.pop();
    let row = text.len();
    text.extend_from_slice(b",\"waiting_room\":");
    text.extend(serde_json::to_vec(&room).unwrap_or_default());
    text.push(b'}');
    text.shrink_to_fit();
    (Bytes::from(text), row)
}

/// A run that only the ledger remembers, as lists show it.
#[must_use]
pub fn remembered_body(row: RunRow) -> RunBody {
    RunBody {
        run_id: row.run_id,
        plan_name: row.plan_name,
        run_label: row.run_label,
        sut_type: row.sut_type,
        status: row.status,
        scaling_mode: row.scaling_mode,
        cluster_spec: row.cluster_spec,
        cluster_settings: row.cluster_settings,
        submitted_at: row.submitted_at,
        started_at: row.started_at,
        completed_at: row.completed_at,
        error_detail: row.error_detail,
    }
}

impl From<WaitingRoom> for WaitingRoomBody {
    fn from(room: WaitingRoom) -> Self {
        Self { ready_count: room.ready_count, target_count: room.target_count }
    }
}

#[cfg(test)]
pub mod tests {
    use crucible_crds::{
        TestRunSpec, TestRunStatus,
        test_run::{PlanRef, WorkersStatus},
    };
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::*;

    /// A run in namespace `shop`, created so many seconds after 2026-01-05 08:00:00.
    pub fn run(name: &str, uid: &str, version: &str, second: i64) -> TestRun {
        let spec: TestRunSpec = serde_json::from_value(json!({"planRef": {"name": "checkout"}})).unwrap();
        let mut run = TestRun::new(name, TestRunSpec { plan_ref: PlanRef { name: "checkout".into() }, ..spec });
        run.metadata.namespace = Some("shop".to_owned());
        run.metadata.uid = Some(uid.to_owned());
        run.metadata.resource_version = Some(version.to_owned());
        run.metadata.creation_timestamp = Some(Time(Timestamp::from_second(1_767_600_000 + second).unwrap()));
        run.status = Some(TestRunStatus { run_id: Some(format!("{name}_20260105-0800_00000000")), ..TestRunStatus::default() });
        run
    }

    fn status(run: &TestRun) -> Value {
        serde_json::from_slice(&Run::of(run).unwrap().status_body()).unwrap()
    }

    #[test]
    fn the_answer_is_made_when_the_run_changes() {
        let mut gathering = run("a", "uid-a", "7", 0);
        gathering.metadata.annotations = Some(
            [("plan-name", "Check_out.v2"), ("plan-key", "plans/Check_out.v2"), ("scaling-mode", "inter_node")]
                .map(|(name, text)| (format!("crucible.dev/{name}"), text.to_owned()))
                .into(),
        );
        let told = gathering.status.as_mut().unwrap();
        told.phase = Some(Phase::WaitingRoom);
        told.transitions = serde_json::from_value(json!([{"phase": "WaitingRoom", "at": "2026-01-05T08:00:01.000000Z", "reason": "Gathering"}])).unwrap();
        told.workers = Some(WorkersStatus { expected: 2, ready: 1, ..WorkersStatus::default() });
        let answer = status(&gathering);
        assert_eq!(answer["status"], "WAITING_ROOM");
        assert_eq!(answer["waiting_room"], json!({"ready_count": 1, "target_count": 2}));
        assert_eq!(
            (&answer["plan_name"], &answer["run_label"], &answer["scaling_mode"]),
            (&json!("Check_out.v2"), &json!("Check_out.v2"), &json!("inter_node"))
        );
        assert_eq!(answer["submitted_at"], "2026-01-05T08:00:00Z");
    }

    #[test]
    fn a_list_shows_the_same_without_the_waiting_room() {
        let run = Run::of(&run("a", "uid-a", "7", 0)).unwrap();
        let mut row = Vec::new();
        run.write_row(&mut row);
        let (mut answer, row): (Value, Value) = (serde_json::from_slice(&run.status_body()).unwrap(), serde_json::from_slice(&row).unwrap());
        assert_eq!(answer.as_object_mut().unwrap().remove("waiting_room"), Some(Value::Null));
        assert_eq!(answer, row);
    }

    #[test]
    fn a_run_that_is_to_stop_says_so_before_the_operator_does() {
        let mut stopped = run("a", "uid-a", "7", 0);
        stopped.spec.stop = true;
        for (phase, word) in [(Phase::Executing, "STOPPING"), (Phase::WaitingRoom, "STOPPING"), (Phase::Completed, "COMPLETED"), (Phase::Failed, "FAILED")] {
            stopped.status.as_mut().unwrap().phase = Some(phase);
            let answer = status(&stopped);
            assert_eq!((answer["status"].as_str(), answer["waiting_room"].is_null()), (Some(word), true), "{phase}");
        }
    }
}
