"""Postgres is gone: what can be answered is answered, the rest is put off, and no run notices."""

from collections.abc import Iterator

import httpx
import psycopg
import pytest

from crucible_contract.bucket import Bucket
from crucible_contract.cluster import scale
from crucible_contract.ledger import Ledger
from crucible_contract.plans import as_yaml, plan
from crucible_contract.runs import Watch, eventually
from crucible_contract.settings import TAG
from crucible_contract.stories import SHOP_WORKLOAD, Stories


@pytest.fixture(scope="module")
def outage(runs: Stories, ledger: Ledger) -> Iterator[None]:
    """No Postgres while the tests of this module run, but for the last one."""
    runs.inter.watch.ends("COMPLETED")
    scale("postgres", 0)
    yield
    scale("postgres", 1)


def test_health_does_not_depend_on_the_ledger(outage: None, api: httpx.Client) -> None:
    assert api.get("/health").json() == {"status": "ok"}


def test_runs_are_listed_and_read_from_what_the_cluster_knows(outage: None, runs: Stories, api: httpx.Client) -> None:
    listed = api.get("/v1/test-runs")
    assert listed.status_code == 200, listed.text
    assert runs.inter.run_id in {row["run_id"] for row in listed.json()["runs"]}
    assert api.get("/v1/test-runs", params={"limit": 2}).status_code == 200
    assert api.get(f"/v1/test-runs/{runs.inter.run_id}/status").json()["status"] == "COMPLETED"
    assert api.get(f"/v1/test-runs/{runs.inter.run_id}/results").json()["status"] == "COMPLETED"
    assert api.get(f"/v1/test-runs/{runs.inter.run_id}/artifacts").json()["artifacts"]
    assert api.post(f"/v1/test-runs/{runs.inter.run_id}/stop").json()["action"] == "already_stopped"
    assert api.get("/v1/sut/inventory").status_code == 200


def test_what_only_the_ledger_knows_is_put_off(outage: None, api: httpx.Client) -> None:
    unknown = f"history-done_20250101-0000_{TAG}00"
    for answer in (
        api.get(f"/v1/test-runs/{unknown}/status"),
        api.get(f"/v1/test-runs/{unknown}/results"),
        api.post(f"/v1/test-runs/{unknown}/stop"),
    ):
        assert answer.status_code == 503, f"{answer.request.url}: {answer.text}"
        assert int(answer.headers["retry-after"]) <= 10
        assert isinstance(answer.json()["detail"], str)


def test_plans_and_fixtures_do_not_need_the_ledger(outage: None, api: httpx.Client) -> None:
    assert api.get("/test-plans").status_code == 200
    assert api.get("/fixtures").status_code == 200


def test_a_run_of_the_outage_completes_and_its_row_comes_with_the_ledger(outage: None, api: httpx.Client, ledger: Ledger, bucket: Bucket) -> None:
    body = {"plan_yaml": as_yaml(plan(SHOP_WORKLOAD)), "plan_name": f"contract-outage-{TAG}", "cluster_spec": {"type": "mysql"}}
    answer = api.post("/v1/test-runs", json=body)
    assert answer.status_code == 200, answer.text
    run_id = answer.json()["run_id"]
    Watch(run_id).ends("COMPLETED")
    assert bucket.find(f"results/{run_id}/results.json") is not None
    with pytest.raises(psycopg.OperationalError):
        ledger.run(run_id)

    scale("postgres", 1)
    # The ledger of the development cluster comes back empty; mirroring begins with its tables.
    row = eventually("the row of the run is in the ledger", 15, lambda: _row(ledger, run_id))
    assert row["status"] == "COMPLETED" and row["completed_at"] is not None
    assert api.get("/v1/test-runs/x/status").status_code == 404, "what was put off is answered again"


def _row(ledger: Ledger, run_id: str) -> dict[str, object] | None:
    try:
        row = ledger.run(run_id)
    except psycopg.Error:
        return None
    return row if row is not None and row["status"] == "COMPLETED" else None
