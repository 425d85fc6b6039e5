"""Fixtures: their bytes go straight to the bucket, in parts, over addresses that the gateway signs."""

import hashlib
import os
from concurrent.futures import Future
from urllib.parse import urlsplit

import httpx
import pytest

from crucible_contract.bucket import LONG_FIXTURE, Bucket
from crucible_contract.settings import S3_ENDPOINT, TAG
from crucible_contract.wire import ask

FIXTURE = f"contract-orders-{TAG}"
MEBIBYTE = 1 << 20


class Upload:
    """A multipart upload of one file."""

    def __init__(self, api: httpx.Client, fixture: str, file: str) -> None:
        self.api, self.base = api, f"/fixtures/{fixture}/{file}/multipart"
        answer = api.post(f"{self.base}/init")
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) == {"upload_id", "key"}
        assert answer.json()["key"] == f"fixtures/{fixture}/{file}"
        self.id = answer.json()["upload_id"]

    def address(self, number: int | str) -> httpx.Response:
        return self.api.get(f"{self.base}/{self.id}/part/{number}")

    def put(self, number: int, body: bytes) -> dict[str, object]:
        address = self.address(number)
        assert address.status_code == 200 and set(address.json()) == {"presigned_url"}, address.text
        stored = httpx.put(address.json()["presigned_url"], content=body, timeout=30)
        assert stored.status_code == 200, stored.text
        return {"PartNumber": number, "ETag": stored.headers["etag"]}

    def complete(self, parts: list[dict[str, object]]) -> httpx.Response:
        return self.api.post(f"{self.base}/{self.id}/complete", json=parts)


def test_a_file_goes_up_in_parts_and_arrives_whole(api: httpx.Client, bucket: Bucket) -> None:
    file = "orders-0001.parquet"
    first, last = os.urandom(5 * MEBIBYTE), os.urandom(1234)
    upload = Upload(api, FIXTURE, file)
    address = urlsplit(upload.address(1).json()["presigned_url"])
    assert f"{address.scheme}://{address.netloc}" == S3_ENDPOINT, "the bytes have to go straight to the bucket"
    assert "X-Amz-Expires=3600" in address.query
    parts = [upload.put(1, first), upload.put(2, last)]
    answer = upload.complete(parts)
    assert (answer.status_code, answer.json()) == (200, {"key": f"fixtures/{FIXTURE}/{file}", "status": "completed"})
    assert hashlib.sha256(bucket.get(f"fixtures/{FIXTURE}/{file}")).digest() == hashlib.sha256(first + last).digest()
    assert upload.complete(parts).status_code == 200, "completing twice is completing once"

    assert FIXTURE in api.get("/fixtures").json()["fixture_ids"]
    listed = api.get(f"/fixtures/{FIXTURE}").json()
    assert listed["fixture_id"] == FIXTURE
    (entry,) = listed["files"]
    assert set(entry) == {"name", "key", "last_modified", "size"}
    assert (entry["name"], entry["key"], entry["size"]) == (file, f"fixtures/{FIXTURE}/{file}", len(first) + len(last))

    assert api.delete(f"/fixtures/{FIXTURE}/{file}").status_code == 204
    assert bucket.find(f"fixtures/{FIXTURE}/{file}") is None
    assert api.delete(f"/fixtures/{FIXTURE}/{file}").status_code == 404
    assert FIXTURE not in api.get("/fixtures").json()["fixture_ids"]


def test_parts_are_numbered_from_one_to_ten_thousand(api: httpx.Client, bucket: Bucket) -> None:
    upload = Upload(api, FIXTURE, "numbers.csv")
    for number in (0, -1, 10001, 99999999999, "abc", "1.0", "%00"):
        assert upload.address(number).status_code in (400, 404, 422), number
    only = upload.put(10000, b"the last one that there can be")
    assert upload.complete([only]).status_code == 200
    assert bucket.get(f"fixtures/{FIXTURE}/numbers.csv") == b"the last one that there can be"


def test_what_was_not_uploaded_cannot_be_completed(api: httpx.Client, bucket: Bucket) -> None:
    upload = Upload(api, FIXTURE, "wrong.csv")
    part = upload.put(1, b"bytes")
    assert upload.complete([{**part, "ETag": '"00000000000000000000000000000000"'}]).status_code == 409
    assert upload.complete([{"PartNumber": 2, "ETag": part["ETag"]}]).status_code == 409
    assert bucket.find(f"fixtures/{FIXTURE}/wrong.csv") is None
    for body in (
        [],
        {},
        [{"PartNumber": 0, "ETag": "x"}],
        [{"PartNumber": 10001, "ETag": "x"}],
        [{"PartNumber": 1}],
        [{"ETag": "x"}],
        "x",
        [1],
        [{**part, "PartNumber": "one"}],
    ):
        assert api.post(f"{upload.base}/{upload.id}/complete", json=body).status_code == 422, body
    assert upload.complete([part]).status_code == 200


def test_an_upload_that_nobody_began_is_not_found(api: httpx.Client) -> None:
    place = f"/fixtures/{FIXTURE}/nobody.csv/multipart/no-such-upload"
    assert api.post(f"{place}/complete", json=[{"PartNumber": 1, "ETag": '"0"'}]).status_code == 404


def test_a_signed_address_serves_one_method_and_one_key(api: httpx.Client) -> None:
    address = Upload(api, FIXTURE, "one.csv").address(1).json()["presigned_url"]
    assert httpx.get(address).status_code in (400, 403, 405)
    assert httpx.delete(address).status_code == 403
    assert httpx.put(address.replace("one.csv", "other.csv"), content=b"x").status_code == 403
    assert httpx.put(address.replace("partNumber=1", "partNumber=2"), content=b"x").status_code == 403


NAMES = ["..", "a%2F..%2F..%2Fb", "%2Fetc", "a%5Cb", "a%00b", "a" * 1025, "%F0%9F%92%A3", ".hidden", "a%0Ab"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leaves_its_place_is_refused(name: str) -> None:
    for target in (f"/fixtures/{name}/x.csv/multipart/init", f"/fixtures/{FIXTURE}/{name}/multipart/init"):
        assert ask("POST", target).status in (400, 404, 414, 422), target
    assert ask("DELETE", f"/fixtures/{FIXTURE}/{name}").status in (400, 404, 405, 414, 422)


def test_long_listings_are_whole(api: httpx.Client, long_listings: dict[str, Future[list[str]]]) -> None:
    keys = long_listings[LONG_FIXTURE].result()
    listed = api.get(f"/fixtures/{LONG_FIXTURE.removeprefix('fixtures/')}").json()["files"]
    assert [entry["key"] for entry in listed] == keys
    assert [entry["name"] for entry in listed] == [key.rsplit("/", 1)[1] for key in keys]
