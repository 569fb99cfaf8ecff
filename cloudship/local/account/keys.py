"""SSH keys of the account."""

from __future__ import annotations

import base64
import binascii
import hashlib
import sqlite3
from typing import Any

from cloudship.local.account.store import Store
from cloudship.local.errors import not_found, unprocessable

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS keys (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,
        fingerprint TEXT NOT NULL UNIQUE, public_key TEXT NOT NULL)""",
    (
        "INSERT OR IGNORE INTO sqlite_sequence (name, seq) SELECT 'keys', 40000000"
        " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'keys')"
    ),
)
_INVALID = "Key invalid, key should be of the format `type key [comment]`"


class Keys:
    """The keys, found by id or by fingerprint."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, name: Any, public_key: Any) -> dict[str, Any]:
        """Add a key; refused when it is none, or already there."""
        if not isinstance(name, str) or not name:
            raise unprocessable("Name can't be blank")
        mark = fingerprint(public_key)
        with self._store.changing():
            if self._store.row("SELECT id FROM keys WHERE fingerprint = ?", mark):
                raise unprocessable("SSH Key is already in use on your account")
            number = self._store.run(
                "INSERT INTO keys (name, fingerprint, public_key) VALUES (?, ?, ?)", name, mark, public_key
            )
        return self.get(str(number))

    def get(self, key: str) -> dict[str, Any]:
        """Show one key by id or fingerprint."""
        column = "id" if key.isdigit() else "fingerprint"
        row = self._store.row(f"SELECT * FROM keys WHERE {column} = ?", key)  # noqa: S608  one of two words
        if row is None:
            raise not_found()
        return _shown(row)

    def all(self) -> list[dict[str, Any]]:
        """List all keys."""
        return [_shown(row) for row in self._store.rows("SELECT * FROM keys ORDER BY id")]

    def rename(self, key: str, name: Any) -> dict[str, Any]:
        """Give a key another name."""
        if not isinstance(name, str) or not name:
            raise unprocessable("Name can't be blank")
        number = self.get(key)["id"]
        self._store.run("UPDATE keys SET name = ? WHERE id = ?", name, number)
        return self.get(str(number))

    def delete(self, key: str) -> None:
        """Remove a key."""
        self._store.run("DELETE FROM keys WHERE id = ?", self.get(key)["id"])


def fingerprint(public_key: Any) -> str:
    """Compute the MD5 fingerprint that DigitalOcean knows a key by."""
    words = public_key.split() if isinstance(public_key, str) else []
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error) as error:
        raise unprocessable(_INVALID) from error
    kind = words[0].encode()
    if blob[4 : 4 + len(kind)] != kind:
        raise unprocessable(_INVALID)
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    return {key: row[key] for key in ("id", "fingerprint", "public_key", "name")}
