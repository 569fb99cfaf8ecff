"""Locks between processes: one start or stop at a time, and one server in a directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloudship.local.errors import LocalCloudError

_TURN, _SERVER = "start.lock", "server.lock"


@contextmanager
def turn(directory: Path) -> Iterator[None]:
    """Wait for one's turn to start, stop or reset the local cloud of a directory."""
    descriptor = _opened(directory / _TURN)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def serving_alone(directory: Path) -> Iterator[int]:
    """
    Be the one server of a directory; the kernel frees the place however the process ends.

    Gives the descriptor that holds the place: a child that inherits it goes on holding it.

    Raises:
        LocalCloudError: another process is it.
    """
    descriptor = _opened(directory / _SERVER)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise LocalCloudError(f"Another process serves {directory} already") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def served(directory: Path) -> bool:
    """Whether a server has the directory, also one that does not answer yet or any more."""
    try:
        with serving_alone(directory):
            return False
    except LocalCloudError:
        return True


def _opened(path: Path) -> int:
    """Open for reading: a lock needs no more, and root may have made the file of an unprivileged caller."""
    return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
