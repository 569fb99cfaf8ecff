"""
One launch or teardown of a ship at a time on this machine; the only importer of filelock.

The lock is the kernel's: it is free when its holder dies, however that happens. Who holds it, and since when, is
written beside it for the one who has to go away.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from cloudship import durable
from cloudship.errors import ConfigError, ShipBusy, StorageError
from cloudship.models import rfc3339

LAUNCHED, TAKEN_DOWN, EXTENDED = "launched", "taken down", "given more time"
_GLANCE = 0.3  # seconds: somebody who only looks whether it is free holds it for a moment
_held: set[Path] = set()  # by this process


@contextmanager
def alone(folder: Path, name: str, *, now: float, doing: str = LAUNCHED) -> Iterator[None]:
    """
    Hold a ship's lock.

    Args:
        folder: where its files lie; made when it is not there.
        name: the ship.
        now: unix time, for whoever comes second.
        doing: what becomes of the ship meanwhile, for whoever comes second.

    Raises:
        ShipBusy: another process holds it; with who and since when.
        ConfigError: nothing can be written there.
    """
    holder = folder / "holder.json"
    try:
        durable.folder(folder)
        with durable.mapped(folder / "lock"):
            lock = _acquired(folder, name)
    except StorageError as error:
        raise ConfigError(error.message, next_step=error.next_step) from error
    try:
        _held.add(folder)
        _introduce(holder, now, doing)
        yield
    finally:
        _held.discard(folder)
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _acquired(folder: Path, name: str) -> FileLock:
    lock = FileLock(folder / "lock", mode=0o600)
    try:
        lock.acquire(timeout=_GLANCE)
    except Timeout:
        raise ShipBusy(
            f"{name} is being {_described(folder / 'holder.json')}", next_step=f"wait, or: cloudship show {name}"
        ) from None
    return lock


@contextmanager
def alone_if_possible(folder: Path, name: str, *, now: float, doing: str) -> Iterator[None]:
    """
    Hold a ship's lock, unless nothing can be written where it lies: nobody launches from there then.

    Raises:
        ShipBusy: another process holds it; with who and since when.
    """
    with ExitStack() as stack:
        with suppress(ConfigError):
            stack.enter_context(alone(folder, name, now=now, doing=doing))
        yield


def is_free(folder: Path) -> bool:
    """Whether nobody else is at the ship whose files lie in a folder, right now; what cannot be known is no."""
    if folder in _held:
        return True
    try:
        if not (folder / "lock").exists():
            return True
        with FileLock(folder / "lock", mode=0o600).acquire(timeout=0):
            return True
    except (Timeout, OSError):
        return False


def _introduce(holder: Path, now: float, doing: str) -> None:
    """Say who holds it, as long as it is held: not worth a failure, nor to be kept over a crash."""
    told = json.dumps({"pid": os.getpid(), "user": _user(), "since": rfc3339(int(now)), "doing": doing})
    with suppress(OSError):
        holder.unlink(missing_ok=True)
        holder.touch(mode=0o600, exist_ok=False)
        holder.write_text(told, encoding="utf-8")


def _described(holder: Path) -> str:
    try:
        told = json.loads(durable.read(holder))
        return f"{told['doing']} on this machine by process {told['pid']} of {told['user']}, since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"{LAUNCHED} on this machine"  # it has only just taken the lock


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
