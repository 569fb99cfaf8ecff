"""A laptop that is closed in the middle of a command: an hour later it wakes, and all its connections are gone."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from campaign.points import Point
from cloudship import waiting
from cloudship.local.handle import LocalCloud

HOUR = 3600.0
_AWAKE: set[str] = set()  # in a fork: the sockets of the campaign's own, which stay


def remember_foreign_sockets() -> None:
    """Note, before a command begins, which sockets are none of its own."""
    _AWAKE.update(name for _, name in _sockets())


def at(point: Point, knobs: LocalCloud, *, counts: bool) -> Callable[[Point], None]:
    """
    Sleep for an hour at a point.

    Args:
        point: where.
        knobs: the local cloud, whose hour passes too.
        counts: whether the monotonic clock goes on in the sleep: on some systems it does.
    """

    def act(here: Point) -> None:
        if here == point:
            _sleep(knobs)
            _move("wall")
            if counts:
                _move("monotonic")
            _hang_up()

    return act


def _sleep(knobs: LocalCloud) -> None:
    """Stop this process, and have another one wake it when the hour is over."""
    sleeper, waker = os.getpid(), os.fork()
    if waker == 0:
        try:
            while Path(f"/proc/{sleeper}/stat").read_text().rpartition(")")[2].split()[0] != "T":
                time.sleep(0.001)
            knobs.advance(HOUR)
        finally:
            os.kill(sleeper, signal.SIGCONT)
            os._exit(0)
    os.kill(sleeper, signal.SIGSTOP)
    os.waitpid(waker, 0)


def _move(clock: str) -> None:
    plain = getattr(waiting.REAL, clock)
    object.__setattr__(waiting.REAL, clock, lambda: plain() + HOUR)


def _hang_up() -> None:
    """End this command's connections: whoever was at the other end gave them up long ago."""
    for descriptor, name in _sockets():
        if name not in _AWAKE:
            with socket.socket(fileno=os.dup(descriptor)) as one:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # it is not connected


def _sockets() -> list[tuple[int, str]]:
    found = []
    for path in Path("/proc/self/fd").iterdir():
        try:
            name = str(path.readlink())
        except OSError:
            continue  # the one that lists them
        if name.startswith("socket:"):
            found.append((int(path.name), name))
    return found
