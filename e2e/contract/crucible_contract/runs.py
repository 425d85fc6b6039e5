"""Runs as an existing client follows them: by asking for their status again and again."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from .ledger import Ledger, Row
from .settings import API

TERMINAL = ("COMPLETED", "FAILED")
# A run goes through these from left to right and leaves none out of order.
ORDER = ("PENDING", "QUEUED", "WAITING_ROOM", "EXECUTING", "STOPPING", "COLLECTING", *TERMINAL)
PAUSE = 0.2


def rest(**settings: Any) -> httpx.Client:
    """A client of the gateway."""
    return httpx.Client(base_url=API, timeout=15, **settings)


@dataclass
class Moment:
    """What the gateway said of a run while one status stood."""

    body: dict[str, Any]
    # The status code of the results; absent where the status changed while they were asked for.
    results: int | None = None


@dataclass
class Watch:
    """Follows one run in a thread of its own and notes every status that it sees."""

    run_id: str
    moments: list[Moment] = field(default_factory=list)
    error: Exception | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        try:
            with rest() as api:
                while not self._look(api):
                    time.sleep(PAUSE)
        except Exception as error:  # Whatever it is, the tests that wait for this run have to hear of it.
            with self._changed:
                self.error = error
                self._changed.notify_all()

    def _look(self, api: httpx.Client) -> bool:
        body = self._status(api)
        if self.moments and self.moments[-1].body["status"] == body["status"]:
            # Numbers within one status may change; the newest ones stand.
            self.moments[-1].body = body
            return False
        results = api.get(f"/v1/test-runs/{self.run_id}/results").status_code
        moment = Moment(body, results if self._status(api)["status"] == body["status"] else None)
        with self._changed:
            self.moments.append(moment)
            self._changed.notify_all()
        return body["status"] in TERMINAL

    def _status(self, api: httpx.Client) -> dict[str, Any]:
        answer = api.get(f"/v1/test-runs/{self.run_id}/status")
        assert answer.status_code == 200, f"the status of {self.run_id} was answered with {answer.status_code}: {answer.text}"
        return answer.json()

    def reaches(self, *wanted: str, within: float = 60) -> dict[str, Any]:
        """What was said when one of these statuses was first seen."""
        found: list[Moment] = []

        def seen() -> bool:
            found.extend(moment for moment in self.moments if moment.body["status"] in wanted)
            return bool(found) or self.error is not None or self._ended()

        with self._changed:
            in_time = self._changed.wait_for(seen, timeout=within)
        if self.error is not None:
            raise self.error
        assert in_time and found, f"{self.run_id} was not seen {' or '.join(wanted)} within {within} s; it was {self.statuses()}"
        return found[0].body

    def ends(self, wanted: str, within: float = 120) -> dict[str, Any]:
        """What was said at the end, which has to be the one that is wanted."""
        body = self.reaches(*TERMINAL, within=within)
        assert body["status"] == wanted, f"{self.run_id} ended {body['status']} ({body['error_detail']}) instead of {wanted}"
        return body

    def statuses(self) -> list[str]:
        """Every status that was seen, in order."""
        return [moment.body["status"] for moment in self.moments]

    def _ended(self) -> bool:
        return bool(self.moments) and self.moments[-1].body["status"] in TERMINAL


@dataclass
class Submitted:
    """A run that was submitted, and what could be read at once."""

    answer: dict[str, Any]
    # The row of the run, read right after the answer.
    row: Row | None
    watch: Watch

    @property
    def run_id(self) -> str:
        """The id that every later request names."""
        return self.answer["run_id"]


def submit(api: httpx.Client, ledger: Ledger, path: str, **request: Any) -> Submitted:
    """Submits a run, reads its row, and follows it from then on."""
    answer = api.post(path, **request)
    assert answer.status_code == 200, f"POST {path} was answered with {answer.status_code}: {answer.text}"
    run_id = answer.json()["run_id"]
    return Submitted(answer.json(), ledger.run(run_id), Watch(run_id))


def eventually(what: str, within: float, look: Any) -> Any:
    """The first answer that is not nothing."""
    deadline = time.monotonic() + within
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.1)
