"""Two workers and one virtual user: what existing clients ask for, and expect to work."""

import json
import re
from datetime import datetime
from typing import Any

import httpx

from crucible_contract.bucket import Bucket
from crucible_contract.ledger import FIELDS, Ledger
from crucible_contract.plans import as_yaml
from crucible_contract.results import check_healthy, check_raw
from crucible_contract.runs import ORDER, eventually
from crucible_contract.stories import INTER_PLAN, Stories


def test_the_answer_names_run_plan_and_strategy(runs: Stories) -> None:
    answer = runs.inter.answer
    assert set(answer) == {"run_id", "plan_key", "strategy"}
    assert re.fullmatch(rf"{re.escape(INTER_PLAN)}_\d{{8}}-\d{{4}}_[0-9a-f]{{8}}", answer["run_id"])
    assert answer["plan_key"] == f"plans/{INTER_PLAN}"
    assert answer["strategy"] == "inter_node"


def test_the_row_is_there_when_the_answer_is(runs: Stories) -> None:
    row = runs.inter.row
    assert row is not None, "no row in test_runs right after the submit"
    assert row["run_id"] == runs.inter.run_id and row["plan_name"] == INTER_PLAN and row["plan_key"] == f"plans/{INTER_PLAN}"
    assert row["run_label"] == INTER_PLAN and row["sut_type"] == "mysql" and row["scaling_mode"] == "inter_node"
    assert row["cluster_spec"]["backend_node"] == {"replica": 2} and row["cluster_spec"]["colour"] == "green"
    assert row["cluster_settings"] == "innodb_buffer_pool_size=1G"
    assert row["status"] in ("PENDING", "QUEUED", "WAITING_ROOM") and row["task_id"]
    assert row["submitted_at"] is not None and row["error_detail"] is None


def test_the_run_goes_through_every_status_in_order(runs: Stories) -> None:
    runs.inter.watch.ends("COMPLETED")
    seen = runs.inter.watch.statuses()
    assert seen == sorted(seen, key=ORDER.index), seen
    assert {"EXECUTING", "COMPLETED"} <= set(seen)


def test_the_waiting_room_is_shown_while_the_workers_gather_and_only_then(runs: Stories) -> None:
    runs.inter.watch.ends("COMPLETED")
    rooms = 0
    for submitted in (runs.inter, runs.masked, runs.foreign, runs.no_host):
        submitted.watch.reaches("COMPLETED", "FAILED")
        for moment in submitted.watch.moments:
            room = moment.body["waiting_room"]
            if moment.body["status"] == "WAITING_ROOM":
                rooms += 1
                assert set(room) == {"ready_count", "target_count"} and 0 <= room["ready_count"] <= room["target_count"]
                assert room["target_count"] == (2 if submitted is runs.inter else 1)
            else:
                assert room is None
    assert rooms > 0, "no run was ever seen in its waiting room"


def test_results_are_not_there_before_they_are_collected(runs: Stories) -> None:
    runs.inter.watch.ends("COMPLETED")
    codes = {(moment.body["status"], moment.results) for moment in runs.inter.watch.moments if moment.results is not None}
    assert ("EXECUTING", 409) in codes and ("COMPLETED", 200) in codes
    for status, code in codes:
        assert code == (200 if status in ("COLLECTING", "COMPLETED", "FAILED") else 409), codes


def test_the_results_are_those_of_both_workers(runs: Stories, api: httpx.Client, bucket: Bucket) -> None:
    run_id = runs.inter.run_id
    runs.inter.watch.ends("COMPLETED")
    answer = api.get(f"/v1/test-runs/{run_id}/results")
    assert answer.status_code == 200
    results = answer.json()
    check_healthy(results, run_id)
    check_raw(bucket, results, run_id, workers=2)
    stored = json.loads(bucket.get(f"results/{run_id}/results.json"))
    assert set(stored) >= {"run_id", "collected_at", "collection_error", "abort_reason", "k6", "observability"}
    assert {name: results[name] for name in stored} == stored, "REST adds to what is stored, and changes nothing"


def test_a_prometheus_that_nobody_allowed_costs_that_source_and_nothing_else(runs: Stories, api: httpx.Client) -> None:
    runs.inter.watch.ends("COMPLETED")
    results = api.get(f"/v1/test-runs/{runs.inter.run_id}/results").json()
    assert results["collection_error"] is not None and "elsewhere" in results["collection_error"]
    for source in results["observability"]["sources"]:
        assert all(not metric["values"] for metric in source["metrics"])


def test_artifacts_are_what_lies_in_the_bucket(runs: Stories, api: httpx.Client, bucket: Bucket) -> None:
    runs.inter.watch.ends("COMPLETED")
    run_id = runs.inter.run_id
    listed = api.get(f"/v1/test-runs/{run_id}/artifacts").json()
    assert listed["run_id"] == run_id
    assert {entry["key"]: entry["size"] for entry in listed["artifacts"]} == bucket.keys(f"results/{run_id}/")


def test_status_list_and_row_say_the_same_in_the_end(runs: Stories, api: httpx.Client, ledger: Ledger) -> None:
    run_id = runs.inter.run_id
    runs.inter.watch.ends("COMPLETED")
    row = eventually("the row says COMPLETED", 5, lambda: ledger.ask("select * from test_runs where run_id = %s and status = 'COMPLETED'", run_id))[0]
    status = api.get(f"/v1/test-runs/{run_id}/status").json()
    (listed,) = [entry for entry in api.get("/v1/test-runs", params={"run_label": INTER_PLAN}).json()["runs"] if entry["run_id"] == run_id]
    assert set(status) >= FIELDS | {"waiting_room"} and set(listed) >= FIELDS
    for name in FIELDS:
        assert status[name] == listed[name], name
        assert _as_json(row[name]) == _instant(status[name]), name
    assert row["submitted_at"] <= row["started_at"] <= row["completed_at"]
    room = ledger.waiting_room(run_id)
    assert room is not None and (room["ready_count"], room["target_count"], room["signal"]) == (2, 2, "START")
    assert room["completed_count"] == 2


def _as_json(value: Any) -> Any:
    return value.timestamp() if isinstance(value, datetime) else value


def _instant(value: Any) -> Any:
    """Instants are compared as such: the same one can be written in many ways."""
    try:
        return datetime.fromisoformat(value).timestamp()
    except (TypeError, ValueError):
        return value


def test_what_was_submitted_as_text_is_stored_under_its_name(runs: Stories, api: httpx.Client) -> None:
    stored = api.get(f"/test-plans/{INTER_PLAN}").json()
    assert stored["execution"] == runs.inter_plan["execution"]
    again = api.post("/v1/test-runs", json={"plan_yaml": as_yaml(runs.inter_plan), "plan_name": INTER_PLAN, "cluster_spec": {}})
    assert again.status_code == 422, "an empty cluster_spec is none"


def test_progress_is_streamed_until_the_end(runs: Stories) -> None:
    runs.inter.watch.ends("COMPLETED")
    assert runs.inter_events.ended.wait(15), "the stream did not end with the run"
    assert runs.inter_events.error is None, runs.inter_events.error
    assert (runs.inter_events.content_type or "").startswith("text/event-stream")
    texts = [data for _, data in runs.inter_events.events if data]
    assert len(texts) >= 3 and all(json.loads(text) for text in texts), texts
    assert "Completed" in texts[-1], texts[-1]
