"""Runs of plans that lie in the bucket already: written back with the mask in them, or put there by another program."""

import httpx

from crucible_contract.bucket import Bucket
from crucible_contract.plans import password_of
from crucible_contract.results import check_healthy, check_raw
from crucible_contract.settings import MASK, SUT_PASSWORD, TAG
from crucible_contract.stories import Stories


def test_writing_the_mask_back_keeps_the_password(runs: Stories, api: httpx.Client, bucket: Bucket) -> None:
    assert password_of(runs.masked_read) == MASK
    runs.masked.watch.ends("COMPLETED")
    run_id = runs.masked.run_id
    check_healthy(api.get(f"/v1/test-runs/{run_id}/results").json(), run_id)
    assert SUT_PASSWORD.encode() not in bucket.get(f"plans/contract-masked-{TAG}")


def test_a_run_by_key_answers_with_run_and_strategy(runs: Stories) -> None:
    assert set(runs.masked.answer) >= {"run_id", "strategy"}
    assert runs.masked.answer["run_id"].startswith(f"contract-masked-{TAG}_")


def test_a_plan_of_another_program_runs_with_an_older_workload(runs: Stories, api: httpx.Client, bucket: Bucket) -> None:
    status = runs.foreign.watch.ends("COMPLETED")
    run_id = runs.foreign.run_id
    assert status["run_label"] == f"by-hand-{TAG}", "by name, the plan's own label stands"
    results = api.get(f"/v1/test-runs/{run_id}/results").json()
    check_healthy(results, run_id, queries=("PointLookup",))
    check_raw(bucket, results, run_id, workers=1, queries=("PointLookup",))


def test_its_plan_lies_there_untouched(runs: Stories, bucket: Bucket) -> None:
    runs.foreign.watch.ends("COMPLETED")
    assert bucket.get(f"plans/contract-foreign-{TAG}") == runs.foreign_object
