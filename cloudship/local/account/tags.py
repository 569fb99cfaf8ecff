"""Tags: made on the fly, written as they were first written, found whatever the case."""

from __future__ import annotations

import re
from typing import Any

from cloudship.local.account.store import Store
from cloudship.local.errors import not_found, unprocessable

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS tags (name TEXT PRIMARY KEY COLLATE NOCASE)",
    """CREATE TABLE IF NOT EXISTS tagged (
        tag TEXT NOT NULL COLLATE NOCASE REFERENCES tags (name) ON DELETE CASCADE,
        droplet_id INTEGER NOT NULL REFERENCES droplets (id) ON DELETE CASCADE,
        PRIMARY KEY (tag, droplet_id))""",
)
_RULE = re.compile(r"[a-zA-Z0-9_\-:]{1,255}")
_EMPTY = ("images", "volumes", "volume_snapshots", "databases")


class Tags:
    """The tags and what carries them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, name: Any) -> dict[str, Any]:
        """Make a tag, or find it made."""
        if not isinstance(name, str) or not _RULE.fullmatch(name):
            raise unprocessable(
                "Name must contain only letters, numbers, colons, dashes, and underscores, and at most 255"
            )
        self._store.run("INSERT OR IGNORE INTO tags (name) VALUES (?)", name)
        return self.get(name)

    def missing(self, names: Any) -> list[str]:
        """Pick, of names that may be asked for, those of tags that are not there, each once whatever its case."""
        asked = {one.lower(): one for one in names if isinstance(one, str)} if isinstance(names, list) else {}
        return [one for one in asked.values() if not self._store.row("SELECT 1 FROM tags WHERE name = ?", one)]

    def get(self, name: str) -> dict[str, Any]:
        """Show one tag and how much carries it."""
        row = self._store.row("SELECT name FROM tags WHERE name = ?", name)
        if row is None:
            raise not_found()
        ids = self.droplets(name)
        droplets: dict[str, Any] = {"count": len(ids)}
        if ids:
            droplets["last_tagged_uri"] = f"https://api.digitalocean.com/v2/droplets/{ids[-1]}"
        resources = {**droplets, "droplets": droplets, **{kind: {"count": 0} for kind in _EMPTY}}
        return {"name": row["name"], "resources": resources}

    def all(self) -> list[dict[str, Any]]:
        """List all tags."""
        with self._store.changing():  # so that none goes while they are looked at
            return [self.get(row["name"]) for row in self._store.rows("SELECT name FROM tags ORDER BY name")]

    def delete(self, name: str) -> None:
        """Remove a tag from everything."""
        self.get(name)
        self._store.run("DELETE FROM tags WHERE name = ?", name)

    def attach(self, name: str, droplet_id: int) -> None:
        """Put a tag on a droplet, making it when it is new."""
        with self._store.changing():
            made = self.create(name)["name"]
            self._store.run("INSERT OR IGNORE INTO tagged (tag, droplet_id) VALUES (?, ?)", made, droplet_id)

    def detach(self, name: str, droplet_id: int) -> None:
        """Take a tag off a droplet."""
        self._store.run("DELETE FROM tagged WHERE tag = ? AND droplet_id = ?", name, droplet_id)

    def droplets(self, name: str) -> list[int]:
        """Name the droplets that carry a tag."""
        rows = self._store.rows("SELECT droplet_id FROM tagged WHERE tag = ? ORDER BY rowid", name)
        return [row["droplet_id"] for row in rows]

    def of(self, droplet_id: int) -> list[str]:
        """List the tags of a droplet, in the order in which they came."""
        query = "SELECT name FROM tagged JOIN tags ON name = tag WHERE droplet_id = ? ORDER BY tagged.rowid"
        return [row["name"] for row in self._store.rows(query, droplet_id)]
