"""What the service says about itself."""

import re

import httpx
import pytest

from crucible_contract.settings import API

# Every route of the earlier system, parameters without their names.
ROUTES = [
    "",
    "GET /test-plans",
    "GET /test-plans/{}",
    "DELETE /test-plans/{}",
    "POST /test-plans",
    "POST /test-plans/upload",
    "PUT /test-plans/{}",
    "PUT /test-plans/{}/upload",
    "POST /test-runs/{}",
    "POST /v1/test-runs",
    "POST /v1/test-runs/{}",
    "GET /v1/test-runs",
    "GET /v1/test-runs/{}/status",
    "POST /v1/test-runs/{}/stop",
    "GET /v1/test-runs/{}/artifacts",
    "GET /v1/test-runs/{}/results",
    "GET /fixtures",
    "GET /fixtures/{}",
    "DELETE /fixtures/{}/{}",
    "POST /fixtures/{}/{}/multipart/init",
    "GET /fixtures/{}/{}/multipart/{}/part/{}",
    "POST /fixtures/{}/{}/multipart/{}/complete",
    "GET /v1/sut/types",
    "GET /v1/sut/inventory",
    "POST /v1/workloads",
    "",
][1:-1]


def test_health_is_one_word(api: httpx.Client) -> None:
    answer = api.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}


def test_the_documentation_comes_from_the_service_alone(api: httpx.Client) -> None:
    page = api.get("/docs", follow_redirects=True)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    named = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
    assert any(name.endswith(".js") for name in named), page.text
    for name in named:
        place = page.url.join(name)
        assert str(place).startswith(API), f"{name} comes from elsewhere"
        assert api.get(place).status_code == 200, name


def test_openapi_describes_every_route_of_the_earlier_system(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    described = {f"{method.upper()} {re.sub(r'{[^}]*}', '{}', path)}" for path, item in document["paths"].items() for method in item}
    assert not set(ROUTES) - described


def test_types_name_those_of_the_earlier_system_first(api: httpx.Client) -> None:
    answer = api.get("/v1/sut/types")
    assert answer.status_code == 200
    assert list(answer.json()) == ["sut_types"]
    assert answer.json()["sut_types"][:3] == ["doris", "trino", "cassandra"]
    assert "mysql" in answer.json()["sut_types"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", "/v1/nowhere", 404), ("DELETE", "/health", 405), ("PATCH", "/test-plans", 405)]
)
def test_what_is_not_there_is_said_in_the_legacy_body(api: httpx.Client, method: str, path: str, status: int) -> None:
    answer = api.request(method, path)
    assert answer.status_code == status
    assert isinstance(answer.json()["detail"], str)


def test_every_answer_has_a_request_id_and_keeps_the_one_it_was_given(api: httpx.Client) -> None:
    first, second = (api.get("/health").headers["x-request-id"] for _ in range(2))
    assert first and second and first != second
    assert api.get("/health", headers={"x-request-id": "of-the-client-1"}).headers["x-request-id"] == "of-the-client-1"
