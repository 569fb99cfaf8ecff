"""The account: every kind of resource over one database. Adding a kind is one line here."""

from __future__ import annotations

from pathlib import Path

from cloudship.local.account import actions, droplets, keys, tags
from cloudship.local.account.clock import CloudClock
from cloudship.local.account.store import Store

FILE = "account.sqlite"


class Account:
    """
    All state of a local cloud.

    Args:
        directory: where the database lies.
        clock: its time.
    """

    def __init__(self, directory: Path, clock: CloudClock | None = None) -> None:
        self.clock = clock or CloudClock()
        self.store = Store(directory / FILE, (*keys.SCHEMA, *droplets.SCHEMA, *tags.SCHEMA, *actions.SCHEMA))
        self.keys = keys.Keys(self.store)
        self.tags = tags.Tags(self.store)
        self.actions = actions.Actions(self.store, self.clock)
        self.droplets = droplets.Droplets(self.store, self.keys, self.tags, self.clock)

    def clear(self) -> None:
        """Forget everything; numbers are not used again."""
        with self.store.changing():
            for table in ("tagged", "tags", "keys", "actions", "dying", "droplets"):
                self.store.run(f"DELETE FROM {table}")  # noqa: S608  a fixed word

    def close(self) -> None:
        """Close the database."""
        self.store.close()
