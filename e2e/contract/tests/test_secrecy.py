"""The password of the system under test, which every run of this suite used: looked for wherever it must not be."""

from crucible_contract.bucket import Bucket
from crucible_contract.cluster import kubectl
from crucible_contract.ledger import Ledger
from crucible_contract.settings import NAMESPACE, SUT_PASSWORD, TAG
from crucible_contract.stories import Stories

KINDS = ("testplans", "testruns", "configmaps", "jobs", "pods", "events")


def test_the_password_is_nowhere_but_in_secrets(runs: Stories, bucket: Bucket, ledger: Ledger) -> None:
    runs.inter.watch.ends("COMPLETED")
    seen: dict[str, bytes] = {}
    for kind in KINDS:
        seen[f"the {kind} of the namespace"] = kubectl("--namespace", NAMESPACE, "get", kind, "--output=json").encode()
    for component in ("gateway", "operator"):
        logs = kubectl("--namespace", NAMESPACE, "logs", "--selector", f"app.kubernetes.io/component={component}", "--tail=-1", "--prefix")
        assert logs, f"the {component} logged nothing"
        seen[f"the log of the {component}"] = logs.encode()
    tables = [row["tablename"] for row in ledger.ask("select tablename from pg_tables where schemaname = 'public'")]
    assert {"test_runs", "waiting_room"} <= set(tables)
    for table in tables:
        rows = ledger.ask(f"select (t.*)::text as row from {table} t")
        seen[f"table {table}"] = "\n".join(row["row"] for row in rows).encode()
    # A program other than ours put its own plan there, password and all: that one is its own affair.
    for prefix in ("plans/", "workloads/", "results/"):
        keys = [key for key in bucket.keys(prefix) if TAG in key and "-foreign-" not in key and "-by-hand-" not in key and "-large_" not in key]
        seen |= {f"object {key}": bucket.get(key) for key in keys}
    assert len(seen) > 25, list(seen)
    assert [what for what, text in seen.items() if SUT_PASSWORD.encode() in text] == []
