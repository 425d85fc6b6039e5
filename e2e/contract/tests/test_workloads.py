"""Workload files: stored as they are, or refused with the line."""

import httpx
import pytest

from crucible_contract.bucket import Bucket
from crucible_contract.plans import WORKLOAD
from crucible_contract.settings import TAG


def test_a_workload_is_stored_byte_for_byte(api: httpx.Client, bucket: Bucket) -> None:
    name = f"contract_Workload-{TAG}"
    answer = api.post("/v1/workloads", json={"workload_id": name, "content": WORKLOAD})
    assert (answer.status_code, answer.json()) == (201, {"workload_id": name, "s3_key": f"workloads/{name}"})
    assert bucket.get(f"workloads/{name}") == WORKLOAD.encode()
    longer = WORKLOAD + "\r\n-- @name: Third\r\nSELECT 3;\r\n"
    assert api.post("/v1/workloads", json={"workload_id": name, "content": longer}).status_code == 201
    assert bucket.get(f"workloads/{name}") == longer.encode()


REFUSED = {
    "an empty file": "",
    "only comments": "-- nothing\n",
    "no type": "-- @name: A\nSELECT 1;\n",
    "an empty type": "-- @type:\n-- @name: A\nSELECT 1;\n",
    "an unknown type": "-- @type: oracle8\n-- @name: A\nSELECT 1;\n",
    "no query": "-- @type: sql\n",
    "the same name twice": "-- @type: sql\n-- @name: A\nSELECT 1;\n-- @name: A\nSELECT 2;\n",
    "a name that begins with a digit": "-- @type: sql\n-- @name: 1abc\nSELECT 1;\n",
    "a name of two words": "-- @type: sql\n-- @name: a b\nSELECT 1;\n",
    "an empty body": "-- @type: sql\n-- @name: A\n\n-- @name: B\nSELECT 1;\n",
    "a body of nothing but a semicolon": "-- @type: sql\n-- @name: A\n;\n",
    "an unknown annotation": "-- @type: sql\n-- @name: A\n-- @colour: green\nSELECT 1;\n",
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_a_wrong_file_is_refused_with_a_list_of_sentences(api: httpx.Client, bucket: Bucket, content: str) -> None:
    name = f"contract-wrong-{TAG}"
    answer = api.post("/v1/workloads", json={"workload_id": name, "content": content})
    assert answer.status_code == 422, answer.text
    detail = answer.json()["detail"]
    assert isinstance(detail, list) and detail and all(isinstance(sentence, str) for sentence in detail), detail
    assert bucket.find(f"workloads/{name}") is None


def test_an_unknown_annotation_is_named_with_its_line(api: httpx.Client) -> None:
    answer = api.post("/v1/workloads", json={"workload_id": f"contract-wrong-{TAG}", "content": REFUSED["an unknown annotation"]})
    assert any("3" in sentence and "colour" in sentence for sentence in answer.json()["detail"]), answer.text


@pytest.mark.parametrize("name", ["", "-a", "_a", "a b", "a/b", "../a", "a.b", "ä", "a" * 2000, "a\n"])
def test_an_id_that_is_none_is_refused(api: httpx.Client, name: str) -> None:
    answer = api.post("/v1/workloads", json={"workload_id": name, "content": WORKLOAD})
    assert answer.status_code == 422
    assert answer.json()["detail"]
