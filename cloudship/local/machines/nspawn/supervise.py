"""
Keep one machine running: start it again when it reboots, end when it is powered off.

Run as a program of its own, detached, so that a machine outlives the server that started it. Standard library
only, no import of the package: it starts in 20 ms.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

REBOOT = 133  # systemd-nspawn's exit status when the system inside asked for a reboot
GO = "go\n"  # what the server says once it has noted who we are
_PR_SET_PDEATHSIG = 1


def enter(places: "list[str]", parent: int) -> None:
    """Move the child into its control groups, right before it becomes the machine, which never outlives us."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    for place in places:
        with contextlib.suppress(OSError):  # a hierarchy that refuses (no controller there) limits nothing
            Path(place, "cgroup.procs").write_text("0")
    os.setsid()


def supervise(order: "dict[str, Any]") -> int:
    """Run the machine until it stays off, and give its last exit status."""
    us = os.getpid()
    while True:
        with Path(order["log"]).open("ab") as log:
            child = subprocess.Popen(
                order["command"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: enter(order["groups"], us),  # noqa: PLW1509  there are no threads here
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
            )
            status = child.wait()
        if status != REBOOT or Path(order["stopping"]).exists():
            return status


if __name__ == "__main__":
    if sys.stdin.readline() != GO:
        sys.exit(0)  # the server was killed before it noted who we are: nobody would find the machine
    sys.exit(supervise(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
