"""Runs of the development cluster, made and removed over REST."""

import json
import secrets
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .settings import CLUSTER, NAMESPACE, SUT_DATABASE, SUT_HOST, SUT_PASSWORD, SUT_USERNAME

_WORKLOAD = "pages-shop"
_CONTENT = "-- @type: mysql\n-- @name: PointLookup\nSELECT name FROM customers WHERE id = 4711;\n"
_OBJECTS = f"/apis/crucible.dev/v1alpha1/namespaces/{NAMESPACE}/runs"


@contextmanager
def run(hold_for: str) -> Iterator[str]:
    """A run of its own, by its id. It is taken away afterwards."""
    name = f"pages-{secrets.token_hex(3)}"
    _ask("POST", "/v1/workloads", {"workload_id": _WORKLOAD, "content": _CONTENT})
    # JSON is YAML.
    body = {"plan_yaml": json.dumps(_plan(hold_for)), "plan_name": name, "label": "looked at by a browser", "cluster_spec": {"type": "mysql"}}
    run_id = _ask("POST", "/v1/test-runs", body)["run_id"]
    yield run_id
    (named,) = [one["name"] for one in _ask("GET", f"{_OBJECTS}?limit=500")["runs"] if one["run_id"] == run_id]
    _ask("DELETE", f"{_OBJECTS}/{named}")
    _ask("DELETE", f"/test-plans/{name}")


def _ask(method: str, path: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(CLUSTER + path, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=15) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def _plan(hold_for: str) -> dict[str, Any]:
    login = {"host": SUT_HOST, "username": SUT_USERNAME, "password": SUT_PASSWORD}
    return {
        "test_environment": {"env_type": "long-lived", "target_db": SUT_DATABASE, "component_spec": {"type": "mysql", "cluster_info": login}},
        "execution": {
            "executor": "k6",
            "scaling_mode": "intra_node",
            "concurrency": 2,
            "ramp_up": "1s",
            "hold_for": hold_for,
            "workload": [{"workload_id": _WORKLOAD}],
        },
    }
