"""The tables as another program reads and writes them. Where they are is in libpq's own variables, `PGHOST` and so on."""

from typing import Any

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]

# What a run looks like over REST.
FIELDS = {
    "run_id", "plan_name", "run_label", "sut_type", "status", "scaling_mode", "cluster_spec", "cluster_settings",
    "submitted_at", "started_at", "completed_at", "error_detail",
}  # fmt: skip


class Ledger:
    """One connection; a new one where the server went away meanwhile."""

    def __init__(self) -> None:
        self._connection: psycopg.Connection[Row] | None = None

    def ask(self, statement: str, *values: Any) -> list[Row]:
        """Executes a statement and answers its rows, if it has any."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect("", autocommit=True, connect_timeout=3, row_factory=dict_row)
        try:
            cursor = self._connection.execute(statement, values)
        except psycopg.OperationalError:
            self._connection.close()
            raise
        return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """Gives the connection back."""
        if self._connection is not None:
            self._connection.close()

    def run(self, run_id: str) -> Row | None:
        """The row of a run."""
        rows = self.ask("select * from test_runs where run_id = %s", run_id)
        return rows[0] if rows else None

    def waiting_room(self, run_id: str) -> Row | None:
        """The waiting room of a run."""
        rows = self.ask("select * from waiting_room where run_id = %s", run_id)
        return rows[0] if rows else None
