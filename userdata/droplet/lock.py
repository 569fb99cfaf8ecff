"""One release after the other: a lock that the kernel frees when its holder dies, and that says who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from typing import IO, Any, Callable, Dict, Iterator, Optional

from droplet.layout import Layout


class Lock:
    """The lock, held."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def tell(self, number: int, by: str) -> None:
        """Write down which release holds it, for those who wait."""
        self.write(json.dumps({"number": number, "by": by, "since": time.time(), "pid": os.getpid()}))

    def write(self, text: str) -> None:
        """Replace what is written in it."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(text)
        self._file.flush()


@contextmanager
def alone(layout: Layout, say: Callable[[str], None] = lambda line: None) -> Iterator[Lock]:
    """Wait until nobody else releases, saying for whom, and keep others waiting meanwhile."""
    with layout.lock.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(waiting_for(_read(file)))
            fcntl.flock(file, fcntl.LOCK_EX)
        lock = Lock(file)
        lock.write("")  # what a dead holder wrote is no longer true
        yield lock
        lock.write("")


@contextmanager
def settling(layout: Layout, number: int) -> Iterator[None]:
    """Tell others that somebody watches over a release's web process, drains and stops it."""
    with (layout.release(number) / "settling.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def is_settling(layout: Layout, number: int) -> bool:
    """Whether somebody watches over a release's web process."""
    try:
        with (layout.release(number) / "settling.lock").open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def holder(layout: Layout) -> Optional[Dict[str, Any]]:
    """Say who holds the lock; None when nobody does. It only looks: trying the lock would keep others waiting."""
    try:
        with layout.lock.open("r", encoding="utf-8") as file:
            told = _read(file)
        os.kill(told["pid"], 0) if told else None
    except OSError:  # no such file, or no such process: its holder died
        return None
    return told


def waiting_for(held: Optional[Dict[str, Any]]) -> str:
    """Put into words what is waited for."""
    if not held:
        return "cloudship: waiting for another release"
    since = time.strftime("%H:%M:%S", time.gmtime(held["since"]))
    return f"cloudship: waiting for release {held['number']} ({held['by']}, since {since})"


def _read(file: IO[str]) -> Optional[Dict[str, Any]]:
    file.seek(0)
    try:
        told = json.loads(file.read())
    except ValueError:
        return None
    return dict(told)
