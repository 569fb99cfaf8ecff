"""
The boundaries that a command crosses, each with a name, and what happens at one of them.

A point is a boundary, which crossing of it, and a moment: before the act, or after its effect and before anybody
hears of it. They are found by watching a command that goes well, so a new call is covered by itself.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from cloudship import durable, git, journal, keys, launch, locking, readiness, waiting, wire
from cloudship.errors import Unreachable
from cloudship.local.handle import LocalCloud

_IDS = re.compile(r"(?<![a-z])[0-9a-f]{10}(?![0-9a-z])|[0-9]{6,}")


@dataclass(frozen=True)
class Point:
    """One moment of a command."""

    boundary: str  # as in `api POST droplets/`
    crossing: int  # 1 is the first
    moment: str  # before or after

    def __str__(self) -> str:
        return f"{self.moment} {self.boundary} #{self.crossing}"


class Watch:
    """
    Sees every boundary as it is crossed.

    Args:
        act: is told of each moment; what it does happens there.
    """

    def __init__(self, act: Callable[[Point], None]) -> None:
        self._act = act
        self._crossings: Counter[str] = Counter()
        self._lock = threading.Lock()

    def install(self, shell: type) -> None:
        """Stand at every boundary of this process, the stand-in for a droplet's shell included."""
        self._around(wire.Wire, "perform", lambda _self, _made, url, method, _params: f"api {method} {_plain(url)}")
        self._around(durable.os, "fsync", lambda descriptor: f"disk fsync {_named(descriptor)}")
        self._around(journal.Journal, "_write", lambda _self, entry: f"journal {entry.what} {entry.kind}".strip())
        for name in ("save_identity", "pin", "remove"):
            self._around(keys.LaunchFiles, name, lambda *_, name=name: f"files {name}")
        self._around(shell, "connect", lambda *_a, **_k: "ssh connect")
        self._around(shell, "run", lambda _self, command, **_k: f"ssh {_command(command)}")
        self._around(shell, "stream", lambda _self, command, **_k: f"ssh {_command(command)}")
        self._around(git, "push", lambda *_a, **_k: "git push")
        self._around(readiness, "look", lambda *_a, **_k: "http look")
        self._around(locking.FileLock, "acquire", lambda *_a, **_k: "lock acquire")
        self._around(launch, "_tie", lambda *_a: "files tie")

    def _around(self, place: Any, name: str, label: Callable[..., str]) -> None:
        plain = vars(place)[name] if isinstance(place, type) and name in vars(place) else getattr(place, name)
        inner = plain.__func__ if isinstance(plain, classmethod) else plain

        @wraps(inner)
        def watched(*args: Any, **kwargs: Any) -> Any:
            boundary = label(*args, **kwargs)
            with self._lock:
                self._crossings[boundary] += 1
                crossing = self._crossings[boundary]
            self._act(Point(boundary, crossing, "before"))
            try:
                found = inner(*args, **kwargs)
            except (
                Unreachable
            ):  # on a machine that stalls an answer comes too late; its repetition is the same crossing
                with self._lock:
                    self._crossings[boundary] -= 1
                raise
            self._act(Point(boundary, crossing, "after"))
            return found

        setattr(place, name, classmethod(watched) if isinstance(plain, classmethod) else watched)


def hurry_the_wire(seconds: float) -> None:
    """Give one request little time: sockets do not know the stepped clock."""
    plain = wire.Wire.__init__

    def hurried(self: Any, _timeout: float, *rest: Any) -> None:
        plain(self, seconds, *rest)

    wire.Wire.__init__ = hurried  # type: ignore[method-assign]


def step_the_clock(knobs: LocalCloud) -> None:
    """Let waits cost nothing: who sleeps moves the time on, here and in the local cloud."""
    offset = [0.0]
    real_monotonic, real_wall, real_sleep = waiting.REAL.monotonic, waiting.REAL.wall, waiting.REAL.sleep

    def sleep(seconds: float) -> None:
        real_sleep(min(seconds, 0.001))
        offset[0] += seconds
        if seconds >= 0.25:
            knobs.advance(seconds)

    steps = {
        "monotonic": lambda: real_monotonic() + offset[0],
        "wall": lambda: real_wall() + offset[0],
        "sleep": sleep,
    }
    for name, step in steps.items():
        object.__setattr__(waiting.REAL, name, step)


def kill_at(point: Point, number: int) -> Callable[[Point], None]:
    """Send this process a signal at a point, once."""
    sent: list[Point] = []

    def act(here: Point) -> None:
        if here == point and not sent:
            sent.append(here)
            os.kill(os.getpid(), number)

    return act


def _named(descriptor: int) -> str:
    name = os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115, PTH119  it is asked all the time
    return re.sub("-[0-9]+$", "", _IDS.sub("N", name))  # the number of a case is no part of it


def _plain(url: str) -> str:
    return _IDS.sub("N", url.split("?", maxsplit=1)[0])


def _command(command: Any) -> str:
    words = command.split() if isinstance(command, str) else list(command)
    return _IDS.sub("N", " ".join(str(word) for word in words[:3]))[:60]
