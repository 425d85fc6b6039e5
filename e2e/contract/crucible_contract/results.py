"""What a run measured, read as existing readers do, and what has to be true of any of it."""

import csv
import io
from typing import Any

from .bucket import Bucket

STATS = {"count", "min", "max", "avg", "med", "p90", "p95", "p99", "rate"}
QUERIES = ("PointLookup", "OrdersOfACity")
RAW_METRICS = {"query_errors", "iterations", "iteration_duration", "vus", "checks"}


def metrics(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The metrics by name."""
    listed = results["k6"]["metrics"]
    assert all(set(metric) == {"name", "type", "stats"} for metric in listed), listed
    named = {metric["name"]: metric for metric in listed}
    assert len(named) == len(listed), "a metric is listed twice"
    return named


def check_healthy(results: dict[str, Any], run_id: str, queries: tuple[str, ...] = QUERIES) -> None:
    """Everything that has to be true of the results of a run in which no query failed."""
    assert results["run_id"] == run_id and results["status"] == "COMPLETED"
    assert results["abort_reason"] is None and results["chaos"] == {"events": []}
    assert results["collected_at"] and "observability" in results
    named = metrics(results)
    for query in queries:
        metric = named[f"sql_duration_{query}"]
        stats = metric["stats"]
        assert metric["type"] == "trend" and set(stats) >= STATS, metric
        assert stats["count"] > 0 and stats["avg"] > 0
        assert stats["min"] <= stats["med"] <= stats["p90"] <= stats["p95"] <= stats["p99"] <= stats["max"], stats
        assert stats["min"] <= stats["avg"] <= stats["max"]
        assert any(stats[name] != int(stats[name]) for name in ("min", "avg", "med")), "latency in whole milliseconds"
    assert named["query_errors"]["type"] == "rate" and named["query_errors"]["stats"]["avg"] == 0
    assert named["iterations"]["stats"]["count"] == sum(named[f"sql_duration_{query}"]["stats"]["count"] for query in queries)
    assert named["iteration_duration"]["stats"]["avg"] > 0
    assert set(named) >= {"vus", "checks"}


def check_raw(bucket: Bucket, results: dict[str, Any], run_id: str, workers: int, queries: tuple[str, ...] = QUERIES) -> None:
    """k6's own CSV of each worker, and that the sum of them is what the results say."""
    prefix = f"results/{run_id}/"
    keys = bucket.keys(prefix)
    raw = [f"{prefix}k6_raw_{worker}_0.csv" for worker in range(workers)]
    assert sorted(key for key in keys if "k6_raw" in key) == raw, list(keys)
    counted = dict.fromkeys(queries, 0)
    for key in raw:
        rows = list(csv.DictReader(io.StringIO(bucket.get(key).decode())))
        assert list(rows[0])[:3] == ["metric_name", "timestamp", "metric_value"], list(rows[0])
        names = {row["metric_name"] for row in rows}
        assert names >= RAW_METRICS | {f"sql_duration_{query}" for query in queries}, names
        assert all(float(row["metric_value"]) == 0 for row in rows if row["metric_name"] == "query_errors")
        for query in queries:
            of_query = [float(row["metric_value"]) for row in rows if row["metric_name"] == f"sql_duration_{query}"]
            assert all(value > 0 for value in of_query)
            counted[query] += len(of_query)
        iterations = sum(float(row["metric_value"]) for row in rows if row["metric_name"] == "iterations")
        assert iterations == sum(1 for row in rows if row["metric_name"].startswith("sql_duration_")), "one query is one iteration"
    for query in queries:
        # The samples hold the ramp as well, the results do not.
        assert counted[query] >= metrics(results)[f"sql_duration_{query}"]["stats"]["count"] > 0
