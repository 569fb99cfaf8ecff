"""The account of the local cloud: its state in SQLite, one module for each kind of resource."""

from cloudship.local.account.account import Account

__all__ = ["Account"]
