"""
The first boot as it is told: what cloud-init says, and what the bootstrap does, from the first second on.

Two voices on one connection: cloud-init's own output, there before any program of ours, and the bootstrap's journal.
Each ends by itself when its part of the boot is over.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from cloudship.background import Background
from cloudship.errors import HostKeyMismatch, ShellUnreachable
from cloudship.events import Notify, nobody
from cloudship.keys import LaunchFiles
from cloudship.models import CONTROL, Timeouts
from cloudship.ssh import Shell
from cloudship.waiting import EAGER, REAL, Clock, Pending, Ready, until

_PROGRAM = f"/usr/local/sbin/{CONTROL}"
_SETTLED = "cloud-init status 2>/dev/null | grep -Eq 'status: (done|error|degraded|disabled)'"
# `tail --pid` reads once more after cloud-init has ended, so its last line is never lost.
_CLOUD_INIT = (
    "cloud-init status --wait >/dev/null 2>&1 &"
    " tail -n +1 -F -s 0.1 --pid=$! /var/log/cloud-init-output.log 2>/dev/null;"
    " cloud-init status --long"
)
_ABSENT = 3
BOOTSTRAP = (  # its journal, as JSON lines; sshd may answer before cloud-init has written our program
    f"until [ -x {_PROGRAM} ]; do if {_SETTLED}; then [ -x {_PROGRAM} ] || exit {_ABSENT}; fi; sleep 0.05; done;"
    f" {CONTROL} boot-log --follow"
)
_STRANGERS = 40  # answers with another host key, a quarter of a second apart, before it is taken for somebody else


def follow(shell: Shell, line: Callable[[str], None]) -> int:
    """
    Hand every line of the first boot to `line` until it is over; 0 when the bootstrap went well.

    Raises:
        ShellError: the connection broke.
    """
    lock = threading.Lock()

    def say(origin: str, text: str) -> None:
        with lock:
            line(f"{origin:<10}  {text}".rstrip())

    cloud_init = Background(lambda: shell.stream(_CLOUD_INIT, line=lambda text: say("cloud-init", text)))
    status = shell.stream(BOOTSTRAP, line=lambda text: say(*told(text)))
    cloud_init.result()
    if status == _ABSENT:
        say("bootstrap", "cloud-init ended without writing the droplet's program: its user-data did not arrive")
    return 1 if status else 0


def told(text: str) -> tuple[str, str]:
    """Read a line of the bootstrap's journal into whose it is and what it says."""
    try:
        event = json.loads(text)
        stage, state, said = event["stage"], event["state"], event["text"]
    except (ValueError, KeyError, TypeError):
        return "bootstrap", text
    if state == "output":
        return stage, said
    seconds = event.get("seconds")
    taken = f" after {seconds:.1f} s" if isinstance(seconds, (int, float)) else ""
    return stage, f"{state}{taken}" + (f": {said}" if said else "")


def arrived(
    address: str, files: LaunchFiles, *, timeouts: Timeouts, clock: Clock = REAL, notify: Notify = nobody
) -> Shell:
    """
    Connect as soon as sshd answers, also while whoever launches the droplet rotates its host key.

    Raises:
        WaitTimeout: it does not answer.
        HostKeyMismatch: somebody else goes on answering.
    """
    strangers = [0]

    def attempt(limit: float) -> Ready[Shell] | Pending:
        try:
            return Ready(Shell.connect(address, files=files, limit=limit))
        except HostKeyMismatch as error:
            strangers[0] += 1
            if strangers[0] >= _STRANGERS:
                raise
            return Pending(str(error))

    return until(
        f"SSH on {address}",
        attempt,
        limit=timeouts.ssh,
        attempt_limit=timeouts.attempt,
        on=(ShellUnreachable,),
        pace=EAGER,
        clock=clock,
        notify=notify,
    )
