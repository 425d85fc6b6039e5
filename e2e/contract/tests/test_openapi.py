"""Every operation of our own OpenAPI, asked what nobody would ask: no question may be answered with a 5xx."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from crucible_contract.cluster import kubectl, objects
from crucible_contract.settings import API, NAMESPACE

SECONDS = 75
SEED = "20261122"


@pytest.fixture
def tidied() -> Iterator[None]:
    """Takes away what came into being because somebody asked for it by chance."""
    kinds = ("testruns", "testplans")
    before = {kind: {item["metadata"]["name"] for item in objects(kind)} for kind in kinds}
    yield
    for kind in kinds:
        new = {item["metadata"]["name"] for item in objects(kind)} - before[kind]
        if new:
            kubectl("--namespace", NAMESPACE, "delete", "--wait=false", "--ignore-not-found", kind, *new)


def test_no_operation_answers_any_question_with_a_server_error(api: httpx.Client, tmp_path: Path, tidied: None) -> None:
    report, said = tmp_path / "schemathesis.xml", tmp_path / "schemathesis.txt"
    # One worker: what Python 3.11 counts while it makes syntax trees is shared by its threads, and Hypothesis makes many.
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{API}/openapi.json", "--checks", "not_a_server_error", "--seed", SEED,
        "--phases", "examples,coverage,fuzzing", "--max-time", str(SECONDS), "--workers", "1", "--continue-on-failure", "--no-color",
        "--request-timeout", "20", "--report", "junit", "--report-junit-path", str(report),
        "--exclude-path-regex", "/events$", "--suppress-health-check", "all",
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS + 60, cwd=tmp_path, env={**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path)}
    )
    said.write_text(done.stdout + done.stderr)
    assert done.returncode == 0, f"{_wrong(done.stdout)}\nThe whole of it is in {said}"
    document = api.get("/openapi.json").json()
    operations = sum(len(item) for path, item in document["paths"].items() if not path.endswith("/events"))
    asked = ElementTree.parse(report).getroot().findall(".//testcase")
    assert len(asked) >= operations, f"only {len(asked)} of {operations} operations were asked"


def _wrong(said: str) -> str:
    """The sections with what went wrong: what follows them are warnings about the schema."""
    sections = re.split(r"^=+ ([A-Z ]+) =+$", said, flags=re.MULTILINE)
    wrong = [text for title, text in zip(sections[1::2], sections[2::2], strict=True) if title in ("ERRORS", "FAILURES")]
    return "".join(wrong)[:6000] or said[-2000:]
