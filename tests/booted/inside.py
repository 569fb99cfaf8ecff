"""A booted machine from the host's side: its namespaces are entered, so that faults need no help of the droplet's."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

from cloudship.local.machines.nspawn.cgroup import Group
from cloudship.local.machines.nspawn.names import Names

_SPACES = ("--mount", "--uts", "--ipc", "--net", "--pid")
FILL = """python3 -c '
import os
file, keep, at = os.open("{path}", os.O_CREAT | os.O_WRONLY), {mib} << 20, 0
room = os.fstatvfs(file)
left = step = room.f_bavail * room.f_frsize - keep
while left > 0 and step >= 4096:  # asked for too much at once, a file system gives nothing
    try:
        os.posix_fallocate(file, at, min(step, left))
        at, left = at + step, left - step
    except OSError:
        step //= 2
'
"""  # leaves so much of a disk
LIMIT = 120.0  # seconds for what is done inside, on a host that is busy


class Machine:
    """
    One machine of a local cloud.

    Args:
        directory: the local cloud's.
        droplet_id: whose machine.
    """

    def __init__(self, directory: Path, droplet_id: int) -> None:
        self.name = Names.of(directory).machine(droplet_id)
        self.folder = directory / "machines" / str(droplet_id)

    def run(self, script: str, *, check: bool = True) -> str:
        """Run a script as the machine's root, and give what it printed."""
        deadline = time.monotonic() + LIMIT
        while (leader := Group(self.name).leader()) is None:  # it boots
            assert time.monotonic() < deadline, self.name
            time.sleep(0.01)
        words = ["nsenter", f"--target={leader}", *_SPACES, "--", "sh", "-c", script]
        environ = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(words, text=True, env=environ, cwd="/", **pipes) as process:
            said, complained = _ended(process)
        assert not check or process.returncode == 0, f"{script}\n{said}{complained}"
        return said

    def network(self, *words: str) -> None:
        """Run a program of the host's in the machine's network."""
        subprocess.run(["ip", "netns", "exec", self.name, *words], check=True, capture_output=True, timeout=LIMIT)


def _ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """
    Wait for a program in a machine, and give its output and what it complained of.

    A system that goes down stops every process before it ends them. `nsenter` then stops itself too, for a shell to
    continue, and until it has seen the end of its own the system waits for it.
    """
    deadline = time.monotonic() + LIMIT
    while True:
        try:
            return process.communicate(timeout=1)
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                process.kill()
                raise
            process.send_signal(signal.SIGCONT)
