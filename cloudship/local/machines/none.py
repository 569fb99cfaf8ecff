"""
No machines at all: for tests of the API side, in milliseconds.

Droplets get loopback addresses, where nothing answers unless a test puts something there. Whoever
uses this driver asked for it by name; it is never fallen back to.
"""

from __future__ import annotations

import json
import threading
from ipaddress import IPv4Network
from pathlib import Path
from typing import ClassVar

from cloudship.local.machines.base import Driver, HostNetwork, MachineSpec, MachineState

SUBNET = IPv4Network("127.64.0.0/16")


class NoneDriver(Driver):
    """Remembers which machines would run, in a file, and boots none."""

    name: ClassVar[str] = "none"

    def __init__(self, directory: Path) -> None:
        self._file = directory / "machines.json"
        self._lock = threading.Lock()  # droplets are worked on in several threads

    def unavailable(self) -> str | None:
        """Run anywhere."""
        return None

    def open(self) -> HostNetwork:
        """Give out loopback addresses."""
        return HostNetwork(SUBNET, SUBNET[1], None)

    def close(self) -> None:
        """Leave nothing, since there was nothing."""

    def is_open(self) -> bool:
        """Say that nothing is, since there was nothing."""
        return False

    def create(self, spec: MachineSpec) -> None:
        """Remember a machine that is off."""
        self._tell(spec.droplet_id, MachineState.STOPPED)

    def start(self, spec: MachineSpec) -> None:
        """Remember that it runs."""
        self._tell(spec.droplet_id, MachineState.RUNNING)

    def shutdown(self, spec: MachineSpec, *, limit_seconds: float) -> bool:
        """Remember that it is off."""
        del limit_seconds  # nothing takes time here
        self.power_off(spec)
        return True

    def power_off(self, spec: MachineSpec) -> None:
        """Remember that it is off."""
        self._tell(spec.droplet_id, MachineState.STOPPED)

    def reboot(self, spec: MachineSpec) -> None:
        """Change nothing: it runs before and after."""
        self.start(spec)

    def destroy(self, droplet_id: int) -> None:
        """Forget it."""
        self._tell(droplet_id, MachineState.ABSENT)

    def state(self, droplet_id: int) -> MachineState:
        """Say what is remembered."""
        return MachineState(self._told().get(str(droplet_id), MachineState.ABSENT.value))

    def known(self) -> frozenset[int]:
        """Name what is remembered."""
        return frozenset(int(key) for key in self._told())

    def image_note(self, slug: str) -> str | None:
        """Say it loudly."""
        del slug  # the same for all
        return "no machine: driver none"

    def _told(self) -> dict[str, str]:
        try:
            return dict(json.loads(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def _tell(self, droplet_id: int, state: MachineState) -> None:
        with self._lock:
            told = {**self._told(), str(droplet_id): state.value}
            if state is MachineState.ABSENT:
                del told[str(droplet_id)]
            unfinished = self._file.with_suffix(".part")
            unfinished.write_text(json.dumps(told), encoding="utf-8")
            unfinished.rename(self._file)
