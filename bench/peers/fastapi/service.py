"""The yardstick for the gateway: the same answers from the same Postgres, as one would write them with FastAPI and asyncpg.

It does less: no Kubernetes object is made, no caller is told apart, nothing is watched. Its table has the columns of the
ledger's, the index that the list wants, and as many rows.
"""

import json
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import asyncpg
from fastapi import FastAPI, HTTPException, Query, Request
from pydantic import BaseModel

FIELDS = (
    "run_id, plan_name, run_label, sut_type, status, scaling_mode, cluster_spec, cluster_settings, submitted_at, started_at, "
    "completed_at, error_detail"
)
SCHEMA = """
create table if not exists test_runs (
    run_id text primary key, task_id text, plan_name text, plan_key text, run_label text, sut_type text, scaling_mode text,
    cluster_spec jsonb, cluster_settings text, status text, error_detail text, submitted_at timestamptz default now(),
    started_at timestamptz, completed_at timestamptz
);
create index if not exists newest on test_runs (submitted_at desc, run_id);
create table if not exists waiting_room (run_id text primary key, ready_count int, target_count int);
"""
ROWS = """
insert into test_runs
select 'bench_20260101-0000_' || lpad(to_hex(n), 8, '0'), 'task', 'bench', 'plans/bench', 'bench', 'mysql', 'intra_node',
       '{"type": "mysql"}', null, 'COMPLETED', null, now() - n * interval '1 second', now() - n * interval '1 second', now()
from generate_series(1, $1::int) n
on conflict do nothing
"""


async def _prepare(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    # As many connections as the gateway holds by default.
    app.state.pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=8, max_size=8, init=_prepare)
    await app.state.pool.execute(SCHEMA)
    await app.state.pool.execute(ROWS, int(os.environ["ROWS"]))
    await app.state.pool.execute("analyze test_runs")
    yield
    await app.state.pool.close()


app = FastAPI(lifespan=_lifespan)


class Submit(BaseModel):
    """What a client may say about a run of a stored plan."""

    label: str | None = None
    cluster_spec: dict[str, Any]
    cluster_settings: str | None = None


@app.get("/health")
async def health() -> dict[str, str]:
    """Whether it serves."""
    return {"status": "ok"}


@app.get("/v1/test-runs/{run_id}/status")
async def status(run_id: str, request: Request) -> dict[str, Any]:
    """One run."""
    row = await request.app.state.pool.fetchrow(f"select {FIELDS} from test_runs where run_id = $1", run_id)
    if row is None:
        raise HTTPException(404, "no such run")
    return {**row, "waiting_room": None}


@app.get("/v1/test-runs")
async def runs(request: Request, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> dict[str, Any]:
    """The newest runs."""
    rows = await request.app.state.pool.fetch(f"select {FIELDS} from test_runs order by submitted_at desc, run_id limit $1", limit)
    return {"runs": [dict(row) for row in rows]}


@app.post("/v1/test-runs/{plan_name}")
async def submit(plan_name: str, body: Submit, request: Request) -> dict[str, str]:
    """Writes the row of a run."""
    run_id = f"{plan_name}_{datetime.now(UTC):%Y%m%d-%H%M}_{secrets.token_hex(8)}"
    await request.app.state.pool.execute(
        "insert into test_runs (run_id, task_id, plan_name, plan_key, run_label, sut_type, scaling_mode, cluster_spec, cluster_settings, status)"
        " values ($1, $2, $3, $4, $5, $6, 'intra_node', $7, $8, 'PENDING')",
        run_id, secrets.token_hex(16), plan_name, f"plans/{plan_name}", body.label or plan_name, body.cluster_spec.get("type"), body.cluster_spec,
        body.cluster_settings,
    )  # fmt: skip
    return {"run_id": run_id, "plan_key": f"plans/{plan_name}", "strategy": "intra_node"}
