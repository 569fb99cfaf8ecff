"""The account: every kind of resource over one database. Adding a kind is one line here."""

from __future__ import annotations

from pathlib import Path

from cloudship.local.account import actions, droplets, keys, tags
from cloudship.local.account.store import Store

FILE = "account.sqlite"


class Account:
    """
    All state of a local cloud.

    Args:
        directory: where the database lies.
    """

    def __init__(self, directory: Path) -> None:
        self.store = Store(directory / FILE, (*keys.SCHEMA, *droplets.SCHEMA, *tags.SCHEMA, *actions.SCHEMA))
        self.keys = keys.Keys(self.store)
        self.tags = tags.Tags(self.store)
        self.actions = actions.Actions(self.store)
        self.droplets = droplets.Droplets(self.store, self.keys, self.tags)

    def close(self) -> None:
        """Close the database."""
        self.store.close()
