"""
The processor cores of a machine: as many as its size says, those that the fewest others run on.

A droplet has cores, not a share in time of all that the host has. Under such a share (`cpu.max` of control groups)
niced work uses up what visitors are owed, and then both stand still: at 200 requests a second, with a busy process
behind them at the lowest priority, the 99th percentile rose from 9 to 27 ms, and did not rise on a core of its own.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cloudship.local.machines.nspawn import supervise

_CHOOSING = threading.Lock()


def give(supervisor: int, count: int) -> None:
    """
    Let a supervisor, and so the machine that it starts, run on this many cores.

    Args:
        supervisor: its process id; it has started nothing yet.
        count: how many; where the host has fewer, all of them.

    Raises:
        OSError: the process has ended.
    """
    with _CHOOSING:
        taken = Counter(core for pid in _supervisors() if pid != supervisor for core in _cores(pid))
        os.sched_setaffinity(supervisor, least_busy(taken, count))


def least_busy(machines: Counter[int], count: int) -> list[int]:
    """Choose among the cores that we may use, by how many machines run on each."""
    return sorted(os.sched_getaffinity(0), key=lambda core: (machines[core], core))[:count]


def _supervisors() -> Iterator[int]:
    """Find those of every local cloud on this host."""
    for place in Path("/proc").iterdir():
        with suppress(OSError):
            if place.name.isdigit() and supervise.__file__.encode() in place.joinpath("cmdline").read_bytes():
                yield int(place.name)


def _cores(pid: int) -> set[int]:
    with suppress(OSError):  # it ended meanwhile
        return os.sched_getaffinity(pid)
    return set()
