"""
What is about to be created, written down and on the disk before the call that creates it.

It only speeds recovery: everything in it can be found in the account by tags and names. A torn last line, as a
crash leaves it, is passed over.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from cloudship.models import Kind

INTENT, DONE, ENDED = "intent", "done", "ended"


@dataclass(frozen=True)
class Entry:
    """One line."""

    at: float  # unix time
    what: str  # INTENT before a create, DONE after it, ENDED when the launch needs no recovery any more
    launch: str
    cloud: str
    kind: str = ""
    label: str = ""  # the name that was asked for, or the id that was got


class Journal:
    """
    The journal of one user on one machine.

    Args:
        path: the file; it and its folder are for the user alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def intend(self, launch: str, cloud: str, kind: Kind, label: str) -> None:
        """Write down what is about to be created; on return it is on the disk."""
        self._write(Entry(time.time(), INTENT, launch, cloud, kind.value, label))

    def done(self, launch: str, cloud: str, kind: Kind, label: str) -> None:
        """Write down what was created."""
        self._write(Entry(time.time(), DONE, launch, cloud, kind.value, label))

    def ended(self, launch: str, cloud: str) -> None:
        """Write down that a launch answers, or is proved gone."""
        self._write(Entry(time.time(), ENDED, launch, cloud))

    def entries(self) -> tuple[Entry, ...]:
        """Read all that is whole."""
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except OSError:
            return ()
        return tuple(entry for line in lines if (entry := _read(line)) is not None)

    def _write(self, entry: Entry) -> None:
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, (json.dumps(asdict(entry)) + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read(line: str) -> Entry | None:
    try:
        return Entry(**json.loads(line))
    except (ValueError, TypeError):
        return None
