"""A local cloud whose droplets boot from a root file system in which faults are planted."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from booted import mirror
from booted.mirror import Mirror

from cloudship.local import control
from cloudship.local.machines.rootfs import build, recipe

IMAGE = "ubuntu-20-04-x64"
_SOURCES = "etc/apt/sources.list"
_UNIT = """[Unit]
Description=A fault of a test
DefaultDependencies=no
Before=cloud-init-local.service sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/sh /fault/first
"""
_LATER = """[Unit]
Description=A fault of a test, beside the rest of the boot
DefaultDependencies=no
[Service]
ExecStart=/bin/sh /fault/beside
"""


@dataclass
class Yard:
    """Where first boots are spoilt: a local cloud, the root file system of its droplets, and their mirror."""

    cloud: Path
    root: Path
    mirror: Mirror
    _planted: list[tuple[Path, bytes | None]] = field(default_factory=list)

    def plant(self, name: str, text: str, mode: int = 0o644) -> None:
        """Put a file in place before the boot; never written through, since it shares its bytes with the cache."""
        path = self.root / name
        self._planted.append((path, path.read_bytes() if path.is_file() and not path.is_symlink() else None))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)

    def first(self, script: str) -> None:
        """Have a script run before anything else of the boot."""
        self.plant("fault/first", script)
        self.plant("etc/systemd/system/fault-first.service", _UNIT)
        self.plant(
            "etc/systemd/system/cloud-init-local.service.d/fault.conf",
            "[Unit]\nWants=fault-first.service\nAfter=fault-first.service\n",
        )

    def beside(self, script: str) -> None:
        """Have a script run beside the rest of the boot."""
        self.plant("fault/beside", script)
        self.plant("etc/systemd/system/fault-beside.service", _LATER)
        self.plant("etc/systemd/system/cloud-init-local.service.d/beside.conf", "[Unit]\nWants=fault-beside.service\n")

    def configure(self, unit: str, section: str, *lines: str) -> None:
        """Change a unit of the system."""
        self.plant(f"etc/systemd/system/{unit}.d/fault.conf", "\n".join([f"[{section}]", *lines, ""]))

    def sources(self, url: str) -> None:
        """Name another mirror to apt; `{}` stands for the number of the archive."""
        numbers = iter(range(len(self.mirror.bases)))
        text = (self.root / _SOURCES).read_text(encoding="utf-8")
        self.plant(_SOURCES, re.sub(r"https?://\S+", lambda _: url.format(next(numbers)), text))

    def mend(self) -> None:
        """Take away all that was planted."""
        self.mirror.healthy()
        while self._planted:
            path, before = self._planted.pop()
            path.unlink(missing_ok=True)
            if before is not None:
                path.write_bytes(before)


@contextmanager
def yard(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Yard]:
    """Copy the root file system, and run a local cloud and a mirror on the copy."""
    made = recipe(IMAGE)
    original, root = build(made), folder / "cache" / "rootfs" / made.key
    root.parent.mkdir(parents=True)
    if subprocess.run(["cp", "-al", str(original), str(root)], check=False, capture_output=True).returncode != 0:
        shutil.rmtree(root, ignore_errors=True)  # another file system: no links lead there
        subprocess.run(["cp", "-a", str(original), str(root)], check=True)
    patch.setenv("CLOUDSHIP_CACHE_DIR", str(folder / "cache"))
    cloud = folder / "cloud"
    control.start(cloud)
    try:
        subnet = IPv4Network(json.loads((cloud / "network.json").read_text(encoding="utf-8"))["subnet"])
        bases = tuple(re.findall(r"https?://\S+", (root / _SOURCES).read_text(encoding="utf-8")))
        with mirror.running(str(subnet[1]), bases) as serving:
            found = Yard(cloud, root, serving)
            found.sources(serving.url(0).replace("/0/", "/{}/"))
            found._planted.clear()  # it stays: all boots ask this mirror
            yield found
    finally:
        control.reset(cloud)
        shutil.rmtree(folder / "cache")
