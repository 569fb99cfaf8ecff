"""The account's time, in one place so that it can be advanced one day."""

from __future__ import annotations

from datetime import datetime, timezone


def now() -> str:
    """Write the time as DigitalOcean does."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
