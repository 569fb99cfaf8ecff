"""
Builds stand back behind the live release, so that a small droplet survives them.

They run niced in a slice of their own with a limit on memory, and are the first that the kernel ends when memory runs
out.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Tuple

SLICE = "cloudship-build.slice"
SYSTEMD = Path("/run/systemd/system")  # is there where it is PID 1
_NICE, _OOM = 10, 500  # of 19, and of 1000: above every service, so a build is what the kernel ends first


def gently() -> Tuple[str, ...]:
    """Give the words that run the rest as a build."""
    words = ("nice", "-n", str(_NICE), "choom", "-n", str(_OOM), "--")
    if os.geteuid() != 0 or not shutil.which("systemd-run") or not SYSTEMD.is_dir():
        return words
    return ("systemd-run", "--scope", "--quiet", "--collect", f"--slice={SLICE}", "--", *words)
