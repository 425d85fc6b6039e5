"""What the tests share: one client, one look at the bucket and the tables, and the runs."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from crucible_contract import slow, stories
from crucible_contract.bucket import LONG_FIXTURE, LONG_RESULTS, Bucket
from crucible_contract.cluster import kubectl
from crucible_contract.ledger import Ledger
from crucible_contract.runs import rest
from crucible_contract.settings import NAMESPACE, TAG
from crucible_contract.wire import Answer

# First what needs nobody, while the runs go on; then what waits for them; at the end what disturbs everybody.
ORDER = (
    "test_service",
    "test_plans",
    "test_workloads",
    "test_fixtures",
    "test_ledger",
    "test_bad_input",
    "test_required_cluster_spec",
    "test_curl",
    "test_inter_node",
    "test_stored_plans",
    "test_ended_badly",
    "test_stop",
    "test_idempotency",
    "test_native",
    "test_authorisation",
    "test_secrecy",
    "test_slow_requests",
    "test_outage",
    "test_openapi",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the modules in order. One that is not in the list is an error, not an afterthought."""
    items.sort(key=lambda item: ORDER.index(item.path.stem))


@pytest.fixture(scope="session")
def api() -> Iterator[httpx.Client]:
    """The gateway."""
    with rest() as client:
        yield client


@pytest.fixture(scope="session")
def bucket() -> Bucket:
    """The bucket."""
    return Bucket()


@pytest.fixture(scope="session")
def ledger() -> Iterator[Ledger]:
    """The tables."""
    opened = Ledger()
    yield opened
    opened.close()


@pytest.fixture(scope="session", autouse=True)
def runs(api: httpx.Client, bucket: Bucket, ledger: Ledger) -> Iterator[stories.Stories]:
    """Every run, submitted before the first test, and everything of them taken away after the last."""
    begun = stories.begin(api, bucket, ledger)
    yield begun
    begun.curl.end()
    for kind in ("testruns", "testplans"):
        objects = json.loads(kubectl("--namespace", NAMESPACE, "get", kind, "--output=json"))["items"]
        # A run under an idempotency key is named after the key's digest: its label or its plan tells whose it is.
        ours = [f"{kind}/{object['metadata']['name']}" for object in objects if TAG in json.dumps([object["metadata"]["name"], object["spec"]])]
        if ours:
            # Some may be on their way out already: what the last tests deleted was not waited for.
            kubectl("--namespace", NAMESPACE, "delete", "--wait=false", "--ignore-not-found", *ours)
    bucket.remove_tagged(TAG)


@pytest.fixture(scope="session", autouse=True)
def long_listings(bucket: Bucket) -> Iterator[dict[str, Future[list[str]]]]:
    """More keys below two prefixes than an S3 server gives at a time, stored while the first tests run."""
    names = {prefix: [f"{prefix}/part-{number:05}.csv" for number in range(1005)] for prefix in (LONG_FIXTURE, LONG_RESULTS)}
    with ThreadPoolExecutor(len(names)) as threads:
        yield {prefix: threads.submit(bucket.put_many, keys, b"1,2,3") for prefix, keys in names.items()}


@pytest.fixture(scope="session", autouse=True)
def slow_requests() -> Iterator[dict[str, Future[Answer]]]:
    """Requests that take as long as they are let, sent before the first test and answered before the last."""
    with ThreadPoolExecutor(len(slow.REQUESTS)) as threads:
        yield {name: threads.submit(slow.send, request) for name, request in slow.REQUESTS.items()}
