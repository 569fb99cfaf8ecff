"""
One control group for each machine, limited to its memory; its cores are not a matter of groups (`cores`).

Without one of its own, machines started from the same place share a group, and systemd inside them stops each
other's services. Version 1, hybrid and version 2 hosts differ in where the group lies.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
# In no group for the processor, the kernel makes one of each session, and a nice value counts only inside one.
_CONTROLLERS = ("memory", "cpu", "pids")
_TASKS = 8192


@dataclass(frozen=True)
class Group:
    """The control group of one machine, in every hierarchy that matters."""

    name: str

    @property
    def places(self) -> tuple[Path, ...]:
        """The folders to enter, systemd's own first."""
        if (ROOT / "cgroup.controllers").exists():
            return (ROOT / self.name,)
        hierarchies = ("systemd", "unified", *_CONTROLLERS)
        return tuple(ROOT / one / self.name for one in hierarchies if (ROOT / one).is_dir())

    def create(self, *, memory_mib: int) -> None:
        """
        Make the group anew and set its limits; a controller that is not there limits nothing.

        What a crash left of an older one would keep the machine from booting: the hierarchies must agree.
        """
        self.remove()
        for place in self.places:
            place.mkdir(exist_ok=True)
        for controller in _CONTROLLERS:  # version 2 limits only what the parent hands on
            with suppress(OSError):
                (ROOT / "cgroup.subtree_control").write_text(f"+{controller}")
        memory = memory_mib * 1024 * 1024
        one = ROOT / self.name  # version 2; version 1 has a folder for each controller
        limits = (
            (ROOT / "memory" / self.name / "memory.limit_in_bytes", memory),
            (ROOT / "pids" / self.name / "pids.max", _TASKS),
            (one / "memory.max", memory),
            (one / "pids.max", _TASKS),
        )
        for file, limit in limits:
            if file.exists():
                with suppress(OSError):  # a controller that is not delegated to us
                    file.write_text(str(limit))

    def members(self) -> frozenset[int]:
        """Name the processes in it, at any depth."""
        found: set[int] = set()
        for folder, _, _ in os.walk(self.places[0]):  # groups inside come and go while we look
            with suppress(OSError):
                found |= {int(line) for line in Path(folder, "cgroup.procs").read_text().split()}
        return frozenset(found)

    def leader(self) -> int | None:
        """Find the machine's init: the one process in its own init scope."""
        for scope in ("payload/init.scope", "payload"):
            with suppress(OSError, ValueError):
                return min(int(line) for line in (self.places[0] / scope / "cgroup.procs").read_text().split())
        return None

    def kill(self, *, limit_seconds: float = 10.0) -> None:
        """Kill every process in it, until none is left or the limit is reached."""
        deadline = time.monotonic() + limit_seconds
        while (alive := self.members()) and time.monotonic() < deadline:
            for pid in alive:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def remove(self) -> None:
        """Remove it, depth first; what still has a process stays."""
        for place in self.places:
            for folder in sorted((path for path in place.rglob("*") if path.is_dir()), reverse=True):
                with suppress(OSError):
                    folder.rmdir()
            with suppress(OSError):
                place.rmdir()


def groups(prefix: str) -> frozenset[str]:
    """Name the machines' groups that exist, by the beginning of their names."""
    place = ROOT if (ROOT / "cgroup.controllers").exists() else ROOT / "systemd"
    return frozenset(path.name for path in place.glob(f"{prefix}*") if path.is_dir())
