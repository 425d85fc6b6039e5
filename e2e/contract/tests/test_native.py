"""The native routes: the same objects as `kubectl` shows, with problems as RFC 9457 has them."""

import httpx
import pytest

from crucible_contract.ledger import Ledger
from crucible_contract.plans import as_yaml, plan
from crucible_contract.settings import NAMESPACE, TAG
from crucible_contract.stories import Stories

BASE = f"/apis/crucible.dev/v1alpha1/namespaces/{NAMESPACE}"


def _name(ledger: Ledger, run_id: str) -> str:
    row = ledger.run(run_id)
    assert row is not None
    return row["name"]


def test_a_run_is_read_by_its_object_and_by_its_id(runs: Stories, api: httpx.Client, ledger: Ledger) -> None:
    runs.inter.watch.ends("COMPLETED")
    name = _name(ledger, runs.inter.run_id)
    run = api.get(f"{BASE}/runs/{name}")
    assert run.status_code == 200 and name in run.text
    for path in (f"{BASE}/runs/{name}/decision", f"/v1/test-runs/{runs.inter.run_id}/decision"):
        decision = api.get(path)
        assert decision.status_code == 200, decision.text
        assert set(decision.json()) >= {"verdict", "reasons", "comparison", "links"}, decision.text
    logs = api.get(f"/v1/test-runs/{runs.inter.run_id}/logs")
    assert logs.status_code == 200 and logs.headers["content-type"].startswith("text/plain")
    assert "Executing" in logs.text and "Completed" in logs.text
    assert name in api.get(f"{BASE}/runs", params={"limit": 500}).text


def test_plans_and_workloads_are_listed(runs: Stories, api: httpx.Client) -> None:
    assert api.get(f"{BASE}/plans").status_code == 200
    listed = api.get("/v1/workloads")
    assert listed.status_code == 200 and f"contract-shop-{TAG}" in listed.text
    assert api.get(f"/v1/workloads/contract-shop-{TAG}").status_code == 200
    assert api.get("/v1/workloads/nobody").status_code == 404


def test_a_plan_is_judged_without_being_stored(api: httpx.Client) -> None:
    good = api.post("/v1/test-plans/validate", json={"plan_yaml": as_yaml(plan("shop-queries"))})
    assert (good.status_code, good.json()) == (200, {"valid": True})
    bad = api.post("/v1/test-plans/validate", json={"plan_yaml": as_yaml(plan("shop-queries", execution__concurrency=0))})
    assert bad.status_code == 200 and bad.json()["valid"] is False
    assert any("concurrency" in str(error["path"]) and error["message"] for error in bad.json()["errors"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/runs/nobody", 404),
        ("GET", "/plans/nobody", 404),
        ("DELETE", "/runs/nobody", 404),
        ("POST", "/runs/nobody/stop", 404),
        ("GET", "/runs/nobody/decision", 404),
        ("GET", "/runs/nobody/events", 404),
    ],
)
def test_problems_are_told_as_problems(api: httpx.Client, method: str, path: str, status: int) -> None:
    answer = api.request(method, f"{BASE}{path}")
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["status"] == status and answer.json()["title"]


def test_a_wrong_object_is_refused_with_the_field(api: httpx.Client) -> None:
    answer = api.post(f"{BASE}/runs", json={"metadata": {"name": f"contract-wrong-{TAG}"}, "spec": {"planRef": {"nmae": "x"}}})
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")


@pytest.mark.parametrize(
    "query", ["limit=-1", "limit=0", "limit=1000000000", "limit=x", "cursor=nonsense", "cursor=%00", "cursor=' or 1=1 --", "limit=1&limit=2"]
)
def test_pages_that_cannot_be_are_refused(api: httpx.Client, query: str) -> None:
    for path in (f"{BASE}/runs", "/v1/test-runs"):
        answer = api.get(f"{path}?{query}")
        # A limit beyond the most is cut down or refused; either way no more than 500 come.
        allowed = (200, 400, 422) if query == "limit=1000000000" else (400, 422)
        assert answer.status_code in allowed, f"{path}?{query}: {answer.text[:300]}"
