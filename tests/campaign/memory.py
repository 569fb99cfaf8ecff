"""
What a droplet of driver none remembers: its releases and its values, in a file beside the local cloud's own.

It is found as a real one is, by its address, and answers only while the cloud says that it is there and powered on.
What it does is done at once and whole: a release that is cut off in its middle is `tests/droplet/`'s affair.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from cloudship import tags
from cloudship.errors import HostKeyMismatch, ShellUnreachable


def launch_at(address: str) -> str | None:
    """Name the launch whose droplet has an address and is powered on; None where nobody answers."""
    query = "SELECT name FROM droplets WHERE address = ? AND status = 'active'"
    with closing(sqlite3.connect(f"file:{_directory() / 'account.sqlite'}?mode=ro", uri=True)) as database:
        row = database.execute(query, (address,)).fetchone()
    found = tags.read_droplet_name(row[0]) if row else None
    return found.launch if found is not None else None


def answering(address: str, launch: str) -> Memory:
    """
    Log in to a droplet as a launch.

    Raises:
        ShellUnreachable: nobody answers there.
        HostKeyMismatch: another launch's droplet has the address now.
    """
    there = launch_at(address)
    if there is None:
        raise ShellUnreachable(f"{address} refuses connections on its SSH port")
    if there != launch:
        raise HostKeyMismatch("Somebody else answers on the droplet's address: the host key is not the pinned one")
    return Memory(launch)


class Memory:
    """
    Of one launch's droplet.

    Args:
        launch: whose.
    """

    def __init__(self, launch: str) -> None:
        self._file = _directory() / "played" / f"{launch}.json"

    @property
    def live(self) -> int | None:
        """The live release."""
        found: int | None = self._read()["live"]
        return found

    def released(self, options: Sequence[str]) -> int:
        """Make what was pushed the live release, with what the push says of itself; gives its number."""
        told = dict(option.partition("=")[::2] for option in options)
        with self._changing() as kept:
            number = len(kept["releases"]) + 1
            kept["releases"].append({"number": number, "at": "2026-01-31T12:00:00Z", "commit": "", **told})
            kept["live"] = number
        return number

    def rolled_back(self, number: int | None) -> int | None:
        """Make an earlier release live again; None where there is none."""
        with self._changing() as kept:
            earlier = [one["number"] for one in kept["releases"] if one["number"] < (kept["live"] or 0)]
            chosen = number if number is not None else next(reversed(earlier), None)
            if chosen is None or chosen == kept["live"] or chosen > len(kept["releases"]):
                return None
            kept["live"] = chosen
        return chosen

    def store(self, key: str, value: Any) -> None:
        """Replace the values, the settings, or whether the site is closed."""
        with self._changing() as kept:
            kept[key] = value

    def kept(self, key: str) -> Any:
        """Read one of them."""
        return self._read()[key]

    def overview(self) -> list[dict[str, Any]]:
        """Tell all releases, newest first, as the program on a droplet does."""
        kept = self._read()
        state = {kept["live"]: "live"}
        return [{"state": state.get(one["number"], "kept"), **one} for one in reversed(kept["releases"])]

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        self._file.parent.mkdir(exist_ok=True)
        with self._file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = self._read()
            yield kept
            unfinished = self._file.with_suffix(".part")
            unfinished.write_text(json.dumps(kept), encoding="utf-8")
            unfinished.replace(self._file)

    def _read(self) -> dict[str, Any]:
        fresh: Mapping[str, Any] = {
            "releases": [],
            "live": None,
            "values": {},
            "settings": {},
            "closed": False,
            "host_key": None,  # of its own; None: it still has the temporary one
        }
        try:
            return {**fresh, **json.loads(self._file.read_text(encoding="utf-8"))}
        except OSError:
            return dict(fresh)


def _directory() -> Path:
    return Path(os.environ["CLOUDSHIP_LOCAL_DIR"])
