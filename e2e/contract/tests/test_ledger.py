"""The tables: what other programs rely on, and what they put there themselves."""

import json
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from crucible_contract.bucket import Bucket
from crucible_contract.ledger import FIELDS, Ledger
from crucible_contract.settings import TAG

# The columns of the earlier system, in their order.
TEST_RUNS = {
    "run_id": "text",
    "task_id": "text",
    "plan_name": "text",
    "plan_key": "text",
    "run_label": "text",
    "sut_type": "text",
    "scaling_mode": "text",
    "cluster_spec": "jsonb",
    "cluster_settings": "text",
    "status": "text",
    "error_detail": "text",
    "submitted_at": "timestamp with time zone",
    "started_at": "timestamp with time zone",
    "completed_at": "timestamp with time zone",
}
WAITING_ROOM = {
    "run_id": "text",
    "ready_count": "integer",
    "completed_count": "integer",
    "target_count": "integer",
    "signal": "text",
    "created_at": "timestamp with time zone",
}


@pytest.mark.parametrize(("table", "columns"), [("test_runs", TEST_RUNS), ("waiting_room", WAITING_ROOM)])
def test_the_tables_have_the_columns_of_the_earlier_system(ledger: Ledger, table: str, columns: dict[str, str]) -> None:
    rows = ledger.ask(
        "select column_name, data_type from information_schema.columns where table_name = %s and table_schema = 'public' order by ordinal_position",
        table,
    )
    found = {row["column_name"]: row["data_type"] for row in rows}
    assert {name: found.get(name) for name in columns} == columns
    assert list(found)[: len(columns)] == list(columns), "positions matter to a client that inserts without naming columns"
    keys = ledger.ask(
        "select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey) where i.indrelid = %s::regclass and i.indisprimary",
        table,
    )
    assert [row["attname"] for row in keys] == ["run_id"]


def imported(ledger: Ledger, what: str, status: str) -> str:
    """A run of the earlier system, as its own programs write it: the first ten columns and no more."""
    run_id = f"history-{what}_20250101-0000_{TAG}00"
    values = (
        run_id,
        "task-1",
        f"history-{what}",
        f"plans/history-{what}",
        f"history-{TAG}",
        "doris",
        "inter_node",
        json.dumps({"type": "doris"}),
        "a=b",
        status,
    )
    ledger.ask("insert into test_runs values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", *values)
    return run_id


def test_imported_history_is_listed_read_and_stopped(api: httpx.Client, ledger: Ledger) -> None:
    run_id = imported(ledger, "running", "EXECUTING")
    listed = api.get("/v1/test-runs", params={"run_label": f"history-{TAG}"}).json()["runs"]
    assert [row["run_id"] for row in listed] == [run_id]
    assert set(listed[0]) >= FIELDS
    status = api.get(f"/v1/test-runs/{run_id}/status").json()
    assert {name: status[name] for name in FIELDS - {"submitted_at"}} == {
        "run_id": run_id, "plan_name": "history-running", "run_label": f"history-{TAG}", "sut_type": "doris", "status": "EXECUTING",
        "scaling_mode": "inter_node", "cluster_spec": {"type": "doris"}, "cluster_settings": "a=b", "started_at": None, "completed_at": None,
        "error_detail": None,
    }  # fmt: skip
    assert status["waiting_room"] is None
    assert abs(datetime.fromisoformat(status["submitted_at"]) - datetime.now(UTC)) < timedelta(minutes=1)
    active = {"run_id": run_id, "run_label": f"history-{TAG}", "sut_type": "doris", "status": "EXECUTING"}
    assert active in api.get("/v1/sut/inventory").json()["active"]
    assert api.get(f"/v1/test-runs/{run_id}/results").status_code == 409

    assert api.post(f"/v1/test-runs/{run_id}/stop").json() == {"run_id": run_id, "action": "sigterm_sent"}
    row = ledger.run(run_id)
    assert row is not None and row["status"] == "STOPPING"
    assert api.get(f"/v1/test-runs/{run_id}/status").json()["status"] == "STOPPING"
    assert api.post(f"/v1/test-runs/{run_id}/stop").json() == {"run_id": run_id, "action": "already_stopped"}
    assert active not in api.get("/v1/sut/inventory").json()["active"]


def test_a_waiting_room_of_another_program_is_shown(api: httpx.Client, ledger: Ledger) -> None:
    run_id = imported(ledger, "waiting", "WAITING_ROOM")
    ledger.ask("insert into waiting_room (run_id, target_count) values (%s, 3)", run_id)
    room = ledger.waiting_room(run_id)
    assert room is not None and (room["ready_count"], room["completed_count"], room["signal"]) == (0, 0, "WAIT")
    assert api.get(f"/v1/test-runs/{run_id}/status").json()["waiting_room"] == {"ready_count": 0, "target_count": 3}
    ledger.ask("update test_runs set status = 'FAILED' where run_id = %s", run_id)
    assert api.get(f"/v1/test-runs/{run_id}/status").json()["waiting_room"] is None


def test_results_of_imported_history_are_read_where_they_are(api: httpx.Client, ledger: Ledger, bucket: Bucket) -> None:
    run_id = imported(ledger, "done", "COMPLETED")
    missing = api.get(f"/v1/test-runs/{run_id}/results")
    assert missing.status_code == 200
    assert missing.json()["collection_error"] == "Results file not yet available."
    assert missing.json()["run_id"] == run_id and missing.json()["status"] == "COMPLETED"
    assert api.get(f"/v1/test-runs/{run_id}/artifacts").json() == {"run_id": run_id, "artifacts": []}

    old = {
        "run_id": run_id,
        "collected_at": "2025-01-01T00:00:00Z",
        "collection_error": None,
        "abort_reason": None,
        "k6": {"metrics": []},
        "observability": {"sources": []},
    }
    event = {"experiment": "kill-be", "fault_type": "PodChaos"}
    bucket.put(f"results/{run_id}/results.json", json.dumps(old))
    bucket.put(f"results/{run_id}/chaos_events.json", json.dumps([event]))
    results = api.get(f"/v1/test-runs/{run_id}/results").json()
    assert results == {**old, "status": "COMPLETED", "chaos": {"events": [event]}}


def test_artifacts_are_listed_however_many_there_are(api: httpx.Client, ledger: Ledger, long_listings: dict[str, Future[list[str]]]) -> None:
    run_id = imported(ledger, "large", "COMPLETED")
    keys = long_listings[f"results/{run_id}"].result()
    artifacts = api.get(f"/v1/test-runs/{run_id}/artifacts").json()["artifacts"]
    assert sorted(entry["key"] for entry in artifacts) == keys
    assert all(entry == {"key": entry["key"], "size": 5} for entry in artifacts)


def test_pages_show_every_run_once_and_the_newest_first(api: httpx.Client, ledger: Ledger) -> None:
    for number in range(7):
        imported(ledger, f"page-{number}", "COMPLETED")
    whole = api.get("/v1/test-runs").json()["runs"]
    wanted = [row["run_id"] for row in whole]
    assert len(set(wanted)) == len(wanted)
    times = [datetime.fromisoformat(row["submitted_at"]) for row in whole]
    assert times == sorted(times, reverse=True)
    assert {row["run_id"] for row in ledger.ask("select run_id from test_runs where run_id like %s", f"%{TAG}00")} <= set(wanted)

    paged: list[str] = []
    cursor = None
    for _ in range(len(wanted)):
        page = api.get("/v1/test-runs", params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
        assert len(page["runs"]) <= 3
        paged += [row["run_id"] for row in page["runs"]]
        cursor = page.get("next_cursor")
        # The first few pages say enough; a cluster may remember thousands of runs.
        if cursor is None or len(paged) >= 30:
            break
    assert paged == wanted[: len(paged)] and len(paged) >= min(30, len(wanted))


def test_a_label_finds_its_runs_and_no_others(api: httpx.Client, ledger: Ledger) -> None:
    runs = api.get("/v1/test-runs", params={"run_label": f"history-{TAG}"}).json()["runs"]
    of_ledger = ledger.ask("select run_id from test_runs where run_label = %s", f"history-{TAG}")
    assert {row["run_id"] for row in runs} == {row["run_id"] for row in of_ledger}
    assert api.get("/v1/test-runs", params={"run_label": f"nobody-{TAG}"}).json() == {"runs": []}
    assert api.get("/v1/test-runs", params={"run_label": "' or 1=1 --"}).json() == {"runs": []}
