"""
What builds may take, so that a small droplet survives them.

They have a limit on memory, and are the first that the kernel ends when it runs out. Where a release is live they
stand back behind it, niced and in a slice of their own; the first one is what everybody waits for.
"""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, Tuple

SLICE = "cloudship.slice"  # without a dash: one below another would share that one's weight
SYSTEMD = Path("/run/systemd/system")  # is there where it is PID 1
NICE = 19  # of 19: whoever has visitors gets nearly all of a core that both want
NICE_BEGIN = 10  # of an interpreter that begins: one that is never idle beside it keeps it waiting for seconds at most
NICE_SOON = 5  # of what cannot wait: it takes its part of a core that visitors, or a loop, never leave
_PATIENCE = 5.0  # seconds that anything stands back; on a core that is never idle it would for ever
MOST = "75%"  # of the memory, for all builds at once where they stand back; the slice says the same
OOM = 500  # of 1000: above every service, so a build is what the kernel ends first


def stand_back(nice: int) -> None:
    """Let this process, and what it starts, come after the live release for the cores."""
    os.nice(max(0, nice - os.nice(0)))


def step_forward(nice: int = 0) -> None:
    """Come before builds again: what is left to do is short, and everybody waits for it. Any thread may say so."""
    if os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, os.getpid(), nice)


@contextmanager
def patient(promote: Callable[[], None]) -> Iterator[None]:
    """Do what stands back, and have it come further forward where it is not done in time."""
    timer = threading.Timer(_PATIENCE, promote)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def limits(*, behind: bool) -> Tuple[str, ...]:
    """
    Give the words that run the rest as a build.

    Args:
        behind: whether there is a live release that comes first.
    """
    nice = ("nice", "-n", str(max(0, NICE - os.nice(0)))) if behind else ()
    words = (*nice, "choom", "-n", str(OOM), "--")
    if os.geteuid() != 0 or not shutil.which("systemd-run") or not SYSTEMD.is_dir():
        return words
    place = f"--slice={SLICE}" if behind else f"--property=MemoryMax={MOST}"
    return ("systemd-run", "--scope", "--quiet", "--collect", place, "--", *words)
