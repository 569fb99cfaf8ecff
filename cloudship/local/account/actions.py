"""Actions: what was asked of a droplet, and how far it came."""

from __future__ import annotations

import sqlite3
from typing import Any

from cloudship.local.account import catalogue
from cloudship.local.account.clock import CloudClock
from cloudship.local.account.store import Store
from cloudship.local.errors import not_found

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS actions (
        id INTEGER PRIMARY KEY AUTOINCREMENT, status TEXT NOT NULL, type TEXT NOT NULL,
        started_at TEXT NOT NULL, completed_at TEXT, droplet_id INTEGER NOT NULL, region TEXT NOT NULL)""",
    (
        "INSERT OR IGNORE INTO sqlite_sequence (name, seq) SELECT 'actions', 2000000000"
        " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'actions')"
    ),
)
IN_PROGRESS, COMPLETED, ERRORED = "in-progress", "completed", "errored"


class Actions:
    """The account's actions, newest first as DigitalOcean lists them."""

    def __init__(self, store: Store, clock: CloudClock) -> None:
        self._store, self._clock = store, clock

    def begin(self, kind: str, droplet_id: int, region: str) -> dict[str, Any]:
        """Record an action that begins now."""
        number = self._store.run(
            "INSERT INTO actions (status, type, started_at, droplet_id, region) VALUES (?, ?, ?, ?, ?)",
            IN_PROGRESS,
            kind,
            self._clock.now(),
            droplet_id,
            region,
        )
        return self.get(number)

    def begin_alone(self, kind: str, droplet_id: int, region: str) -> dict[str, Any] | None:
        """Record an action that begins now; None when another one of the droplet is under way."""
        with self._store.changing():
            return None if self.pending(droplet_id) else self.begin(kind, droplet_id, region)

    def end(self, number: int, status: str) -> None:
        """Record how an action ended."""
        self._store.run(
            "UPDATE actions SET status = ?, completed_at = ? WHERE id = ?", status, self._clock.now(), number
        )

    def get(self, number: int, *, droplet_id: int | None = None) -> dict[str, Any]:
        """Show one action, of one droplet where that is said."""
        row = self._store.row("SELECT * FROM actions WHERE id = ?", number)
        if row is None or droplet_id not in (None, row["droplet_id"]):
            raise not_found()
        return _shown(row)

    def all(self, *, droplet_id: int | None = None) -> list[dict[str, Any]]:
        """List the actions, of one droplet where that is said."""
        rows = self._store.rows("SELECT * FROM actions ORDER BY id DESC")
        return [_shown(row) for row in rows if droplet_id in (None, row["droplet_id"])]

    def pending(self, droplet_id: int) -> bool:
        """Whether an action of a droplet is under way."""
        query = "SELECT 1 FROM actions WHERE droplet_id = ? AND status = ?"
        return self._store.row(query, droplet_id, IN_PROGRESS) is not None

    def finish_create(self, droplet_id: int) -> None:
        """Complete the create of a droplet that was finished after a crash."""
        query = (
            "UPDATE actions SET status = ?, completed_at = ? WHERE droplet_id = ? AND type = 'create' AND status = ?"
        )
        self._store.run(query, COMPLETED, self._clock.now(), droplet_id, IN_PROGRESS)

    def give_up(self) -> None:
        """End, as errored, what a server that died left in progress."""
        self._store.run(
            "UPDATE actions SET status = ?, completed_at = ? WHERE status = ?", ERRORED, self._clock.now(), IN_PROGRESS
        )


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "status": row["status"],
        "type": row["type"],
        "started_at": row["started_at"],
        "completed_at": row["completed_at"],
        "resource_id": row["droplet_id"],
        "resource_type": "droplet",
        "region": catalogue.region(row["region"]),
        "region_slug": row["region"],
    }
