"""A second gateway beside the first, as the chart renders it with other values: the same image, the same stores, its own rights."""

import json
import socket
import subprocess
import time
from typing import Any

import httpx
import yaml

from .cluster import apply, kubectl
from .runs import eventually
from .settings import FORWARD, HELM, NAMESPACE, REPOSITORY, TAG

KINDS = ("Deployment", "Service", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
RELEASE = "crucible"


def _values() -> dict[str, Any]:
    said = subprocess.run([HELM, "--namespace", NAMESPACE, "get", "values", RELEASE, "--output=json"], capture_output=True, text=True, check=True)
    return json.loads(said.stdout) or {}


def render(*settings: str) -> list[dict[str, Any]]:
    """Everything that the chart makes of the release's values and these."""
    command = [HELM, "template", RELEASE, str(REPOSITORY / "charts/crucible"), "--namespace", NAMESPACE, "--values", "-"]
    command += ["--kube-version", json.loads(kubectl("version", "--output=json"))["serverVersion"]["gitVersion"]]
    for setting in settings:
        command += ["--set", setting]
    said = subprocess.run(command, input=json.dumps(_values()), capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    return [document for document in yaml.safe_load_all(said.stdout) if document]


class Twin:
    """A gateway of its own name with a service of its own, and a local port to it."""

    def __init__(self, name: str, *settings: str) -> None:
        self._label = f"contract-{name}-{TAG}"
        mine = [document for document in render(*settings) if document["kind"] in KINDS and "gateway" in document["metadata"]["name"]]
        self._named = [self._rename(document) for document in mine]
        apply(*self._named)
        kubectl("--namespace", NAMESPACE, "rollout", "status", f"deployment/{self._only('Deployment')['metadata']['name']}", "--timeout=60s")
        self.url = f"http://127.0.0.1:{_free_port()}"
        self._forward = self._open()

    def _rename(self, document: dict[str, Any]) -> dict[str, Any]:
        document["metadata"]["name"] += f"-{self._label}"
        if "roleRef" in document:
            document["roleRef"]["name"] += f"-{self._label}"
        if document["kind"] == "Service":
            document["spec"]["selector"]["app.kubernetes.io/component"] = self._label
        if document["kind"] == "Deployment":
            document["spec"]["replicas"] = 1
            for place in (document["spec"]["selector"]["matchLabels"], document["spec"]["template"]["metadata"]["labels"]):
                place["app.kubernetes.io/component"] = self._label
        return document

    def _only(self, kind: str) -> dict[str, Any]:
        (document,) = [document for document in self._named if document["kind"] == kind]
        return document

    def _open(self) -> subprocess.Popen[bytes]:
        service = self._only("Service")
        port = next(port["port"] for port in service["spec"]["ports"] if port["name"] == "api")
        name, local = service["metadata"]["name"], self.url.rsplit(":", 1)[1]
        # Not kubectl's forwarding: that ends with the first connection that is reset, and this suite resets some.
        forward = subprocess.Popen([FORWARD, "cluster", "forward", NAMESPACE, name, local, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(f"service {name} answers", 30, self._answers)
        return forward

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except httpx.TransportError:
            time.sleep(0.2)
            return False

    def client(self, token: str | None = None) -> httpx.Client:
        """A client of this gateway."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, timeout=15, headers=headers)

    def end(self) -> None:
        """Takes it away."""
        self._forward.terminate()
        self._forward.wait(timeout=10)
        for document in self._named:
            place = ["--namespace", document["metadata"]["namespace"]] if "namespace" in document["metadata"] else []
            kubectl(*place, "delete", document["kind"], document["metadata"]["name"], "--wait=false", "--ignore-not-found")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
