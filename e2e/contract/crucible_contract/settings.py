"""What the suite is told by its environment, which `cargo xtask test` sets."""

import os
import secrets
from pathlib import Path


def _required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise RuntimeError(f"{name} is not set; run this through cargo xtask")
    return value


API = _required("CRUCIBLE_REST_URL").rstrip("/")
# The namespace behind the routes of the earlier system; the operator and the gateway run in it, too.
NAMESPACE = _required("CRUCIBLE_NAMESPACE")
BUCKET = _required("CRUCIBLE_BUCKET")
S3_ENDPOINT = _required("CRUCIBLE_S3_ENDPOINT")
# The system under test as worker pods reach it.
SUT_HOST = _required("CRUCIBLE_SUT_HOST")
SUT_DATABASE = _required("CRUCIBLE_SUT_DATABASE")
SUT_USERNAME = _required("CRUCIBLE_SUT_USERNAME")
SUT_PASSWORD = _required("CRUCIBLE_SUT_PASSWORD")
KUBECTL = _required("CRUCIBLE_KUBECTL")
HELM = _required("CRUCIBLE_HELM")
# The developer's tool, which opens local ports to services.
FORWARD = _required("CRUCIBLE_XTASK")

REPOSITORY = Path(__file__).resolve().parents[3]

# Part of every name that this invocation makes: the cluster may hold those of earlier ones.
TAG = secrets.token_hex(3)
MASK = "********"
