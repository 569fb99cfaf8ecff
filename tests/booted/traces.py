"""What of a local cloud is on this host."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from pathlib import Path

from cloudship.local.machines.nspawn.cgroup import groups
from cloudship.local.machines.nspawn.names import Names


class Host:
    """What of one local cloud is on this host."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._names = directory, Names.of(directory)

    def traces(self) -> Counter[str]:
        """Count everything that carries its mark."""
        mark, place = f"cs-{self._names.mark}", str(self._directory)
        commands = [_command(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
        loops, tables = _told("losetup", "-a"), _told("nft", "list", "tables")
        found = {
            "supervisors": sum("supervise.py" in one and place in one for one in commands),
            "containers": sum(one.startswith("systemd-nspawn") and mark in one for one in commands),
            "mounts": sum(place in line for line in Path("/proc/mounts").read_text().splitlines()),
            "loops": loops.count(place),
            "namespaces": _count("/run/netns", mark),
            "cables": _count("/sys/class/net", f"cs{self._names.mark}"),
            "groups": len(groups(f"{mark}-")),
            "bridges": int(Path("/sys/class/net", self._names.bridge).exists()),
            "tables": tables.count(self._names.table),
        }
        return +Counter(found)

    def settled(self, expected: Counter[str], limit: float = 60) -> Counter[str]:
        """Count it, once it is as expected or the limit, in seconds, is over: the kernel lets go a moment later."""
        deadline = time.monotonic() + limit
        while (found := self.traces()) != expected and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def expected(self, running: int) -> Counter[str]:
        """Say what there is with so many machines that run."""
        machine = dict.fromkeys(("supervisors", "containers", "loops", "namespaces", "cables", "groups"), running)
        return +Counter({**machine, "mounts": 2 * running, "bridges": 1, "tables": 1})


def _command(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def _told(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def _count(folder: str, prefix: str) -> int:
    place = Path(folder)
    return sum(path.name.startswith(prefix) for path in place.iterdir()) if place.is_dir() else 0
