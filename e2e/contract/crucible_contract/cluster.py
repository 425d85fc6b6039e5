"""The cluster behind the gateway, looked at as its administrator."""

import json
import subprocess
from typing import Any

from .settings import KUBECTL, NAMESPACE

Object = dict[str, Any]


def kubectl(*arguments: str, text: str | None = None) -> str:
    """What kubectl printed. A failure quotes what it said."""
    done = subprocess.run([KUBECTL, *arguments], input=text, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"kubectl {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout


def objects(kind: str, namespace: str = NAMESPACE) -> list[Object]:
    """Every object of a kind in a namespace."""
    return json.loads(kubectl("--namespace", namespace, "get", kind, "--output=json"))["items"]


def apply(*manifests: Object) -> None:
    """Applies objects."""
    kubectl("apply", "--filename=-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}))


def scale(deployment: str, replicas: int) -> None:
    """Sets how many pods a deployment has and waits until it is so."""
    kubectl("--namespace", NAMESPACE, "scale", f"deployment/{deployment}", f"--replicas={replicas}")
    if replicas == 0:
        kubectl("--namespace", NAMESPACE, "wait", "--for=delete", "pod", "--selector", f"app.kubernetes.io/component={deployment}", "--timeout=60s")
    else:
        kubectl("--namespace", NAMESPACE, "rollout", "status", f"deployment/{deployment}", "--timeout=90s")
