"""
How large this droplet is: the machine, or less where it is a container that is limited.

A limit of control groups of version 2 is set above the root that a container sees; who started it says it to init.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

_ROOT = Path("/")
_MEMORY = "DROPLET_MEMORY_MIB"  # of init's environment


def cores() -> int:
    """Count the cores that are ours."""
    return len(os.sched_getaffinity(0))


def memory_mib(root: Path = _ROOT) -> int:
    """Read how much memory there is for us, in MiB."""
    lines = root.joinpath("proc/meminfo").read_text(encoding="utf-8").splitlines()
    found = [int(line.split()[1]) >> 10 for line in lines if line.startswith("MemTotal:")]
    groups = root / "sys/fs/cgroup"
    for place in (groups / "memory/memory.limit_in_bytes", groups / "memory.max"):
        found += [number >> 20 for number in _numbers(place)]
    told = _told(root, _MEMORY)
    return min(found if told is None else [*found, told])


def _numbers(place: Path) -> "list[int]":
    try:
        return [int(word) for word in place.read_text(encoding="utf-8").split() if word.lstrip("-").isdigit()]
    except OSError:
        return []


def _told(root: Path, name: str) -> Optional[int]:
    try:
        values = root.joinpath("proc/1/environ").read_bytes().decode("ascii", "replace").split("\0")
    except OSError:
        return None
    found = [value.partition("=")[2] for value in values if value.startswith(f"{name}=")]
    return int(found[0]) if found and found[0].isdigit() else None
