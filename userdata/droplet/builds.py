"""
Builds stand back behind the live release, so that a small droplet survives them; where none is live, nothing does.

They run niced in a slice of their own with a limit on memory, and are the first that the kernel ends when memory runs
out.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Tuple

SLICE = "cloudship.slice"  # without a dash: one below another would share that one's weight
SYSTEMD = Path("/run/systemd/system")  # is there where it is PID 1
NICE = 19  # of 19: whoever has visitors gets nearly all of a core that both want
NICE_SOON = 5  # of what cannot wait: it takes its part of a core that visitors, or a loop, never leave
OOM = 500  # of 1000: above every service, so a build is what the kernel ends first


def stand_back(nice: int) -> None:
    """Let this process, and what it starts, come after the live release for the cores."""
    os.nice(max(0, nice - os.nice(0)))


def step_forward() -> None:
    """Come before builds again: what is left to do is short, and everybody waits for it. Any thread may say so."""
    if os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, os.getpid(), 0)


def gently() -> Tuple[str, ...]:
    """Give the words that run the rest as a build."""
    words = ("nice", "-n", str(max(0, NICE - os.nice(0))), "choom", "-n", str(OOM), "--")
    if os.geteuid() != 0 or not shutil.which("systemd-run") or not SYSTEMD.is_dir():
        return words
    return ("systemd-run", "--scope", "--quiet", "--collect", f"--slice={SLICE}", "--", *words)
