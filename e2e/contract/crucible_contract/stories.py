"""The runs that the suite is about. All are submitted at once, so that the tests of everything else have something to do meanwhile:
one after another they load the one database there is."""

import json
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from .bucket import Bucket
from .ledger import Ledger
from .plans import WORKLOAD, WORKLOAD_THAT_FAILS, WORKLOAD_WITHOUT_TYPE, Plan, as_yaml, changed, plan
from .runs import Submitted, submit
from .settings import API, NAMESPACE, REPOSITORY, TAG

# Capitals, an underscore and a point: names that no Kubernetes object may have.
INTER_PLAN = f"Contract_Inter.v2-{TAG}"
CURL_PLAN = f"contract-curl-{TAG}"
SHOP_WORKLOAD = f"contract-shop-{TAG}"


class Curl:
    """The published examples, running beside everything else."""

    def __init__(self) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="crucible-contract-"))
        # The engine of the published examples, over the wire that MariaDB speaks as well; and a key that nobody asked for.
        made = plan(CURL_PLAN, test_environment__component_spec__type="doris", test_environment__component_spec__cluster_info__http_port=8030)
        (self.place / f"{CURL_PLAN}.yaml").write_text(as_yaml(made))
        (self.place / "workload.json").write_text(json.dumps({"workload_id": CURL_PLAN, "content": WORKLOAD}))
        script = REPOSITORY / "e2e/contract/curl.sh"
        self._process = subprocess.Popen(
            ["bash", str(script), API, str(self.place), CURL_PLAN], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def finish(self) -> str:
        """Waits for its end and answers what it printed."""
        said, _ = self._process.communicate(timeout=150)
        assert self._process.returncode == 0, f"curl.sh ended with {self._process.returncode}:\n{said}"
        return said

    def answer(self, name: str) -> Any:
        """The body that one of its steps was answered with."""
        return json.loads((self.place / f"{name}.json").read_text())

    def end(self) -> None:
        """Stops it where it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=10)


class Events:
    """The progress of a run, as its stream of server-sent events tells it."""

    def __init__(self, path: str) -> None:
        self.content_type: str | None = None
        self.events: list[tuple[str, str]] = []
        self.ended = threading.Event()
        self.error: Exception | None = None
        threading.Thread(target=self._listen, args=(path,), daemon=True).start()

    def _listen(self, path: str) -> None:
        try:
            with httpx.Client(base_url=API, timeout=httpx.Timeout(10, read=150)) as api, api.stream("GET", path) as answer:
                self.content_type = answer.headers.get("content-type")
                if answer.status_code != 200:
                    raise AssertionError(f"GET {path} was answered with {answer.status_code}: {answer.read().decode()}")
                name = "message"
                for line in answer.iter_lines():
                    if line.startswith("event:"):
                        name = line[6:].strip()
                    elif line.startswith("data:"):
                        self.events.append((name, line[5:].strip()))
                    elif not line:
                        name = "message"
        except Exception as error:  # The test that reads the events has to hear of it.
            self.error = error
        finally:
            self.ended.set()


@dataclass
class Stories:
    """Every run of the suite but those that tests stop themselves."""

    curl: Curl
    inter: Submitted
    inter_plan: Plan
    inter_events: Events
    masked: Submitted
    masked_read: Plan
    foreign: Submitted
    foreign_object: bytes
    aborted: Submitted
    no_host: Submitted
    no_workload: Submitted
    no_fixture: httpx.Response


def begin(api: httpx.Client, bucket: Bucket, ledger: Ledger) -> Stories:
    """Submits them all."""
    for name, content in ((SHOP_WORKLOAD, WORKLOAD), (f"contract-failing-{TAG}", WORKLOAD_THAT_FAILS)):
        made = api.post("/v1/workloads", json={"workload_id": name, "content": content})
        assert made.status_code == 201, made.text
    curl = Curl()
    inter_plan, inter = _inter(api, ledger)
    # Where there is no row yet, the tests of the row and of the events both say so.
    events = Events(f"/apis/crucible.dev/v1alpha1/namespaces/{NAMESPACE}/runs/{(inter.row or {}).get('name')}/events")
    masked_read, masked = _masked(api, ledger)
    foreign_object, foreign = _foreign(api, bucket, ledger)
    return Stories(
        curl=curl,
        inter=inter,
        inter_plan=inter_plan,
        inter_events=events,
        masked=masked,
        masked_read=masked_read,
        foreign=foreign,
        foreign_object=foreign_object,
        aborted=_aborted(api, ledger),
        no_host=_by_text(api, ledger, "no-host", test_environment__component_spec__cluster_info__host=f"no-such-host-{TAG}.invalid:3306"),
        no_workload=_by_text(api, ledger, "no-workload", execution__workload=[{"workload_id": f"contract-nowhere-{TAG}"}]),
        no_fixture=_missing_fixture(api),
    )


def _inter(api: httpx.Client, ledger: Ledger) -> tuple[Plan, Submitted]:
    """One virtual user and two workers, which existing clients ask for, and a Prometheus that nobody allowed."""
    source = {
        "name": "elsewhere",
        "url": "http://169.254.169.254",
        "metrics": [{"name": "up", "query": "up"}],
        "resolution": 15,
        "max_data_points": 10,
    }
    made = plan(
        SHOP_WORKLOAD,
        test_metadata__run_label="only for runs by name",
        test_environment__observability={"prometheus_sources": [source]},
        execution__scaling_mode="inter_node",
        execution__concurrency=1,
    )
    cluster = {"type": "mysql", "version": "10.11", "backend_node": {"replica": 2}, "colour": "green"}
    body = {"plan_yaml": as_yaml(made), "plan_name": INTER_PLAN, "cluster_spec": cluster, "cluster_settings": "innodb_buffer_pool_size=1G"}
    return made, submit(api, ledger, "/v1/test-runs", json=body)


def _masked(api: httpx.Client, ledger: Ledger) -> tuple[Plan, Submitted]:
    """A plan that is read and written back as it was read: mask, and all. The run shows whether the password survived."""
    name = f"contract-masked-{TAG}"
    assert api.post("/test-plans", params={"name": name}, json=plan(SHOP_WORKLOAD)).status_code == 201
    read = api.get(f"/test-plans/{name}").json()
    written = api.put(f"/test-plans/{name}", json=changed(read, execution__concurrency=1))
    assert written.status_code == 200, written.text
    assert written.json() == {"key": f"plans/{name}"}
    return read, submit(api, ledger, f"/test-runs/plans/{name}")


def _foreign(api: httpx.Client, bucket: Bucket, ledger: Ledger) -> tuple[bytes, Submitted]:
    """A plan and a workload that another program put into the bucket."""
    name = f"contract-foreign-{TAG}"
    bucket.put(f"workloads/{name}", WORKLOAD_WITHOUT_TYPE)
    text = "# Written by hand.\n" + as_yaml(plan(name, test_metadata__run_label=f"by-hand-{TAG}"))
    bucket.put(f"plans/{name}", text)
    return text.encode(), submit(api, ledger, f"/v1/test-runs/{name}")


def _aborted(api: httpx.Client, ledger: Ledger) -> Submitted:
    detection = {"enabled": True, "error_rate_threshold": 0.5, "abort_delay": "2s"}
    changes = {"execution__hold_for": "45s", "execution__failure_detection": detection}
    return _by_text(api, ledger, "aborted", workload=f"contract-failing-{TAG}", **changes)


def _missing_fixture(api: httpx.Client) -> httpx.Response:
    made = plan(SHOP_WORKLOAD, test_environment__fixtures=[{"fixture_id": f"contract-nowhere-{TAG}", "table": "orders"}])
    return api.post("/v1/test-runs", json={"plan_yaml": as_yaml(made), "plan_name": f"contract-no-fixture-{TAG}", "cluster_spec": {"type": "mysql"}})


def _by_text(api: httpx.Client, ledger: Ledger, what: str, workload: str = SHOP_WORKLOAD, **changes: Any) -> Submitted:
    name = f"contract-{what}-{TAG}"
    body = {"plan_yaml": as_yaml(plan(workload, **changes)), "plan_name": name, "label": f"label-{TAG}", "cluster_spec": {"type": "mysql"}}
    return submit(api, ledger, "/v1/test-runs", json=body)
