"""The last version of the earlier system wanted a cluster_spec with every run. One value of the chart has it so again."""

from collections.abc import Iterator

import pytest

from crucible_contract.plans import as_yaml, plan
from crucible_contract.settings import TAG
from crucible_contract.twin import Twin


@pytest.fixture(scope="module")
def strict() -> Iterator[Twin]:
    """A gateway with that value."""
    twin = Twin("strict", "gateway.requireClusterSpec=true")
    yield twin
    twin.end()


def test_an_absent_cluster_spec_is_refused_where_it_is_required(strict: Twin) -> None:
    name = f"contract-strict-{TAG}"
    made = plan("shop-queries", test_environment__component_spec__cluster_info__host=f"nobody-{TAG}.invalid:3306")
    with strict.client() as api:
        assert api.post("/test-plans", params={"name": name}, json=made).status_code == 201
        text = {"plan_yaml": as_yaml(made), "plan_name": name}
        for answer in (
            api.post(f"/v1/test-runs/{name}"),
            api.post(f"/v1/test-runs/{name}", json={}),
            api.post(f"/v1/test-runs/{name}", json={"cluster_spec": None}),
            api.post("/v1/test-runs", json=text),
        ):
            assert answer.status_code == 422, answer.text
            assert "cluster_spec" in answer.text
        assert api.get("/v1/test-runs", params={"run_label": name}).json()["runs"] == []
        assert api.post(f"/v1/test-runs/{name}", json={"cluster_spec": {"type": "mysql"}}).status_code == 200
        assert api.post("/v1/test-runs", json={**text, "cluster_spec": {"type": "mysql"}}).status_code == 200
