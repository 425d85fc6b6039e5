"""Plans: written, read, replaced, removed, refused."""

from datetime import datetime
from typing import Any

import httpx
import pytest

from crucible_contract.bucket import Bucket
from crucible_contract.plans import Plan, as_yaml, changed, password_of, plan
from crucible_contract.settings import MASK, SUT_PASSWORD, TAG


def _upload(api: httpx.Client, name: str, text: str | bytes, method: str = "POST", path: str = "/test-plans/upload") -> httpx.Response:
    return api.request(method, path, files={"file": (name, text, "application/x-yaml")})


def _named(api: httpx.Client, name: str) -> dict[str, Any] | None:
    return next((entry for entry in api.get("/test-plans").json()["plans"] if entry["name"] == name), None)


def test_an_uploaded_plan_is_listed_read_and_removed(api: httpx.Client, bucket: Bucket) -> None:
    name = f"contract-Uploaded_1.0-{TAG}"
    made = plan("shop-queries", test_metadata__run_label="nightly")
    answer = _upload(api, f"{name}.yaml", as_yaml(made))
    assert (answer.status_code, answer.json()) == (201, {"key": f"plans/{name}"})

    entry = _named(api, name)
    assert entry is not None and set(entry) == {"name", "key", "last_modified", "size"}
    assert entry["key"] == f"plans/{name}"
    assert entry["size"] == len(bucket.get(f"plans/{name}"))
    assert datetime.fromisoformat(entry["last_modified"]).tzinfo is not None

    read = api.get(f"/test-plans/{name}")
    assert read.status_code == 200
    assert read.json() == changed(made, test_environment__component_spec__cluster_info__password=MASK)

    again = _upload(api, f"{name}.yaml", as_yaml(made))
    assert again.status_code == 409 and isinstance(again.json()["detail"], str)

    assert api.delete(f"/test-plans/{name}").status_code == 204
    assert bucket.find(f"plans/{name}") is None
    assert _named(api, name) is None
    for answer in (api.get(f"/test-plans/{name}"), api.delete(f"/test-plans/{name}")):
        assert answer.status_code == 404 and isinstance(answer.json()["detail"], str)


def test_a_name_that_no_object_may_have_is_sanitised(api: httpx.Client, bucket: Bucket) -> None:
    answer = _upload(api, f"my plan (v2)! {TAG}.yml", as_yaml(plan("shop-queries")))
    assert answer.status_code == 201
    key = answer.json()["key"]
    name = key.removeprefix("plans/")
    assert TAG in name and set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
    assert bucket.find(key) is not None
    assert api.get(f"/test-plans/{name}").status_code == 200


def test_a_plan_as_json_is_created_once_and_replaced_as_often_as_one_likes(api: httpx.Client) -> None:
    name, made = f"contract-json-{TAG}", plan("shop-queries")
    answer = api.post("/test-plans", params={"name": name}, json=made)
    assert (answer.status_code, answer.json()) == (201, {"key": f"plans/{name}"})
    assert api.post("/test-plans", params={"name": name}, json=made).status_code == 409
    answer = api.put(f"/test-plans/{name}", json=changed(made, execution__concurrency=7))
    assert (answer.status_code, answer.json()) == (200, {"key": f"plans/{name}"})
    assert api.get(f"/test-plans/{name}").json()["execution"]["concurrency"] == 7
    answer = _upload(api, "whatever.yaml", as_yaml(changed(made, execution__concurrency=8)), "PUT", f"/test-plans/{name}/upload")
    assert (answer.status_code, answer.json()) == (200, {"key": f"plans/{name}"})
    assert api.get(f"/test-plans/{name}").json()["execution"]["concurrency"] == 8
    assert _named(api, "whatever") is None


def test_no_password_is_stored_or_shown_whichever_way_a_plan_comes(api: httpx.Client, bucket: Bucket) -> None:
    name, canary = f"contract-canary-{TAG}", f"Canary-{TAG}"
    made = plan("shop-queries", test_environment__component_spec__cluster_info__password=canary)
    assert api.post("/test-plans", params={"name": name}, json=made).status_code == 201
    assert canary.encode() not in bucket.get(f"plans/{name}")
    _upload(api, "x.yaml", as_yaml(made), "PUT", f"/test-plans/{name}/upload").raise_for_status()
    assert canary.encode() not in bucket.get(f"plans/{name}")
    read = api.get(f"/test-plans/{name}")
    assert canary not in read.text and password_of(read.json()) == MASK


def test_a_plan_of_another_program_is_read_and_never_rewritten(api: httpx.Client, bucket: Bucket) -> None:
    name = f"contract-by-hand-{TAG}"
    text = f"# by hand\n{as_yaml(plan('shop-queries'))}"
    bucket.put(f"plans/{name}", text)
    assert _named(api, name) is not None
    read = api.get(f"/test-plans/{name}")
    assert read.status_code == 200 and read.json()["execution"] == plan("shop-queries")["execution"]
    assert SUT_PASSWORD not in read.text
    assert bucket.get(f"plans/{name}") == text.encode()


def test_what_another_program_put_there_and_is_no_plan_is_the_users_affair(api: httpx.Client, bucket: Bucket) -> None:
    name = f"contract-no-plan-{TAG}"
    bucket.put(f"plans/{name}", b"\xff\xfe\x00 not a plan: [")
    assert _named(api, name) is not None
    for answer in (api.get(f"/test-plans/{name}"), api.post(f"/v1/test-runs/{name}")):
        assert answer.status_code == 422, answer.text


_INFO = "test_environment__component_spec__cluster_info"

# What is changed, and where the answer has to point.
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("no users", {"execution__concurrency": 0}, "concurrency"),
    ("fewer than none", {"execution__concurrency": -1}, "concurrency"),
    ("half a user", {"execution__concurrency": 1.5}, "concurrency"),
    ("users as text", {"execution__concurrency": "fifty"}, "concurrency"),
    ("too many users", {"execution__concurrency": 2147483648}, "concurrency"),
    ("an empty duration", {"execution__hold_for": ""}, "hold_for"),
    ("no duration", {"execution__hold_for": "abc"}, "hold_for"),
    ("a duration without a unit", {"execution__hold_for": "10"}, "hold_for"),
    ("a blank in a duration", {"execution__hold_for": "5 m"}, "hold_for"),
    ("a negative duration", {"execution__ramp_up": "-5m"}, "ramp_up"),
    ("longer than a day", {"execution__hold_for": "999999h"}, "hold_for"),
    ("an unknown engine", {"test_environment__component_spec__type": "oracle8"}, "type"),
    ("an unknown executor", {"execution__executor": "jmeter"}, "executor"),
    ("an unknown scaling mode", {"execution__scaling_mode": "outer_node"}, "scaling_mode"),
    ("no workload", {"execution__workload": []}, "workload"),
    ("the same workload twice", {"execution__workload": [{"workload_id": "a"}, {"workload_id": "a"}]}, "workload"),
    ("no workload at all", {"execution__workload": None}, "workload"),
    ("no cluster info", {_INFO: None}, "cluster_info"),
    ("a threshold of nought", {"execution__failure_detection": {"enabled": True, "error_rate_threshold": 0}}, "error_rate_threshold"),
    ("a threshold above all", {"execution__failure_detection": {"enabled": True, "error_rate_threshold": 1.1}}, "error_rate_threshold"),
    ("a host that is no name", {f"{_INFO}__host": False}, "host"),
    ("a port that is none", {f"{_INFO}__host": "db:99999"}, "host"),
    ("parameters in a host", {f"{_INFO}__host": "db:3306?allowAllFiles=true"}, "host"),
    ("a host with a scheme", {f"{_INFO}__host": "http://db:3306"}, "host"),
    ("a database that breaks out", {"test_environment__target_db": "x`; DROP TABLE y;--"}, "target_db"),
    (
        "no points",
        {
            "test_environment__observability": {
                "prometheus_sources": [
                    {"name": "a", "url": "http://p:9090", "metrics": [{"name": "q", "query": "up"}], "resolution": 15, "max_data_points": 0}
                ]
            }
        },
        "max_data_points",
    ),
]


@pytest.mark.parametrize(("changes", "field"), [pytest.param(changes, field, id=what) for what, changes, field in REFUSED])
def test_a_wrong_value_is_refused_with_its_place(api: httpx.Client, changes: dict[str, Any], field: str) -> None:
    name = f"contract-refused-{TAG}"
    made: Plan = changed(plan("shop-queries"), **changes)
    for answer in (api.post("/test-plans", params={"name": name}, json=made), _upload(api, f"{name}.yaml", as_yaml(made))):
        assert answer.status_code == 422, answer.text
        detail = answer.json()["detail"]
        assert isinstance(detail, list) and detail
        assert all(set(problem) >= {"loc", "msg", "type"} for problem in detail), detail
        assert any(field in problem["loc"] for problem in detail), detail
    assert _named(api, name) is None


def test_locust_is_not_available_yet_and_says_so(api: httpx.Client) -> None:
    answer = api.post("/test-plans", params={"name": f"contract-locust-{TAG}"}, json=plan("shop-queries", execution__executor="locust"))
    assert answer.status_code == 422
    assert "executor 'locust' is not available; use k6" in answer.text


def test_a_misspelt_key_is_answered_with_the_one_that_was_meant(api: httpx.Client) -> None:
    made = plan("shop-queries", execution__holdfor="3s", execution__hold_for=None)
    answer = api.post("/test-plans", params={"name": f"contract-misspelt-{TAG}"}, json=made)
    assert answer.status_code == 422
    assert "hold_for" in answer.text and "holdfor" in answer.text


@pytest.mark.parametrize("duration", ["1h30m", "90s", "1.5h", "500ms"])
def test_durations_have_one_grammar(api: httpx.Client, duration: str) -> None:
    name = f"contract-duration-{duration}-{TAG}"
    assert api.post("/test-plans", params={"name": name}, json=plan("shop-queries", execution__hold_for=duration)).status_code == 201


def test_a_run_that_names_another_type_than_its_plan_does_not_match(api: httpx.Client) -> None:
    body = {"plan_yaml": as_yaml(plan("shop-queries")), "plan_name": f"contract-mismatch-{TAG}"}
    answer = api.post("/v1/test-runs", json={**body, "cluster_spec": {"type": "trino"}})
    assert answer.status_code == 422
    assert "does not match" in answer.text


@pytest.mark.parametrize("cluster", [{}, {"type": "oracle8"}, {"type": 7}, {"type": "mysql", "backend_node": {"replica": 0}}, [], "mysql"])
def test_a_wrong_cluster_spec_is_refused(api: httpx.Client, cluster: Any) -> None:
    body = {"plan_yaml": as_yaml(plan("shop-queries")), "plan_name": f"contract-wrong-cluster-{TAG}", "cluster_spec": cluster}
    answer = api.post("/v1/test-runs", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_an_unknown_plan_cannot_be_triggered(api: httpx.Client) -> None:
    for path in (f"/v1/test-runs/contract-nowhere-{TAG}", f"/test-runs/plans/contract-nowhere-{TAG}", "/test-runs/elsewhere/x"):
        answer = api.post(path)
        assert answer.status_code == 404 and isinstance(answer.json()["detail"], str)
