"""The published examples, typed with curl."""

import re

from crucible_contract.bucket import Bucket
from crucible_contract.ledger import Ledger
from crucible_contract.results import check_healthy, check_raw
from crucible_contract.runs import eventually
from crucible_contract.stories import CURL_PLAN, Stories


def test_the_published_examples_go_through(runs: Stories, bucket: Bucket, ledger: Ledger) -> None:
    print(runs.curl.finish())
    answer = runs.curl.answer
    assert answer("upload") == {"key": f"plans/{CURL_PLAN}"}
    assert answer("workload-answer") == {"workload_id": CURL_PLAN, "s3_key": f"workloads/{CURL_PLAN}"}
    run_id = answer("trigger")["run_id"]
    assert re.fullmatch(rf"{CURL_PLAN}_\d{{8}}-\d{{4}}_[0-9a-f]{{8}}", run_id)

    status = answer("status")
    assert status["plan_name"] == status["run_label"] == CURL_PLAN
    assert status["sut_type"] == "doris" and status["scaling_mode"] == "intra_node"
    assert status["cluster_spec"] == {"type": "doris"}, "an absent cluster_spec stands for the plan's own type"
    assert status["submitted_at"] <= status["started_at"] <= status["completed_at"]

    check_healthy(answer("results"), run_id)
    check_raw(bucket, answer("results"), run_id, workers=1)
    artifacts = answer("artifacts")
    assert {entry["key"]: entry["size"] for entry in artifacts["artifacts"]} == bucket.keys(f"results/{run_id}/")
    assert [row["run_id"] for row in answer("list")["runs"]] == [run_id]
    assert answer("stop") == {"run_id": run_id, "action": "already_stopped"}
    eventually("the row says COMPLETED", 5, lambda: (ledger.run(run_id) or {}).get("status") == "COMPLETED")
