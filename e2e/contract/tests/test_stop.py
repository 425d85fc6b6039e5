"""Stopping: at once in every place where a client looks, and for good."""

import time

import httpx

from crucible_contract.ledger import Ledger
from crucible_contract.plans import as_yaml, plan
from crucible_contract.results import metrics
from crucible_contract.runs import submit
from crucible_contract.settings import TAG
from crucible_contract.stories import SHOP_WORKLOAD


def _body(what: str) -> dict[str, object]:
    text = as_yaml(plan(SHOP_WORKLOAD, execution__hold_for="5m"))
    return {"plan_yaml": text, "plan_name": f"contract-{what}-{TAG}", "label": f"{what}-{TAG}", "cluster_spec": {"type": "mysql"}}


def test_stopping_is_seen_at_once_and_keeps_what_was_measured(api: httpx.Client, ledger: Ledger) -> None:
    loading = submit(api, ledger, "/v1/test-runs", json=_body("stopped"))
    waiting = submit(api, ledger, "/v1/test-runs", json=_body("stopped-in-the-queue"))
    loading.watch.reaches("EXECUTING")
    active = {"run_id": loading.run_id, "run_label": f"stopped-{TAG}", "sut_type": "mysql", "status": "EXECUTING"}
    assert active in api.get("/v1/sut/inventory").json()["active"]
    time.sleep(2)

    # One that waits for the database never gets it.
    assert api.get(f"/v1/test-runs/{waiting.run_id}/status").json()["status"] == "QUEUED"
    _stop(api, ledger, waiting.run_id)
    _stop(api, ledger, loading.run_id)
    asked = time.monotonic()

    status = loading.watch.ends("COMPLETED", within=20)
    assert time.monotonic() - asked < 15
    assert status["error_detail"] is None
    assert loading.watch.statuses()[-2] in ("STOPPING", "COLLECTING")
    results = api.get(f"/v1/test-runs/{loading.run_id}/results").json()
    assert metrics(results)["sql_duration_PointLookup"]["stats"]["count"] > 0
    waiting.watch.reaches("COMPLETED", "FAILED", within=20)
    assert not {"WAITING_ROOM", "EXECUTING"} & set(waiting.watch.statuses())
    for run in (loading, waiting):
        assert api.post(f"/v1/test-runs/{run.run_id}/stop").json() == {"run_id": run.run_id, "action": "already_stopped"}


def _stop(api: httpx.Client, ledger: Ledger, run_id: str) -> None:
    answer = api.post(f"/v1/test-runs/{run_id}/stop")
    row = ledger.run(run_id)
    assert (answer.status_code, answer.json()) == (200, {"run_id": run_id, "action": "sigterm_sent"})
    assert row is not None and row["status"] in ("STOPPING", "FAILED", "COMPLETED"), row
    status = api.get(f"/v1/test-runs/{run_id}/status").json()["status"]
    assert status in ("STOPPING", "COLLECTING", "COMPLETED", "FAILED")
    assert api.post(f"/v1/test-runs/{run_id}/stop").json() == {"run_id": run_id, "action": "already_stopped"}


def test_stopping_what_is_not_there_is_no_error(api: httpx.Client) -> None:
    for run_id in (f"contract-nowhere-{TAG}_20250101-0000_00000000", "x"):
        answer = api.post(f"/v1/test-runs/{run_id}/stop")
        assert (answer.status_code, answer.json()) == (200, {"run_id": run_id, "action": "not_found"})


def test_a_run_that_nobody_knows_has_nothing_to_read(api: httpx.Client) -> None:
    run_id = f"contract-nowhere-{TAG}_20250101-0000_00000000"
    for what in ("status", "results"):
        answer = api.get(f"/v1/test-runs/{run_id}/{what}")
        assert answer.status_code == 404 and isinstance(answer.json()["detail"], str), what
    artifacts = api.get(f"/v1/test-runs/{run_id}/artifacts")
    assert artifacts.status_code == 404 or artifacts.json() == {"run_id": run_id, "artifacts": []}
