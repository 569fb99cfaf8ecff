"""
One launch of a ship at a time on this machine; the only importer of filelock.

The lock is the kernel's: it is free when its holder dies, however that happens. Who holds it, and since when, is
written beside it for the one who has to go away.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from cloudship.errors import ConfigError, ShipBusy
from cloudship.models import rfc3339

_GLANCE = 0.3  # seconds: somebody who only looks whether it is free holds it for a moment


@contextmanager
def alone(folder: Path, name: str, *, now: float) -> Iterator[None]:
    """
    Hold a ship's lock.

    Args:
        folder: where its files lie; made when it is not there.
        name: the ship.
        now: unix time, for whoever comes second.

    Raises:
        ShipBusy: another process holds it; with who and since when.
        ConfigError: nothing can be written there.
    """
    holder = folder / "holder.json"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(
            f"{folder}, where the keys of launches lie, cannot be made: {error.strerror}",
            next_step="export CLOUDSHIP_STATE_DIR=..., a folder that you may write to",
        ) from error
    try:
        with FileLock(folder / "lock").acquire(timeout=_GLANCE):
            holder.write_text(json.dumps({"pid": os.getpid(), "user": _user(), "since": rfc3339(int(now))}), "utf-8")
            try:
                yield
            finally:
                holder.unlink(missing_ok=True)
    except Timeout:
        raise ShipBusy(
            f"{name} is being launched on this machine{_described(holder)}",
            next_step=f"wait, or: cloudship show {name}",
        ) from None


def is_free(folder: Path) -> bool:
    """Whether nobody launches the ship whose files lie in a folder, right now."""
    if not (folder / "lock").exists():
        return True
    try:
        with FileLock(folder / "lock").acquire(timeout=0):
            return True
    except Timeout:
        return False


def _described(holder: Path) -> str:
    try:
        told = json.loads(holder.read_text(encoding="utf-8"))
        return f" by process {told['pid']} of {told['user']}, since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # it has only just taken the lock


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
