"""A client that did not hear the answer asks again with the same key, and there is one run."""

from concurrent.futures import ThreadPoolExecutor

import httpx

from crucible_contract.plans import as_yaml, plan
from crucible_contract.runs import rest
from crucible_contract.settings import TAG


def _body(what: str, **more: object) -> dict[str, object]:
    # A host that is nobody's: these runs load nothing.
    text = as_yaml(plan("shop-queries", test_environment__component_spec__cluster_info__host=f"nobody-{TAG}.invalid:3306"))
    return {"plan_yaml": text, "plan_name": f"contract-once-{TAG}", "label": f"{what}-{TAG}", "cluster_spec": {"type": "mysql"}, **more}


def test_the_same_key_and_body_are_the_same_run_however_often_and_at_once(api: httpx.Client) -> None:
    key, body = f"once-{TAG}", _body("once")

    def send(_: int) -> httpx.Response:
        with rest() as client:
            return client.post("/v1/test-runs", json=body, headers={"idempotency-key": key})

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(send, range(6)))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    assert len({answer.json()["run_id"] for answer in answers}) == 1
    listed = api.get("/v1/test-runs", params={"run_label": f"once-{TAG}"}).json()["runs"]
    assert [row["run_id"] for row in listed] == [answers[0].json()["run_id"]]


def test_the_same_key_with_another_body_is_a_conflict(api: httpx.Client) -> None:
    key = {"idempotency-key": f"other-{TAG}"}
    assert api.post("/v1/test-runs", json=_body("other"), headers=key).status_code == 200
    answer = api.post("/v1/test-runs", json=_body("other", cluster_settings="a=b"), headers=key)
    assert answer.status_code == 409 and isinstance(answer.json()["detail"], str)


def test_without_a_key_every_submit_is_a_run(api: httpx.Client) -> None:
    answers = [api.post("/v1/test-runs", json=_body("twice")) for _ in range(2)]
    assert len({answer.json()["run_id"] for answer in answers}) == 2


def test_a_trigger_by_name_holds_to_its_key_as_well(api: httpx.Client) -> None:
    key = {"idempotency-key": f"by-name-{TAG}"}
    answers = [api.post(f"/v1/test-runs/contract-once-{TAG}", headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len({answer.json()["run_id"] for answer in answers}) == 1


def test_a_key_that_is_none_is_refused(api: httpx.Client) -> None:
    for key in ("", "k" * 5000):
        assert api.post("/v1/test-runs", json=_body("none"), headers={"idempotency-key": key}).status_code in (400, 422, 431)
