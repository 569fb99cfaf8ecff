"""The database: one connection, one lock, and a table that each kind declares for itself."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Store:
    """
    SQLite behind a lock: handlers run in threads, and every change is one transaction.

    Args:
        path: the file; `:memory:` for none.
        schema: the statements that make the tables, each safe to repeat.
    """

    def __init__(self, path: Path | str, schema: Sequence[str]) -> None:
        self._lock = threading.RLock()
        if path != ":memory:":
            _make_private(Path(path))
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute(
            "PRAGMA synchronous=NORMAL"
        )  # safe when the process is killed; a commit costs no fsync
        self._connection.execute("PRAGMA foreign_keys=ON")
        for statement in schema:
            self._connection.execute(statement)
        self._depth = 0

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Make one transaction of what happens inside; nested ones join the outer one."""
        with self._lock:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._connection.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._connection.execute("COMMIT")

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """Read rows."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def row(self, query: str, *values: Any) -> sqlite3.Row | None:
        """Read one row, or None."""
        found = self.rows(query, *values)
        return found[0] if found else None

    def run(self, query: str, *values: Any) -> int:
        """Change something, and give the last row's id."""
        with self.changing():
            return self._connection.execute(query, values).lastrowid or 0

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def _make_private(path: Path) -> None:
    """
    Make the file before SQLite does, for one user alone; what SQLite puts beside it takes its mode and its owner.

    The user is whose folder it lies in: where root serves it for somebody, counting droplets needs no root.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        folder = path.parent.stat()
        if os.geteuid() == 0 and folder.st_uid != 0:
            os.fchown(descriptor, folder.st_uid, folder.st_gid)
    finally:
        os.close(descriptor)
