"""What the account asks of a driver, and the values that cross this seam."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network
from typing import ClassVar


class MachineState(Enum):
    """How a machine is right now."""

    ABSENT = "absent"  # never created, or destroyed: no disk
    STOPPED = "stopped"  # has its disk, no process
    RUNNING = "running"  # its init is alive


@dataclass(frozen=True)
class MachineSpec:
    """Everything a driver needs to give a droplet a body; it never changes while the droplet lives."""

    droplet_id: int
    hostname: str
    image: str  # the slug, as in `ubuntu-20-04-x64`
    vcpus: int
    memory_mib: int
    disk_gib: int
    address: IPv4Address
    user_data: str  # empty when none was given
    public_keys: tuple[str, ...]  # OpenSSH public key lines, for root


@dataclass(frozen=True)
class HostNetwork:
    """The network that a driver gives its machines."""

    subnet: IPv4Network
    gateway: IPv4Address  # the host's own address in it, never given to a machine
    metadata_bind: tuple[str, int] | None  # where the metadata server must listen; None: there is none


class DriverError(Exception):
    """A driver could not do what it was asked; the message says what to do about it."""


class Driver(ABC):
    """
    Gives droplets their bodies.

    Every method may be called again after a crash and then finishes what was left half-done. All of them
    raise `DriverError` when the host refuses. The methods block; the account calls them from threads.
    """

    name: ClassVar[str]

    @abstractmethod
    def unavailable(self) -> str | None:
        """Tell why this driver cannot run here and the command that mends it, or None when it can."""

    @abstractmethod
    def open(self) -> HostNetwork:
        """Bring up what all machines share (bridge, packet filter), or adopt what a crash left."""

    @abstractmethod
    def close(self) -> None:
        """Take away what `open` brought; every machine has been stopped before."""

    @abstractmethod
    def is_open(self) -> bool:
        """Whether anything that `open` brought is there, as after a server that was killed."""

    @abstractmethod
    def create(self, spec: MachineSpec) -> None:
        """Make the disk of a machine, with its seed for cloud-init; the machine stays off."""

    @abstractmethod
    def start(self, spec: MachineSpec) -> None:
        """
        Boot a machine that is off; return once its init runs.

        A running machine is left alone, unless it was on its way down when somebody was cut off.
        """

    @abstractmethod
    def shutdown(self, spec: MachineSpec, *, limit_seconds: float) -> bool:
        """Ask the machine to shut down; True when it is off within the limit."""

    @abstractmethod
    def power_off(self, spec: MachineSpec) -> None:
        """Take the power away; return once no process of the machine is left."""

    @abstractmethod
    def reboot(self, spec: MachineSpec) -> None:
        """Restart the machine, its disk kept; return once its new init runs."""

    def close_ssh(self, spec: MachineSpec) -> None:
        """Let nobody reach a running machine's SSH port until it is started anew; a fault that was asked for."""
        del spec  # where nothing answers, nothing has to be closed

    @abstractmethod
    def destroy(self, droplet_id: int) -> None:
        """Remove every trace of a machine in any state; one that does not exist is no error."""

    @abstractmethod
    def state(self, droplet_id: int) -> MachineState:
        """Say how a machine is."""

    @abstractmethod
    def known(self) -> frozenset[int]:
        """Droplet ids of which anything exists: a disk, a mount, a process, an interface."""

    @abstractmethod
    def image_note(self, slug: str) -> str | None:
        """Say what really boots for a slug, as in "debian 12 stand-in"; None when it is the real thing."""
