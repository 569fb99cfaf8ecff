"""The system's programs that booting machines calls, found where root finds them too."""

from __future__ import annotations

import os
import shutil
import sys

# program: Debian's package
BOOTING = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "ip": "iproute2",
    "mkfs.ext4": "e2fsprogs",
}
# `python -m` looks into the working directory first: an app's secrets.py would take the place of Python's own.
_RUN = "import sys; sys.path[:] = filter(None, sys.path); import runpy; runpy.run_module({!r}, None, '__main__', True)"
_SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # on root's path, and not on everybody's


def find(name: str) -> str | None:
    """Find a program on the path, or where the system keeps what only root runs."""
    return shutil.which(name, path=environment()["PATH"])


def environment() -> dict[str, str]:
    """Give the environment in which all of them are found: `su` without a dash keeps the path of whoever called it."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return {**os.environ, "PATH": os.pathsep.join([*path, *(one for one in _SYSTEM if one not in path)])}


def python(module: str) -> list[str]:
    """Give the words that run a module of ours, wherever somebody stands; with sudo, what lay there would be root."""
    return [sys.executable, "-c", _RUN.format(module)]
