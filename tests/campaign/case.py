"""One command in a fork of this preloaded process: two milliseconds instead of an interpreter's three hundred."""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from campaign.machine import FakeShell, stand_in
from campaign.points import Point, Watch, hurry_the_wire, step_the_clock
from campaign.started import Started
from cloudship.local.handle import LocalCloud

INDEX_PASSWORD = "canary-4be2c8-index"  # noqa: S105  the oracle looks for it everywhere
LIMIT = 60.0  # seconds of the machine's own time
PATIENT = 3.0  # seconds that one request may take where every one is answered


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int  # the exit status; a signal's number, negative, where one killed it
    output: str  # both streams
    seconds: float
    words: str = ""  # of the programs that it started
    left: frozenset[str] = frozenset()  # in the folder for temporary files, of one that could have cleaned up


def run(
    words: list[str],
    knobs: LocalCloud,
    environ: dict[str, str],
    act: Callable[[Point], None],
    mutate: Callable[[], None] = lambda: None,
    wire: float = PATIENT,
) -> Ended:
    """
    Run `cloudship WORDS` in a fork, with a stand-in for the droplet and a stepped clock.

    Args:
        words: of the command line.
        knobs: the local cloud.
        environ: variables of its own.
        act: is told of each moment at a boundary.
        mutate: breaks something in the fork first, to see whether a campaign notices.
        wire: seconds that one request may take.
    """
    return fork(work_of(words, knobs, act, mutate, wire), environ)


def fork(work: Callable[[], int], environ: dict[str, str]) -> Ended:
    """Run something in a fork, and collect what it says."""
    reading, writing = os.pipe()
    began, watch = time.monotonic(), Aftermath(environ)
    pid = os.fork()
    if pid == 0:
        child(work, environ, lambda: _say_into(writing), watch.started)
    os.close(writing)
    output = _collected(reading, pid, began)
    return watch.ended(waited(pid), output, time.monotonic() - began)


class Aftermath:
    """
    What is looked at when a fork has ended: the words of what it started, and its temporary files.

    Args:
        environ: the fork's.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.started = Started()
        self._folder = environ.get("TMPDIR", "")
        self._before = self._files()

    def ended(self, status: int, output: str, seconds: float) -> Ended:
        """Say how it ended; who was killed could not clean up."""
        left = frozenset() if status == -signal.SIGKILL else self._files() - self._before
        return Ended(status, output, seconds, self.started.words(), left)

    def _files(self) -> frozenset[str]:
        try:
            return frozenset(path.name for path in Path(self._folder).iterdir()) if self._folder else frozenset()
        except OSError:  # where a case has none, or none that can be read
            return frozenset()


def child(work: Callable[[], int], environ: dict[str, str], attach: Callable[[], None], started: Started) -> NoReturn:
    """
    Carry out a case's work in a fork, and end with the status that it gives.

    Args:
        work: is done.
        environ: variables of its own.
        attach: puts the fork's three streams in their places, in a session of its own.
        started: notes which programs it starts.
    """
    status = 70
    gc.disable()  # a collection would copy every page of the parent's heap, and what is made here is gone in a moment
    try:
        os.setsid()
        attach()
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", buffering=1, closefd=False)
        sys.stdin = os.fdopen(0, closefd=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        os.environ.update(environ)
        tempfile.tempdir = None  # the parent may have asked already where that is
        started.watch()
        status = work()
    except BaseException:  # noqa: BLE001  whatever it is, the parent must see it
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):  # a case may have closed them, or taken them away
                stream.flush()
        os._exit(status)


def waited(pid: int) -> int:
    """Wait for a fork to end; the number of the signal that killed it is negative."""
    _, ended = os.waitpid(pid, 0)
    return -os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else os.WEXITSTATUS(ended)


def _say_into(writing: int) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream in (1, 2):
        os.dup2(writing, stream)


def work_of(
    words: list[str],
    knobs: LocalCloud,
    act: Callable[[Point], None],
    mutate: Callable[[], None] = lambda: None,
    wire: float = PATIENT,
) -> Callable[[], int]:
    """Give what a fork does to run `cloudship WORDS`, see `run`."""
    return lambda: _command(words, knobs, act, mutate, wire)


def _command(
    words: list[str], knobs: LocalCloud, act: Callable[[Point], None], mutate: Callable[[], None], wire: float
) -> int:
    from cloudship import cli

    stand_in()
    mutate()
    step_the_clock(knobs)
    hurry_the_wire(wire)
    Watch(act).install(FakeShell)
    sys.argv[1:] = words
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 70


def _collected(reading: int, pid: int, began: float) -> str:
    parts = []
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while True:
            left = began + LIMIT - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                os.kill(pid, signal.SIGKILL)
                parts.append(b"\n[killed by the campaign: it took too long]\n")
                break
            chunk = pipe.read(65536)
            if not chunk:
                break
            parts.append(chunk)
    return b"".join(parts).decode("utf-8", "replace")


def environment(place: Path, token_canary: str = "") -> dict[str, str]:
    """Give a case its own home and state, and a folder for temporary files, beside what is its own."""
    for folder in (place, temporary(place)):
        folder.mkdir(parents=True, exist_ok=True)
    found = {"CLOUDSHIP_STATE_DIR": str(place / "state"), "HOME": str(place), "CLOUDSHIP_OWNER": "me"}
    found["TMPDIR"] = str(temporary(place))
    found["UV_INDEX_URL"] = f"https://somebody:{INDEX_PASSWORD}@index.invalid/simple/"
    return {**found, "CLOUDSHIP_CAMPAIGN": token_canary}


def temporary(place: Path) -> Path:
    """Say where the temporary files of a case lie."""
    return place.with_name(f"{place.name}.tmp")
