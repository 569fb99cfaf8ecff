"""A swap file for a small machine, where it is allowed one: for a moment an installation may need more than it has."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Callable

from droplet import command
from droplet.journal import StageError

FILE = Path("/swapfile")
SIZE_MIB = 1024
ENOUGH_MIB = 2000  # with that much memory none is made: an installation fits beside an app
SPARE_MIB = 4096  # of the disk stay free
_TABLE = Path("/etc/fstab")


def is_wanted(memory_mib: int, swaps: str, free_mib: int) -> bool:
    """
    Whether a machine should get one.

    Args:
        memory_mib: what it has.
        swaps: `/proc/swaps`; anything below its first line is swap that is there.
        free_mib: what its disk has left.
    """
    return memory_mib < ENOUGH_MIB and len(swaps.splitlines()) < 2 and free_mib >= SIZE_MIB + SPARE_MIB


def add(memory_mib: int, say: Callable[[str], None], *, file: Path = FILE, table: Path = _TABLE) -> bool:
    """Add one that stays, and say whether it is there; a machine that allows none is as it was."""
    if command.output(["systemd-detect-virt", "--container"]).strip():
        say("no swap file: a container is allowed none")
        return False
    free = shutil.disk_usage(str(file.parent)).free >> 20
    if file.exists() or not is_wanted(memory_mib, Path("/proc/swaps").read_text(encoding="utf-8"), free):
        return False
    try:
        file.touch(mode=0o600)
        command.run(["fallocate", "-l", f"{SIZE_MIB}M", str(file)])
        command.run(["mkswap", str(file)])
        command.run(["swapon", str(file)])
    except (StageError, OSError) as error:
        file.unlink()
        say(f"no swap file: {(getattr(error, 'lines', None) or [str(error)])[-1]}")
        return False
    with table.open("a", encoding="utf-8") as entries:
        entries.write(f"{file} none swap sw 0 0\n")
    say(f"{SIZE_MIB} MiB of swap")
    return True
