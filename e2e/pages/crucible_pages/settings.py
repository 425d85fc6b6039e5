"""What the suite is told by its environment, which `cargo xtask test` sets."""

import os
from pathlib import Path


def _required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise RuntimeError(f"{name} is not set; run this through cargo xtask")
    return value


# The example of the gateway that serves its pages over a world in memory.
EXAMPLE = Path(_required("CRUCIBLE_PAGES_EXAMPLE"))
# Where the sample reports lie.
REPORTS = Path(_required("CRUCIBLE_REPORTS"))
# Where pictures go.
SCREENSHOTS = Path(_required("CRUCIBLE_SCREENSHOTS"))
CHROMIUM = _required("CRUCIBLE_CHROMIUM")
# The gateway of the development cluster, the namespace that it works in, and the system under test as worker pods reach it.
CLUSTER = _required("CRUCIBLE_REST_URL").rstrip("/")
NAMESPACE = _required("CRUCIBLE_NAMESPACE")
SUT_HOST = _required("CRUCIBLE_SUT_HOST")
SUT_DATABASE = _required("CRUCIBLE_SUT_DATABASE")
SUT_USERNAME = _required("CRUCIBLE_SUT_USERNAME")
SUT_PASSWORD = _required("CRUCIBLE_SUT_PASSWORD")
