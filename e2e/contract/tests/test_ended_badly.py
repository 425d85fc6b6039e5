"""Runs that were accepted and could not go well: the reason is where a client looks for it."""

import httpx

from crucible_contract.results import metrics
from crucible_contract.runs import Watch
from crucible_contract.settings import TAG
from crucible_contract.stories import Stories


def _reason(runs: Stories, which: str) -> str:
    submitted = getattr(runs, which)
    body = submitted.watch.ends("FAILED")
    assert body["error_detail"], f"{submitted.run_id} failed without a word"
    assert body["completed_at"]
    return body["error_detail"]


def test_an_unreachable_host_fails_the_run_by_name(runs: Stories) -> None:
    assert f"no-such-host-{TAG}.invalid" in _reason(runs, "no_host")


def test_a_missing_workload_fails_the_run_by_name(runs: Stories) -> None:
    assert f"contract-nowhere-{TAG}" in _reason(runs, "no_workload")


def test_a_missing_fixture_fails_the_run_by_name(runs: Stories) -> None:
    assert runs.no_fixture.status_code == 200, runs.no_fixture.text
    body = Watch(runs.no_fixture.json()["run_id"]).ends("FAILED")
    assert f"contract-nowhere-{TAG}" in body["error_detail"]


def test_a_failed_run_has_an_answer_where_its_results_would_be(runs: Stories, api: httpx.Client) -> None:
    runs.no_workload.watch.ends("FAILED")
    answer = api.get(f"/v1/test-runs/{runs.no_workload.run_id}/results")
    assert answer.status_code == 200 and answer.json()["status"] == "FAILED"
    assert answer.json()["collection_error"]


def test_a_load_that_only_fails_is_ended_and_keeps_its_results(runs: Stories, api: httpx.Client) -> None:
    status = runs.aborted.watch.ends("COMPLETED")
    results = api.get(f"/v1/test-runs/{runs.aborted.run_id}/results").json()
    assert results["abort_reason"], "the load was ended and nobody says why"
    assert metrics(results)["query_errors"]["stats"]["avg"] > 0.5
    assert status["run_label"] == f"label-{TAG}"
