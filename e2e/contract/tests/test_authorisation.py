"""Who may do what: a gateway that asks Kubernetes about every request, three accounts, two namespaces, every route.

The routes come from the gateway's own OpenAPI, so that one that is added without a check fails here.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from crucible_contract.cluster import apply, kubectl
from crucible_contract.settings import NAMESPACE, SUT_PASSWORD, TAG
from crucible_contract.stories import INTER_PLAN, SHOP_WORKLOAD, Stories
from crucible_contract.twin import Twin
from crucible_contract.wire import ask

AUDIENCE = "crucible"
OTHER = f"contract-other-{TAG}"
OPEN = {"/health", "/readyz", "/docs", "/openapi.json"}
# Who: the namespace in which the account may do something, and the verbs.
ALL = ["get", "list", "watch", "create", "update", "patch", "delete"]
ACCOUNTS = {"owner": (NAMESPACE, ALL), "reader": (NAMESPACE, ["get", "list", "watch"]), "stranger": (OTHER, ALL)}


@dataclass
class Gate:
    """The gateway that asks, and what each account shows it."""

    twin: Twin
    tokens: dict[str, str]

    def client(self, who: str | None) -> httpx.Client:
        """A client that shows an account's token, or none."""
        return self.twin.client(self.tokens[who] if who else None)


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    """The gateway with its accounts. They live in the namespace of the tests and go with it."""
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OTHER}})
    apply(*_rights())
    twin = Twin("gate", "gateway.auth=tokenReview", f"gateway.audience={AUDIENCE}")
    yield Gate(twin, {who: _token(who) for who in ACCOUNTS})
    twin.end()
    kubectl("delete", "namespace", OTHER, "--wait=false")
    for who in ACCOUNTS:
        kubectl("--namespace", NAMESPACE, "delete", "role,rolebinding", f"contract-{who}-{TAG}", "--ignore-not-found", "--wait=false")


def _rights() -> Iterator[dict[str, Any]]:
    for who, (namespace, verbs) in ACCOUNTS.items():
        name = f"contract-{who}-{TAG}"
        yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": who, "namespace": OTHER}}
        rules = [{"apiGroups": ["crucible.dev"], "resources": ["testplans", "testruns", "fixtures"], "verbs": verbs}]
        yield {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name, "namespace": namespace}, "rules": rules}
        yield {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": name, "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": who, "namespace": OTHER}],
        }


def _token(who: str, audience: str = AUDIENCE) -> str:
    return kubectl("--namespace", OTHER, "create", "token", who, f"--audience={audience}", "--duration=10m").strip()


# Bodies that a route would accept, so that nothing but the missing right can be the reason of a refusal.
BODIES: dict[str, Any] = {
    "/v1/workloads": {"workload_id": f"contract-gate-{TAG}", "content": "-- @type: sql\n-- @name: A\nSELECT 1;\n"},
    "/v1/test-runs": {"plan_yaml": "a: 1", "plan_name": f"contract-gate-{TAG}", "cluster_spec": {"type": "mysql"}},
    "/v1/test-plans/validate": {"plan_yaml": "a: 1"},
}


def _routes(api: httpx.Client, namespace: str, run_id: str) -> Iterator[tuple[str, str, str]]:
    """Method, path with everything filled in, and the path as it is described."""
    values = {
        "namespace": namespace,
        "ns": namespace,
        "run_id": run_id,
        "plan_name": INTER_PLAN,
        "filename": f"plans/{INTER_PLAN}",
        "n": "1",
        "part": "1",
        "part_number": "1",
        "workload_id": SHOP_WORKLOAD,
        "id": SHOP_WORKLOAD,
    }
    for path, item in api.get("/openapi.json").json()["paths"].items():
        filled = re.sub(r"{([^}]*)}", lambda found: values.get(found[1], f"contract-gate-{TAG}"), path)
        for method in item:
            if path not in OPEN:
                yield method.upper(), filled, path


def _send(client: httpx.Client, method: str, target: str, path: str) -> httpx.Response:
    if path.endswith("upload"):
        return client.request(method, target, files={"file": (f"contract-gate-{TAG}.yaml", "a: 1")})
    parameters = {"name": f"contract-gate-{TAG}"} if (method, path) == ("POST", "/test-plans") else None
    with client.stream(method, target, params=parameters, json=BODIES.get(path, {}) if method in ("POST", "PUT") else None) as answer:
        # What streams for ever is only looked at.
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            answer.read()
        return answer


def test_nobody_gets_in_without_a_token(gate: Gate, api: httpx.Client, runs: Stories) -> None:
    with gate.client(None) as nobody:
        for path in OPEN:
            assert nobody.get(path, follow_redirects=True).status_code == 200, path
        for method, target, path in _routes(api, NAMESPACE, runs.inter.run_id):
            answer = _send(nobody, method, target, path)
            assert answer.status_code == 401, f"{method} {path}: {answer.status_code}"
            assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_stranger_gets_nothing_of_this_namespace_whatever_the_route(gate: Gate, api: httpx.Client, runs: Stories) -> None:
    asked = 0
    with gate.client("stranger") as stranger:
        for method, target, path in _routes(api, NAMESPACE, runs.inter.run_id):
            answer = _send(stranger, method, target, path)
            asked += 1
            assert answer.status_code == 403, f"{method} {path}: {answer.status_code} {answer.text[:200]}"
            assert runs.inter.run_id not in answer.text and SUT_PASSWORD not in answer.text
    assert asked >= 24


def test_the_owner_gets_nothing_of_the_other_namespace(gate: Gate, api: httpx.Client) -> None:
    asked = 0
    with gate.client("owner") as owner:
        for method, target, path in _routes(api, OTHER, "x"):
            if "{ns}" in path or "{namespace}" in path:
                asked += 1
                assert _send(owner, method, target, path).status_code == 403, f"{method} {path}"
    assert asked >= 8


def test_a_reader_reads_everything_and_writes_nothing(gate: Gate, api: httpx.Client, runs: Stories) -> None:
    with gate.client("reader") as reader:
        for method, target, path in _routes(api, NAMESPACE, runs.inter.run_id):
            status = _send(reader, method, target, path).status_code
            if (method == "GET" and "multipart" not in path) or path.endswith("/validate"):
                assert status in (200, 404, 422), f"{method} {path}: {status}"
            else:
                assert status == 403, f"{method} {path}: {status}"
        assert runs.inter.run_id in reader.get("/v1/test-runs").text


def test_the_owner_may_do_what_the_routes_are_for(gate: Gate, runs: Stories) -> None:
    with gate.client("owner") as owner:
        assert owner.get(f"/v1/test-runs/{runs.inter.run_id}/status").status_code == 200
        made = owner.post("/v1/workloads", json=BODIES["/v1/workloads"])
        assert made.status_code == 201, made.text
        assert owner.post("/fixtures/contract-gate/x.csv/multipart/init").status_code == 200
        assert owner.post(f"/v1/test-runs/{runs.inter.run_id}/stop").json()["action"] == "already_stopped"


def test_the_stranger_may_use_what_is_theirs(gate: Gate) -> None:
    with gate.client("stranger") as stranger:
        answer = stranger.get(f"/apis/crucible.dev/v1alpha1/namespaces/{OTHER}/runs")
        assert answer.status_code == 200 and TAG not in answer.text.replace(OTHER, "")


def test_tokens_that_are_not_ours_are_none(gate: Gate) -> None:
    good = gate.tokens["owner"]
    head, claims, _ = good.split(".")
    none = "eyJhbGciOiJub25lIn0"
    for token in ("x", good[:-4] + "AAAA", _token("owner", "somebody-else"), f"{none}.{claims}.", f"{head}.{claims}.", "a" * 4000):
        with gate.twin.client(token) as client:
            answer = client.get("/v1/test-runs")
            assert answer.status_code == 401 and "www-authenticate" in answer.headers, token[:20]


def test_only_one_header_and_no_address_can_carry_a_token(gate: Gate) -> None:
    url, good = gate.twin.url, gate.tokens["owner"]

    def status(headers: list[tuple[str, str]], target: str = "/v1/sut/inventory") -> int | None:
        return ask("GET", target, headers, url=url).status

    assert status([("authorization", f"Bearer {good}")]) == 200
    assert status([("authorization", f"bearer {good}")]) == 200, "the name of a scheme has no case"
    assert status([("authorization", good)]) == 401
    assert status([("authorization", f"Basic {good}")]) == 401
    assert status([("authorization", f"Bearer {good}"), ("authorization", f"Bearer {good}")]) in (400, 401)
    assert status([("authorization", "Bearer " + "a" * 65536)]) in (400, 401, 431, None)
    for target in (f"/v1/sut/inventory?token={good}", f"/v1/sut/inventory?access_token={good}"):
        assert status([], target) == 401
    forged = [("x-forwarded-user", "system:admin"), ("x-remote-user", "system:admin"), ("impersonate-user", "system:admin")]
    assert status(forged) == 401
    stranger = [("authorization", f"Bearer {gate.tokens['stranger']}"), *forged, ("x-remote-group", "system:masters")]
    assert status(stranger) == 403


def test_a_right_that_is_taken_away_is_gone_within_seconds(gate: Gate) -> None:
    with gate.client("reader") as reader:
        assert reader.get("/v1/sut/inventory").status_code == 200
        kubectl("--namespace", NAMESPACE, "delete", "rolebinding", f"contract-reader-{TAG}")
        deadline = time.monotonic() + 15
        while reader.get("/v1/sut/inventory").status_code == 200:
            assert time.monotonic() < deadline, "an answer of the authorizer is remembered for too long"
            time.sleep(0.5)
