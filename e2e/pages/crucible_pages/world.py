"""The gateway with its world in memory, as a program of its own."""

import subprocess
from dataclasses import dataclass

from .settings import EXAMPLE, REPORTS

# The run that is live until it is ended.
LIVE = "checkout_20260105-0758_5b54ae4d"
QUEUED = "reporting_20260105-0759_00c0ffee"
LOST = "reporting_20260105-0540_0badcafe"
ENDED = {
    "passed": "checkout_20260105-0700_00000000",
    "failed": "checkout_20260105-0699_00000001",
    "chaos": "checkout_20260105-0698_00000002",
    "comparison": "checkout_20260105-0697_00000003",
    "invalid": "checkout_20260105-0696_00000004",
    "aborted": "checkout_20260105-0695_00000005",
}
TOKEN = "swordfish"


@dataclass
class World:
    """Where it answers: once whoever asks, and once only those who have the token."""

    open: str
    guarded: str
    process: subprocess.Popen[str]

    def end_the_live_run(self) -> None:
        """Its load is over, and its report is there."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


def begin() -> World:
    """Starts it."""
    process = subprocess.Popen([EXAMPLE, REPORTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    places = dict(process.stdout.readline().split() for _ in range(2))
    return World(places["open"], places["guarded"], process)
