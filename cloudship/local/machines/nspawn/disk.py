"""
A machine's disk: a bounded file system of its own, laid over the shared root file system, with its seed.

The file is sparse, so a droplet of 25 GiB costs the megabytes that it wrote. Write barriers are off: a crash
of the host itself may cost a droplet its last writes, which one can afford here, and a first boot is faster.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from cloudship.local.machines.base import MachineSpec
from cloudship.local.machines.nspawn.host import run, succeeds

_SEED = "var/lib/cloud/seed/config_drive/openstack/latest"


@dataclass(frozen=True)
class Disk:
    """The disk of one machine, in its folder."""

    folder: Path

    @property
    def _file(self) -> Path:
        return self.folder / "disk.img"

    @property
    def _mounted(self) -> Path:
        return self.folder / "disk"

    @property
    def root(self) -> Path:
        """Where the machine's root file system is seen while it is mounted."""
        return self.folder / "root"

    def create(self, spec: MachineSpec) -> None:
        """Make the disk and put the seed on it."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = self._file.with_suffix(".part")
        with unfinished.open("wb") as file:
            file.truncate(spec.disk_gib << 30)
        options = "lazy_itable_init=1,nodiscard,root_owner=0:0"
        run("mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-m", "0", "-E", options, str(unfinished))
        unfinished.rename(self._file)
        self._mount_disk()
        for name in ("upper", "work"):
            (self._mounted / name).mkdir(exist_ok=True)
        (self._mounted / "upper").chmod(0o755)
        _seed(self._mounted / "upper", spec)

    def mount(self, lower: Path) -> Path:
        """Lay the disk over a root file system, and give the place where both are seen."""
        self._mount_disk()
        self.root.mkdir(exist_ok=True)
        if not self.root.is_mount():
            upper, work = self._mounted / "upper", self._mounted / "work"
            options = f"lowerdir={lower},upperdir={upper},workdir={work}"
            run("mount", "-t", "overlay", "overlay", "-o", options, str(self.root))
        return self.root

    def unmount(self) -> None:
        """Take the disk out of the host's sight."""
        for place in (self.root, self._mounted):
            while place.is_mount():
                if not succeeds("umount", str(place)):
                    run("umount", "-l", str(place))

    def remove(self) -> None:
        """Destroy it."""
        self.unmount()
        shutil.rmtree(self.folder, ignore_errors=True)

    def exists(self) -> bool:
        """Whether it was made and not destroyed."""
        return self._file.exists()

    def _mount_disk(self) -> None:
        self._mounted.mkdir(exist_ok=True)
        if not self._mounted.is_mount():
            run("mount", "-o", "loop,noatime,nobarrier", str(self._file), str(self._mounted))


def _seed(upper: Path, spec: MachineSpec) -> None:
    """Write what cloud-init finds on DigitalOcean's config drive, and who the machine is."""
    place = upper / _SEED
    place.mkdir(parents=True)
    for folder in (place, *place.parents):
        if folder == upper:
            break
        folder.chmod(0o755)
    meta = {
        "uuid": str(spec.droplet_id),
        "instance-id": str(spec.droplet_id),
        "hostname": spec.hostname,
        "public_keys": {f"key-{index}": line for index, line in enumerate(spec.public_keys)},
    }
    _private(place / "meta_data.json", json.dumps(meta))
    if spec.user_data:
        _private(place / "user_data", spec.user_data)
    etc = upper / "etc"
    etc.mkdir(exist_ok=True)
    (etc / "hostname").write_text(spec.hostname + "\n", encoding="utf-8")
    (etc / "hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {spec.hostname}\n::1 localhost\n", encoding="utf-8")


def _private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
