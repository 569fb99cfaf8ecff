"""
A host in a namespace: its own network, its own /run, and a cable to the real one, for tests that change filters.

What such a test does to packet filters, forwarding or policies never reaches the machine that it runs on, and all of it
is gone with the last process inside.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SETUP = """
set -e
mount --make-rprivate /
mkdir -p {cg}
mount --rbind /sys/fs/cgroup {cg}
mount -t sysfs sysfs /sys
mount --rbind {cg} /sys/fs/cgroup
mount -t tmpfs tmpfs /run
ip link set lo up
echo 0 > /proc/sys/net/ipv4/ip_forward
echo ready
exec sleep infinity
"""


class NetHost:
    """One such host, as long as its first process lives."""

    def __init__(self, folder: Path) -> None:
        script = _SETUP.format(cg=folder / "cgroup")
        words = ["unshare", "--net", "--mount", "sh", "-c", script]
        self._first = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self._first.stdout is not None
        assert "ready\n" == self._first.stdout.readline()
        self._link = f"nh{self._first.pid}"
        net = f"10.214.{self._first.pid % 256}"  # beside what local clouds take
        self.inside, self.outside = f"{net}.2", f"{net}.1"

    def words(self, *command: str) -> list[str]:
        """Say how to run a command there."""
        return ["nsenter", f"--target={self._first.pid}", "--net", "--mount", f"--wd={os.getcwd()}", *command]  # noqa: PTH109  the test's own

    def run(self, *command: str, stdin: str | None = None, check: bool = True) -> str:
        """Run one there, and give what it said."""
        done = subprocess.run(
            self.words(*command), input=stdin, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def connect(self) -> None:
        """Lay a cable to the real host, which lets it out to the mirrors."""
        for words in (
            ("ip", "link", "add", self._link, "type", "veth", "peer", "name", "eth0", "netns", str(self._first.pid)),
            ("ip", "addr", "add", f"{self.outside}/24", "dev", self._link),
            ("ip", "link", "set", self._link, "up"),
        ):
            subprocess.run(words, check=True, capture_output=True)
        chain = f"chain out {{ type nat hook postrouting priority srcnat; ip saddr {self.inside} masquerade; }}"
        rules = f"table ip {self._link} {{\n{chain}\n}}\n"
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
        self.run("ip", "addr", "add", f"{self.inside}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")
        self.run("ip", "route", "add", "default", "via", self.outside)

    def end(self) -> None:
        """Let it go."""
        self._first.kill()
        self._first.communicate()
        subprocess.run(["nft", "delete", "table", "ip", self._link], check=False, capture_output=True)


@contextmanager
def nethost(folder: Path) -> Iterator[NetHost]:
    """Give one for a while."""
    found = NetHost(folder)
    try:
        yield found
    finally:
        found.end()
