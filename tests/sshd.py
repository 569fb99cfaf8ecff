"""
A real sshd on loopback: the droplets' own program, as a plain process that sees a folder of the test's.

It runs in a mount and a process namespace of its own, over the root file system that droplets boot from. Nothing of
the host is changed, and when it ends nothing of it is left.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from typing_extensions import Self

from cloudship.keys import KeyPair, LaunchFiles, mint
from cloudship.local.machines.base import DriverError
from cloudship.local.machines.rootfs import built, recipe
from cloudship.local.setup import DEFAULT_IMAGE
from cloudship.ssh import Shell

LIMIT = 20.0  # seconds for sshd to listen, on a machine that is busy with other things
HOST_KEY = "etc/ssh_host_ed25519_key"
CLOUD_INIT = "state/cloud"  # what cloud-init keeps
_MAPPED = {"etc": "etc/ssh", "root": "root", "local": "usr/local", "state": "var/lib", "srv": "srv"}
_SETTINGS = {
    "ListenAddress": "127.0.0.1",
    "PidFile": "none",
    "UsePAM": "no",
    "StrictModes": "no",
    "PermitRootLogin": "yes",
    "PasswordAuthentication": "no",
}
# As the first boot leaves it: the metadata is closed. sshd is the first process of its namespace.
_PLAYED = {
    "ip": "echo '10: from all to 169.254.169.254 uidrange 1-4294967294 prohibit'",
    "systemctl": "kill -HUP 1",
}
_SPACES = "unshare --mount --pid --fork --kill-child --propagation private"
_ENTER = """
set -e
mount --bind "$1" "$2"
mount -o remount,bind,ro "$2"
shift 2
while [ $# -gt 1 ]; do mount --bind "$1" "$2"; shift 2; done
cd "$1"
for place in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs $place; done
mkdir run/sshd
for device in null zero random urandom; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mount -t proc proc proc
exec chroot . /usr/sbin/sshd -D -e
"""


@cache
def lacking() -> str | None:
    """Say why no sshd can be started here; None: it can."""
    if os.geteuid() != 0:
        return "a mount namespace for sshd needs root"
    if shutil.which("unshare") is None:
        return "there is no unshare"
    try:
        return None if built(recipe(DEFAULT_IMAGE)) else "the droplets' root file system is not built: make test"
    except DriverError as error:
        return str(error)


class Host:
    """
    A droplet in a folder, of which only sshd runs.

    Args:
        folder: what it sees: `etc` (of ssh), `root`, `local` (its own programs), `state` (/var/lib), `srv`.
        settings: of sshd, over those of a droplet.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port = 0
        self.settings = {**_SETTINGS, **(settings or {})}
        self._running: subprocess.Popen[bytes] | None = None
        for name in (*_MAPPED, "root/.ssh", "local/bin", "local/sbin", f"{CLOUD_INIT}/instance"):
            (folder / name).mkdir(parents=True)
        for name, line in _PLAYED.items():
            self.program(f"bin/{name}", line)

    def program(self, name: str, script: str) -> None:
        """Give it a program of its own, as in `bin/NAME`."""
        path = self.folder / "local" / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    def use_key(self, pair: KeyPair) -> None:
        """Give it an Ed25519 host key."""
        private, public = self.folder / HOST_KEY, self.folder / f"{HOST_KEY}.pub"
        private.write_text(pair.private.reveal(), encoding="utf-8")
        private.chmod(0o600)
        public.write_text(pair.public + "\n", encoding="utf-8")

    def make_key(self, kind: str) -> None:
        """Give it a host key of another kind: rsa or ecdsa."""
        path = self.folder / "etc" / f"ssh_host_{kind}_key"
        bits = ("-b", "2048") if kind == "rsa" else ()  # its default takes a second
        words = ["ssh-keygen", "-q", "-t", kind, *bits, "-N", "", "-f", str(path)]
        subprocess.run(words, check=True, capture_output=True)

    def authorize(self, public: str) -> None:
        """Let one key in, and no other."""
        (self.folder / "root/.ssh/authorized_keys").write_text(public + "\n", encoding="utf-8")

    def let_anybody_in(self) -> None:
        """Take whatever is offered: what a stranger would do who wants to hear more."""
        self.program("bin/anybody", 'echo "$1 $2"')
        (self.folder / "local").chmod(0o755)
        self.settings |= {
            "LogLevel": "DEBUG1",  # every request to log in
            "AuthorizedKeysCommand": "/usr/local/bin/anybody %t %k",
            "AuthorizedKeysCommandUser": "root",
            "PasswordAuthentication": "yes",
            "PermitEmptyPasswords": "yes",
        }

    @property
    def log(self) -> str:
        """What sshd said so far, over all its starts."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def requests(self) -> list[str]:
        """List what anybody asked of it once keys were exchanged: to be let in, to run something."""
        asked = ("userauth-request", "Accepted ", "Failed ", "Starting session", "Invalid user")
        return [line for line in self.log.splitlines() if any(one in line for one in asked)]

    def start(self, port: int | None = None) -> Self:
        """Start sshd, on a free port unless one is given, and return once it listens."""
        deadline = time.monotonic() + LIMIT
        while not self._started(port or _free_port()):
            assert time.monotonic() < deadline, self.log[-2000:]
        return self

    def stop(self) -> None:
        """End it, with every connection and command of it."""
        if self._running is None:
            return
        children = Path(f"/proc/{self._running.pid}/task/{self._running.pid}/children")
        with suppress(OSError, ProcessLookupError):
            for pid in children.read_text().split():  # the first of its namespace: with it goes all the rest
                os.kill(int(pid), signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._running.wait(1)
        self._running.kill()
        self._running.wait()
        self._running = None

    def __enter__(self) -> Self:
        return self if self._lives() else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _started(self, port: int) -> bool:
        self.stop()
        self.port = port
        keys = sorted((self.folder / "etc").glob("ssh_host_*_key"))
        lines = [f"Port {port}", *(f"HostKey /etc/ssh/{path.name}" for path in keys)]
        lines += [f"{name} {value}" for name, value in self.settings.items()]
        (self.folder / "etc/sshd_config").write_text("\n".join(lines) + "\n", encoding="utf-8")
        before = len(self.log)
        with (self.folder / "log").open("ab") as log:
            self._running = subprocess.Popen(_words(self.folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return soon(lambda: "Server listening" in self.log[before:] or not self._lives()) and self._lives()

    def _lives(self) -> bool:
        return self._running is not None and self._running.poll() is None


@dataclass
class Meeting:
    """A host, and the files of somebody who knows it."""

    host: Host
    key: KeyPair  # the host's own
    files: LaunchFiles

    def connect(self, limit: float = 20.0, port: int | None = None) -> Shell:
        """Connect as the library does."""
        return Shell.connect("127.0.0.1", port=port or self.host.port, files=self.files, limit=limit)


def known(folder: Path, *host_keys: str) -> tuple[LaunchFiles, str]:
    """Give a launch's files that know a host by some keys, and the public half of the key that they log in with."""
    files, pair = LaunchFiles(folder / "web" / "0123456789", "0123456789"), mint("client")
    files.save_identity(pair)
    files.pin(host_keys)
    return files, pair.public


def soon(condition: Callable[[], bool], limit: float = LIMIT) -> bool:
    """Wait for something; False when it did not come."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def _words(folder: Path) -> list[str]:
    root = folder / "seen"
    root.mkdir(exist_ok=True)
    base = built(recipe(DEFAULT_IMAGE))
    mapped = [part for name, place in _MAPPED.items() for part in (folder / name, root / place)]
    places = (str(one) for one in (base, root, *mapped, root))
    # Whoever starts us may be killed: nothing may outlive it.
    return [*["setpriv", "--pdeathsig", "KILL"], *_SPACES.split(), "sh", "-c", _ENTER, "sh", *places]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
