"""The driver: one systemd-nspawn container for each droplet, found again by its names after any crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import ClassVar

from cloudship.local import programs
from cloudship.local.machines.base import Driver, DriverError, HostNetwork, MachineSpec, MachineState
from cloudship.local.machines.nspawn import cores, supervise
from cloudship.local.machines.nspawn.cgroup import Group, groups
from cloudship.local.machines.nspawn.disk import Disk
from cloudship.local.machines.nspawn.names import Names
from cloudship.local.machines.nspawn.network import Wiring
from cloudship.local.machines.rootfs import build, recipe

_INIT_LIMIT = 10.0  # seconds from the start of nspawn to the machine's init
_SHUTDOWN_LIMIT = 20.0  # seconds that a reboot from outside gives the system to go down by itself


class NspawnDriver(Driver):
    """
    Boots droplets with systemd-nspawn.

    Args:
        directory: the local cloud's directory; the machines' disks lie in it, and all names derive from it.
    """

    name: ClassVar[str] = "nspawn"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._names = Names.of(directory)
        self._machines = directory / "machines"
        self._wiring = Wiring(self._names, directory / "network.json")
        self._network: HostNetwork | None = None

    def unavailable(self) -> str | None:
        """Tell what is missing for containers to boot here."""
        if os.geteuid() != 0:
            return "booting machines needs root; run it with sudo"
        missing = [program for program in programs.BOOTING if programs.find(program) is None]
        if missing:
            return f"{', '.join(missing)} not installed; run: cloudship local setup"
        return None

    def open(self) -> HostNetwork:
        """Bring up the bridge and its packet filter."""
        self._machines.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._network = self._wiring.open()
        return self._network

    def close(self) -> None:
        """Take the bridge and the packet filter away, and unmount what machines left mounted."""
        for droplet_id in self.known():
            self._release(droplet_id)
        self._wiring.close()
        self._network = None

    def is_open(self) -> bool:
        """Look for the bridge, which comes first and goes last."""
        return self._wiring.is_open()

    def create(self, spec: MachineSpec) -> None:
        """Make the disk, building the image's root file system first when it is not there yet."""
        lower = build(recipe(spec.image))
        disk = self._disk(spec.droplet_id)
        disk.remove()
        disk.create(spec)
        (disk.folder / "lower").write_text(str(lower), encoding="utf-8")

    def start(self, spec: MachineSpec) -> None:
        """Boot the machine, detached under its supervisor; one that is on its way down is brought down first."""
        if self.state(spec.droplet_id) is MachineState.RUNNING:
            if not self._stopping(spec.droplet_id).exists():
                return
            self._power_off(spec.droplet_id)
        try:
            self._boot(spec)
        except (DriverError, OSError):
            self._power_off(spec.droplet_id)  # nothing of it stays on the host
            raise

    def _boot(self, spec: MachineSpec) -> None:
        disk, group = self._disk(spec.droplet_id), self._group(spec.droplet_id)
        self._end_supervisor(spec.droplet_id)
        self._stopping(spec.droplet_id).unlink(missing_ok=True)
        group.create(memory_mib=spec.memory_mib)
        lower = Path((disk.folder / "lower").read_text(encoding="utf-8"))
        root = disk.mount(lower)
        space = self._wiring.plug(spec.droplet_id, spec.address, self._subnet())
        self._supervised(spec, group, _command(self._names.machine(spec.droplet_id), root, space, spec))
        if not _soon(lambda: group.leader() is not None, _INIT_LIMIT):
            raise DriverError(f"droplet {spec.droplet_id} did not boot: {self._last_words(spec.droplet_id)}")

    def shutdown(self, spec: MachineSpec, *, limit_seconds: float) -> bool:
        """Ask init to power off, and wait."""
        self._stopping(spec.droplet_id).touch()
        self._ask(spec.droplet_id)
        gone = _soon(lambda: self.state(spec.droplet_id) is not MachineState.RUNNING, limit_seconds)
        if gone:
            self._release(spec.droplet_id)
        else:
            self._stopping(spec.droplet_id).unlink(missing_ok=True)  # it goes on
        return gone

    def power_off(self, spec: MachineSpec) -> None:
        """Kill every process of the machine."""
        self._power_off(spec.droplet_id)

    def reboot(self, spec: MachineSpec) -> None:
        """Shut down, by force if need be, and start again."""
        if not self.shutdown(spec, limit_seconds=_SHUTDOWN_LIMIT):
            self._power_off(spec.droplet_id)
        self.start(spec)

    def close_ssh(self, spec: MachineSpec) -> None:
        """Drop what comes for the port, in the machine's own namespace, which takes the filter with it."""
        self._wiring.close_port(spec.droplet_id, 22)

    def destroy(self, droplet_id: int) -> None:
        """Remove every trace."""
        self._power_off(droplet_id)
        self._disk(droplet_id).remove()

    def state(self, droplet_id: int) -> MachineState:
        """Look for its processes, and for its supervisor, which alone is there while it reboots."""
        if self._group(droplet_id).members() or self._supervisor(droplet_id):
            return MachineState.RUNNING
        return MachineState.STOPPED if self._disk(droplet_id).exists() else MachineState.ABSENT

    def known(self) -> frozenset[int]:
        """Name the droplets of which a folder, a namespace or a control group exists."""
        folders = self._machines.iterdir() if self._machines.is_dir() else ()
        ids = {int(path.name) for path in folders if path.name.isdigit()}
        marked = groups(f"cs-{self._names.mark}-")
        ids |= {found for name in marked if (found := self._names.droplet_id(name)) is not None}
        return frozenset(ids) | self._wiring.plugged()

    def image_note(self, slug: str) -> str | None:
        """Say what boots instead of what the slug promises."""
        return recipe(slug).note

    def _disk(self, droplet_id: int) -> Disk:
        return Disk(self._machines / str(droplet_id))

    def _group(self, droplet_id: int) -> Group:
        return Group(self._names.machine(droplet_id))

    def _stopping(self, droplet_id: int) -> Path:
        return self._disk(droplet_id).folder / "stopping"

    def _subnet(self) -> IPv4Network:
        if self._network is None:
            self.open()
        assert self._network is not None  # noqa: S101  `open` set it
        return self._network.subnet

    def _supervised(self, spec: MachineSpec, group: Group, command: list[str]) -> None:
        folder = self._disk(spec.droplet_id).folder
        order = {
            "command": command,
            "groups": [str(place) for place in group.places],
            "log": str(folder / "console.log"),
            "stopping": str(self._stopping(spec.droplet_id)),
        }
        (folder / "order.json").write_text(json.dumps(order), encoding="utf-8")
        words = [sys.executable, "-I", "-S", supervise.__file__, str(folder / "order.json")]
        with (folder / "supervisor.log").open("ab") as log:
            child = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, cwd="/", text=True
            )
        (folder / "supervisor.pid").write_text(f"{child.pid} {_started(child.pid)}", encoding="utf-8")
        assert child.stdin is not None  # noqa: S101  a pipe was asked for
        with suppress(ProcessLookupError):  # as below
            cores.give(child.pid, spec.vcpus)
        with suppress(BrokenPipeError), child.stdin as pipe:  # it has ended: whoever waits for the machine says so
            pipe.write(supervise.GO)
        child.returncode = 0  # it outlives us on purpose: no warning when we forget it

    def _ask(self, droplet_id: int) -> None:
        """Ask init to power off; SIGRTMIN+4 is systemd's word for it."""
        leader = self._group(droplet_id).leader()
        if leader is not None:
            with suppress(ProcessLookupError):
                os.kill(leader, signal.SIGRTMIN + 4)

    def _power_off(self, droplet_id: int) -> None:
        if self._disk(droplet_id).folder.is_dir():
            self._stopping(droplet_id).touch()
        self._end_supervisor(droplet_id)
        self._group(droplet_id).kill()
        self._release(droplet_id)

    def _release(self, droplet_id: int) -> None:
        """Give back what a machine that is off holds on the host; its disk stays."""
        if self.state(droplet_id) is MachineState.RUNNING:
            return
        self._wiring.unplug(droplet_id)
        self._disk(droplet_id).unmount()
        self._group(droplet_id).remove()

    def _end_supervisor(self, droplet_id: int) -> None:
        """End the supervisor, and make sure that the number still means that very process."""
        pid = self._supervisor(droplet_id)
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _soon(lambda: self._supervisor(droplet_id) is None, _INIT_LIMIT)

    def _supervisor(self, droplet_id: int) -> int | None:
        """Find the machine's supervisor; None once it has ended."""
        file = self._disk(droplet_id).folder / "supervisor.pid"
        try:
            pid, started = (int(word) for word in file.read_text(encoding="utf-8").split())
        except (OSError, ValueError):
            return None
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # it is our child unless a server before us started it
        return pid if _started(pid) == started else None

    def _last_words(self, droplet_id: int) -> str:
        with suppress(OSError):
            text = (self._disk(droplet_id).folder / "console.log").read_text(errors="replace").strip()
            return " / ".join(text.splitlines()[-3:])
        return "it said nothing"


def _command(machine: str, root: Path, space: str, spec: MachineSpec) -> list[str]:
    return [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        "--register=no",
        "--keep-unit",
        f"--machine={machine}",
        f"--directory={root}",
        f"--network-namespace-path={space}",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--capability=CAP_NET_ADMIN",
        f"--setenv=DROPLET_MEMORY_MIB={spec.memory_mib}",  # /proc tells of the host, and it may not see its limit
    ]


def _started(pid: int) -> int:
    """Read when a process began, in the kernel's own ticks; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def _soon(condition: Callable[[], bool], limit_seconds: float) -> bool:
    deadline = time.monotonic() + limit_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
