"""
A local cloud's server in a fork of this process, killed at one of its own steps or at any moment, and begun again.

The steps are not written by hand: whatever the server does to the world (a command that it runs, a file or a folder
that it makes, renames or removes, a signal that it sends) is seen by an audit hook of the interpreter, and every write
of the account by its store. A new step is covered by itself.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import re
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cloudship.local import endpoint, server
from cloudship.local.account.store import Store
from cloudship.local.endpoint import Endpoint
from cloudship.local.machines.registry import driver
from cloudship.local.transitions import Transitions
from cloudship.local.turns import served, serving_alone

_EVENTS = frozenset({"subprocess.Popen", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.kill", "os.chmod"})
_WRITING = os.O_WRONLY | os.O_RDWR
_NUMBERS = re.compile(r"\b[0-9a-f]{6}\b|[0-9]+")
_LIMIT = 60.0
_RECORD = -1  # in place of a number of steps: write them down


class Fuse:
    """How many more steps the server may take; shared with it."""

    def __init__(self, trace: Path) -> None:
        self._shared = mmap.mmap(-1, 8)
        self._trace = trace

    def set(self, steps: int) -> None:
        """Let it be killed right before the step of that number, counted from 1; 0 never."""
        self._shared[:] = struct.pack("q", steps)

    def watch(self, act: Callable[[], Any]) -> list[str]:
        """Let it do something undisturbed, and name the steps."""
        self._trace.unlink(missing_ok=True)
        self.set(_RECORD)
        act()
        self.set(0)
        return self._trace.read_text("utf-8").splitlines() if self._trace.exists() else []

    def step(self, label: str) -> None:
        """Be told of a step, in the server."""
        left = int(struct.unpack("q", self._shared[:])[0])
        if left == _RECORD:
            descriptor = os.open(self._trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(descriptor, (_NUMBERS.sub("N", label) + "\n").encode())
            os.close(descriptor)
        elif left > 0:
            self.set(left - 1)
            if left == 1:
                os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Stand at every step of this process, for ever."""
        inside = [False]

        def hook(event: str, told: tuple[Any, ...]) -> None:
            if not inside[0] and (label := _label(event, told, self._trace)):
                inside[0] = True
                try:
                    self.step(label)
                finally:
                    inside[0] = False

        plain = Store.run

        def run(store: Store, query: str, *values: Any) -> int:
            words = " ".join(query.split()[:3])
            self.step(f"before {words}")
            found = plain(store, query, *values)
            self.step(f"after {words}")
            return found

        Store.run = run  # type: ignore[method-assign]
        sys.addaudithook(hook)


def _label(event: str, told: tuple[Any, ...], trace: Path) -> str | None:
    if event == "open":
        path, _, flags = told
        writes = isinstance(path, str) and flags & _WRITING and path not in (str(trace), os.devnull)
        return f"open {Path(path).name}" if writes else None
    if event not in _EVENTS:
        return None
    if event == "subprocess.Popen":
        return "run " + " ".join(Path(str(word)).name for word in told[1][:4])
    return f"{event} {Path(str(told[0])).name}"


class CrashBox:
    """One local cloud, whose server comes and goes."""

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.directory, self.driver_name = directory, name
        self.fuse = Fuse(directory.with_name(directory.name + ".trace"))
        self._pid: int | None = None

    def fork(self) -> None:
        """Begin a server in place of the one before, without waiting for it."""
        self.kill()
        deadline = time.monotonic() + _LIMIT
        while served(self.directory):  # a command of the one before has not ended yet
            assert time.monotonic() < deadline, "somebody holds the directory"
            time.sleep(0.001)
        pid = os.fork()
        if pid == 0:
            self._child()
        self._pid = pid

    def start(self) -> Endpoint | None:
        """Begin a server; None when it was killed before it answered."""
        self.fork()
        deadline = time.monotonic() + _LIMIT
        while (found := endpoint.read(self.directory)) is None or found.pid != self._pid:
            if self.ended():
                return None
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.001)
        return found

    def ended(self) -> bool:
        """Whether the server has ended, whatever the way."""
        if self._pid is not None and os.waitpid(self._pid, os.WNOHANG) != (0, 0):
            self._pid = None
        return self._pid is None

    def kill(self) -> None:
        """Kill it, if it is there still."""
        self._send(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to stop, and wait for its end."""
        self._send(signal.SIGTERM)

    def log(self) -> str:
        """Give what it said."""
        with suppress(FileNotFoundError):
            return (self.directory / "server.log").read_text("utf-8", "replace")[-4000:]
        return ""

    def _send(self, number: int) -> None:
        deadline = time.monotonic() + _LIMIT
        if self._pid is not None:
            os.kill(self._pid, number)
        while not self.ended():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.001)

    def _child(self) -> None:
        try:
            os.setsid()
            log = os.open(self.directory / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            for stream in (1, 2):
                os.dup2(log, stream)
            sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
            logging.getLogger().handlers = [logging.StreamHandler(sys.stderr)]
            self.fuse.install()
            with serving_alone(self.directory) as place:
                os.set_inheritable(place, True)  # noqa: FBT003  it takes no keyword
                machines = driver(self.driver_name, self.directory)
                asyncio.run(server.serve(self.directory, machines, 0, Transitions()))
            os._exit(0)
        except BaseException:  # noqa: BLE001  whatever it is, the log has it
            traceback.print_exc()
        finally:
            os._exit(70)
